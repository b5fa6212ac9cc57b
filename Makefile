# Every target sets itself up, and can be run again or beside the others (make -j).
VENV ?= .venv
PYTHON ?= python3
SECONDS_EACH ?= 60
WORKERS ?= 2
TESTERS ?= 2
BIN := $(VENV)/bin
CODE := agents features models serving training secmesh.py tests

.PHONY: demo test coverage check reliability fuzz fix serve

demo: $(VENV)/.compiled
	$(BIN)/secmesh demo

test: check $(VENV)/.compiled
	$(BIN)/python -m pytest --numprocesses $(TESTERS) --dist loadfile

# The same, and which lines they run: it takes half as long again.
coverage: $(VENV)/.compiled
	$(BIN)/python -m pytest --numprocesses $(TESTERS) --dist loadfile --cov --cov-report=term:skip-covered

check: $(VENV)/.installed
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy $(CODE)
	$(BIN)/lint-imports

# What tests/reliability and their like do in a small way in `make test`, at the size that the goals ask for, and how long
# a restart takes: about two hours on two cores. Each size is an environment variable; what is measured is printed.
reliability: export SECMESH_SERVICE_KILLS ?= 200
reliability: export SECMESH_KILLS ?= 200
reliability: export SECMESH_AUDIT_KILLS ?= 25
reliability: export SECMESH_POWER_CUTS ?= 500
reliability: export SECMESH_FLIPS ?= 1000
reliability: export SECMESH_AUDIT_SPOILS ?= 200
reliability: export SECMESH_HOSTILE_POSTS ?= 5000
reliability: export SECMESH_API_CASES ?= 20000
reliability: export SECMESH_OVERLOAD_SECONDS ?= 60
reliability: export SECMESH_OVERLOAD_CLIENTS ?= 200
reliability: export SECMESH_SLOW_CLIENTS ?= 500
reliability: export SECMESH_SOAK_SECONDS ?= 600
reliability: export SECMESH_SOAK_ENTITIES ?= 1000000
reliability: export SECMESH_FOLDS ?= 6
reliability: export SECMESH_FOLD_EVENTS ?= 5000
reliability: $(VENV)/.compiled
	$(BIN)/python -m pytest -s --durations=0 --durations-min=5 tests/reliability tests/serving/api/test_service.py \
	    tests/serving/api/test_clerk.py tests/serving/access/test_audit.py tests/serving/stream/test_event_log.py \
	    tests/serving/test_hostile_posts.py tests/serving/test_schemathesis.py
	$(BIN)/python -m benchmarks.restart

# A minute of hostile bytes for each parser.
fuzz: $(VENV)/.fuzzer
	$(BIN)/python -m tests.fuzz.run --seconds $(SECONDS_EACH) --workers $(WORKERS)

$(VENV)/.fuzzer: $(VENV)/.compiled
	$(BIN)/python -m pip install --quiet --editable '.[api,dev,fuzz]'
	touch $@

fix: $(VENV)/.installed
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

serve: $(VENV)/.installed
	$(BIN)/secmesh serve

# numba keeps machine code by the file of a function alone, and does not see when a file changes that it took code from.
$(VENV)/.compiled: $(VENV)/.installed $(wildcard features/*.py features/*/*.py models/*.py agents/*.py agents/*/*.py)
	find features models agents -name '*.nb[ic]' -delete
	touch $@

$(VENV)/.installed: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	touch $@

# Every target sets itself up, and can be run again or beside the others (make -j).
VENV ?= .venv
PYTHON ?= python3
SECONDS_EACH ?= 60
WORKERS ?= 2
TESTERS ?= 2
BIN := $(VENV)/bin
CODE := agents features models serving training secmesh.py tests

.PHONY: demo test check fuzz fix serve

demo: $(VENV)/.compiled
	$(BIN)/secmesh demo

test: check $(VENV)/.compiled
	$(BIN)/python -m pytest --numprocesses $(TESTERS) --dist loadfile --cov --cov-report=term:skip-covered

check: $(VENV)/.installed
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy $(CODE)
	$(BIN)/lint-imports

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

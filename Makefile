# Every target sets itself up, and can be run again or beside the others (make -j).
VENV ?= .venv
PYTHON ?= python3
BIN := $(VENV)/bin
CODE := agents features models serving training secmesh.py tests

.PHONY: demo test check fix serve

demo: $(VENV)/.installed
	$(BIN)/secmesh demo

test: check
	$(BIN)/python -m pytest --cov --cov-report=term:skip-covered

check: $(VENV)/.installed
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy $(CODE)
	$(BIN)/lint-imports

fix: $(VENV)/.installed
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

serve: $(VENV)/.installed
	$(BIN)/secmesh serve

$(VENV)/.installed: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	touch $@

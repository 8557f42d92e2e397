# `make demo` shows the tool at work, `make test` tests it; both set up what they need.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready
PORT   ?= 5000

.PHONY: help setup demo test lint format bench run docs migration clean

help:  ## what there is to make
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## */\t/' | expand -t 12

setup: $(READY)  ## make .venv with everything in it, in the versions of config/constraints.txt

$(READY): pyproject.toml config/constraints.txt config/bootstrap.py
	@test -x $(BIN)/pip || $(PYTHON) config/bootstrap.py $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c config/constraints.txt -e '.[dev]'
	@touch $@

demo: setup  ## an LMS, the tool and an issuer on this machine; prints the address to open
	@$(BIN)/lti-badges demo --port $(PORT)

test: setup  ## all tests that this machine can run, with coverage
	$(BIN)/python -m pytest -n 2 --dist loadfile --cov --cov-report=term:skip-covered

lint: setup  ## style, types and the floors of the architecture
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: setup  ## put the code into shape
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: setup  ## launches and issuing against their floors, as ratios
	$(BIN)/python -m benchmarks

run: setup  ## serve with the settings of the environment
	@$(BIN)/lti-badges serve

docs: setup  ## new pictures for README and docs (needs Chromium)
	$(BIN)/python config/pictures.py

migration: setup  ## the next migration, from the models: make migration m="add a column"
	$(BIN)/python config/new_migration.py "$(m)"
	$(BIN)/ruff format lti_badges/store/migrations

clean:  ## remove everything that was made, except keys and databases
	rm -rf $(VENV) build dist *.egg-info .coverage* .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

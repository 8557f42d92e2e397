# `make demo` shows the tool at work, `make test` tests it; both set up what they need.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
PLAIN  := $(VENV)/.plain
READY  := $(VENV)/.ready
PIP    := $(BIN)/python -m pip install --disable-pip-version-check --progress-bar off -c config/constraints.txt
WORKERS ?= 2
# What `make test` must cover of lines and branches, in percent.
COVERED ?= 85
# What a minute can show: pure code, signatures, the launch; no browser, no PostgreSQL.
FAST    ?= tests/rules tests/core tests/openbadges tests/lti tests/test_architecture.py tests/test_packaging.py
MUTANTS ?= 'lti_badges.rules*' 'lti_badges.lti.id_token*' 'lti_badges.openbadges.verify*'
PORT   ?= 5000

.PHONY: help setup demo test test-fast mutate lint format bench run docs migration clean

help:  ## what there is to make
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## */\t/' | expand -t 12

setup: $(READY)  ## make .venv with everything in it, in the versions of config/constraints.txt

$(PLAIN): pyproject.toml config/constraints.txt config/bootstrap.py
	@test -x $(BIN)/pip || echo "Making $(VENV) with $$($(PYTHON) --version) …"
	@test -x $(BIN)/pip || $(PYTHON) config/bootstrap.py $(VENV)
	@echo "Installing lti-badges and what it needs into $(VENV): about a minute, once …"
	@$(PIP) -e .
	@touch $@

$(READY): $(PLAIN)
	@echo "Installing what tests and checks need: about a minute more, once …"
	@$(PIP) -e '.[dev]'
	@touch $@

demo: $(PLAIN)  ## an LMS, the tool and an issuer on this machine; prints the address to open
	@$(BIN)/lti-badges demo --port $(PORT)

test: setup  ## all tests that this machine can run, with coverage
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --cov --cov-report=term:skip-covered --cov-fail-under=$(COVERED)

test-fast: setup  ## what a minute can show: no browser, no PostgreSQL, nothing slow
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile -m "not slow and not browser and not postgres" $(FAST)

mutate: setup  ## break the code in many small ways; the tests must notice (docs/testing.md)
	$(BIN)/mutmut run $(MUTANTS)
	$(BIN)/python config/mutants.py

lint: setup  ## style, types and the floors of the architecture
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: setup  ## put the code into shape
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: setup  ## launches, readings, issuing and delivery against their floors, into docs/performance.md
	$(BIN)/python -m benchmarks --write docs/performance.md

run: $(PLAIN)  ## serve with the settings of the environment
	@$(BIN)/lti-badges serve

docs: setup  ## new pictures for README and docs (needs Chromium)
	$(BIN)/python config/pictures.py

migration: setup  ## the next migration, from the models: make migration m="add a column"
	$(BIN)/python config/new_migration.py "$(m)"
	$(BIN)/ruff format lti_badges/store/migrations

clean:  ## remove everything that was made, except keys and databases
	rm -rf $(VENV) build dist *.egg-info .coverage* .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis mutants
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

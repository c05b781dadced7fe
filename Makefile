# Works on a fresh clone: every target sets up what it needs. `make help` lists them.

PYTHON ?= python3
VENV ?= .venv
BIN := ./$(VENV)/bin

# The Dagster instance that stays: what was materialized, and the partitions.
export DAGSTER_HOME := $(CURDIR)/.dagster_home

.DEFAULT_GOAL := help
.PHONY: help demo dev test test-browser screenshots lint format clean

help:  ## list the targets
	@sed -n 's/^\([a-z-]*\):.*  ## \(.*\)/make \1	\2/p' Makefile

demo: $(VENV)/.installed .dagster_home/dagster.yaml  ## materialize the bundled clips through Dagster, print the probabilities
	@$(BIN)/clip-assets demo
	@echo "Open the UI:  make dev"

dev: $(VENV)/.installed .dagster_home/dagster.yaml  ## open the UI on http://127.0.0.1:3000, with .env or else the demo's settings
	@set -a; [ -f .env ] || . ./clip_assets/demo/demo.env; exec $(BIN)/python -m dagster dev -h 127.0.0.1 -w workspace.yaml

test: $(VENV)/.installed-test  ## run all tests, save those in a browser
	$(BIN)/python -m pytest -m "not browser" -n auto --maxprocesses 4 --dist worksteal

test-browser: $(VENV)/.installed-test $(VENV)/.installed-browser  ## click through the UI in an installed Chromium
	$(BIN)/python -m pytest -m browser

screenshots: $(VENV)/.installed-test $(VENV)/.installed-browser  ## make docs/images anew, with an installed Chromium
	PYTHONPATH=. $(BIN)/python docs/make_screenshots.py

lint: $(VENV)/.installed-lint  ## check style and types
	$(BIN)/python -m ruff check .
	$(BIN)/python -m ruff format --check .
	$(BIN)/python -m mypy

format: $(VENV)/.installed-lint  ## put the code into its one format
	$(BIN)/python -m ruff check --fix .
	$(BIN)/python -m ruff format .

clean:  ## remove the environment, the Dagster instance and caches; videos/ and output/ stay
	rm -rf $(VENV) .dagster_home build dist *.egg-info .pytest_cache .ruff_cache .mypy_cache .hypothesis

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' || \
		{ echo "clip_assets needs Python 3.11 to 3.13; name one: make PYTHON=python3.12" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: $(VENV)/bin/python setup.cfg pyproject.toml constraints.txt
	@echo "Installing into $(VENV): a few minutes, several GB ..."
	@$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable .
	@touch $@

$(VENV)/.installed-%: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[$*]'
	@touch $@

.dagster_home/dagster.yaml: dagster.yaml
	@mkdir -p .dagster_home
	@cp dagster.yaml $@

# Works on a fresh clone: every target sets up what it needs. `make help` lists them.

PYTHON ?= python3
VENV ?= .venv
BIN := ./$(VENV)/bin
CONSTRAINTS := --constraint constraints.txt --constraint constraints-dev.txt

# TORCH=cpu takes PyTorch's build without CUDA, from PyTorch's own index (with uv alone); TORCH=cu130 that of a CUDA.
UV_FLAGS := $(if $(TORCH),--torch-backend=$(TORCH))

# The Dagster instance that stays: what was materialized, and the partitions.
export DAGSTER_HOME := $(CURDIR)/.dagster_home

.DEFAULT_GOAL := help
.PHONY: help demo browse dev test test-cluster test-dagster test-browser screenshots lint format clean

help:  ## list the targets
	@sed -n 's/^\([a-z-]*\):.*  ## \(.*\)/make \1	\2/p' Makefile

demo: $(VENV)/.installed .dagster_home  ## materialize the bundled clips through Dagster, print the probabilities
	@$(BIN)/clip-assets demo
	@echo "Look at them: make browse"
	@echo "Open the UI:  make dev"
	@echo 'Ask them:     $(BIN)/clip-assets find "a blue square"'

browse: $(VENV)/.installed .dagster_home  ## ask and look on http://127.0.0.1:3001, with .env or else the demo's settings
	@set -a; [ -f .env ] || . ./clip_assets/demo/demo.env; exec $(BIN)/clip-assets browse

dev: $(VENV)/.installed .dagster_home  ## the same beside Dagster's UI on http://127.0.0.1:3000
	@set -a; [ -f .env ] || . ./clip_assets/demo/demo.env; exec $(BIN)/clip-assets dev

test: $(VENV)/.installed-test  ## run all tests, save those with servers, runs in other processes or a browser; the slowest ten are named
	$(BIN)/python -m pytest -m "not browser and not cluster" -n auto --maxprocesses 4 --dist worksteal --durations 10

test-dagster: $(VENV)/.oldest-dagster  ## run the tests that rest on Dagster's private API with the oldest Dagster allowed
	./$(VENV)/oldest-dagster/bin/python -m pytest -m dagster_bounds

test-cluster: $(VENV)/.installed-test $(VENV)/.installed-cluster  ## run the tests with servers (Dagster's, S3's, PostgreSQL, Redis) and runs in processes of their own
	$(BIN)/python -m pytest -m cluster -n auto --maxprocesses 2 --dist loadfile --durations 10

test-browser: $(VENV)/.installed-test $(VENV)/.installed-browser  ## click through the UI in an installed Chromium
	$(BIN)/python -m pytest -m browser

screenshots: $(VENV)/.installed-test $(VENV)/.installed-browser  ## make docs/images anew, with an installed Chromium
	PYTHONPATH=. $(BIN)/python docs/make_screenshots.py

lint: $(VENV)/.installed-lint  ## check style, types, and what each room may import
	$(BIN)/python -m ruff check .
	$(BIN)/python -m ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/python -m mypy

format: $(VENV)/.installed-lint  ## put the code into its one format
	$(BIN)/python -m ruff check --fix .
	$(BIN)/python -m ruff format .

clean:  ## remove the environment, the Dagster instance and caches; videos/ and output/ stay
	rm -rf $(VENV) .dagster_home build dist *.egg-info .pytest_cache .ruff_cache .mypy_cache .import_linter_cache .hypothesis

# Its last line is the stamp: an environment that was left half-made is made again.
$(VENV)/.made:
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' || \
		{ echo "clip_assets needs Python 3.11 to 3.13; name one: make PYTHON=python3.12" >&2; exit 1; }
	@echo "Making the environment $(VENV)"
	@$(PYTHON) -m venv $(VENV)
	@command -v uv >/dev/null || $(BIN)/python -m pip install --quiet uv || echo "uv can't be had; installing with pip"
	@touch $@

# uv where it can be had, since pip takes several times as long; both go on where an interrupted download left off.
define install
	@echo "Installing $(1) into $(VENV): about 6 GB with CUDA's libraries"
	@uv=$$(command -v uv || command -v $(BIN)/uv) && \
		VIRTUAL_ENV=$(VENV) "$$uv" pip install $(UV_FLAGS) $(CONSTRAINTS) --editable '$(1)' || \
		{ [ -z "$$uv" ] && $(BIN)/python -m pip install $(CONSTRAINTS) --editable '$(1)'; }
	@touch $@
endef

$(VENV)/.installed: $(VENV)/.made setup.cfg pyproject.toml constraints.txt
	$(call install,.)

$(VENV)/.installed-%: $(VENV)/.installed constraints-dev.txt
	$(call install,.[$*])

# Dagster alone, in front of the packages of $(VENV).
$(VENV)/.oldest-dagster: $(VENV)/.installed-test setup.cfg
	@$(BIN)/python -m venv --clear --without-pip $(VENV)/oldest-dagster
	@purelib='import sysconfig; print(sysconfig.get_path("purelib"))'; \
		echo "import site; site.addsitedir('$$($(BIN)/python -c "$$purelib")')" \
		> "$$($(VENV)/oldest-dagster/bin/python -c "$$purelib")/packages.pth"
	@oldest=$$(sed -n 's/^ *dagster>=\([0-9.]*\),.*/\1/p' setup.cfg) && \
		$(BIN)/python -m pip --python $(VENV)/oldest-dagster/bin/python install --quiet --no-deps \
		dagster==$$oldest dagster-shared==$$oldest dagster-pipes==$$oldest
	@touch $@

.dagster_home:
	@mkdir -p $@

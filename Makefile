# Every target sets up what it needs: Python >= 3.11, bash and make are all a machine has to have.
#   PYTHON=python3.12 make install   picks the interpreter     VENV=/some/folder   moves the set-up
SHELL := bash
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.NOTPARALLEL:  # two installers must not write one environment at the same time

VENV ?= .venv
BIN := $(VENV)/bin
JOBS ?= 2
# one version for the recipes, so that where a build without CUDA of it is at hand it is taken
TORCH ?= torch==2.13.0

# real scenes lying beside the repository are used without being asked for
ifneq ($(wildcard ../shared/data/archive),)
export GEOSTACK_ARCHIVE ?= $(abspath ../shared/data/archive)
endif

DEV := $(VENV)/.have-dev
SERVE := $(VENV)/.have-serve
RECIPES := $(VENV)/.have-recipes
BENCH := $(VENV)/.have-bench
# Peers that work here although they declare bounds that can't be met: patchify numpy<2, stackstac
# pandas<3 (the tests call it, too), and the extensions that rustac's own DuckDB loads (it would download them) our duckdb.
DUCKDB_OF_RUSTAC := 1.5.5
STACKSTAC := stackstac==0.5.1
# torchgeo's datasets, samplers and transforms alone, 16 MB: its networks would bring Lightning, timm and others. torchvision
# declares the torch that its compiled part is for; one for CUDA runs beside a torch for CPUs without that part.
TORCHGEO := torchgeo==0.8.1 torchvision==0.28.0 kornia==0.9.0 kornia-rs==0.2.0 einops==0.8.2
UNRESOLVED := patchify==0.2.3 \
  $(foreach name,spatial icu parquet,duckdb-extension-$(name)==$(DUCKDB_OF_RUSTAC))
SITE := $(VENV)/.have-site
RUN := $(BIN)/python tools/run_notebooks.py --jobs $(JOBS)

.PHONY: help
help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-20s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

.PHONY: install
install: $(DEV)  ## make .venv with geostack and what its tests and notebooks need
	@echo "ready: source $(BIN)/activate"

.PHONY: notebooks notebooks-patching notebooks-catalog notebooks-assessment notebooks-all notebooks-check notebooks-inplace
notebooks: $(DEV) $(SERVE)  ## execute the walkthrough into _build/notebooks, and say whose pixels it shows
	@$(RUN) walkthrough

notebooks-patching: $(DEV) $(RECIPES)  ## execute the patching deep dives and recipes into _build/notebooks
	@$(RUN) patching

notebooks-catalog: $(DEV)  ## execute the catalog deep dives into _build/notebooks
	@$(RUN) catalog

notebooks-assessment: $(DEV)  ## execute the lessons on accuracy and validation into _build/notebooks
	@$(RUN) assessment

notebooks-all: $(DEV) $(SERVE) $(RECIPES)  ## execute every notebook into _build/notebooks
	@$(RUN) all

notebooks-check: $(DEV) $(SERVE) $(RECIPES)  ## execute every notebook into _build/notebooks, and check the committed copies
	@$(RUN) all --check

notebooks-inplace: $(DEV) $(SERVE) $(RECIPES)  ## for authors: write the committed copies, with the real scenes of GEOSTACK_ARCHIVE
	@$(RUN) all --inplace

.PHONY: test test-author wheel-check test-lowest lint types contract
test: $(DEV) $(SERVE) lint types contract  ## lint, types, import contract, then every test
	@$(BIN)/python -m pytest -q -n $(JOBS) --dist loadfile --hypothesis-profile=repeatable

test-author: $(DEV) $(SERVE) $(SITE) $(RECIPES)  ## only the tests that need the real scenes, the site's renderer or torch
	@$(BIN)/python -m pytest -q -n $(JOBS) --dist loadfile --hypothesis-profile=repeatable -m "author and not live"

wheel-check: $(DEV)  ## build wheel and sdist, check them, try the wheel alone in a fresh environment
	@$(BIN)/python tools/wheel_check.py

test-lowest: $(VENV)/.made  ## the tests, with the lowest direct versions that pyproject.toml admits
	@$(BIN)/python -m venv $(VENV)/lowest
	@$(VENV)/lowest/bin/python -m pip install --disable-pip-version-check --quiet uv
	@$(VENV)/lowest/bin/uv pip install --quiet --python $(VENV)/lowest/bin/python \
	  --resolution lowest-direct --editable ".[dev,serve]"
	@$(VENV)/lowest/bin/python -m pytest -q -n $(JOBS) --dist loadfile -W default \
	  --ignore tests/house --ignore tests/notebooks --ignore tests/tools

lint: $(DEV)  ## ruff: rules and layout
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

types: $(DEV)  ## mypy over src, strict for pipekit
	@$(BIN)/mypy

contract: $(DEV)  ## which package may import which
	@$(BIN)/lint-imports

.PHONY: bench bench-quick
bench: $(DEV) $(BENCH) $(SERVE)  ## measure against the targets and the peers, write benchmarks/RESULTS.md
	@$(BIN)/python benchmarks/run.py && $(BIN)/python docs/readme_tables.py

bench-quick: $(DEV) $(SERVE)  ## the same in under three minutes, smaller, into .benchmarks
	@$(MAKE) --no-print-directory $(BENCH) || echo "without peers, which could not be installed"
	@$(BIN)/python benchmarks/run.py --quick

.PHONY: site
site: $(DEV) $(SITE) $(SERVE)  ## render the site into _build/html, as its host shows it
	@$(BIN)/python docs/build.py

.PHONY: clean clean-all
clean:  ## remove caches and build output
	rm -rf _build build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache .benchmarks
	find src tests notebooks benchmarks docs -name __pycache__ -type d -prune -exec rm -rf {} +

clean-all: clean  ## remove .venv too
	rm -rf $(VENV)

# ---- the set-up: one stamp for each extra, renewed when pyproject.toml changes

$(VENV)/.made:
	@if command -v uv >/dev/null 2>&1; then \
	  echo "making $(VENV) with uv" && \
	  uv venv --quiet --allow-existing --python "$(or $(PYTHON),>=3.11)" $(VENV); \
	else \
	  for python in $(or $(PYTHON),python3 python3.14 python3.13 python3.12 python3.11 python); do \
	    if $$python -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then \
	      echo "making $(VENV) with $$($$python --version)" && exec $$python -m venv $(VENV); \
	    fi; \
	  done; \
	  echo "geostack needs Python 3.11 or newer with its venv module, and none of these is one:" \
	    "$(or $(PYTHON),python3 python3.14 python3.13 python3.12 python3.11 python)." \
	    "Install one (Debian, Ubuntu: apt install python3-venv) or name it: make PYTHON=/path/to/python" >&2; \
	  exit 1; \
	fi
	@touch $@

$(RECIPES): PIN := $(TORCH)
$(DEV): APART := $(STACKSTAC)
$(RECIPES): APART := $(TORCHGEO)
$(BENCH): APART := $(UNRESOLVED)
$(VENV)/.have-%: pyproject.toml $(VENV)/.made
	@$(BIN)/python tools/install.py $* --python $(BIN)/python --log $(VENV)/install-$*.log $(PIN)
	@$(if $(APART),if command -v uv >/dev/null 2>&1; then \
	  uv pip install --python $(BIN)/python --no-deps $(APART); \
	else \
	  $(BIN)/python -m pip install --disable-pip-version-check --no-input --progress-bar off --quiet \
	    --no-deps $(APART); \
	fi)
	@touch $@

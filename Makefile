# smidgen: everything a developer runs. `make help` lists it.
#
# All that is downloaded or built goes to .venv/ and .cache/. Both can be deleted at any time.

PYTHON ?= python3
ARCH ?= x64
JOBS ?= 2

VENV := .venv
CACHE := .cache
BIN := $(VENV)/bin
NATMOD := $(CACHE)/natmod/$(ARCH)/smidgen.mpy

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

.PHONY: help
help:
	@echo 'make demo     the main job on real recordings, on a virtual board'
	@echo 'make setup    Python environment, MicroPython sources, native module; demo and test do it for you'
	@echo 'make test     all tests, then lint'
	@echo 'make lint     ruff and mypy'
	@echo 'make natmod   the native module for a board: ARCH=x64 armv6m armv7m armv7emsp xtensawin rv32imc'
	@echo 'make clean    delete all that was downloaded or built'
	@echo
	@echo 'PYTHON=python3.12 uses another Python (3.10 or newer), MPY_DIR=... another MicroPython source tree,'
	@echo 'JOBS=4 runs more tests at a time.'

.PHONY: demo
demo: setup
	$(BIN)/smidgen demo

.PHONY: test
test: setup
	$(BIN)/python -m pytest -n $(JOBS)
	@$(MAKE) --no-print-directory lint

.PHONY: lint
lint: $(VENV)/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check host tests
	$(BIN)/mypy

.PHONY: setup
setup: $(VENV)/installed $(CACHE)/natmod/x64/smidgen.mpy

# Of seglearn only a data file is used (examples/imu_exercises); its dependencies are large and not needed for that.
$(VENV)/installed: pyproject.toml | $(CACHE)/tools-checked
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -qq --disable-pip-version-check --editable '.[dev]'
	$(BIN)/python -m pip install -qq --disable-pip-version-check --no-deps seglearn
	@touch $@

$(CACHE)/tools-checked:
	@mkdir -p $(CACHE)
	@PYTHON='$(PYTHON)' boards/check_tools.sh
	@touch $@

.PHONY: natmod
natmod: $(NATMOD)

$(CACHE)/natmod/%/smidgen.mpy: $(wildcard native/core/* native/module/* device/smidgen/*) boards/build_natmod.sh $(VENV)/installed
	@boards/build_natmod.sh $*

.PHONY: clean
clean:
	rm -rf $(CACHE) $(VENV) host/smidgen.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

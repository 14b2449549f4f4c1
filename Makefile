# smidgen: everything a developer runs. `make help` lists it.
#
# All that is downloaded or built goes to .venv/ and .cache/. Both can be deleted at any time.

PYTHON ?= python3
JOBS ?= 2

VENV := .venv
CACHE := .cache
BIN := $(VENV)/bin

# The same sources make the same wheel.
export SOURCE_DATE_EPOCH ?= $(shell git log -1 --format=%ct 2>/dev/null || echo 315532800)

# Programs that the tests start again and again would compile all modules each time.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

.PHONY: help
help:
	@echo 'make demo     the main job on real recordings, on a virtual board'
	@echo 'make setup    Python environment, MicroPython sources, native module; demo and test do it for you'
	@echo 'make test     all tests, on all virtual boards, then lint'
	@echo 'make lint     ruff and mypy'
	@echo 'make natmod   the native module for all architectures, or one: ARCH=x64 armv6m armv7m armv7emsp rv32imc xtensawin'
	@echo "              (WITHOUT='softmax mul' leaves kinds of operators out, for a smaller module in a folder of its own)"
	@echo '              (CROSS=xtensa-esp32-elf- how the compiler for xtensawin, or for ARCH, is called)'
	@echo 'make firmware MicroPython for the virtual boards, or one: BOARD=pico cortex-m3 cortex-m4 riscv pico-smidgen'
	@echo "make bench    cycles and memory of whole networks and single kernels; BENCH='--model kws --json' are options"
	@echo 'make xtensa   a compiler for xtensawin, from Debian packages (120 MB), for machines without Espressif'"'"'s'
	@echo 'make wheel    dist/smidgen-*.whl, with the native modules in it'
	@echo 'make mip      dist/mip/<arch>/package.json, for mip'
	@echo 'make clean    delete all that was downloaded or built'
	@echo
	@echo 'PYTHON=python3.12 uses another Python (3.10 or newer), MPY_DIR=... another MicroPython source tree,'
	@echo 'JOBS=4 runs more tests at a time.'

.PHONY: demo
demo: setup
	$(BIN)/smidgen demo

# Side by side, because each has parts that keep one processor busy only, or none. The longest first.
.PHONY: test
test: setup $(CACHE)/board-tools-checked
	@printf '%s\n' firmware-for-tests emulator natmod | xargs -P $(JOBS) -n 1 $(MAKE) --no-print-directory
	SMIDGEN_TEST_ALL_BOARDS=1 $(BIN)/python -m pytest -n $(JOBS) --dist loadgroup -rs
	@$(MAKE) --no-print-directory lint

.PHONY: lint
lint: $(VENV)/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check host tests benchmarks boards
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
natmod: $(VENV)/installed
	@boards/build_natmod.sh $(ARCH)
	@$(BIN)/python boards/natmod_sizes.py "$$(boards/build_natmod.sh --folder)"

$(CACHE)/natmod/%/smidgen.mpy: $(wildcard native/core/* native/module/* device/smidgen/*) boards/build_natmod.sh $(VENV)/installed
	@boards/build_natmod.sh $*

$(CACHE)/board-tools-checked: $(CACHE)/tools-checked
	@PYTHON='$(PYTHON)' boards/check_tools.sh boards
	@touch $@

.PHONY: firmware
firmware: $(VENV)/installed $(CACHE)/board-tools-checked
	@boards/build_firmware.sh $(BOARD)

.PHONY: firmware-for-tests
firmware-for-tests: $(VENV)/installed $(CACHE)/board-tools-checked
	@boards/build_firmware.sh pico cortex-m3 cortex-m4 riscv pico-smidgen

# Only speed depends on it.
.PHONY: emulator
emulator: $(VENV)/installed
	@boards/build_emulator.sh $(BIN)/python || echo 'sim:pico works without it, four times slower' >&2

# BENCH: options of benchmarks.cycles, such as BENCH='--model kws --json'
BENCH ?=
BENCH_NATMODS := $(foreach arch,armv6m armv7m armv7emsp rv32imc,$(CACHE)/natmod/$(arch)/smidgen.mpy)

.PHONY: bench
bench: setup emulator $(BENCH_NATMODS)
	@$(if $(findstring --bare,$(BENCH)),,boards/build_firmware.sh >&2)
	@$(BIN)/python -m benchmarks.cycles --jobs $(JOBS) $(BENCH)

.PHONY: xtensa
xtensa:
	@boards/xtensa_compiler.sh

.PHONY: wheel
wheel: natmod
	$(BIN)/python -m pip wheel -q --disable-pip-version-check --no-deps --no-build-isolation --wheel-dir dist .
	@ls dist/*.whl

.PHONY: mip
mip: natmod
	@rm -rf dist/mip
	@$(BIN)/python boards/mip_packages.py

.PHONY: clean
clean:
	rm -rf $(CACHE) $(VENV) dist host/smidgen.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

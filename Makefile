# `make mine` and `make test` do everything on a fresh machine; README.md says what.

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.complete
PIP = packaging/patiently $(BIN)/python -m pip install --quiet --disable-pip-version-check
# What the tests need on top: a user who only mines does not download it.
DEV_STAMP := $(VENV)/.dev
# What the CUDA packages must fit: the "CUDA Version" that nvidia-smi shows.
CUDA ?=
# CUDA packages for a machine without a GPU, beside the environment that the tests run in.
REGISTERS := $(VENV)/registers
CUDA_STAMP := $(if $(CUDA),$(VENV)/.cuda$(CUDA))
# Compiled by the set-up, and again when a translation was changed.
CATALOGUES := $(patsubst %.po,%.mo,$(wildcard engine/locale/*/LC_MESSAGES/*.po))

# A test that failed beside others is run once more, alone: soaks inject faults at random moments. What fails
# twice is wrong; a run that broke off, and so names no failed test, fails here too (pytest's exit code 5).
ONCE_MORE := --last-failed --last-failed-no-failures none

.PHONY: mine test quick simulated test-all test-long soak lying-soak registers gpu-test setup lint messages reference docs wheel bench lock clean
.DEFAULT_GOAL := help

help:  ## Say what can be made
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

mine: $(STAMP) $(CATALOGUES)  ## Mine three blocks on an embedded devnet and print a summary
	$(BIN)/cpc-engine mine --devnet --blocks 3

test: $(DEV_STAMP) $(CATALOGUES)  ## Run every check and most tests, in minutes: on the CPU, CUDA kernels simulated
	@$(MAKE) --no-print-directory -j4 -Otarget lint wheel simulated quick

# More workers than cores: a third of the time they wait. Checks, wheel and simulated kernels are one process
# each beside them; + shows these lines at once, where the others' come together when they end.
quick: $(DEV_STAMP) $(CATALOGUES)
	+$(BIN)/python -m pytest -n 4 --dist worksteal -m "not slow" || $(BIN)/python -m pytest -n 0 -m "not slow" $(ONCE_MORE)

simulated: $(DEV_STAMP)
	NUMBA_ENABLE_CUDASIM=1 $(BIN)/python -m pytest tests/kernels/cuda -n 0 -m "not slow"

test-all: $(DEV_STAMP) $(CATALOGUES)  ## Run most of what `make test` leaves out: more variants, farm, larger simulations
	NUMBA_ENABLE_CUDASIM=1 $(BIN)/python -m pytest tests/kernels/cuda -n 2 -m "slow and not long"
	$(BIN)/python -m pytest -n 3 --dist worksteal -m "slow and not long" || $(BIN)/python -m pytest -n 0 -m "slow and not long" $(ONCE_MORE)

test-long: $(DEV_STAMP) $(CATALOGUES)  ## Run what `make test-all` leaves out, for an hour: soaks, thousands of random cases
	NUMBA_ENABLE_CUDASIM=1 $(BIN)/python -m pytest tests/kernels/cuda -n 2 -m long
	$(BIN)/python -m pytest -n 2 --dist worksteal -m long || $(BIN)/python -m pytest -n 0 -m long $(ONCE_MORE)

soak: $(DEV_STAMP)  ## Inject faults into a miner for ten minutes, and check that nothing is lost or wrong
	$(BIN)/python -m tests.engine.node.soak

lying-soak: $(DEV_STAMP)  ## Mine for half an hour with a first node that lies in every way, beside an honest one
	$(BIN)/python -m tests.engine.node.lying_soak --minutes 30

setup: $(STAMP) $(CUDA_STAMP)  ## Make the environment in .venv; CUDA=13 or CUDA=12 for a GPU

registers: $(REGISTERS)/.complete  ## Compile every CUDA kernel for every card and list registers; spills fail
	$(REGISTERS)/bin/python -m bench.registers $(CARDS:%=--card %)

gpu-test: $(DEV_STAMP) $(CUDA_STAMP)  ## Run the tests that need a GPU (after make setup CUDA=13)
	$(BIN)/python -m pytest tests/kernels/cuda/test_gpu.py tests/kernels/cuda/test_network_gpu.py

lint: $(DEV_STAMP)  ## Check style, format, layers and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports --no-cache
	$(BIN)/mypy
	$(BIN)/bandit --quiet --configfile pyproject.toml --severity-level medium --recursive engine kernels node_client
	$(BIN)/python packaging/audit.py

messages: $(DEV_STAMP)  ## Bring the catalogues of translated messages up to date
	$(BIN)/python packaging/messages.py
	@$(MAKE) --no-print-directory $(CATALOGUES)

reference: $(DEV_STAMP)  ## Make docs/commands.md and the man page from the commands
	$(BIN)/python packaging/reference.py

docs: reference  ## Build the documentation into build/site
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet

wheel: $(DEV_STAMP) $(CATALOGUES)  ## Build the wheel, install it apart from here and mine a block with it
	$(BIN)/python packaging/try_wheel.py

bench: $(DEV_STAMP)  ## Time the kernels with pytest-benchmark
	$(BIN)/python -m pytest bench --benchmark-enable --benchmark-only

# The first Python of at least 3.12 that really starts: a pyenv shim may stand for a version it lacks.
$(STAMP): requirements.lock pyproject.toml
	@set -e; found=; \
	for python in "$$PYTHON" python3 python3.12 python3.13 python3.14 python; do \
	  [ -n "$$python" ] || continue; \
	  if $$python -c 'import sys, venv; sys.exit(sys.version_info < (3, 12))' 2>/dev/null; then \
	    found=$$python; break; fi; \
	done; \
	if [ -z "$$found" ]; then \
	  echo "cpc-engine needs Python 3.12 or newer with its venv module: install it (pyenv install 3.12, or" \
	       "apt install python3.12-venv), or name it: make PYTHON=/path/to/python3.12 setup" >&2; exit 2; fi; \
	echo "Making $(VENV) with $$($$found --version)"; \
	packaging/patiently $$found -m venv --clear $(VENV)
	@echo "Installing the packages of requirements.lock: some 120 MB, a minute or two where none is cached"
	@$(PIP) --require-hashes -r requirements.lock
	@echo "Installing cpc-engine itself"
	@$(PIP) --no-deps --no-build-isolation -e .
	@touch $@

$(DEV_STAMP): requirements-dev.lock $(STAMP)
	@echo "Installing what the tests and checks need ($<): the larger part of the set-up, minutes"
	@$(PIP) --require-hashes -r $<
	@touch $@

$(REGISTERS)/.complete: requirements-registers.lock $(STAMP)
	$(BIN)/python -m venv --clear $(REGISTERS)
	packaging/patiently $(REGISTERS)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $<
	@touch $@

%.mo: %.po $(STAMP)
	$(BIN)/python packaging/hatch_hook.py

$(VENV)/.cuda%: requirements-cuda%.lock $(STAMP)
	@echo "Installing NVIDIA's packages for CUDA $* ($<)"
	@$(PIP) --require-hashes -r $<
	@touch $@

COMPILE = uv pip compile --quiet --universal --python-version 3.12 --generate-hashes \
  --no-emit-index-url --no-annotate --no-header --upgrade pyproject.toml

lock:  ## Resolve the dependencies again (needs uv)
	$(COMPILE) --extra build -o requirements.lock
	$(COMPILE) --extra dev -c requirements.lock -o requirements-dev.lock
	$(COMPILE) --extra cuda12 -c requirements.lock -o requirements-cuda12.lock
	$(COMPILE) --extra cuda13 -c requirements.lock -o requirements-cuda13.lock
	$(COMPILE) --extra registers -c requirements-cuda13.lock -o requirements-registers.lock

clean:  ## Remove the environment and every cache
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis .benchmarks
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The front door. Needs python3 (3.11 or newer), python3-venv and make; every target installs what it needs by itself.

PYTHON ?= python3
VENV := .venv
PIP := $(VENV)/bin/python -m pip --quiet --disable-pip-version-check install
TORCH := torch==2.13.0
RUNTIME := $(VENV)/.runtime-installed
TOOLS := $(VENV)/.tools-installed

# Daemons, workers and test processes start by the dozen: without bytecode each would compile every module anew.
unexport PYTHONDONTWRITEBYTECODE

# Generating requests for the API takes seconds in every test process, and so does loading what generates them; their tests are slow ones.
NOT_FOR_FAST_TESTS := -p no:schemathesis --ignore tests/daemon/api/test_schema.py

.DEFAULT_GOAL := help
.PHONY: help demo serve test test-slow check format bench lock dashboards clean

help:  ## show the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## */\t/' | expand -t 14

demo: $(RUNTIME)  ## watch the main job: real work on replayed days of three grids, under 3 minutes
	$(VENV)/bin/lowtide demo --output demo-out

serve: $(RUNTIME)  ## run the daemon here, with lowtide.toml if there is one
	$(VENV)/bin/lowtide serve

# Where a test process dies, xdist 3.8 runs the test that killed it again and again, and may hang (its issues 1371 and 1378).
test: $(TOOLS)  ## run the fast tests
	$(VENV)/bin/python -m pytest -q -n 3 --dist loadfile --max-worker-restart 0 $(NOT_FOR_FAST_TESTS) -m "not slow and not traces and not service"

test-slow: $(TOOLS)  ## run all other tests: slow ones, and those that need services or traces
	$(VENV)/bin/python -m pytest -q -n 2 --dist worksteal -m "slow or traces or service"

check: $(TOOLS)  ## lint, types, import contract
	$(VENV)/bin/ruff check
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports

format: $(TOOLS)  ## lay the code out
	$(VENV)/bin/ruff check --fix-only
	$(VENV)/bin/ruff format

bench: $(TOOLS)  ## run the benchmarks, minutes to an hour
	for bench in tests/bench/[a-z]*.py; do $(VENV)/bin/python -m tests.bench.$$(basename $$bench .py) || exit 1; done

lock: $(TOOLS)  ## resolve the dependencies anew
	deploy/lock.sh

dashboards: $(TOOLS)  ## write the Grafana dashboards from their code
	$(VENV)/bin/python -m deploy.grafana.build

clean:  ## remove everything that was made here, the environment, too
	rm -rf $(VENV) build dist demo-out .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

# --no-deps: the locks are complete but for torch, which would otherwise be pulled in without its pin.
$(RUNTIME): deploy/requirements.lock pyproject.toml | $(VENV)/bin/python
	$(PIP) --no-deps --require-hashes -r deploy/requirements.lock
	$(PIP) $(TORCH)
	$(PIP) --no-deps --no-build-isolation -e .
	touch $@

$(TOOLS): deploy/requirements-dev.lock $(RUNTIME)
	$(PIP) --no-deps --require-hashes -r deploy/requirements-dev.lock
	touch $@

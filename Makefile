# Each target sets up all it needs: Python 3.11+ (`make run PYTHON=python3.13` for another one) and make are enough.

PYTHON ?= python3
PORT ?= 8000
DATA ?= .data
SECONDS ?= 600
SEED ?= 1
MINUTES ?= 10
AGAINST ?=
ROUNDS ?= 3
WINDOW ?= 4

# The environment is made anew when the locks, the project's file or the Python change.
KEY := $(shell { cat requirements-dev.lock pyproject.toml; $(PYTHON) --version; } 2>&1 | cksum | tr -d ' ')
READY := .venv/ready-$(KEY)
RUN := .venv/bin/python -m
# Most tests wait for a server: four at a time keep two cores busy. tests/conftest.py says which begin first.
BOTH := --numprocesses 4 --dist loadgroup --no-loadscope-reorder

.PHONY: run test test-long fuzz soak hostile bench scaling profile lint format lock

run: $(READY)
	@$(RUN) service dev --port $(PORT) --data $(DATA)

test: $(READY)
	@failed=; for check in "ruff check ." "ruff format --check ." "mypy" "pytest $(BOTH)"; do \
	  echo "== $$check"; $(RUN) $$check || failed="$$failed [$$check]"; \
	done; \
	if [ -n "$$failed" ]; then echo "Failed:$$failed"; exit 1; fi

test-long: $(READY)
	@$(RUN) pytest $(BOTH) -m long

# So many minutes in all, over every target.
fuzz: $(READY)
	@.venv/bin/python tests/fuzz/run.py --minutes $(MINUTES)

soak: $(READY)
	@PYTHONPATH=tests/support .venv/bin/python tests/long/soak.py --seconds $(SECONDS)

# For 900 s, or as long as SECONDS says.
hostile: $(READY)
	@PYTHONPATH=tests/support:tests/long .venv/bin/python tests/long/hostile.py --seed $(SEED) \
	  $(if $(filter command line environment,$(origin SECONDS)),--seconds $(SECONDS))

bench: $(READY)
	@PYTHONPATH=tests/support .venv/bin/python tests/long/bench.py --against "$(AGAINST)" --rounds $(ROUNDS) --window $(WINDOW)

# How the costs change with processes, connections, destinations and what is stored; ten minutes.
scaling: $(READY)
	@.venv/bin/python tests/long/scaling.py

profile: $(READY)
	@.venv/bin/python tests/long/flames.py

lint: $(READY)
	@$(RUN) ruff check . && $(RUN) ruff format --check . && $(RUN) mypy && $(RUN) pytest tests/whole/test_conventions.py

format: $(READY)
	@$(RUN) ruff check --fix . ; $(RUN) ruff format .

# Pins every package to the hashes of its files; no line says where they are fetched from.
LOCK := .venv/lock/bin/uv pip compile --quiet --upgrade --universal --python-version 3.11 \
	--generate-hashes --no-header --no-emit-index-url
lock: $(READY)
	@test -x .venv/lock/bin/uv || { .venv/bin/python -m venv .venv/lock && .venv/lock/bin/pip install --quiet uv; }
	@$(LOCK) pyproject.toml --output-file requirements.lock
	@$(LOCK) pyproject.toml --extra embedded --group dev --constraint requirements.lock --output-file requirements-dev.lock
	@$(LOCK) pyproject.toml --extra embedded --constraint requirements-dev.lock --output-file requirements-embedded.lock
	@$(LOCK) --group build --constraint requirements-dev.lock --output-file requirements-build.lock

$(READY): requirements-dev.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Python 3.11 or later is needed. Name one: make $(MAKECMDGOALS) PYTHON=python3.13"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
	  { echo "Python cannot make environments here. On Debian: apt-get install python3-venv"; exit 1; }
	@echo "Making the environment in .venv (once) ..."
	@rm -rf .mypy_cache  # it would still say of a new package that there is none
	@$(PYTHON) -m venv --clear .venv
	@.venv/bin/pip install --quiet --disable-pip-version-check --require-hashes --requirement requirements-dev.lock
	@.venv/bin/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

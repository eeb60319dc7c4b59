# make run     the program (its window, or the same job without one where there is no display)
# make test    lint, types, tests
# make test-all  the same, and every network at full size (half an hour)
# make bundle  a folder that runs without Python (dist/segstudio)
# make bench   the measured claims

VENV ?= .venv
BIN := $(VENV)/bin
# the first Python from 3.11 on
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)

.PHONY: run test test-all lint types tests bundle bench wheel clean

run: $(VENV)/.ready
	$(BIN)/segstudio demo demo-project

test: lint types tests

lint: $(VENV)/.ready-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.ready-dev
	$(BIN)/mypy

tests: $(VENV)/.ready-dev
	$(BIN)/pytest -n 2 --dist loadfile

test-all: lint types $(VENV)/.ready-dev
	$(BIN)/pytest -n 2 --dist loadfile -m "full or not full"

bundle: $(VENV)/.ready-bundle
	$(BIN)/pyinstaller --noconfirm --clean segstudio.spec

bench: $(VENV)/.ready-dev
	for name in startup rasterise segment train; do $(BIN)/python -m benchmarks.$$name || exit 1; done

wheel: $(VENV)/.ready-dev
	$(BIN)/python -m build --wheel

clean:
	rm -rf build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis

# One stamp per set of dependencies, made again only when pyproject.toml changes.
$(VENV)/bin/python:
	@test -n "$(PYTHON)" || { echo "segstudio needs Python 3.11 or newer"; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.ready: pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --editable .
	touch $@

$(VENV)/.ready-dev: pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	touch $@ $(VENV)/.ready

$(VENV)/.ready-bundle: pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --editable '.[bundle]'
	touch $@ $(VENV)/.ready

# Two commands matter: `make bench` (the main job) and `make test` (lint, types and tests).
# Everything runs in .venv, which is made once and remade only when what it is made from changes.

PYTHON ?= python3
VENV   := .venv
PY     := $(VENV)/bin/python
STAMP  := $(VENV)/.installed

.PHONY: bench test unit lint types clean

bench: $(STAMP)
	$(PY) -m harness bench $(ARGS)

test: lint types unit

unit: $(STAMP)
	$(PY) -m pytest -n 2 --dist loadfile $(ARGS)

lint: $(STAMP)
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .

types: $(STAMP)
	$(PY) -m mypy

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv --clear $(VENV)
	$(PY) -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[build,report,usb,adb-server,dev]'
	@touch $@

clean:
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage* htmlcov dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

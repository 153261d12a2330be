# Three commands matter: `make bench` (the main job), `make unit` while working (a minute or so:
# tests/unit and tests/contract without what is marked slow or long) and `make test` (lint, types, and all
# tests but those marked long, which `make long` runs; `make test LONG=1` runs all, as CI does).
# `make docs` builds the documentation as a site; `make arm64` counts instructions and `make arm64-baseline` writes the baseline.
# Everything runs in .venv, which is made once and remade only when what it is made from changes.

PYTHON ?= python3
VENV   := .venv
PY     := $(VENV)/bin/python
BENCH  := $(VENV)/.bench
STAMP  := $(VENV)/.installed
# tflite-runtime, the old name of LiteRT, in an environment of its own: only CI makes it.
TFLITE := .venv-tflite/.installed
# The extras that measuring needs, and those that the tests and the documentation need as well.
MEASURING := build,pretrained,quantize,report,usb,adb-server
WORKING   := $(MEASURING),search,lab,completion,docs,dev
# A file's tests stay together, because they share what is slow to make. Much of the time is spent
# waiting for phones, so there are more of them at a time than a small machine has processors.
PARALLEL := -n 6 --dist loadfile --no-loadscope-reorder  # the long files are not the last ones
# None of the fast tests waits, and each process takes seconds to import all of their files.
PARALLEL_UNIT := -n $(shell getconf _NPROCESSORS_ONLN) --dist loadfile --no-loadscope-reorder

# If this were set, each of the hundreds of processes that the tests start would compile the harness anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: bench test tests long unit lint types docs arm64 arm64-baseline clean

# What is counted on the emulated ARM64 core and compared with the committed baseline: every variant
# that takes under a minute there on an idle processor. vgg16 and vgg16-gap in float32 take
# minutes. They start from random weights, so that the counts are the same with and without a network.
# The slowest to build comes first: two are built at a time, in this order, so at the end it would be
# built alone.
COUNTED := vgg16-gap-int8 scratch scratch-int8 pruned pruned-int8 mobilenet mobilenet-int8 \
           mobilenet-gray-int8 lite0 lite0-int8 lite0-gray-int8 student student-int8 vgg16-slim
COUNTS  := reports/baselines/arm64.json

bench: $(BENCH)
	$(PY) -m harness bench $(ARGS)

# The types take half a minute on one processor, and the tests need not wait for them.
test: lint
	@$(MAKE) --no-print-directory -j 2 types tests

# First one process imports all tests, so that they are compiled once and not by each of the six. The
# second command reports what cannot be imported.
tests: WHICH := $(if $(LONG),,-m 'not long')
long: WHICH := -m long
tests long: $(STAMP)
	@$(PY) -m pytest --collect-only --quiet >/dev/null || true
	$(PY) -m pytest $(PARALLEL) $(WHICH) $(ARGS)

unit: $(STAMP)
	$(PY) -m pytest $(PARALLEL_UNIT) -m 'not slow and not long' tests/unit tests/contract $(ARGS)

arm64: $(BENCH)
	$(PY) -m harness setup arm64
	$(PY) -m harness bench $(COUNTED) --untrained --weights random --device arm64 \
	  --baseline $(COUNTS) --exact --strict $(ARGS)

arm64-baseline: $(BENCH)
	$(PY) -m harness setup arm64
	$(PY) -m harness bench $(COUNTED) --untrained --weights random --device arm64 --as-baseline $(COUNTS) $(ARGS)

lint: $(STAMP)
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .

types: $(STAMP)
	$(PY) -m mypy

docs: $(STAMP)
	NO_MKDOCS_2_WARNING=1 PYTHONPATH=. $(PY) -m mkdocs build --quiet
	@echo "site/index.html"

# uv takes a fifth of pip's time. It does not read pip's configuration, such as a company's own
# registry, so if uv fails, pip installs. $(1) is the environment, $(2) what it gets.
define install
	@$(PY) -m uv pip install --quiet --python $(1)/bin/python $(2) || { \
	  echo 'uv could not install, see above; now pip installs, which takes longer'; \
	  $(1)/bin/python -m pip install --quiet --disable-pip-version-check $(2); }
	@touch $@
endef

$(BENCH): pyproject.toml constraints.txt
	$(PYTHON) -m venv --clear $(VENV)
	$(PY) -m pip install --quiet --disable-pip-version-check -c constraints.txt uv
	$(call install,$(VENV),-c constraints.txt -e '.[$(MEASURING)]')

$(STAMP): $(BENCH)
	$(call install,$(VENV),-c constraints.txt -e '.[$(WORKING)]')

# It needs numpy 1, which constraints.txt does not have.
$(TFLITE): $(BENCH)
	$(PYTHON) -m venv --clear $(@D)
	$(call install,$(@D),-e '.[tflite-runtime]')

clean:
	rm -rf $(VENV) .venv-tflite .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage* htmlcov dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

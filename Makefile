# Two commands: `make quickstart` and `make test`. Both make .venv and install what they need.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SOURCES := pyproject.toml constraints.txt CMakeLists.txt \
  $(shell find cpp/include cpp/src bindings -type f)
# An editable install knows the modules by name: one that comes or goes asks for another install.
MODULES := $(VENV)/modules-$(shell find w2stree -name '*.py' | sort | cksum | cut -d' ' -f1)
RUN_DIR ?= runs/quickstart
# Tests by so many processes, a file at a time: the C++ builds, too, take two cores. In the order of
# the files, not of how many tests they have: the dear ones are not left to the end.
WORKERS ?= 2
PARALLEL := -n $(WORKERS) --dist loadfile --no-loadscope-reorder
# cmake finds ninja, and the tests the linters, where they were installed.
export PATH := $(abspath $(BIN)):$(PATH)

.PHONY: quickstart test lint docs cpp-test cpp-bench sanitize python-test wheel-test lock clean

quickstart: $(VENV)/installed
	$(BIN)/w2stree run quickstart --run-dir $(RUN_DIR)

test: lint docs cpp-test python-test wheel-test

# The package is installed editable: Python sources are live, C++ changes reinstall.
$(VENV)/installed: $(VENV)/bin/python $(MODULES) $(SOURCES)
	$(BIN)/python -m pip install --quiet -c constraints.txt scikit-build-core pybind11 cmake ninja
	$(BIN)/python -m pip install --quiet -c constraints.txt --no-build-isolation -e '.[dev]'
	touch $@

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip

$(MODULES): | $(VENV)/bin/python
	rm -f $(VENV)/modules-*
	touch $@

lint: $(VENV)/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/stubtest w2stree._core --allowlist .ci/stubtest-allow
	$(BIN)/lint-imports
	$(BIN)/python .ci/cpp-rooms
	$(BIN)/clang-format --dry-run --Werror $$(find cpp bindings bench -name '*.cpp' -o -name '*.hpp')

# The site, in build/docs: offline, all pages anew, since a warning (a broken link, a page in no
# table) fails and is told of pages that are read alone.
docs: $(VENV)/installed
	$(BIN)/python -m sphinx -E -b html -q -W --keep-going docs build/docs

cpp-test: $(VENV)/installed
	$(BIN)/cmake --preset dev
	$(BIN)/cmake --build --preset dev
	$(BIN)/ctest --preset dev

# Microbenchmarks of the core; `python -m bench` compares it with baselines.
cpp-bench: $(VENV)/installed
	$(BIN)/cmake --preset bench
	$(BIN)/cmake --build --preset bench
	build/bench/bench_core

# Sanitizers: address and undefined behaviour over the core's C++ and Python tests, threads over
# the C++ tests, which run every threaded function.
CORE_TESTS := tests/core tests/forest
sanitize: $(VENV)/installed
	for preset in asan tsan; do \
	  $(BIN)/cmake --preset $$preset && $(BIN)/cmake --build --preset $$preset && \
	  $(BIN)/ctest --preset $$preset || exit 1; \
	done
	bash .ci/sanitize-python $(BIN)/python $(PARALLEL) -m "not slow" $(CORE_TESTS)

python-test: $(VENV)/installed
	$(BIN)/python -m pytest $(PARALLEL) -m "not slow"

# The wheel, alone in a fresh environment, imported from an empty directory.
wheel-test: $(VENV)/installed
	bash .ci/wheel-test $(BIN)/python

# The development environment's versions and hashes, found anew: needs uv (`pip install uv`).
lock:
	uv pip compile pyproject.toml --extra dev --constraint constraints.txt --upgrade --universal \
	  --python-version 3.11 --generate-hashes --no-emit-index-url --quiet \
	  --custom-compile-command "make lock" --output-file requirements-dev.txt

clean:
	rm -rf $(VENV) build dist runs

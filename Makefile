# SPDX-License-Identifier: Apache-2.0
# Everything that one does with a checkout of pygos. `make help` lists it.

PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
SPHINXOPTS ?= -W --keep-going -q
PYTESTOPTS ?=

# The command of `make run CMD='...'`, taken as it is written: make expands no $ in it.
ifdef CMD
override CMD := $(value CMD)
export CMD
endif

RUN_STAMP := $(VENV)/.stamp-run
DEV_STAMP := $(VENV)/.stamp-dev
INPUTS    := pyproject.toml scripts/make-venv

# The platforms of this host but the default one, on which `check` has run everything.
export OTHERS := from pygos.arch.um.registry import available; print(*available()[1:])

.DEFAULT_GOAL := help
.PHONY: help setup run test check lint bench htmldocs test-deps clean distclean
.DELETE_ON_ERROR:

help: ## list what can be made
	@echo "pygos: a Linux-compatible kernel in Python"
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' Makefile
	@echo "  make run CMD='uname -a' runs one command line in the machine"

setup: $(RUN_STAMP) ## make .venv with pygos installed in it

run: $(RUN_STAMP) ## boot on the host's files: a shell, a short tour, or CMD='...'
	@BIN=$(BIN) scripts/run

test: test-deps lint check ## all that CI runs: lint, then the tests on every platform

check: $(DEV_STAMP) ## the tests alone: all of them, and those with guests on the other platforms
	$(BIN)/python -m pytest -n auto $(PYTESTOPTS)
	@for name in $$($(BIN)/python -c "$$OTHERS"); do \
		echo "$(BIN)/python -m pytest -n auto --guests --platform $$name"; \
		$(BIN)/python -m pytest -n auto --guests --ignore=tests/um --platform $$name \
			$(PYTESTOPTS) || [ $$? -eq 5 ] || exit 1; \
	done

lint: $(DEV_STAMP) ## ruff, mypy --strict, the layer law, licence tags
	$(BIN)/ruff check .
	$(BIN)/mypy --strict pygos
	$(BIN)/lint-imports --no-logo --no-cache
	$(BIN)/python scripts/spdxcheck.py

bench: $(RUN_STAMP) ## work natively and under pygos: tables in Documentation and README (10 minutes)
	$(BIN)/python -P bench/run.py --write $(BENCHOPTS)

htmldocs: $(DEV_STAMP) ## the documentation, into Documentation/_build/html
	$(BIN)/python -m sphinx -b html $(SPHINXOPTS) Documentation Documentation/_build/html
	@echo "Documentation/_build/html/index.html"

test-deps:
	@scripts/install-test-deps.sh

clean: ## remove what was built
	rm -rf build dist *.egg-info Documentation/_build Documentation/generated bench/results
	rm -rf .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find pygos tests bench scripts -name __pycache__ -type d -prune -exec rm -rf {} +

distclean: clean ## the same and .venv
	rm -rf $(VENV)

$(RUN_STAMP): $(INPUTS)
	@PYTHON="$(PYTHON)" scripts/make-venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-warn-script-location -e .
	@$(BIN)/python -m compileall -q pygos
	@touch $@

$(DEV_STAMP): $(RUN_STAMP)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-warn-script-location \
		-e '.[lint,test,docs]'
	@touch $@

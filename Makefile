# Each command sets up all it needs on its own: system packages, .venv, pinned Python packages.
# Style and layers need neither system packages nor PyTorch: they have a small environment of their own.
SHELL := /bin/bash
.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help demo test setup light python lint types contracts manifest unit coverage docs clean

VENV ?= .venv
BIN := $(VENV)/bin
LINT_VENV ?= .venv-lint
LINT := $(LINT_VENV)/bin

help: ## show this list
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{ printf "  make %-10s %s\n", $$1, $$2 }'

demo: ## open the demo slide in napari with all overlays; without a screen, write demo-output/
	@scripts/system-packages.sh
	@scripts/venv.sh all $(VENV)
	@scripts/demo.sh $(VENV)

test: setup lint types contracts manifest unit docs ## everything that continuous integration runs

setup:
	@scripts/system-packages.sh
	@scripts/venv.sh dev $(VENV)

light:
	@scripts/venv.sh lint $(LINT_VENV)

python:
	@scripts/venv.sh dev $(VENV)

lint: light ## style: ruff check and ruff format
	$(LINT)/ruff check .
	$(LINT)/ruff format --check .

types: python ## types: mypy
	$(BIN)/mypy

contracts: light ## which room may import which: import-linter
	PYTHONPATH=src $(LINT)/lint-imports

manifest: python ## the napari manifest: npe2
	$(BIN)/npe2 validate napari-nic

unit: setup ## the tests, on virtual screens, in two processes
	scripts/tests.sh $(BIN)/python

coverage: setup ## the tests, and which lines they reach: half as long again
	scripts/with-screen.sh $(BIN)/python -m pytest --cov

docs: python ## the documentation site, in site/: without network, a warning is an error
	$(BIN)/python -W error:::numpydoc -m sphinx --fail-on-warning --keep-going --quiet -E docs site

clean: ## remove everything that these commands made
	rm -rf .venv .venv-lint .nox demo-output build dist site docs/api .coverage .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

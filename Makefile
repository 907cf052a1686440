# Each command sets up all it needs on its own: system packages, .venv, pinned Python packages.
SHELL := /bin/bash
.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help demo test setup lint types contracts manifest unit clean

VENV ?= .venv
BIN := $(VENV)/bin

help: ## show this list
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{ printf "  make %-10s %s\n", $$1, $$2 }'

demo: ## open the demo slide in napari with all overlays; without a screen, write demo-output/
	@scripts/system-packages.sh
	@scripts/venv.sh all $(VENV)
	@scripts/demo.sh $(VENV)

test: lint types contracts manifest unit ## everything that continuous integration runs

setup:
	@scripts/system-packages.sh
	@scripts/venv.sh dev $(VENV)

lint: setup ## style: ruff check and ruff format
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: setup ## types: mypy
	$(BIN)/mypy

contracts: setup ## which room may import which: import-linter
	$(BIN)/lint-imports

manifest: setup ## the napari manifest: npe2
	$(BIN)/npe2 validate napari-nic

unit: setup ## the tests with their coverage, on a virtual screen
	scripts/with-screen.sh $(BIN)/python -m pytest --cov

clean: ## remove everything that these commands made
	rm -rf .venv demo-output build dist .coverage .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

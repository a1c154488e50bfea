# Each target makes .venv and installs what it needs into it by itself; a second run starts no pip and needs no network.
# PYTHON=/path/to/python chooses the Python (3.10, 3.11 or 3.12); without it a fitting one is looked for.

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help demo test test-all bench lint wheel clean

# .venv alone decides what is imported, and the filters in pyproject.toml which warnings are errors.
unexport PYTHONHOME PYTHONPATH PYTHONWARNINGS

BIN := .venv/bin
VENV := sh scripts/make_venv.sh
PYTEST := $(BIN)/python -m pytest -n 2

help: ## say what there is (the default)
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-9s %s\n", $$1, $$2 }' Makefile

demo: ## train on handwritten digits: NumPy, eager MXNet and lazy side by side
	@$(VENV) demo
	@$(BIN)/minpy-jit demo

bench: ## the benchmark table
	@$(VENV) demo
	@$(BIN)/minpy-jit bench

lint: ## ruff and mypy
	@$(VENV) test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# NEP 50 promotion is what we compare with; NumPy reads the switch once, when it is imported.
test test-all: export NPY_PROMOTION_STATE := weak

test: lint ## all checks except the slow tests
	$(PYTEST) -m "not slow"

test-all: lint ## all checks, the slow tests too
	$(PYTEST)

wheel: ## sdist and wheel, in dist/
	@$(VENV) test
	$(BIN)/python -m build

clean: ## remove .venv and all that was built
	rm -f minpy_jit/*/*.so minpy_jit/*/*/*.so
	rm -rf build dist .hypothesis .mypy_cache .pytest_cache .ruff_cache *.egg-info
	@if [ -e .venv/.minpy-jit ]; then echo rm -rf .venv; rm -rf .venv; fi
	find . \( -name .git -o -name .venv \) -prune -o -name __pycache__ -prune -exec rm -rf {} +

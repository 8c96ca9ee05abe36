# Cricket. `make demo` shows a pod, `make test` runs everything, `make check` what needs no root.
PYTHON ?= /usr/bin/python3
VENV := .venv
BIN := $(VENV)/bin
# Without .pyc files every start is slower, and tests measure starts.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo test check unit format lint types imports packages test-packages test-vm clean

demo: packages venv ## Run a real pod through the whole chain
	@scripts/prepare_test_host.sh
	@$(BIN)/python -m scripts.demo

test: test-packages venv ## Everything: static checks, unit tests, and tests with real parts (as root)
	@scripts/prepare_test_host.sh
	@$(MAKE) --no-print-directory static
	$(BIN)/pytest -q

check: venv static unit ## What needs no root

static: lint types imports

unit:
	$(BIN)/pytest -q tests/unit tests/contracts tests/property

lint:
	$(BIN)/ruff format --check src tests scripts
	$(BIN)/ruff check src tests scripts

types:
	$(BIN)/mypy

imports:
	$(BIN)/lint-imports

format: ## Reformat and fix what can be fixed
	$(BIN)/ruff format src tests scripts
	$(BIN)/ruff check --fix src tests scripts

packages:
	@scripts/install_packages.sh run

test-packages:
	@scripts/install_packages.sh test

.PHONY: venv
venv: $(VENV)/.installed

$(VENV)/.installed: pyproject.toml requirements.lock
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/pip install -q --disable-pip-version-check -r requirements.lock
	@$(BIN)/pip install -q --disable-pip-version-check --no-deps -e .
	@touch $@

clean: ## Remove what was built here
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis

-include mk/*.mk

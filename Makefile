# Two commands for newcomers: `make quickstart` and `make test`. The rest is for those who work on luthier.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: quickstart test test-rest test-all check docs bench clean

$(VENV)/.core: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable .
	@touch $@

$(VENV)/.dev: $(VENV)/.core
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	@touch $@

$(VENV)/.docs: $(VENV)/.dev
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[docs]'
	@touch $@

quickstart: $(VENV)/.core   ## customise SmolLM2-135M-Instruct on real reviews and show before and after
	$(BIN)/luthier recipe=quickstart

JOBS ?= 2
PYTEST = $(BIN)/python -m pytest -n $(JOBS) --dist worksteal tests

test: $(VENV)/.dev          ## install what the tests need and run what guards a claim
	$(PYTEST) -m "not exhaustive"

test-rest: $(VENV)/.dev     ## what `make test` leaves out: the repetitions of its matrices
	$(PYTEST) -m exhaustive

test-all: $(VENV)/.dev      ## both
	$(PYTEST)

check: $(VENV)/.docs        ## lint, types, import rules, docs
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest tests/architecture
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

docs: $(VENV)/.docs         ## read the docs at http://localhost:8000
	$(BIN)/mkdocs serve

bench: $(VENV)/.dev         ## speed of SFT against a plain loop and TRL, one interleaved run
	$(BIN)/python tests/benchmarks/sft.py

clean:
	rm -rf $(VENV) .venv-bench dist build site

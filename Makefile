# Two commands do everything: `make repro` and `make test`. `make help` lists the rest.

PYTHON ?= python3
# What the targets that write README's tables measure: by default the pictures that params.yaml names.
SEEDS ?= 1 2 3
ARCHIVE ?=
TEST_LABELS ?=
MEASURE = --seeds $(SEEDS) $(if $(ARCHIVE),--archive "$(ARCHIVE)")

# Stages run `python`, and DVC is found, as in an activated environment. Quoted, for paths may hold spaces.
export PATH := $(CURDIR)/.venv/bin:$(PATH)
# The commit that `compare` and `gate` compare with; they read it from the environment, whatever is in a branch's name.
BASE ?= main
export BASE

.DEFAULT_GOAL := help
.PHONY: help setup repro test lint check-committed compare gate note experiments crossvalidate shortcut duration clean

help:  ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /  make \1\t/p' Makefile | expand -t 24

setup: .venv/installed  ## make .venv from requirements.lock, if it is not there or is older (2 minutes)

.venv/installed: requirements.lock
	@$(PYTHON) -c 'import sys; v = sys.version_info; (3, 11) <= v < (3, 14) or sys.exit("anteojos needs Python 3.11, 3.12 or 3.13; $(PYTHON) is %d.%d. Name another: make PYTHON=python3.12" % v[:2])'
	@echo "Setting up .venv from requirements.lock; this takes about 2 minutes and 2 GB of disk."
	$(PYTHON) -m venv --clear .venv
	.venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	.venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch .venv/installed

repro: setup  ## run what has changed of the pipeline: pictures, training, scores, predictions
	dvc repro $(ARGS)

test: setup  ## run all tests (10 minutes)
	python -m pytest $(ARGS)

lint: setup  ## ruff, format check and mypy
	ruff check
	ruff format --check
	mypy

check-committed: setup  ## fail unless dvc.lock and the metrics are up to date and committed, and the data shared
	python -m anteojos.team.check_committed

compare: setup  ## write what differs from BASE (main): metrics, parameters and plots, to comparison/
	python -m anteojos.team.compare "$$BASE"

gate: setup  ## fail if the accuracy fell by more than its interval against BASE (main), or the label leaks
	python -m anteojos.team.gate "$$BASE"

note: setup  ## in GitLab's CI: write the comparison on the merge request
	python -m anteojos.team.note

experiments: setup  ## train the networks with and without the printed label, for SEEDS; write README's table
	python benchmarks/networks.py $(MEASURE) $(if $(TEST_LABELS),--test-labels "$(TEST_LABELS)")

crossvalidate: setup  ## train edge in several ways, each on parts of the labelled pictures; write README's table
	python benchmarks/crossvalidate.py $(MEASURE)

shortcut: setup  ## show what the report's network goes by; write README's table
	python benchmarks/shortcut.py $(MEASURE)

duration: setup  ## time the training of each network; write README's table
	python benchmarks/duration.py $(MEASURE)

clean:  ## remove .venv and what the pipeline made; DVC's cache stays
	git clean -ffdXq -- .venv dvc_plots comparison .mypy_cache .pytest_cache .ruff_cache src tests benchmarks data models metrics

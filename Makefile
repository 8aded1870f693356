# Two commands do everything: `make repro` and `make test`. `make help` lists the rest.

PYTHON ?= python3
# What the targets that write README's tables measure: by default the pictures that params.yaml names.
SEEDS ?= 1 2 3
ARCHIVE ?=
TEST_LABELS ?=
VERSION ?=
MEASURE = --seeds $(SEEDS) $(if $(ARCHIVE),--archive "$(ARCHIVE)")

# Stages run `python`, and DVC is found, as in an activated environment. Quoted, for paths may hold spaces.
export PATH := $(CURDIR)/.venv/bin:$(PATH)

.DEFAULT_GOAL := help
.PHONY: help setup repro check-reproduced resolve release remote push test lint experiments crossvalidate shortcut duration clean
.PHONY: help setup repro fsck test lint experiments crossvalidate shortcut duration clean

help:  ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /  make \1\t/p' Makefile | expand -t 24

setup: .venv/installed  ## make .venv from requirements.lock, if it is not there or is older (2 minutes)

.venv/installed: requirements.lock
	@$(PYTHON) -c 'import sys; v = sys.version_info; (3, 11) <= v < (3, 14) or sys.exit("anteojos needs Python 3.11, 3.12 or 3.13; $(PYTHON) is %d.%d. Name another: make PYTHON=python3.12" % v[:2])'
	@echo "Setting up .venv from requirements.lock; this takes about 2 minutes and 2 GB of disk."
	$(PYTHON) -m venv --clear .venv
	.venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	.venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@test ! -e .git || .venv/bin/python -m anteojos.team.hook
	@touch .venv/installed

repro: setup  ## run what has changed of the pipeline: pictures, training, scores, predictions
	dvc repro
	@python -m anteojos.team.reproduced --record

check-reproduced: setup  ## reproduce the last commit in a clone; say what differs and by how much
	@python -m anteojos.team.reproduced

resolve: setup  ## settle a merge's conflict in dvc.lock and the metrics: take a side, and reproduce
	@python -m anteojos.team.resolve

release: setup  ## register the committed model as VERSION (v1.0.0): push it to the remote, tag it
	@python -m anteojos.team.release "$(VERSION)"

remote: setup  ## share data: URL=s3://bucket/path (ENDPOINT=https://… if not Amazon's), ssh://host/path or a folder
	@PYTHONPATH=src python -m anteojos.team.remote "$(URL)" $(if $(ENDPOINT),--endpoint "$(ENDPOINT)")

push: setup  ## push data, models and runs to the remote, so that a colleague's `dvc repro --pull` takes over what ran here
	dvc push --run-cache
	@PYTHONPATH=src python -m anteojos.team.push
	@python -m anteojos.team.fsck --quick
	dvc --wait-for-lock repro

fsck: setup  ## read DVC's cache and the outputs whole; name what is damaged and put it out of the way
	@python -m anteojos.team.fsck

test: setup  ## run all tests (10 minutes)
	python -m pytest $(ARGS)

lint: setup  ## ruff, format check and mypy
	ruff check
	ruff format --check
	mypy

experiments: setup  ## train the networks with and without the printed label, for SEEDS; write README's table
	python benchmarks/networks.py $(MEASURE) $(if $(TEST_LABELS),--test-labels "$(TEST_LABELS)")

crossvalidate: setup  ## train edge in several ways, each on parts of the labelled pictures; write README's table
	python benchmarks/crossvalidate.py $(MEASURE)

shortcut: setup  ## show what the report's network goes by; write README's table
	python benchmarks/shortcut.py $(MEASURE)

duration: setup  ## time the training of each network; write README's table
	python benchmarks/duration.py $(MEASURE)

clean:  ## remove .venv and what the pipeline made; DVC's cache stays
	git clean -ffdXq -- .venv dvc_plots .mypy_cache .pytest_cache .ruff_cache src tests benchmarks data models metrics

# Two commands do everything: `make repro` and `make test`. `make help` lists the rest.

PYTHON ?= python3
# What the targets that write README's tables measure: by default the images that params.yaml names.
SEEDS ?= 1 2 3
ARCHIVE ?=
TEST_LABELS ?=
VERSION ?=
MEASURE = --seeds $(SEEDS) $(if $(ARCHIVE),--archive "$(ARCHIVE)")

# Stages run `python`, and DVC is found, as in an activated environment. Quoted, for paths may hold spaces.
export PATH := $(CURDIR)/.venv/bin:$(PATH)
# The commit that `compare` and `gate` compare with; they read it from the environment, whatever is in a branch's name.
BASE ?= main
export BASE
# The code beside this file, and not what the environment was set up from.
TEAM = PYTHONPATH=src python -m anteojos.team

.DEFAULT_GOAL := help
.PHONY: help setup repro test lint check-reproduced fsck remote push check-committed compare gate note resolve release
.PHONY: report experiments crossvalidate shortcut drawn duration reference bench clean

help:  ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /  make \1\t/p' Makefile | expand -t 24

setup: .venv/installed  ## make .venv from requirements.lock, if it is not there or is older (2 minutes)

.venv/installed: requirements.lock
	@command -v "$(PYTHON)" > /dev/null || { echo "anteojos needs Python 3.11, 3.12 or 3.13; there is no $(PYTHON). Name another: make PYTHON=python3.12" >&2; exit 1; }
	@"$(PYTHON)" -c 'import sys; v = sys.version_info; (3, 11) <= v < (3, 14) or sys.exit("anteojos needs Python 3.11, 3.12 or 3.13; $(PYTHON) is %d.%d. Name another: make PYTHON=python3.12" % v[:2])'
	@"$(PYTHON)" -P src/anteojos/team/install.py
	@test ! -e .git || .venv/bin/python -m anteojos.team.hook
	@touch .venv/installed

repro: setup  ## run what has changed of the pipeline: images, training, scores, predictions
	@$(TEAM).ready
	@$(TEAM).fsck --quick
	dvc --wait-for-lock repro $(ARGS)
	@$(TEAM).reproduced --record

test: setup  ## run all tests (50 minutes on 2 cores)
	python -m pytest --numprocesses 2 --dist loadfile $(ARGS)

lint: setup  ## ruff, format check and mypy
	ruff check
	ruff format --check
	mypy

check-reproduced: setup  ## reproduce the last commit in a clone; say what differs and by how much
	@$(TEAM).reproduced

fsck: setup  ## read DVC's cache and the outputs whole; name what is damaged and put it out of the way
	@$(TEAM).fsck

remote: setup  ## share data: URL=s3://bucket/path (ENDPOINT=https://… if not Amazon's), ssh://host/path or a folder
	@$(TEAM).remote "$(URL)" $(if $(ENDPOINT),--endpoint "$(ENDPOINT)")

push: setup  ## push data, models and runs to the remote: a colleague's `dvc repro --pull` takes over what ran here
	dvc push --run-cache
	@$(TEAM).push

check-committed: setup  ## fail unless dvc.lock and the metrics are up to date and committed, and the data shared
	@$(TEAM).check_committed

compare: setup  ## write what differs from BASE (main): metrics, parameters and plots, to comparison/
	@$(TEAM).compare "$$BASE"

report: setup  ## write report.html, one page of what the pipeline found; AGAINST=main compares with that branch
	@PYTHONPATH=src python -m anteojos report $(if $(AGAINST),--against "$(AGAINST)")

gate: setup  ## fail if the accuracy fell by more than its interval against BASE (main), or the label leaks
	@$(TEAM).gate "$$BASE"

note: setup  ## in GitLab's CI: write the comparison on the merge request
	@$(TEAM).note

resolve: setup  ## settle a merge's conflict in dvc.lock and the metrics: take a side, and reproduce
	@$(TEAM).resolve

release: setup  ## register the committed model as VERSION (v1.0.0): push it to the remote, tag it
	@$(TEAM).release "$(VERSION)"

experiments: setup  ## train the networks on whole images and on aligned faces, for SEEDS; write README's table
	python benchmarks/networks.py $(MEASURE) $(if $(TEST_LABELS),--test-labels "$(TEST_LABELS)")

crossvalidate: setup  ## train edge in several ways, each on parts of the labelled images; write README's table
	python benchmarks/crossvalidate.py $(MEASURE)

shortcut: setup  ## show what the report's network goes by; write README's table
	python benchmarks/shortcut.py $(MEASURE)

drawn: setup  ## label the images of ARCHIVE by training on the drawn faces alone; write the table in docs
	python benchmarks/drawn.py $(MEASURE) $(if $(TEST_LABELS),--test-labels "$(TEST_LABELS)")

reference: setup  ## write the tables of docs/reference from the code
	PYTHONPATH=src python benchmarks/reference.py

duration: setup  ## time the training of each network; write README's table
	python benchmarks/duration.py $(MEASURE)

bench: setup  ## measure speed, memory and what many images take; write the tables of benchmarks/README.md (1 hour)
	for part in machine cold faces label prepare cluster train_many versioning on_paper; do python benchmarks/$$part.py || exit 1; done

clean:  ## remove .venv and what the pipeline made; DVC's cache stays
	git clean -ffdXq -- .venv dvc_plots comparison .mypy_cache .pytest_cache .ruff_cache src tests benchmarks data models metrics

# The two main commands are `make repro` and `make test`. `make help` lists all.

PYTHON ?= python3
# Options of the targets that measure and write tables. Without ARCHIVE, they use the images of params.yaml.
SEEDS ?= 1 2 3
ARCHIVE ?=
TEST_LABELS ?=
VERSION ?=
MEASURE = --seeds $(SEEDS) $(if $(ARCHIVE),--archive "$(ARCHIVE)")

# Use python and dvc of .venv, as if it were activated.
export PATH := $(CURDIR)/.venv/bin:$(PATH)
# The commit that `compare` and `gate` compare with. Recipes read it from the environment, because the name of a branch
# can contain special characters of the shell.
BASE ?= main
export BASE
# PYTHONPATH: use the code of this checkout, even if .venv was set up for another one.
# exec: a signal to make ends the command, and not only a shell around it.
TEAM = exec env PYTHONPATH=src python -m anteojos.team

.DEFAULT_GOAL := help
.PHONY: help setup repro test test-quick lint check-reproduced fsck remote push check-committed compare serve results gate note resolve release
.PHONY: report experiments crossvalidate shortcut drawn duration reference bench clean

help:  ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /  make \1\t/p' Makefile | expand -t 24

setup: .venv/installed  ## set up .venv from requirements.lock, if it is missing or older (2 to 5 minutes)

.venv/installed: requirements.lock
	@command -v "$(PYTHON)" > /dev/null || { echo "anteojos needs Python 3.11, 3.12 or 3.13; there is no $(PYTHON). Name another: make PYTHON=python3.12" >&2; exit 1; }
	@"$(PYTHON)" -c 'import sys; v = sys.version_info; (3, 11) <= v < (3, 14) or sys.exit("anteojos needs Python 3.11, 3.12 or 3.13; $(PYTHON) is %d.%d. Name another: make PYTHON=python3.12" % v[:2])'
	@"$(PYTHON)" -P src/anteojos/team/install.py
	@.venv/bin/python -m anteojos.team hook
	@touch .venv/installed

repro: setup  ## run the stages that have changed: images, training, scores, predictions
	@$(TEAM) repro -- $(ARGS)

test: setup  ## run all tests (up to an hour on 2 cores)
	python -m pytest --numprocesses 2 --dist worksteal $(ARGS)

test-quick: setup  ## run the unit tests (a few minutes)
	python -m pytest --numprocesses 2 --dist worksteal -m "not pipeline and not cluster and not remote and not slow" $(ARGS)

lint: setup  ## ruff, format check and mypy
	ruff check
	ruff format --check
	mypy

check-reproduced: setup  ## reproduce the last commit in a clone and compare the results
	@$(TEAM) reproduced

fsck: setup  ## read DVC's cache and the outputs completely, and remove damaged files
	@$(TEAM) fsck

remote: setup  ## set up shared storage: URL=s3://bucket/path (ENDPOINT=https://… if not Amazon's), ssh://host/path or a folder
	@$(TEAM) remote $(if $(ENDPOINT),--endpoint "$(ENDPOINT)") -- "$(URL)"

push: setup  ## push data, models and runs to the remote, also what is missing there
	@$(TEAM) push

check-committed: setup  ## fail unless dvc.lock and the metrics are up to date and committed, and the data pushed
	@$(TEAM) check-committed

compare: setup  ## write the differences from BASE (main) in metrics, parameters and plots to comparison/
	@$(TEAM) compare -- "$$BASE"

report: setup  ## write the results as one page, report.html; AGAINST=main compares with that branch
	@exec env PYTHONPATH=src python -m anteojos report $(if $(AGAINST),--against "$(AGAINST)")

serve: setup  ## label images over HTTP, and show a page to try the model: http://127.0.0.1:8000/
	@exec env PYTHONPATH=src python -m anteojos serve $(ARGS)

results: setup  ## list experiments, branches and tags, best first: what changed, accuracy, size, duration
	@$(TEAM) results

gate: setup  ## fail if the accuracy is below the 95 % interval of that in BASE (main), or if the label leaks
	@$(TEAM) gate -- "$$BASE"

note: setup  ## in GitLab's CI: write the comparison as a note on the merge request
	@$(TEAM) note

resolve: setup  ## resolve a merge conflict in dvc.lock and the metrics, and reproduce
	@$(TEAM) resolve

release: setup  ## release the committed model as VERSION (v1.0.0): push it, tag it, write release/VERSION
	@$(TEAM) release -- "$(VERSION)"

experiments: setup  ## train the networks on whole images and on aligned faces, for SEEDS; write README's table
	python benchmarks/networks.py $(MEASURE) $(if $(TEST_LABELS),--test-labels "$(TEST_LABELS)")

crossvalidate: setup  ## cross-validate edge with several recipes; write README's table
	python benchmarks/crossvalidate.py $(MEASURE)

shortcut: setup  ## show which parts of an image the baseline network uses; write README's table
	python benchmarks/shortcut.py $(MEASURE)

drawn: setup  ## train on drawn faces only and label the images of ARCHIVE; write the table in docs
	python benchmarks/drawn.py $(MEASURE) $(if $(TEST_LABELS),--test-labels "$(TEST_LABELS)")

reference: setup  ## write the tables of docs/reference from the code
	PYTHONPATH=src python benchmarks/reference.py

duration: setup  ## time the training of each network; write README's table
	python benchmarks/duration.py $(MEASURE)

bench: setup  ## measure speed and memory; write the tables of benchmarks/README.md (2 hours)
	for part in machine cold everyday label serve prepare cluster train_many versioning on_paper; do python benchmarks/$$part.py || exit 1; done

clean:  ## remove .venv and all outputs; DVC's cache stays
	git clean -ffdXq -- .venv dvc_plots comparison release .mypy_cache .pytest_cache .ruff_cache src tests benchmarks data models metrics

"""`make check-reproduced` shows which results differ on another machine, and how much."""

import json
import re
import sys

import pytest

from anteojos.runtime import environment
from tests.project import Project, commit

pytestmark = pytest.mark.pipeline

CHECK = ("make", "--old-file", ".venv/installed", "check-reproduced")


def test_different_last_bits_are_shown_and_pass(project: Project) -> None:
    (project.path / ".venv").symlink_to(sys.prefix)
    # A small learning rate, so that the difference of the last bits does not grow.
    for key, value in (("train.rescale", True), ("train.learning_rate", 1e-5), ("train.epochs", 3)):
        project.set(key, value)
    project.must("make", "--old-file", ".venv/installed", "repro")
    commit(project, "Train gently")
    made_on = json.loads((project.path / "metrics/environment.json").read_text())
    assert made_on == environment.describe()
    output = project.must(*CHECK)
    assert re.search(r"(\d+) of \1 outputs are the same to the byte", output), output

    # Without oneDNN, sums are calculated in another order, as on another kind of processor.
    output = project.must(*CHECK, TF_ENABLE_ONEDNN_OPTS="0")
    assert re.search(r"models/model.keras: .* weights differ, by at most [\d.]+e-(0[5-9]|1\d)\n", output), output
    assert re.search(r"models/model.tflite: probabilities of 12 images differ by at most \d\.\de-(0[5-9]|1\d)", output)
    assert "The same results: no probability differs by 0.0001 or more." in output
    assert "data/raw" not in output.partition("to the byte.")[2]
    assert project.must("git", "status", "--porcelain", "--untracked-files=no") == ""


def test_other_results_are_named_and_fail(project: Project) -> None:
    (project.path / ".venv").symlink_to(sys.prefix)
    project.set("train.seed", 2)
    made_on = environment.describe() | {"keras": "3.0.0"}
    (project.path / "metrics/environment.json").write_text(json.dumps(made_on))
    project.must("git", "commit", "--quiet", "--all", "--message", "Another seed, and the results of the old one")
    failed = project.run(*CHECK)
    assert failed.returncode != 0
    assert "Other results: a probability differs by" in failed.stderr
    assert f"keras: here {environment.describe()['keras']}, dvc.lock was made with 3.0.0" in failed.stdout
    for file in (
        "weights differ",
        "metrics/evaluate.json: ",
        "data/predictions.csv: probabilities",
    ):
        assert file in failed.stdout

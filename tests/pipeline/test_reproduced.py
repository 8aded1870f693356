"""`make check-reproduced` shows which results differ on another machine, and how much."""

import json
import os
import re
import signal
import sys
import time
from pathlib import Path

import psutil
import pytest

from anteojos.runtime import environment
from tests.project import Project, clone, commit

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
        "metrics/train.json: ",
        "data/predictions.csv: probabilities",
    ):
        assert file in failed.stdout


def without_data(project: Project, path: Path) -> Project:
    """Clone the project, which has neither data nor a remote then."""
    fresh = clone(project.path, path)
    (fresh.path / ".venv").symlink_to(sys.prefix)
    return fresh


def as_on_another_machine(project: Project) -> None:
    made_on = environment.describe() | {"instructions": "X86_V2"}
    (project.path / "metrics/environment.json").write_text(json.dumps(made_on))
    commit(project, "Made on another kind of CPU")


def test_clone_without_data_is_compared_by_its_metrics(project: Project, tmp_path: Path) -> None:
    fresh = without_data(project, tmp_path / "fresh")
    as_on_another_machine(fresh)
    output = fresh.must(*CHECK, TF_ENABLE_ONEDNN_OPTS="0")  # other last bits
    assert "models/model.keras: another checksum; the committed file is not available" in output
    assert f"instructions: here {environment.describe()['instructions']}, dvc.lock was made with X86_V2" in output
    assert "The accuracies are in their committed 95 % intervals." in output
    assert "get the committed model with `dvc pull`" in output


def test_in_folder_and_locale_without_ascii(project: Project, tmp_path: Path) -> None:
    fresh = without_data(project, tmp_path / "un año")
    output = fresh.must(*CHECK, LC_ALL="C")
    assert re.search(r"(\d+) of \1 outputs are the same to the byte", output), output


def command(process: psutil.Process) -> str:
    """Return the command of a process, "" if it has ended."""
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


def running(top: psutil.Process, text: str) -> dict[str, psutil.Process]:
    """Wait until a child process runs a command with this text; return all child processes by their commands."""
    deadline = time.monotonic() + 200
    while time.monotonic() < deadline:
        children = {command(child): child for child in top.children(recursive=True)}
        if any(text in line for line in children):
            return children
        time.sleep(0.1)
    raise AssertionError(f"{text} did not start")


@pytest.mark.parametrize("how", ["SIGTERM to make", "Ctrl-C", "SIGKILL"])
def test_stopped_check_leaves_no_process(project: Project, tmp_path: Path, how: str) -> None:
    (project.path / ".venv").symlink_to(sys.prefix)
    (tmp_path / "tmp").mkdir()
    # A shell makes its background jobs ignore SIGINT, also those that run these tests.
    started = project.started("env", "--default-signal=INT", *CHECK, TMPDIR=str(tmp_path / "tmp"))
    children = running(psutil.Process(started.pid), "anteojos.stages.")
    assert any("repro --force" in line for line in children)
    if how == "SIGTERM to make":
        started.terminate()
    elif how == "Ctrl-C":
        os.killpg(started.pid, signal.SIGINT)
    else:
        next(child for line, child in children.items() if "anteojos.team reproduced" in line).kill()
    assert psutil.wait_procs(children.values(), timeout=60)[1] == []
    started.communicate(timeout=60)
    assert started.returncode != 0
    assert how == "SIGKILL" or list((tmp_path / "tmp").glob("*/committed")) == []

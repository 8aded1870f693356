"""The same inputs give the same bytes, wherever and by whom, and after an interruption too."""

import os
import shutil
import signal
import subprocess
from hashlib import sha256
from pathlib import Path

import pytest
import yaml

from tests.project import Project, clone, commit

pytestmark = pytest.mark.pipeline


def works(*command: str) -> bool:
    return bool(shutil.which(command[0])) and subprocess.run([*command, "true"], capture_output=True).returncode == 0


AS_ANOTHER_USER = ("unshare", "--user", "--map-user=65534", "--map-group=65534")
ON_ONE_CORE = ("taskset", "--cpu-list", "0")
# As far as the machine lets us.
AS_ANOTHER_USER_ON_ONE_CORE = [
    word for command in (AS_ANOTHER_USER, ON_ONE_CORE) if works(*command) for word in command
]


def outputs(project: Project) -> dict[str, str]:
    """Return the checksums of dvc.lock, of all metrics and of each file of every output."""
    stages = yaml.safe_load((project.path / "dvc.lock").read_text())["stages"]
    found = {}
    for path in ("dvc.lock", *(out["path"] for stage in stages.values() for out in stage["outs"])):
        top = project.path / path
        for file in sorted(top.rglob("*")) if top.is_dir() else [top]:
            if file.is_file():
                found[file.relative_to(project.path).as_posix()] = sha256(file.read_bytes()).hexdigest()
    return found


def test_other_environment_same_bytes(small_project: Project, tmp_path: Path) -> None:
    origin = clone(small_project.path, tmp_path / "origin")
    origin.set("train.network", "edge")  # with augmentation, and the mean over the image and its mirror image
    commit(origin, "edge")
    here, there = (clone(origin.path, tmp_path / folder) for folder in ("here", "elsewhere/in/a ñandú's folder"))
    home = tmp_path / "another home"
    home.mkdir()
    user = {"HOME": str(home), "USER": "another", "LOGNAME": "another"}

    def run(*arguments: str) -> dict[str, str]:
        here.must("dvc", "repro", "--force", *arguments, PYTHONHASHSEED="1", TZ="UTC", LC_ALL="C.UTF-8")
        another = {**user, "TZ": "Asia/Kathmandu", "LC_ALL": "tr_TR.UTF-8", "PYTHONHASHSEED": "2"}
        there.must(*AS_ANOTHER_USER_ON_ONE_CORE, "dvc", "repro", "--force", *arguments, **another)
        found = outputs(here)
        assert found == outputs(there)
        return found

    edge = run()
    assert len(edge) > 40
    assert here.must("git", "diff", "--name-only") != ""
    for project in (here, there):
        project.set("train.network", "dropout")
    dropout = run("--single-item", "train")
    assert dropout["models/model.keras"] != edge["models/model.keras"]


def test_killed_training_resumes_to_same_bytes(project: Project, tmp_path: Path) -> None:
    project.set("train.network", "edge")
    project.set("train.epochs", 200)
    unbroken = project.copy_to(tmp_path / "unbroken")

    running = project.started("dvc", "repro")
    assert running.stdout is not None
    for line in running.stdout:
        if line.startswith("epoch  20/200"):
            break
    os.killpg(running.pid, signal.SIGKILL)
    running.communicate(timeout=60)
    [checkpoint] = (project.path / "models/.checkpoints").iterdir()
    assert not (project.path / "models/model.keras").exists()
    # The checkpoint is of this seed only.
    other = project.copy_to(tmp_path / "other")
    other.set("train.seed", 2)

    output = project.must("dvc", "repro")
    assert f"from models/.checkpoints/{checkpoint.name}" in output
    assert "epoch   1/200" in output  # printed again, for the history
    unbroken.must("dvc", "repro")
    assert outputs(project) == outputs(unbroken)
    assert list(checkpoint.parent.iterdir()) == []
    assert project.must("git", "status", "--porcelain", "--", "models") == ""

    assert "going on" not in other.must("dvc", "repro")
    shutil.rmtree(unbroken.path)
    shutil.rmtree(other.path)

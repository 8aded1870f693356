"""The same inputs give the same bytes, in any folder, for any user, and after an interruption."""

import os
import shutil
import signal
import subprocess
from hashlib import sha256
from pathlib import Path

import pytest
import yaml

from tests.project import Project, clone

pytestmark = pytest.mark.pipeline


def works(*command: str) -> bool:
    return bool(shutil.which(command[0])) and subprocess.run([*command, "true"], capture_output=True).returncode == 0


AS_ANOTHER_USER = ("unshare", "--user", "--map-user=65534", "--map-group=65534")
ON_ONE_CORE = ("taskset", "--cpu-list", "0")
# Only the commands that work on this machine.
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
    here, there = small_project.copy_to(tmp_path / "here"), clone(small_project.path, tmp_path / "in/a ñandú's folder")
    home = tmp_path / "another home"
    home.mkdir()
    user = {"HOME": str(home), "USER": "another", "LOGNAME": "another"}
    another = {**user, "TZ": "Asia/Kathmandu", "LC_ALL": "tr_TR.UTF-8", "PYTHONHASHSEED": "2"}
    there.must(*AS_ANOTHER_USER_ON_ONE_CORE, "dvc", "repro", "--force", **another)
    found = outputs(there)
    assert len(found) > 40
    assert found == outputs(small_project)
    assert there.must("git", "status", "--porcelain") == ""

    models = set()
    # With augmentation, and the mean over the image and its mirror image; with dropout.
    for network in ("edge", "dropout"):
        for project, command, environment in (
            (here, (), {"PYTHONHASHSEED": "1", "TZ": "UTC", "LC_ALL": "C.UTF-8"}),
            (there, AS_ANOTHER_USER_ON_ONE_CORE, another),
        ):
            project.set("train.network", network)
            project.must(*command, "dvc", "repro", "train", **environment)
        found = outputs(here)
        assert found == outputs(there)
        models.add(found["models/model.keras"])
    assert len(models) == 2


def test_killed_training_resumes_to_same_bytes(project: Project, tmp_path: Path) -> None:
    project.set("train.network", "edge")
    project.set("train.epochs", 40)
    unbroken = project.copy_to(tmp_path / "unbroken")

    running = project.started("dvc", "repro", "train")
    assert running.stdout is not None
    for line in running.stdout:
        if line.startswith("epoch  4/40"):
            break
    os.killpg(running.pid, signal.SIGKILL)
    running.communicate(timeout=60)
    [checkpoint] = (project.path / "models/.checkpoints").iterdir()
    assert not (project.path / "models/model.keras").exists()
    # The checkpoint is of this seed only.
    other = project.copy_to(tmp_path / "other")
    other.set("train.seed", 2)

    output = project.must("dvc", "repro", "train")
    assert f"from models/.checkpoints/{checkpoint.name}" in output
    assert "epoch  2/40" in output  # printed again, for the history
    unbroken.must("dvc", "repro", "train")
    assert outputs(project) == outputs(unbroken)
    assert list(checkpoint.parent.iterdir()) == []
    assert project.must("git", "status", "--porcelain", "--", "models") == ""

    assert "resuming" not in other.must("dvc", "repro", "train")
    shutil.rmtree(unbroken.path)
    shutil.rmtree(other.path)

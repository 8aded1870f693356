"""Data that one member pushes are pulled by the others byte for byte, and no stage runs again."""

import sys
from pathlib import Path

import pytest
import yaml

from tests.project import STAGES, Project
from tests.team.remote.conftest import TRIED, Team, outputs, pull, push, share
from tests.team.remote.servers import Folder

pytestmark = [pytest.mark.pipeline, pytest.mark.remote]


def stages(word: str, **others: str) -> dict[str, str]:
    return {**dict.fromkeys(STAGES, word), **others}


def on(branch: str, project: Project) -> Project:
    project.must("git", "checkout", "--quiet", branch)
    project.must("dvc", "checkout")
    return project


def test_clone_pulls_all_data_and_runs_nothing(team: Team, tmp_path: Path) -> None:
    clone = team.clone(tmp_path / "a clone")
    pull(clone)
    assert outputs(clone) == outputs(team.first)
    assert len(outputs(clone)) > 40
    assert clone.repro() == stages("unchanged")
    assert clone.must("git", "status", "--porcelain") == ""
    assert team.verified()


def test_two_branches_pushed_at_once_are_both_pulled(team: Team, tmp_path: Path) -> None:
    members = {branch: on(branch, team.first.copy_to(tmp_path / branch)) for branch in ("longer", "stricter")}
    pushing = [member.started("dvc", "push") for member in members.values()]
    for command in pushing:
        _, stderr = command.communicate(timeout=120)
        assert command.returncode == 0, stderr
        TRIED["pushes"] += 1
    team.verified()
    third = team.clone(tmp_path / "third")
    for branch, member in members.items():
        third.must("git", "checkout", "--quiet", branch)
        pull(third)
        assert outputs(third) == outputs(member)
        assert third.repro() == stages("unchanged")
    assert outputs(members["longer"]) != outputs(members["stricter"])


def test_clone_without_data_runs_only_changed_stages(
    storage: Folder, place: str, with_branches: Project, tmp_path: Path
) -> None:
    # Another test pushes the runs of `stricter` to the team's place: then nothing would run.
    team = Team(storage, place, share(with_branches.copy_to(tmp_path / "first"), storage, place))
    push(team.first)
    clone = team.clone(tmp_path / "a clone")
    clone.set("predict.threshold", 0.9)
    TRIED["pulls"] += 1
    assert clone.repro("--pull", "--allow-missing") == stages("unchanged", package="ran", predict="ran")
    there = outputs(clone)
    expected = outputs(on("stricter", team.first.copy_to(tmp_path / "the same")))
    assert {file: checksum for file, checksum in there.items() if expected[file] != checksum} == {}
    assert {"data/predictions.csv", "models/model.tflite"} <= there.keys()
    # Only the inputs of predict were pulled.
    assert not [file for file in there if file.startswith(("data/raw/", "data/processed/train/"))]


def test_training_of_a_colleague_is_not_repeated(team: Team, tmp_path: Path) -> None:
    trained = on("longer", team.first.copy_to(tmp_path / "trained"))
    (trained.path / ".venv").symlink_to(sys.prefix)
    TRIED["pushes"] += 1
    trained.must("make", "--old-file", ".venv/installed", "push")
    for lock in ("of other parameters", "gone"):
        clone = team.clone(tmp_path / lock)
        clone.set("train.epochs", 2)
        if lock == "gone":
            (clone.path / "dvc.lock").unlink()
        TRIED["pulls"] += 1
        ran = clone.repro("--pull")
        assert "ran" not in ran.values()
        assert ran["train"] == "restored"
        assert outputs(clone) == outputs(trained)
        assert (clone.path / "dvc.lock").read_bytes() == (trained.path / "dvc.lock").read_bytes()


def test_make_push_restores_what_the_storage_has_lost(team: Team, tmp_path: Path) -> None:
    full, empty = team.first.copy_to(tmp_path / "full"), team.clone(tmp_path / "empty")
    for member in (full, empty):
        (member.path / ".venv").symlink_to(sys.prefix)
    image = next(name for name in outputs(full) if name.startswith("data/raw/test/"))
    lock = yaml.safe_load((full.path / "dvc.lock").read_text())["stages"]["preprocess"]["outs"]
    listing = next(out["md5"] for out in lock if out["path"] == "data/processed/train")
    lost = {outputs(full)[image], outputs(full)["models/model.tflite"], listing}
    make_push = ("make", "--old-file", ".venv/installed", "push")
    full.must(*make_push)
    there = team.verified()
    for name in lost:
        team.storage.remove(team.place, name)
    TRIED["objects removed"] += len(lost)
    assert team.verified() == there - lost

    failed = empty.run(*make_push)
    assert failed.returncode != 0
    for name in (image, "models/model.tflite", "data/processed/train"):
        assert f"  {name}: not in this checkout's cache\n" in failed.stderr
    assert "Run `make push` again in a checkout whose cache has them." in failed.stderr
    refused = empty.run("make", "--old-file", ".venv/installed", "check-committed")
    assert f"{image}: not in the remote `team`" in refused.stderr
    assert "run `make push` on the machine that has the data" in refused.stderr

    TRIED["pushes"] += 2
    assert "were missing and are pushed now." in full.must(*make_push)
    assert team.verified() == there
    pull(empty)
    assert outputs(empty) == outputs(full)
    assert "has all" in empty.must(*make_push)

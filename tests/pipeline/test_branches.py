"""Branches with other parameters are compared, merged, and checked out with their data."""

import json
import re
import shutil
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

from anteojos.team.hook import HOOKS, MARK
from tests.pipeline.test_same_bytes import outputs
from tests.project import Project, RunWith, built_once, clone, commit

pytestmark = pytest.mark.pipeline

MAKE = ("make", "--old-file", ".venv/installed")


def read(project: Project, file: str, revision: str = "") -> Any:
    """Read a metrics file from the checkout or from a commit."""
    text = project.must("git", "show", f"{revision}:{file}") if revision else (project.path / file).read_text()
    return json.loads(text)


def branch(project: Project, name: str, **parameters: Any) -> None:
    """Make a branch with other parameters, such as train__seed=2, and their results."""
    project.must("git", "checkout", "--quiet", "-b", name)
    for key, value in parameters.items():
        project.set(key.replace("__", "."), value)
    project.repro()
    commit(project, name)


def link_environment(project: Project) -> None:
    """Use the environment of these tests; git ignores the link."""
    (project.path / ".venv").symlink_to(sys.prefix)


def numbers(value: Any, key: str = "") -> dict[str, Any]:
    if not isinstance(value, dict):
        return {key: value}
    return {
        name: leaf
        for part, item in value.items()
        for name, leaf in numbers(item, f"{key}.{part}" if key else part).items()
    }


@pytest.fixture(scope="session")
def diverged(small_project: Project, run_with: RunWith, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project with another threshold in the branch `skewed`, and a longer training in `main`. Tests copy it."""

    def build(folder: Path) -> None:
        project = small_project.copy_to(folder / "a project")
        link_environment(project)
        project.add_runs_of(run_with("train.epochs", 2))
        # A threshold that changes labels for any network.
        threshold = 0.0 if read(project, "metrics/details/evaluate.json")["validate"]["recall"] < 1 else 1.0
        branch(project, "skewed", evaluate__threshold=threshold)
        project.must("git", "checkout", "--quiet", "main")
        project.set("train.epochs", 2)
        project.repro()
        commit(project, "Longer")

    return Project(built_once(tmp_path_factory, "diverged", build) / "a project")


def test_dvc_diff_shows_exact_changes_of_a_branch(diverged: Project, tmp_path: Path) -> None:
    project = diverged.copy_to(tmp_path / "a project")
    metrics = json.loads(project.must("dvc", "metrics", "diff", "skewed", "--json"))
    for file in ("metrics/train.json", "metrics/evaluate.json"):
        old, new = numbers(read(project, file, "skewed")), numbers(read(project, file))
        changed = {key: {"old": old[key], "new": new[key]} for key in new if old[key] != new[key]}
        diff = metrics.get(file, {})
        assert {key: {side: value[side] for side in ("old", "new")} for key, value in diff.items()} == changed
        assert all(value["diff"] == pytest.approx(value["new"] - value["old"], abs=1e-9) for value in diff.values())
    # Other weights; the scores on 8 images may be the same.
    assert "train.loss" in metrics["metrics/train.json"]
    assert "metrics/audit.json" not in metrics
    params = json.loads(project.must("dvc", "params", "diff", "skewed", "--json"))
    skewed = yaml.safe_load(project.must("git", "show", "skewed:params.yaml"))["evaluate"]["threshold"]
    assert params == {
        "params.yaml": {
            "train.epochs": {"old": 1, "new": 2, "diff": 1},
            "evaluate.threshold": {"old": skewed, "new": 0.5, "diff": 0.5 - skewed},
        }
    }
    plots = json.loads(project.must("dvc", "plots", "diff", "skewed", "--json", "--split"))
    [loss] = (plot for plot in plots["data"]["loss"] if plot["type"] == "vega")
    points = pd.DataFrame(loss["anchor_definitions"]["<DVC_METRIC_DATA>"])
    assert points["rev"].value_counts().to_dict() == {"skewed": 2, "workspace": 4}
    drawn = points[(points["rev"] == "workspace") & points["filename"].str.contains("validate")]["loss"].astype(float)
    history = project.path / "metrics/history/validate/loss.tsv"
    assert drawn.tolist() == pd.read_csv(history, sep="\t")["loss"].tolist()


@pytest.mark.parametrize("into", ["main", "skewed"])
def test_make_resolve_resolves_conflicts_of_results_from_the_cache(
    diverged: Project, tmp_path: Path, into: str
) -> None:
    project = diverged.copy_to(tmp_path / "a project")
    metrics = [f"metrics/{name}.json" for name in ("train", "evaluate", "predict")]

    project.must("git", "checkout", "--quiet", into)
    assert project.run("git", "merge", {"main": "skewed", "skewed": "main"}[into]).returncode == 1
    conflicts = project.must("git", "diff", "--name-only", "--diff-filter=U").split()
    # Which metrics conflict depends on the trained weights: git merges lines that are not adjacent.
    assert {"dvc.lock"} <= set(conflicts) <= {"dvc.lock", *metrics}

    output = project.must(*MAKE, "resolve")
    assert "Stage 'train' is cached - skipping run" in output or "Stage 'train' didn't change" in output
    assert "Running stage 'train'" not in output
    assert "The conflict is resolved." in output
    project.must("git", "commit", "--quiet", "--no-edit")
    assert project.must("git", "status", "--porcelain") == ""
    assert project.must("dvc", "status").strip() == "Data and pipelines are up to date."
    assert read(project, "metrics/details/train.json")["last"]["epoch"] == 2


def test_make_resolve_refuses_other_conflicts(project: Project) -> None:
    (project.path / ".venv").symlink_to(sys.prefix)
    branch(project, "high", predict__threshold=0.9)
    project.must("git", "checkout", "--quiet", "main")
    branch(project, "low", predict__threshold=0.1)
    assert project.run("git", "merge", "high").returncode == 1
    failed = project.run(*MAKE, "resolve")
    assert failed.returncode != 0
    assert "  params.yaml\nResolve these first" in failed.stderr
    assert "<<<<<<<" in (project.path / "params.yaml").read_text()
    project.must("git", "checkout", "--theirs", "params.yaml")
    project.must("git", "add", "params.yaml")
    project.must(*MAKE, "resolve")
    project.must("git", "commit", "--quiet", "--no-edit")
    assert project.must("git", "diff", "high", "--stat") == ""


def test_make_resolve_in_a_rebase_recommends_to_continue_it(diverged: Project, tmp_path: Path) -> None:
    project = diverged.copy_to(tmp_path / "a project")
    project.must("git", "checkout", "--quiet", "skewed")
    assert project.run("git", "rebase", "main").returncode == 1
    output = project.must(*MAKE, "resolve")
    assert output.endswith("then finish the rebase with `git rebase --continue`.\n")
    project.must("git", "-c", "core.editor=true", "rebase", "--continue")
    assert project.must("git", "status", "--porcelain") == ""
    assert project.must("dvc", "status").strip() == "Data and pipelines are up to date."


@pytest.mark.parametrize("command", ["cherry-pick", "revert"])
def test_make_resolve_names_the_unfinished_command(diverged: Project, tmp_path: Path, command: str) -> None:
    project = diverged.copy_to(tmp_path / "a project")
    project.set("predict.threshold", 0.6)
    project.repro()
    commit(project, "Another threshold")
    assert project.run("git", command, {"cherry-pick": "skewed", "revert": "HEAD^"}[command]).returncode == 1
    output = project.must(*MAKE, "resolve")
    assert output.endswith(f"then finish the {command} with `git {command} --continue`.\n")


def test_make_resolve_pulls_what_a_colleague_has_trained(diverged: Project, tmp_path: Path) -> None:
    trained = diverged.copy_to(tmp_path / "trained")
    trained.must("dvc", "remote", "add", "--quiet", "--default", "team", str(tmp_path / "store"))
    commit(trained, "A remote")
    trained.must(*MAKE, "push")
    colleague = trained.copy_to(tmp_path / "colleague")
    shutil.rmtree(colleague.path / ".dvc/cache")
    colleague.must("git", "checkout", "--quiet", "skewed")
    assert colleague.run("git", "merge", "main").returncode == 1
    output = colleague.must(*MAKE, "resolve")
    assert "Running stage 'train'" not in output
    assert read(colleague, "metrics/details/train.json")["last"]["epoch"] == 2
    assert (colleague.path / "models/model.keras").read_bytes() == (trained.path / "models/model.keras").read_bytes()


@dataclass(frozen=True)
class Pair:
    """Two checkouts with the same data; `second` is a clone of `first` and has the git hooks."""

    first: Project
    second: Project


@pytest.fixture
def pair(project: Project, other_images: Project, tmp_path: Path) -> Pair:
    project.add_runs_of(other_images)
    project.must("dvc", "remote", "add", "--quiet", "--default", "team", str(tmp_path / "store"))
    commit(project, "A remote")
    project.must("dvc", "push", "--quiet")
    second = clone(project.path, tmp_path / "second")
    second.must("dvc", "pull", "--quiet")
    link_environment(second)
    second.must("python", "-m", "anteojos.team", "hook")
    return Pair(project, second)


def push_other_images(first: Project) -> dict[str, str]:
    """Commit and push other results; return the outputs."""
    first.set("dataset.seed", 7)
    first.repro()
    commit(first, "Other images")
    first.must("dvc", "push", "--quiet")
    return outputs(first)


@pytest.mark.parametrize("how", ["--ff-only", "--no-rebase", "--rebase"])
def test_data_follow_git_pull(pair: Pair, how: str) -> None:
    before = outputs(pair.second)
    expected = push_other_images(pair.first)
    if how != "--ff-only":
        (pair.second.path / "notes.txt").write_text("mine")
        commit(pair.second, "Mine")
    pulled = pair.second.run("git", "pull", "--no-edit", how)
    assert pulled.returncode == 0
    assert "Checked out the data of this commit: data/" in pulled.stderr
    assert outputs(pair.second) == expected != before
    assert pair.second.must("dvc", "status").strip() == "Data and pipelines are up to date."


def test_data_follow_a_rebase_that_ends_with_the_own_lock(pair: Pair) -> None:
    mine = pair.second
    mine.add_runs_of(pair.first)
    expected = push_other_images(mine)
    (pair.first.path / "notes.txt").write_text("theirs")
    commit(pair.first, "Theirs, without other results")
    pulled = mine.run("git", "pull", "--rebase")
    assert pulled.returncode == 0
    # During the rebase, git has checked out their commit.
    assert outputs(mine) == expected


@pytest.mark.parametrize("how", ["--no-rebase", "--rebase"])
def test_hooks_are_fast_and_silent_if_the_results_are_the_same(pair: Pair, how: str) -> None:
    for member, name in ((pair.first, "theirs.txt"), (pair.second, "mine.txt")):
        (member.path / name).write_text("text")
        commit(member, name)
    (pair.second.path / "data/predictions.csv").unlink()
    hooks = pair.second.path / ".git/hooks"
    without_hooks = pair.second.copy_to(pair.second.path.parent / "third")
    for hook in (without_hooks.path / ".git/hooks").glob("post-*"):
        hook.unlink()
    output, seconds = {}, {}
    for member in (without_hooks, pair.second):
        start = time.monotonic()
        pulled = member.run("git", "pull", "--quiet", "--no-edit", how)
        seconds[member.path.name] = time.monotonic() - start
        assert pulled.returncode == 0
        output[member.path.name] = pulled.stdout + pulled.stderr
    assert output["second"] == output["third"]
    runs = 2 if how == "--rebase" else 1  # post-checkout and post-rewrite, or post-merge
    assert seconds["second"] - seconds["third"] < runs
    assert not (pair.second.path / "data/predictions.csv").exists()
    assert {hook.name for hook in hooks.glob("post-*") if hook.suffix != ".sample"} == set(HOOKS)


def test_clone_without_data_stays_without_data(pair: Pair, tmp_path: Path) -> None:
    empty = clone(pair.first.path, tmp_path / "empty")
    link_environment(empty)
    empty.must("python", "-m", "anteojos.team", "hook")
    push_other_images(pair.first)
    pulled = empty.run("git", "pull", "--quiet")
    assert (pulled.returncode, pulled.stdout, pulled.stderr) == (0, "", "")
    assert not (empty.path / "data/raw").exists()


def test_missing_data_are_named_and_git_succeeds(pair: Pair, tmp_path: Path) -> None:
    push_other_images(pair.first)
    shutil.rmtree(tmp_path / "store")
    pulled = pair.second.run("git", "pull", "--quiet")
    assert pulled.returncode == 0
    assert re.fullmatch(r"Not in DVC's cache: .*data/raw, .*\. Run `dvc pull`, or `make repro` .*\n", pulled.stderr)
    # Data that are not in the cache are not overwritten.
    back = pair.second
    back.must("git", "checkout", "--quiet", "HEAD^")
    (back.path / "models/model.tflite").write_text("mine")
    switched = back.run("git", "checkout", "--quiet", "main")
    assert switched.returncode == 0
    assert "The data of this commit were not checked out: Can't remove the following unsaved files" in switched.stderr
    assert (back.path / "models/model.tflite").read_text() == "mine"


def test_git_checkout_also_checks_out_the_data(project: Project, other_images: Project, tmp_path: Path) -> None:
    project.add_runs_of(other_images)
    link_environment(project)
    project.must("python", "-m", "anteojos.team", "hook")
    main = outputs(project)
    branch(project, "other", dataset__seed=7)
    other = outputs(project)
    assert other["models/model.keras"] != main["models/model.keras"]
    for name, expected in (("main", main), ("other", other)):
        project.must("git", "checkout", "--quiet", name)
        assert outputs(project) == expected
        assert project.must("dvc", "status").strip() == "Data and pipelines are up to date."
    # Checking out a single file does not check out data.
    (project.path / "data/predictions.csv").unlink()
    project.must("git", "checkout", "params.yaml")
    assert not (project.path / "data/predictions.csv").exists()


def test_existing_hook_is_not_replaced(project: Project) -> None:
    hooks = project.path / ".git/hooks"
    (hooks / "post-merge").write_text("#!/bin/sh\necho mine\n")
    (hooks / "post-checkout").write_text(f"#!/bin/sh\n{MARK} An older version.\n")
    project.must("python", "-m", "anteojos.team", "hook")
    assert (hooks / "post-merge").read_text() == "#!/bin/sh\necho mine\n"
    assert "anteojos.team follow post-checkout" in (hooks / "post-checkout").read_text()
    (hooks / "post-checkout").unlink()
    project.must("git", "config", "core.hooksPath", "their hooks")
    assert "core.hooksPath is set" in project.must("python", "-m", "anteojos.team", "hook")
    assert not (project.path / "their hooks").exists()
    assert not (hooks / "post-checkout").exists()

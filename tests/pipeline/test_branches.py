"""Branches with other parameters are compared, merged, and checked out with their data."""

import json
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

from tests.pipeline.test_same_bytes import outputs
from tests.project import Project, RunWith, built_once, commit

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
        (project.path / ".venv").symlink_to(sys.prefix)
        with (project.path / ".git/info/exclude").open("a") as exclude:
            exclude.write("/.venv\n")
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
        assert changed
        found = {key: {side: value[side] for side in ("old", "new")} for key, value in metrics[file].items()}
        assert found == changed
        assert all(
            value["diff"] == pytest.approx(value["new"] - value["old"], abs=1e-9) for value in metrics[file].values()
        )
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
    history = project.path / "metrics/history/plots/metrics/validate/loss.tsv"
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


def test_git_checkout_also_checks_out_the_data(project: Project, other_images: Project, tmp_path: Path) -> None:
    project.add_runs_of(other_images)
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

    # If the data are missing, git still switches the branch, and the hook prints a message.
    project.must("git", "clone", "--quiet", str(project.path), str(tmp_path / "empty"))
    empty = Project(tmp_path / "empty")
    empty.must("python", "-m", "anteojos.team", "hook")
    switched = empty.run("git", "checkout", "main")
    assert switched.returncode == 0
    assert "run dvc pull" in switched.stderr
    assert empty.must("git", "branch", "--show-current").strip() == "main"


def test_existing_hook_is_not_replaced(project: Project) -> None:
    hook = project.path / ".git/hooks/post-checkout"
    hook.write_text("#!/bin/sh\necho mine\n")
    project.must("python", "-m", "anteojos.team", "hook")
    assert hook.read_text() == "#!/bin/sh\necho mine\n"

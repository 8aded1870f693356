"""Run the commands of each job in the CI files, in a fresh clone with its own remote."""

import json
import re
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.ci_files import JOBS, github_steps, gitlab_lines
from tests.conftest import ROOT
from tests.project import STAGES, Project, RunWith, built_once, commit

pytestmark = pytest.mark.pipeline

NO_COMMIT = 40 * "0"


@dataclass(frozen=True)
class Team:
    """A repository that others clone, with a folder as its remote.

    The branches `main` and `feature` have run and are pushed; `feature` trains another network. `unlocked` has another
    threshold without its results.
    """

    origin: Project
    store: Path

    def clone(self, path: Path, branch: str) -> Project:
        """Clone a branch as CI does, with an environment that is set up."""
        self.origin.must("git", "clone", "--quiet", "--branch", branch, str(self.origin.path), str(path))
        clone = Project(path)
        clone.must("git", "config", "user.name", "A colleague")
        clone.must("git", "config", "user.email", "colleague@example.invalid")
        # Use the environment of these tests; the marker must be newer than the clone's lock.
        (path / ".venv").mkdir()
        for item in Path(sys.prefix).iterdir():
            if item.name != "installed":
                (path / ".venv" / item.name).symlink_to(item)
        (path / ".venv/installed").touch()
        return clone


@pytest.fixture(scope="session")
def team(small_project: Project, run_with: RunWith, tmp_path_factory: pytest.TempPathFactory) -> Team:
    def build(folder: Path) -> None:
        origin = small_project.copy_to(folder / "origin")
        origin.must("dvc", "remote", "add", "--quiet", "--default", "team", str(folder / "the store"))
        commit(origin, "A remote")
        origin.must("dvc", "push", "--quiet")
        origin.must("git", "checkout", "--quiet", "-b", "unlocked")
        origin.set("predict.threshold", 0.0)
        commit(origin, "Another threshold, not run")
        origin.must("git", "checkout", "--quiet", "-b", "feature", "main")
        origin.set("train.network", "sigmoid")
        origin.add_runs_of(run_with("train.network", "sigmoid"))
        origin.repro()
        commit(origin, "Another network")
        origin.must("dvc", "push", "--quiet")

    folder = built_once(tmp_path_factory, "a team", build)
    return Team(Project(folder / "origin"), folder / "the store")


def run_github(clone: Project, job: str, fork: bool = False, **environment: str) -> dict[str, str]:
    """Run a job's steps as GitHub does; return "success", "failure" or "skipped" and the output of each."""
    outcomes: dict[str, str] = {}
    printed: dict[str, str] = {}
    for step in github_steps(job):
        if not step.is_wanted(outcomes, fork):
            outcomes[step.name] = printed[step.name] = "skipped"
            continue
        done = clone.run("bash", "-e", "-c", step.run, GITHUB_STEP_SUMMARY="../summary.md", **environment)
        outcomes[step.name] = "success" if done.returncode == 0 else "failure"
        printed[step.name] = f"{outcomes[step.name]}\n{done.stdout}{done.stderr}"
    return printed


def run_gitlab(clone: Project, job: str, fork: bool = False, **environment: str) -> tuple[int, str]:
    """Run a job's lines as GitLab does; return the exit code and the output."""
    # Do not install system packages on the machine of the tests.
    lines = [line for line in gitlab_lines(job) if not line.startswith("apt-get")]
    projects = {"CI_MERGE_REQUEST_SOURCE_PROJECT_ID": "8" if fork else "7", "CI_MERGE_REQUEST_PROJECT_ID": "7"}
    done = clone.run("bash", "-c", "\n".join(["set -eo pipefail", *lines]), **projects, **environment)
    return done.returncode, done.stdout + done.stderr


def rows(clone: Project) -> dict[str, list[str]]:
    """Return the rows in the tables of the comparison by their names, such as "parameters" or "train.network"."""
    lines = (clone.path / "comparison/comparison.md").read_text().splitlines()
    cells = [re.split(r" *\| *", line.strip("| ")) for line in lines if line.startswith("| ")]
    return {row[1]: row[2:] for row in cells if row[1] not in ("Metric", "Param")}


def committed_metrics(project: Project, branch: str) -> dict[str, float]:
    """Return the numbers in the committed metrics of a branch, by their full names."""
    files = project.must("git", "ls-tree", "--name-only", branch, "metrics/").split()
    texts = [project.must("git", "show", f"{branch}:{file}") for file in files if file.endswith(".json")]
    return {name: value for text in texts for name, value in numbers(json.loads(text))}


def numbers(metrics: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, float]]:
    for name, value in metrics.items():
        if isinstance(value, dict):
            yield from numbers(value, f"{prefix}{name}.")
        elif isinstance(value, int | float):
            yield prefix + name, value


@pytest.mark.parametrize("job", [job for job in JOBS if job != "pipeline"])
def test_lint_and_tests_run(team: Team, tmp_path: Path, job: str) -> None:
    clone = team.clone(tmp_path / "clone", "main")
    if (ROOT / ".mypy_cache").exists():
        shutil.copytree(ROOT / ".mypy_cache", clone.path / ".mypy_cache")
    # The tests cannot run themselves: run one file.
    few = {"ARGS": "--numprocesses 0 tests/images/test_manifest.py"} if job == "test" else {}
    printed = run_github(clone, job, **few)
    assert [text.splitlines()[0] for text in printed.values()] == ["success", "success"]
    words = {"lint": "Success: no issues found", "test": " passed"}
    assert words[job] in printed[f"make {job}"]
    assert run_gitlab(clone, job, **few)[0] == 0


@pytest.mark.parametrize("service", ["github", "gitlab"])
def test_committed_and_pushed_branch_passes_and_is_compared(team: Team, tmp_path: Path, service: str) -> None:
    clone = team.clone(tmp_path / "clone", "feature")
    if service == "github":
        printed = run_github(clone, "pipeline", BASE="origin/main")
        outcomes = {name: text.splitlines()[0] for name, text in printed.items()}
        assert outcomes.pop('.venv/bin/dvc config --local core.remote ""') == "skipped"
        assert set(outcomes.values()) == {"success"}
        output = "\n".join(printed.values())
        assert (tmp_path / "summary.md").read_text() == (clone.path / "comparison/comparison.md").read_text()
    else:
        code, output = run_gitlab(clone, "pipeline", BASE="origin/main")
        assert code == 0
        assert "No note was written: CI_API_V4_URL" in output
    assert len(re.findall("didn't change, skipping", output)) == len(STAGES)
    assert "All data in dvc.lock are in the remote `team`." in output
    assert "The model passes." in output
    # Only the data that are needed were pulled.
    assert not (clone.path / "data/raw").exists()

    before, after = (committed_metrics(clone, branch) for branch in ("origin/main", "feature"))
    table = rows(clone)
    assert table.pop("train.network") == ["baseline", "sigmoid"]
    assert table["parameters"] == ["64514", "60417", "-4097"]
    assert set(table) == {name for name in after if after[name] != before[name]}
    for name, (old, new, change) in table.items():
        numbers_of = (before[name], after[name], after[name] - before[name])
        assert [float(old), float(new), float(change)] == pytest.approx(numbers_of, abs=2e-5), name
    images = {image.name for image in (clone.path / "comparison/plots/static").iterdir()}
    names = ("samples", "leak", "mistakes", "attention", "doubtful_labels", "test")
    assert images == {f"{side}_metrics_plots_{name}.png" for side in ("origin_main", "workspace") for name in names}
    page = (clone.path / "comparison/plots/index.html").read_text()
    assert "Confusion matrix" in page
    assert '"rev": "origin/main"' in page


def test_comparison_without_changes_says_so(team: Team, tmp_path: Path) -> None:
    clone = team.clone(tmp_path / "clone", "main")
    commit_before = clone.must("git", "rev-parse", "HEAD").strip()
    page = clone.must("make", "compare", BASE=commit_before)
    assert page.count("Nothing changed.") == 2
    assert f"`{commit_before[:7]}" in page
    assert rows(clone) == {}


def test_uncommitted_results_fail_the_check(team: Team, tmp_path: Path) -> None:
    clone = team.clone(tmp_path / "clone", "unlocked")
    printed = run_github(clone, "pipeline", BASE="origin/main")
    ran = re.findall(r"Running stage '(\w+)'", printed["repro"])
    assert ran == ["package", "predict"]
    assert not (clone.path / "data/raw").exists()
    before = committed_metrics(clone, "HEAD")["predicted.glasses"]
    assert rows(clone)["predicted.glasses"] == [f"{before:g}", "4", f"{4 - before:g}"]
    check = printed["make check-committed"]
    assert check.startswith("failure")
    for file in ("dvc.lock", "metrics/predict.json"):
        assert f"{file}: differs from the commit" in check
    # The log shows the difference.
    assert f'-    "glasses": {before:g},\n' in check
    assert '+    "glasses": 4,\n' in check
    assert "commit the changes" in check
    assert printed["make gate"].startswith("success")
    # GitLab fails in the same way.
    code, output = run_gitlab(clone, "pipeline", BASE="origin/main")
    assert code != 0
    assert "dvc.lock: differs from the commit" in output


def test_data_that_are_not_pushed_are_named(team: Team, tmp_path: Path) -> None:
    author = team.clone(tmp_path / "author", "main")
    author.must("git", "checkout", "--quiet", "-b", "unpushed")
    author.set("predict.uncertain", [0.0, 1.0])
    assert author.repro("--pull", "--allow-missing")["predict"] == "ran"
    commit(author, "Everything is uncertain")
    author.must("git", "push", "--quiet", "origin", "unpushed")
    printed = run_github(team.clone(tmp_path / "clone", "unpushed"), "pipeline", BASE="origin/main")
    check = printed["make check-committed"]
    assert check.startswith("failure")
    assert re.findall(r"(\S+): not in the remote `team`", check) == [
        "data/predictions.csv",
        "metrics/details/predict.json",
        "metrics/plots/test.png",
        "models/model.tflite",
    ]
    assert "run `make push` on the machine that has the data" in check
    author.must("dvc", "push", "--quiet", "package", "predict")
    assert "are in the remote" in author.must("make", "check-committed")


def test_file_missing_from_a_folder_in_the_remote_is_named(team: Team, tmp_path: Path) -> None:
    clone = team.clone(tmp_path / "clone", "main")
    shutil.copytree(team.store, tmp_path / "a store with a hole")
    clone.must("dvc", "remote", "modify", "--local", "team", "url", str(tmp_path / "a store with a hole"))
    clone.must("make", "check-committed")
    folder = next(
        out["md5"] for out in lock_of(clone)["stages"]["preprocess"]["outs"] if out["path"] == "data/processed/train"
    )
    listed = json.loads((tmp_path / "a store with a hole/files/md5" / folder[:2] / folder[2:]).read_text())
    lost = next(file["md5"] for file in listed if file["relpath"] == "images.npy")
    (tmp_path / "a store with a hole/files/md5" / lost[:2] / lost[2:]).unlink()
    failed = clone.run("make", "check-committed")
    assert failed.returncode != 0
    assert "\n  data/processed/train/images.npy: not in the remote `team`\n" in failed.stderr
    assert "Traceback" not in failed.stderr


def test_wrongly_merged_lock_fails_without_data(team: Team, tmp_path: Path) -> None:
    clone = team.clone(tmp_path / "clone", "main")
    lock, other = lock_of(clone), yaml.safe_load(clone.must("git", "show", "origin/feature:dvc.lock"))
    lock["stages"]["train"] = other["stages"]["train"]
    clone.set("train.network", "sigmoid")
    (clone.path / "dvc.lock").write_text(yaml.safe_dump(lock, sort_keys=False))
    commit(clone, "A bad merge")
    failed = clone.run("make", "check-committed")
    assert failed.returncode != 0
    for stage in ("package", "evaluate"):
        assert f"{stage}: its input models/network.tflite is not the output in dvc.lock" in failed.stderr
    assert "run `make repro`" in failed.stderr

    (clone.path / "dvc.lock").write_text("<<<<<<< ours\nschema: '2.0'\n=======\n")
    failed = clone.run("make", "check-committed")
    assert failed.returncode != 0
    assert "dvc.lock: not a valid lock file of DVC; it may contain a merge conflict" in failed.stderr
    assert "Traceback" not in failed.stderr


def test_all_uncommitted_changes_are_named(team: Team, tmp_path: Path) -> None:
    clone = team.clone(tmp_path / "clone", "main")
    clone.set("train.epochs", 2)
    with (clone.path / "src/anteojos/model/training.py").open("a") as source:
        source.write("# A remark.\n")
    (clone.path / "metrics/predict.json").unlink()
    (clone.path / "metrics/notes.json").write_text("{}")
    failed = clone.run("make", "check-committed")
    assert failed.returncode != 0
    assert sorted(failed.stderr.splitlines()[1:-2]) == [
        "  crossvalidate: params.yaml: train.epochs is modified (`dvc status`)",
        "  crossvalidate: src/anteojos/model/training.py is modified (`dvc status`)",
        "  metrics/notes.json: not in git",
        "  metrics/predict.json: deleted, but in the commit",
        "  params.yaml: differs from the commit",
        "  src/anteojos/model/training.py: differs from the commit",
        "  train: params.yaml: train.epochs is modified (`dvc status`)",
        "  train: src/anteojos/model/training.py is modified (`dvc status`)",
    ]
    assert "To fix this, run `make repro`, then commit the changes." in failed.stderr


def test_pull_request_of_a_fork_passes_without_the_remote(team: Team, tmp_path: Path) -> None:
    clone = team.clone(tmp_path / "clone", "feature")
    # This remote needs keys, which the workflow leaves empty for a fork.
    clone.must("dvc", "remote", "modify", "--local", "team", "url", "s3://bucket/path")
    clone.must("dvc", "remote", "modify", "--local", "team", "endpointurl", "http://127.0.0.1:9")
    no_keys = {
        "AWS_ACCESS_KEY_ID": "",
        "AWS_SECRET_ACCESS_KEY": "",
        "HOME": str(tmp_path),
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    refused = clone.run("make", "check-committed", **no_keys)
    assert refused.returncode != 0
    assert "dvc data status --not-in-remote --granular --json: exit code 255" in refused.stderr
    assert "Unable to locate credentials" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert run_github(clone, "pipeline", BASE="origin/main", **no_keys)["repro"].startswith("failure")

    printed = run_github(clone, "pipeline", fork=True, BASE="origin/main", **no_keys)
    assert {text.splitlines()[0] for text in printed.values()} == {"success"}, printed
    assert "No default remote is set" in printed["make check-committed"]
    assert "No plots: their data are neither in DVC's cache nor in a remote." in printed["compare"]
    assert rows(clone)["parameters"] == ["64514", "60417", "-4097"]
    # GitLab's lines disable the remote for a fork only.
    clone.must("dvc", "config", "--local", "--unset", "core.remote")
    assert run_gitlab(clone, "pipeline", BASE="origin/main", **no_keys)[0] != 0
    assert run_gitlab(clone, "pipeline", fork=True, BASE="origin/main", **no_keys)[0] == 0


def test_missing_results_without_a_remote_are_explained(team: Team, tmp_path: Path) -> None:
    clone = team.clone(tmp_path / "clone", "unlocked")
    printed = run_github(clone, "pipeline", fork=True, BASE="origin/main")
    assert printed["repro"].startswith("failure")
    assert printed["compare"] == printed["make gate"] == "skipped"
    check = printed["make check-committed"]
    assert "package: params.yaml: predict.threshold is modified (`dvc status`)" in check
    assert "run `make repro`" in check


def test_gate_fails_if_the_border_leaks(team: Team, tmp_path: Path) -> None:
    clone = team.clone(tmp_path / "clone", "main")
    clone.set("preprocess.crop", "none")
    clone.must("make", "repro", "ARGS=--pull --allow-missing audit")
    failed = clone.run("make", "gate", "BASE=origin/main")
    assert failed.returncode != 0
    assert "metrics/audit.json: the border predicts the label: accuracy 1.000 (p = 0.00" in failed.stderr
    assert "Traceback" not in failed.stderr
    assert "can also be predicted from: position_rows" in failed.stdout


def test_gate_fails_if_accuracy_is_below_the_interval(team: Team, tmp_path: Path) -> None:
    clone = team.clone(tmp_path / "clone", "main")
    path = clone.path / "metrics/evaluate.json"
    metrics = json.loads(path.read_text())
    here = metrics["validate"]["accuracy"]
    metrics["validate"] |= {"accuracy": 1.0, "accuracy_low": here + 0.000001}
    path.write_text(json.dumps(metrics))
    commit(clone, "As if main were better")
    clone.must("git", "checkout", "--quiet", "HEAD^", "--", "metrics")
    failed = clone.run("make", "gate", "BASE=HEAD")
    assert failed.returncode != 0
    assert f"validate: accuracy {here:.3f} is below the interval of HEAD" in failed.stderr
    assert "The model passes." in clone.must("make", "gate", "BASE=HEAD^")


def test_base_without_metrics_passes_and_unknown_base_fails(team: Team, tmp_path: Path) -> None:
    clone = team.clone(tmp_path / "clone", "main")
    first = clone.must("git", "rev-list", "--max-parents=0", "HEAD").strip()
    clone.must("git", "checkout", "--quiet", first)
    clone.must("git", "rm", "--quiet", "--cached", "-r", "metrics", "dvc.yaml", "params.yaml")
    clone.must("git", "commit", "--quiet", "--message", "Before there were metrics")
    bare = clone.must("git", "rev-parse", "HEAD").strip()
    clone.must("git", "checkout", "--quiet", "--force", "main")
    assert f"in {bare[:7]}: none yet" in " ".join(clone.must("make", "gate", f"BASE={bare}").split())
    assert rows_of(clone, bare)["parameters"] == ["-", "64514", "-"]
    # GitHub and GitLab name this commit for a new branch.
    assert "The model passes." in clone.must("make", "gate", f"BASE={NO_COMMIT}")
    assert "there is no earlier commit" in clone.must("make", "compare", f"BASE={NO_COMMIT}")
    for target in ("gate", "compare"):
        failed = clone.run("make", target, "BASE=nowhere; touch 'a trace'")
        assert failed.returncode != 0
        assert "no such commit in this clone" in failed.stderr
        assert "Traceback" not in failed.stderr
    assert not (clone.path / "a trace").exists()


def rows_of(clone: Project, base: str) -> dict[str, list[str]]:
    clone.must("make", "compare", f"BASE={base}")
    return rows(clone)


def lock_of(clone: Project) -> dict[str, Any]:
    lock: dict[str, Any] = yaml.safe_load((clone.path / "dvc.lock").read_text())
    return lock

"""Linked worktrees, and a project in a subfolder of a larger repository: whatever git supports."""

import re
import shutil
import sys
from pathlib import Path

import pytest
import yaml

from tests.pipeline.test_same_bytes import outputs
from tests.project import Project, commit, sign

pytestmark = pytest.mark.pipeline

MAKE = ("make", "--old-file", ".venv/installed")


def with_environment(project: Project) -> Project:
    """Link the environment of these tests to a checkout, and install the git hooks."""
    (project.path / ".venv").symlink_to(sys.prefix)
    project.must("python", "-m", "anteojos.team", "hook")
    return project


@pytest.fixture
def larger(project: Project, tmp_path: Path) -> Project:
    """The small project in the folder models/faces of a larger repository, which has a remote and a branch `other`."""
    top = tmp_path / "a larger repository"
    (top / "models").mkdir(parents=True)
    shutil.rmtree(project.path / ".git")
    shutil.move(project.path, top / "models/faces")
    (top / "other.txt").write_text("first")
    Project(top).must("git", "init", "--quiet", "--initial-branch", "main")
    found = Project(top / "models/faces")
    sign(found)
    found.must("dvc", "remote", "add", "--quiet", "--default", "team", str(tmp_path / "store"))
    commit(found, "All of it")
    found.must("git", "checkout", "--quiet", "-b", "other")
    found.set("predict.threshold", 0.9)
    found.repro()
    commit(found, "Another threshold")
    found.must("git", "checkout", "--quiet", "main")
    found.must("dvc", "checkout")
    project.path.mkdir()  # the fixture removes it
    return with_environment(found)


@pytest.fixture
def linked(larger: Project, tmp_path: Path) -> Project:
    """A linked worktree of the larger repository, with the cache of the first."""
    larger.must("git", "worktree", "add", "--quiet", "-b", "mine", str(tmp_path / "linked"))
    found = Project(tmp_path / "linked/models/faces")
    found.must("dvc", "cache", "dir", "--local", str(larger.path / ".dvc/cache"))
    found.must("dvc", "checkout")
    return with_environment(found)


def test_hooks_work_in_a_subfolder_and_in_a_worktree(larger: Project, linked: Project) -> None:
    assert outputs(linked) == outputs(larger)
    hooks = Path(linked.must("git", "rev-parse", "--path-format=absolute", "--git-path", "hooks").strip())
    assert "cd models/faces" in (hooks / "post-merge").read_text()
    for project in (larger, linked):
        before = outputs(project)
        for command in (("merge", "--quiet", "other"), ("checkout", "--quiet", "HEAD^")):
            # Also if git is called in another folder of the checkout.
            done = Project(project.path.parent).run("git", *command)
            assert re.search(r"^Checked out the data of this commit: .*models/model.tflite", done.stderr, re.MULTILINE)
            assert "pulled" not in done.stderr  # nothing has been pushed, and all is in the cache
            assert project.must("dvc", "status").strip() == "Data and pipelines are up to date."
        assert outputs(project) == before


def test_targets_work_in_a_subfolder_of_a_worktree(linked: Project) -> None:
    assert "There is no model yet" not in linked.must(*MAKE, "repro")
    assert "The model passes." in linked.must(*MAKE, "gate", "BASE=other")
    assert "| params.yaml | predict.threshold | 0.9" in linked.must(*MAKE, "compare", "BASE=other")
    linked.must(*MAKE, "push")
    assert "All data in dvc.lock are in the remote" in linked.must(*MAKE, "check-committed")
    (linked.path.parents[1] / "other.txt").write_text("second")
    (linked.path / "metrics/predict.json").unlink()
    failed = linked.run(*MAKE, "check-committed")
    assert "\n  metrics/predict.json: deleted, but in the commit\n" in failed.stderr
    assert "other.txt" not in failed.stderr
    failed = linked.run(*MAKE, "release", "VERSION=v1.0.0")
    assert "\n  metrics/predict.json: not committed; commit or undo the changes" in failed.stderr
    linked.must("git", "checkout", "--quiet", "--", "metrics")
    output = linked.must(*MAKE, "check-reproduced")
    assert re.search(r"(\d+) of \1 outputs are the same to the byte", output), output


def test_release_in_a_subfolder_is_found_by_its_path(larger: Project, tmp_path: Path) -> None:
    output = larger.must(*MAKE, "release", "VERSION=v1.0.0")
    top = larger.path.parents[1]
    commands = re.findall(r"^  (dvc .+)$", output, re.MULTILINE)
    assert len(commands) == 2
    (tmp_path / "elsewhere").mkdir()
    elsewhere = Project(tmp_path / "elsewhere")
    for command in commands:
        elsewhere.must("sh", "-c", command.replace("REPOSITORY", f"'{top}'"))
    for got, expected in (("model.tflite", "models/model.tflite"), ("classifier-v1.0.0.md", "models/README.md")):
        assert (elsewhere.path / got).read_bytes() == (larger.path / expected).read_bytes()


def test_resolve_in_a_subfolder_names_conflicts_elsewhere(larger: Project) -> None:
    other = larger.path.parents[1] / "other.txt"
    other.write_text("mine")
    larger.set("predict.uncertain", [0.0, 1.0])
    larger.repro()
    larger.must("git", "commit", "--quiet", "--all", "--message", "Mine")
    larger.must("git", "checkout", "--quiet", "other")
    other.write_text("theirs")
    larger.must("git", "commit", "--quiet", "--all", "--message", "Theirs")
    assert larger.run("git", "merge", "main").returncode == 1
    failed = larger.run(*MAKE, "resolve")
    assert "are in conflict\n  ../../other.txt\nResolve these first" in failed.stderr
    other.write_text("both")
    larger.must("git", "add", str(other))
    assert "finish the merge with `git commit`" in larger.must(*MAKE, "resolve")
    lock = yaml.safe_load((larger.path / "dvc.lock").read_text())["stages"]["package"]["params"]["params.yaml"]
    assert (lock["predict.threshold"], lock["predict.uncertain"]) == (0.9, [0.0, 1.0])


def test_setup_in_a_worktree_is_done_once(project: Project, tmp_path: Path) -> None:
    project.must("git", "worktree", "add", "--quiet", "-b", "mine", str(tmp_path / "linked"))
    linked = Project(tmp_path / "linked")
    # As after the installation, which takes minutes.
    (linked.path / ".venv/bin").mkdir(parents=True)
    (linked.path / ".venv/bin/python").symlink_to(sys.executable)
    (linked.path / "src/anteojos/team/install.py").write_text("print('installing')\n")
    assert "installing" in linked.must("make", "setup", PYTHONPATH="src")
    assert "installing" not in linked.must("make", "setup", PYTHONPATH="src")
    assert (project.path / ".git/hooks/post-merge").exists()

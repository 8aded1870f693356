"""Fixtures: a team that shares data through each kind of storage, and counts of what was tested."""

import hashlib
import shutil
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from tests.project import Project, RunWith, built_once, clone, commit
from tests.team.remote.servers import S3, Folder

TRIED: Counter[str] = Counter()
SEEN: dict[tuple[str, str, str], int] = {}  # bytes of each object, by storage, place and name


@dataclass(frozen=True)
class Team:
    """People who share data at `place` in `storage`; `first` has pushed its branch main. Tests copy or clone it."""

    storage: Folder
    place: str
    first: Project

    def clone(self, path: Path) -> Project:
        """Clone the commits of `first`, without data."""
        return clone(self.first.path, path, **self.storage.environment)

    def verified(self) -> set[str]:
        """Return the names of all objects at `place`, after comparing each with its checksum."""
        return verified(self.storage, self.place)


def push(project: Project, *arguments: str) -> str:
    """Push, and check that it succeeds."""
    TRIED["pushes"] += 1
    return project.must("dvc", "push", *arguments)


def pull(project: Project, *arguments: str) -> str:
    """Pull, and check that it succeeds."""
    TRIED["pulls"] += 1
    return project.must("dvc", "pull", *arguments)


def verified(storage: Folder, place: str) -> set[str]:
    """Return the names of the objects at a place, after comparing each with its checksum."""
    objects = {name: storage.read(place, name) for name in storage.names(place)}
    SEEN.update({(storage.name, place, name): len(content) for name, content in objects.items()})
    assert [name for name, content in objects.items() if md5(content) != name.removesuffix(".dir")] == []
    return set(objects)


def md5(content: bytes) -> str:
    return hashlib.md5(content).hexdigest()


def share(project: Project, storage: Folder, place: str) -> Project:
    """Set up and commit a checkout's remote; return the checkout with the environment to use it."""
    project = Project(project.path, storage.environment)
    endpoint = ["--endpoint", storage.endpoint] if isinstance(storage, S3) else []
    project.must("python", "-m", "anteojos.team", "remote", storage.url(place), *endpoint, PYTHONPATH="src")
    commit(project, "Share data through team")
    return project


def outputs(project: Project) -> dict[str, str]:
    """Return the checksum of each output file of dvc.lock, also in folders."""
    lock = yaml.safe_load((project.path / "dvc.lock").read_text())
    paths = [project.path / out["path"] for stage in lock["stages"].values() for out in stage["outs"]]
    files = [file for path in paths for file in (path.rglob("*") if path.is_dir() else [path]) if file.is_file()]
    return {str(file.relative_to(project.path)): md5(file.read_bytes()) for file in sorted(files)}


@pytest.fixture(scope="session", params=["s3", "ssh", "folder"])
def storage(request: pytest.FixtureRequest) -> Folder:
    """Each kind of storage in turn."""
    return request.getfixturevalue(request.param)


@pytest.fixture(scope="session")
def with_branches(small_project: Project, run_with: RunWith, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Return the small project with two branches that have run with other parameters. Tests copy it."""

    def build(folder: Path) -> None:
        project = small_project.copy_to(folder / "a project")
        project.add_runs_of(run_with("train.epochs", 2))
        changes = {"longer": {"train.epochs": 2}, "stricter": {"evaluate.threshold": 0.9, "predict.threshold": 0.9}}
        for branch, parameters in changes.items():
            project.must("git", "checkout", "--quiet", "-b", branch, "main")
            project.must("dvc", "checkout")
            for key, value in parameters.items():
                project.set(key, value)
            project.repro()
            commit(project, branch)
        project.must("git", "checkout", "--quiet", "main")
        project.must("dvc", "checkout")

    return Project(built_once(tmp_path_factory, "branches", build) / "a project")


@pytest.fixture(scope="session")
def team(storage: Folder, with_branches: Project, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Team]:
    """Return a team whose first member has pushed main, and has two branches that are not pushed."""
    first = share(with_branches.copy_to(tmp_path_factory.mktemp("a team") / "first"), storage, "team")
    for branch in ("longer", "stricter"):
        first.must("git", "checkout", "--quiet", branch)
        first.must("git", "merge", "--quiet", "--message", "The remote", "main")
    first.must("git", "checkout", "--quiet", "main")
    push(first)
    yield Team(storage, "team", first)
    shutil.rmtree(first.path)


@pytest.fixture
def place(request: pytest.FixtureRequest) -> str:
    """Return a place in a storage that no other test uses."""
    return md5(request.node.nodeid.encode())[:8]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print how much was tested, for the docs."""
    if TRIED:
        storages = ", ".join(sorted({storage for storage, _, _ in SEEN}))
        counts = ", ".join(f"{count} {what}" for what, count in sorted(TRIED.items()))
        megabytes = sum(SEEN.values()) / 1e6
        terminalreporter.write_line(
            f"remote: {storages}: {counts}; {len(SEEN)} objects ({megabytes:.0f} MB) compared with their checksums"
        )

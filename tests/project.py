"""A small copy of the project in its own repository, in which tests run the real dvc."""

import fcntl
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[1]
STAGES = tuple(yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"])

# Few and small images and one short epoch, to run the whole pipeline in little time.
SMALL = {
    "dataset.expected": {
        "train": {"glasses": 6, "noglasses": 6},
        "validate": {"glasses": 4, "noglasses": 4},
        "test": {"glasses": 2, "noglasses": 2},
    },
    "dataset.drawn": None,
    # Large enough to find all faces.
    "dataset.size": 96,
    "preprocess.size": 48,
    "train.network": "baseline",
    "train.epochs": 1,
}


@dataclass(frozen=True)
class Project:
    """A checkout at `path`; `environment` is set for each command that runs in it."""

    path: Path
    environment: dict[str, str] = field(default_factory=dict)

    def run(self, *command: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run a command in the checkout, with this Python first on the path."""
        started = self.started(*command, **environment)
        stdout, stderr = started.communicate(timeout=240)
        return subprocess.CompletedProcess(command, started.returncode, stdout, stderr)

    def started(self, *command: str, **environment: str) -> subprocess.Popen[str]:
        """Start a command as `run` does, in a process group of its own, and do not wait for it."""
        path = os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))
        # Remove the variables that `make test` sets, so that `make` runs as from a shell.
        of_make = ("MAKEFLAGS", "MAKELEVEL", "MFLAGS", "ARGS", "BASE")
        shell = {name: value for name, value in os.environ.items() if name not in of_make}
        return subprocess.Popen(
            command,
            cwd=self.path,
            env={**shell, "PATH": path, "DVC_NO_ANALYTICS": "1", **self.environment, **environment},
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )

    def must(self, *command: str, **environment: str) -> str:
        """Run a command that must succeed; return its stdout."""
        done = self.run(*command, **environment)
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def set(self, key: str, value: Any) -> None:
        """Change a parameter."""
        path = self.path / "params.yaml"
        params = yaml.safe_load(path.read_text())
        *sections, name = key.split(".")
        place = params
        for section in sections:
            place = place[section]
        assert name in place
        place[name] = value
        path.write_text(yaml.safe_dump(params, sort_keys=False))

    def repro(self, *arguments: str) -> dict[str, str]:
        """Run `dvc repro`; return what happened to each stage: "ran", "restored" or "unchanged"."""
        output = self.must("dvc", "repro", *arguments)
        words = (
            (r"Running stage '(\w+)'", "ran"),
            (r"Stage '(\w+)' is cached - skipping run", "restored"),
            (r"Stage '(\w+)' didn't change, skipping", "unchanged"),
        )
        return {stage: word for pattern, word in words for stage in re.findall(pattern, output)}

    def add_runs_of(self, other: "Project", *without: str) -> None:
        """Copy the runs in another project's cache, except those of some stages, so that `dvc repro` restores them."""
        cache, others = (project.path / ".dvc/cache" for project in (self, other))
        files = {"".join(file.parts[-2:]): file for file in (others / "files/md5").glob("*/*")}
        stages = yaml.safe_load((other.path / "dvc.lock").read_text())["stages"]
        left_out = {out["md5"] for stage in without for out in stages[stage]["outs"]}
        for folder in [md5 for md5 in left_out if md5.endswith(".dir")]:
            left_out |= {file["md5"] for file in json.loads(files[folder].read_text())}
        for file in (others / "runs").glob("*/*/*"):
            if not any(f"anteojos.stages.{stage}\n" in file.read_text() for stage in without):
                files[file.name] = file
        for name, file in files.items():
            place = cache / file.relative_to(others)
            if name not in left_out and not place.exists():
                place.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(file, place)

    def copy_to(self, path: Path) -> "Project":
        """Copy the checkout with DVC's cache."""
        shutil.copytree(self.path, path, symlinks=True)
        return Project(path, self.environment)


def check_out(path: Path) -> Project:
    """Copy the project from the working tree into a new git repository at `path`."""
    files = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
    ).stdout.decode()
    for file in filter(None, files.split("\0")):
        if (ROOT / file).is_file():
            (path / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / file, path / file)
    project = Project(path)
    project.must("git", "init", "--quiet", "--initial-branch", "main")
    sign(project)
    return project


def clone(origin: Path, path: Path, **environment: str) -> Project:
    """Clone a repository, as a colleague does: without DVC's cache."""
    subprocess.run(["git", "clone", "--quiet", origin, path], check=True)
    project = Project(path, environment)
    sign(project)
    return project


def sign(project: Project) -> None:
    """Configure the author of the commits."""
    project.must("git", "config", "user.name", "A tester")
    project.must("git", "config", "user.email", "tester@example.invalid")


def commit(project: Project, message: str) -> None:
    """Commit everything."""
    project.must("git", "add", "--all")
    project.must("git", "commit", "--quiet", "--message", message)


def built_once(tmp_path_factory: pytest.TempPathFactory, name: str, build: Callable[[Path], object]) -> Path:
    """Return a new folder that `build` has filled. With pytest-xdist, one process builds it for all processes."""
    run = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        run = run.parent
    folder, done = run / name, run / f"{name} is built"
    with (run / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not done.exists():
            folder.mkdir()
            build(folder)
            done.touch()
    return folder


@pytest.fixture(scope="session")
def small_project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A small project that has run once and is committed. Tests may copy it, but not change it."""

    def build(folder: Path) -> None:
        project = check_out(folder)
        for key, value in SMALL.items():
            project.set(key, value)
        # The committed dvc.lock is for other parameters, and its outputs are not in this cache.
        (project.path / "dvc.lock").unlink(missing_ok=True)
        commit(project, "A small project")
        assert set(project.repro().values()) == {"ran"}
        commit(project, "A small run")

    # The space in the path is part of the test.
    return Project(built_once(tmp_path_factory, "small project", build))


@dataclass(frozen=True)
class Changed(Project):
    """A small project that has run again, with another value of a parameter; `ran` is what happened to each stage."""

    ran: dict[str, str] = field(default_factory=dict)


RunWith = Callable[[str, Any], Changed]


@pytest.fixture(scope="session")
def run_with(small_project: Project, tmp_path_factory: pytest.TempPathFactory) -> RunWith:
    """Run the small project with another value of a parameter, once for all tests. Tests may copy it, not change it."""

    def run(key: str, value: Any) -> Changed:
        def build(folder: Path) -> None:
            project = small_project.copy_to(folder / "a project")
            project.set(key, value)
            (folder / "ran.json").write_text(json.dumps(project.repro()))

        folder = built_once(tmp_path_factory, f"{key} {value}", build)
        return Changed(folder / "a project", ran=json.loads((folder / "ran.json").read_text()))

    return run


@pytest.fixture(scope="session")
def other_images(run_with: RunWith) -> Changed:
    """The small project after a run on other images."""
    return run_with("dataset.seed", 7)


@pytest.fixture
def project(small_project: Project, tmp_path: Path) -> Iterator[Project]:
    """A copy of the small project that has run, which a test may change."""
    copy = small_project.copy_to(tmp_path / "a project")
    yield copy
    # DVC's caches of many tests would fill the disk.
    shutil.rmtree(copy.path)

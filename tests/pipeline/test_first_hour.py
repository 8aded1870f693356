"""Errors of the first hour say what to do next; docs/reference/errors.md lists them."""

import hashlib
import os
import re
import shutil
import sys
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.pages import ERRORS, undocumented
from tests.pipeline.test_faults import contents, make, small_disk
from tests.project import Project, clone

pytestmark = pytest.mark.pipeline

# Ignore the pip settings of this machine; no server listens on port 9.
NO_INDEX = {
    "PIP_CONFIG_FILE": os.devnull,
    "PIP_INDEX_URL": "http://127.0.0.1:9/simple",
    "PIP_EXTRA_INDEX_URL": "",
    "PIP_FIND_LINKS": "",
    "PIP_RETRIES": "1",
    "PIP_NO_CACHE_DIR": "1",
}


@pytest.fixture
def new(tmp_path: Path) -> Project:
    """Return a checkout with only the files that `make setup` needs."""
    checkout = tmp_path / "a new checkout"
    for file in ("Makefile", "requirements.lock", "src/anteojos/team/install.py"):
        (checkout / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / file, checkout / file)
    return Project(checkout)


def pretending(folder: Path, code: str) -> dict[str, str]:
    """Return an environment in which each new Python process runs `code` first."""
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(f"import sys\n{code}\n")
    return {"PYTHONPATH": str(folder)}


def refused(new: Project, *arguments: str, **environment: str) -> str:
    """Run `make setup`; check that it fails without a traceback and leaves no environment; return its stderr."""
    failed = new.run("make", "setup", *arguments, **environment)
    assert failed.returncode != 0
    assert "Traceback" not in failed.stderr
    assert not (new.path / ".venv/bin").exists()
    return failed.stderr


def test_missing_python_names_supported_versions(new: Project) -> None:
    output = refused(new, "PYTHON=python3.99")
    assert "anteojos needs Python 3.11, 3.12 or 3.13; there is no python3.99. Name another: make PYTHON=" in output


@pytest.mark.parametrize("version", [(2, 7), (3, 10), (3, 14)])
def test_unsupported_python_version_is_named(new: Project, version: tuple[int, int]) -> None:
    other = new.path / "other python"
    other.write_text(
        f"#!/bin/sh\nexec '{sys.executable}' -c 'import sys; sys.version_info = {version}; exec(sys.argv[1])' \"$2\"\n"
    )
    other.chmod(0o755)
    output = refused(new, "PYTHON=./other python")
    assert "anteojos needs Python 3.11, 3.12 or 3.13; ./other python is {}.{}. Name another:".format(*version) in output
    assert undocumented("Python is too old, too new or missing", output) == []
    assert not (new.path / ".venv").exists()


AT_ONCE = ("A 32-bit Python", "No module venv", ".venv is a link")  # headings in errors.md


def test_all_obstacles_of_the_setup_are_named_at_once(new: Project, tmp_path: Path) -> None:
    code = "sys.maxsize = 2**31 - 1\nsys.modules['ensurepip'] = None"
    (tmp_path / "used by others").mkdir()
    (tmp_path / "used by others/file").touch()
    (new.path / ".venv").symlink_to(tmp_path / "used by others")
    output = refused(new, **pretending(tmp_path / "pretend", code))
    python = shutil.which("python3", path=str(Path(sys.executable).parent))
    version = "{}.{}".format(*sys.version_info)
    assert "The environment cannot be set up:\n" in output
    assert f"  {python} is a 32-bit Python, but TensorFlow needs 64 bit: name another with make PYTHON=…" in output
    assert f"  {python} has no module venv: on Debian and Ubuntu, apt install python{version}-venv\n" in output
    for heading in AT_ONCE:
        assert undocumented(heading, output) == []
    assert (tmp_path / "used by others/file").exists()


def test_full_disk_is_named_before_anything_is_installed(new: Project) -> None:
    with small_disk(new.path, 5000):
        output = refused(new)
        assert f"{new.path} has 0.0 GB free, .venv needs 2.6 GB: make room" in output
        assert undocumented("No disk space for the environment", output) == []
        assert not (new.path / ".venv").exists()


def test_pip_without_network_shows_its_error_and_leaves_no_venv(new: Project) -> None:
    output = refused(new, **NO_INDEX)
    assert [undocumented("pip fails", output, block) for block in (0, 1)] == [[], []]


def local_packages(new: Project, content: bytes, sha256: str, suffix: str = "-py3-none-any.whl") -> dict[str, str]:
    """Lock a package with a checksum, and write its file; return the environment in which pip finds it."""
    folder = new.path / "packages"
    folder.mkdir()
    (folder / f"compiled-1.0{suffix}").write_bytes(content)
    (new.path / "requirements.lock").write_text(f"compiled==1.0 --hash=sha256:{sha256}\n")
    return {**NO_INDEX, "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": folder.as_uri()}


def test_setup_installs_wheels_and_never_compiles(new: Project) -> None:
    output = refused(new, **local_packages(new, b"", 64 * "0", ".tar.gz"))
    assert "No matching distribution found for compiled==1.0" in output
    assert undocumented("pip fails", output, 2) == []


def test_package_with_another_checksum_is_refused(new: Project) -> None:
    output = refused(new, **local_packages(new, b"changed", 64 * "0"))
    assert undocumented("pip fails", output, 3) == []


def test_full_disk_for_temporary_files_is_named(new: Project, tmp_path: Path) -> None:
    content = os.urandom(20_000_000)
    environment = local_packages(new, content, hashlib.sha256(content).hexdigest())
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(SimpleHTTPRequestHandler, directory=new.path / "packages"))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    (tmp_path / "temporary").mkdir()
    with small_disk(tmp_path / "temporary", 10_000):
        links = f"http://127.0.0.1:{server.server_port}/"
        output = refused(new, **{**environment, "PIP_FIND_LINKS": links}, TMPDIR=str(tmp_path / "temporary"))
    server.shutdown()
    server.server_close()
    assert undocumented("pip fails", output, 4) == []


def test_wrong_key_is_named_before_dvc_removes_an_output(project: Project, small_project: Project) -> None:
    params = project.path / "params.yaml"
    text = params.read_text()
    params.write_text(text.replace("  epochs: ", "  epoch: ").replace("  border: 22\n", ""))
    failed = project.run(*make(project, "repro"))
    assert failed.returncode != 0
    assert undocumented("A wrong key in params.yaml", failed.stderr) == []
    assert contents(project) == contents(small_project)
    # DVC has its own message; the next run restores the removed outputs.
    alone = project.run("dvc", "repro")
    assert undocumented("A wrong key in params.yaml", alone.stderr, 1) == []
    params.write_text(text)
    assert "ran" not in project.repro().values()
    assert contents(project) == contents(small_project)


def test_first_run_says_how_long_it_takes(project: Project, tmp_path: Path) -> None:
    text = "There is no model yet: all stages run, which takes 3 minutes"
    fresh = clone(project.path, tmp_path / "fresh")
    ready = "import sys; from anteojos.team import ready; ready.check(sys.argv[1:])"
    assert text in fresh.must("python", "-c", ready, PYTHONPATH="src")
    # Not if stages are selected, or nothing has changed, or DVC restores the model.
    assert text not in fresh.must("python", "-c", ready, "--pull", PYTHONPATH="src")
    assert text not in project.must("python", "-c", ready, PYTHONPATH="src")
    (project.path / "models/model.tflite").unlink()
    assert text not in project.must(*make(project, "repro"))


def test_failed_repro_keeps_what_git_tracks(project: Project, tmp_path: Path) -> None:
    fresh = clone(project.path, tmp_path / "fresh")
    fresh.set("evaluate.bins", 7)
    failed = fresh.run(*make(fresh, "repro"), "ARGS=--pull --allow-missing")
    assert failed.returncode != 0
    assert "Restored from git: metrics/evaluate.json" in failed.stderr
    assert "without --allow-missing, the stages that write them run" in failed.stderr
    assert fresh.must("git", "status", "--porcelain") == " M params.yaml\n"


def test_checkout_of_another_user_shows_the_message_of_git(project: Project) -> None:
    other = {"GIT_TEST_ASSUME_DIFFERENT_OWNER": "1", "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
    for target in ("repro", "gate", "check-committed", "resolve", "check-reproduced"):
        failed = project.run(*make(project, target), **other)
        assert failed.returncode != 0
        assert undocumented("A checkout of another user", failed.stderr) == []
        assert "Clone the repository" not in failed.stderr
    hooks = project.run("python", "-m", "anteojos.team", "hook", **other)
    assert hooks.returncode == 0
    assert "The git hooks were not installed: " in hooks.stderr
    assert "dubious ownership" in hooks.stderr


@pytest.mark.parametrize(
    ("target", "text"),
    [
        ("remote", "URL is missing: where to store the data\n  expected s3://bucket/path\n"),
        ("remote", "For example: make remote URL=s3://bucket/anteojos"),
        ("release", "VERSION is missing: the version to release, for example make release VERSION=v1.0.0"),
        ("gate BASE=", "BASE= is empty; expected a branch, a tag or a checksum: make gate BASE=main"),
        ("compare BASE=nothing", "BASE=nothing: no such commit in this clone; expected a branch, a tag or a checksum"),
        ("push", "there is no default remote to push to\nSet one up: make remote URL=s3://bucket/path"),
    ],
)
def test_missing_argument_shows_an_example(small_project: Project, target: str, text: str, tmp_path: Path) -> None:
    name, *arguments = target.split()
    fresh = clone(small_project.path, tmp_path / "fresh")
    failed = fresh.run(*make(fresh, name), *arguments)
    assert failed.returncode != 0
    assert text in failed.stderr


def test_zip_download_without_git_is_an_error(project: Project) -> None:
    command = make(project, "repro")
    shutil.rmtree(project.path / ".git")
    failed = project.run(*command)
    assert failed.returncode != 0
    assert undocumented("No git repository", failed.stderr) == []
    assert "is not a git repository" in project.run("dvc", "repro").stderr


def test_activated_environment_has_dvc_and_anteojos(project: Project) -> None:
    without = {"PATH": "/usr/bin:/bin"}
    output = project.run("sh", "-c", "dvc status", **without).stderr
    assert undocumented("dvc or anteojos is not found", output) == []
    make(project, "repro")
    activated = project.run("bash", "-c", "source .venv/bin/activate && dvc status && anteojos --help", **without)
    assert (activated.returncode, activated.stderr) == (0, "")


def test_dvc_in_another_folder_is_documented(project: Project, tmp_path: Path) -> None:
    outside = Project(tmp_path).run("dvc", "repro")
    assert undocumented("Not in the checkout", outside.stderr, 0) == []
    inside = Project(project.path / "docs").run("dvc", "repro")
    assert undocumented("Not in the checkout", inside.stderr, 1) == []
    stage = Project(tmp_path).run("python", "-m", "anteojos.stages.fetch")
    assert undocumented("Not in the checkout", stage.stderr, 2) == []


def test_other_dataset_layout_is_named(project: Project, tmp_path: Path) -> None:
    for folder in ("photos", "photos/more"):
        (tmp_path / "faces" / folder).mkdir(parents=True)
        (tmp_path / "faces" / folder / "a.jpg").touch()
    project.set("dataset.source", "archive")
    project.set("dataset.archive", "../faces")
    failed = project.run("dvc", "repro")
    assert undocumented("A dataset with another layout", failed.stderr) == []


def test_model_of_other_classes_after_a_failed_run(project: Project) -> None:
    project.set("dataset.classes", [{"folder": "mask", "name": "mask"}, {"folder": "nomask", "name": "no mask"}])
    counts = {split: {"mask": 2, "nomask": 2} for split in ("train", "validate", "test")}
    project.set("dataset.expected", counts)
    project.set("dataset.source", "archive")
    project.set("dataset.archive", "nowhere.zip")
    assert project.run("dvc", "repro").returncode != 0
    done = project.run("anteojos", "predict", "data/raw/test")
    assert (done.returncode, done.stdout.count("glasses")) == (0, 4)
    assert undocumented("A model of other classes", done.stderr) == []


def test_command_in_another_folder_misses_the_model(project: Project, tmp_path: Path) -> None:
    failed = Project(tmp_path).run("anteojos", "predict", "a", PYTHONPATH=str(project.path / "src"))
    assert undocumented("No model in this folder", failed.stderr) == []


def test_every_documented_error_has_a_test() -> None:
    headings = set(re.findall(r"^### (.+)$", ERRORS.read_text(encoding="utf-8"), re.MULTILINE))
    tests = "".join(file.read_text(encoding="utf-8") for file in (ROOT / "tests").glob("**/*.py"))
    named = re.findall(r'undocumented\(\s*"([^"]+)"', tests)
    assert {*named, *AT_ONCE} == headings

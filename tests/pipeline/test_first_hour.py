"""What goes wrong in a new user's first hour says what it is and what to do next; docs/reference/errors.md lists it."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from anteojos.team import install
from tests.conftest import ROOT
from tests.pages import ERRORS, undocumented
from tests.pipeline.test_faults import contents, make, small_disk
from tests.project import Project

pytestmark = pytest.mark.pipeline

# Nothing of the index that this machine has, and nobody listens on port 9.
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
    """What `make setup` needs of a checkout, in which nothing is installed yet."""
    checkout = tmp_path / "a new checkout"
    for file in ("Makefile", "requirements.lock", "src/anteojos/team/install.py"):
        (checkout / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / file, checkout / file)
    return Project(checkout)


def pretending(folder: Path, code: str) -> dict[str, str]:
    """Let a Python that is started take the system for another, as `code` says."""
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(f"import sys\n{code}\n")
    return {"PYTHONPATH": str(folder)}


def refused(new: Project, *arguments: str, **environment: str) -> str:
    """Run `make setup`, which has to fail and leave nothing that the next one takes for an environment."""
    failed = new.run("make", "setup", *arguments, **environment)
    assert failed.returncode != 0
    assert "Traceback" not in failed.stderr
    assert not (new.path / ".venv/installed").exists()
    return failed.stderr


def test_without_python_setup_names_those_that_will_do(new: Project) -> None:
    said = refused(new, "PYTHON=python3.99")
    assert "anteojos needs Python 3.11, 3.12 or 3.13; there is no python3.99. Name another: make PYTHON=" in said


@pytest.mark.parametrize("version", [(2, 7), (3, 10), (3, 14)])
def test_a_python_that_is_too_old_or_too_new_is_named(new: Project, version: tuple[int, int]) -> None:
    other = new.path / "other python"
    other.write_text(
        f"#!/bin/sh\nexec '{sys.executable}' -c 'import sys; sys.version_info = {version}; exec(sys.argv[1])' \"$2\"\n"
    )
    other.chmod(0o755)
    said = refused(new, "PYTHON=./other python")
    assert "anteojos needs Python 3.11, 3.12 or 3.13; ./other python is {}.{}. Name another:".format(*version) in said
    assert undocumented("Python is too old, too new or missing", said) == []
    assert not (new.path / ".venv").exists()


AT_ONCE = ("A 32-bit Python", "No module venv", ".venv is a link")  # headings of the page of errors


def test_all_that_keeps_the_environment_from_being_set_up_is_said_at_once(new: Project, tmp_path: Path) -> None:
    code = "sys.maxsize = 2**31 - 1\nsys.modules['ensurepip'] = None"
    (tmp_path / "used by others").mkdir()
    (tmp_path / "used by others/file").touch()
    (new.path / ".venv").symlink_to(tmp_path / "used by others")
    said = refused(new, **pretending(tmp_path / "pretend", code))
    python = shutil.which("python3", path=str(Path(sys.executable).parent))
    version = "{}.{}".format(*sys.version_info)
    assert "The environment cannot be set up:\n" in said
    assert f"  {python} is a 32-bit Python, for which there is no TensorFlow: make PYTHON=… names a 64-bit" in said
    assert f"  {python} has no module venv: on Debian and Ubuntu, apt install python{version}-venv\n" in said
    for heading in AT_ONCE:
        assert undocumented(heading, said) == []
    assert (tmp_path / "used by others/file").exists()


def test_a_full_disk_is_told_of_before_anything_is_installed(new: Project) -> None:
    with small_disk(new.path, 5000):
        said = refused(new)
        assert f"{new.path} has 0.0 GB free, .venv takes 2.6 GB: make room" in said
        assert undocumented("No disk space for the environment", said) == []
        assert not (new.path / ".venv").exists()


def test_without_a_network_setup_says_so_and_the_next_one_begins_anew(new: Project) -> None:
    said = refused(new, **NO_INDEX)
    assert undocumented("No network", said) == []
    # What stands half-made in .venv is no reason to refuse.
    assert "cannot be set up" not in refused(new, **NO_INDEX, PIP_NO_INDEX="1")


# As pip 24 and 26 say it.
PIP_SAID = {
    "ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device": "The disk is full.",
    "ERROR: Could not install packages due to an OSError: [Errno 122] Disk quota exceeded": "The disk is full.",
    "ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE.": "What arrived is not what",
    "WARNING: Retrying (Retry(total=0)) after connection broken by 'NewConnectionError(': Failed to establish a new "
    "connection: [Errno 111] Connection refused')': /simple/x/\nERROR: No matching distribution found for x==1": (
        "The package index cannot be reached."
    ),
    "WARNING: Retrying after connection broken by 'NameResolutionError(\"Failed to resolve 'host'\")': /simple/x/": (
        "The package index cannot be reached."
    ),
    "Could not fetch URL https://host/simple/x/: There was a problem confirming the ssl certificate: SSLError(": (
        "The package index cannot be reached."
    ),
    "ERROR: HTTP error 403 while getting https://host/x.whl": "The package index cannot be reached.",
    "ERROR: Could not find a version that satisfies the requirement x==1 (from versions: none)\nERROR: No matching "
    "distribution found for x==1": "The index has no such package for this machine",
    "ERROR: Something else": "Look what pip says above",
}


@pytest.mark.parametrize("said", PIP_SAID, ids=range(len(PIP_SAID)))
def test_what_pip_says_is_followed_by_the_next_step(said: str) -> None:
    assert install.next_step(said).startswith(PIP_SAID[said])


def test_the_next_steps_are_those_of_the_page_of_errors() -> None:
    full, changed = (
        install.next_step(said) for said in ("[Errno 28] No space left on device", "DO NOT MATCH THE HASHES")
    )
    assert undocumented("No disk space for the environment", f"{full}\nThen run the same command again.", 1) == []
    assert undocumented("What was downloaded is not what was expected", changed) == []


def test_setup_installs_from_wheels_and_never_compiles(new: Project, tmp_path: Path) -> None:
    source = tmp_path / "only as source"
    source.mkdir()
    subprocess.run(["tar", "-czf", source / "compiled-1.0.tar.gz", "-C", ROOT, "LICENSE"], check=True)
    (new.path / "requirements.lock").write_text(f"compiled==1.0 --hash=sha256:{'0' * 64}\n")
    said = refused(new, **{**NO_INDEX, "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": source.as_uri()})
    assert "No matching distribution found for compiled==1.0" in said
    assert undocumented("No package for this machine", said) == []


def test_a_wrong_key_is_named_before_dvc_has_removed_an_output(project: Project, small_project: Project) -> None:
    params = project.path / "params.yaml"
    text = params.read_text()
    params.write_text(text.replace("  epochs: ", "  epoch: ").replace("  border: 22\n", ""))
    failed = project.run(*make(project, "repro"))
    assert failed.returncode != 0
    assert undocumented("A wrong key in params.yaml", failed.stderr) == []
    assert contents(project) == contents(small_project)
    # DVC's own word for it; what it has removed comes back.
    alone = project.run("dvc", "repro")
    assert undocumented("A wrong key in params.yaml", alone.stderr, 1) == []
    params.write_text(text)
    assert "ran" not in project.repro().values()
    assert contents(project) == contents(small_project)


def test_the_first_run_says_how_long_it_takes(project: Project) -> None:
    assert "There is no model here yet" not in project.must(*make(project, "repro"))
    (project.path / "models/model.tflite").unlink()
    assert "all stages run, which takes about 3 minutes" in project.must(*make(project, "repro"))


def test_a_download_without_git_is_told_from_a_clone(project: Project) -> None:
    command = make(project, "repro")
    shutil.rmtree(project.path / ".git")
    failed = project.run(*command)
    assert failed.returncode != 0
    assert undocumented("No git repository", failed.stderr) == []
    assert "is not a git repository" in project.run("dvc", "repro").stderr


def test_dvc_and_the_command_are_there_once_the_environment_is_activated(project: Project) -> None:
    without = {"PATH": "/usr/bin:/bin"}
    said = project.run("sh", "-c", "dvc status", **without).stderr
    assert undocumented("dvc or anteojos is not found", said) == []
    make(project, "repro")
    activated = project.run("bash", "-c", "source .venv/bin/activate && dvc status && anteojos --help", **without)
    assert (activated.returncode, activated.stderr) == (0, "")


def test_dvc_in_another_folder_says_where_it_looked(project: Project, tmp_path: Path) -> None:
    outside = Project(tmp_path).run("dvc", "repro")
    assert undocumented("Not in the checkout", outside.stderr, 0) == []
    inside = Project(project.path / "docs").run("dvc", "repro")
    assert undocumented("Not in the checkout", inside.stderr, 1) == []
    stage = Project(tmp_path).run("python", "-m", "anteojos.stages.fetch")
    assert undocumented("Not in the checkout", stage.stderr, 2) == []


def test_a_dataset_in_another_layout_is_told_what_was_found_and_expected(project: Project, tmp_path: Path) -> None:
    for folder in ("training/glasses", "training/noglasses", "val/glasses"):
        (tmp_path / "faces" / folder).mkdir(parents=True)
    project.set("dataset.source", "archive")
    project.set("dataset.archive", "../faces")
    failed = project.run("dvc", "repro")
    assert undocumented("A dataset with another layout", failed.stderr) == []


def test_a_command_in_another_folder_says_what_it_misses(project: Project, tmp_path: Path) -> None:
    failed = Project(tmp_path).run("anteojos", "predict", "a", PYTHONPATH=str(project.path / "src"))
    assert undocumented("No model in this folder", failed.stderr) == []


def test_every_error_of_the_page_is_tried_by_a_test() -> None:
    headings = set(re.findall(r"^### (.+)$", ERRORS.read_text(encoding="utf-8"), re.MULTILINE))
    tests = "".join(file.read_text(encoding="utf-8") for file in (ROOT / "tests").glob("**/*.py"))
    named = re.findall(r'undocumented\(\s*"([^"]+)"', tests)
    assert {*named, *AT_ONCE} == headings

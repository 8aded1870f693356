"""A version of the model is registered, listed, and downloaded by its number."""

import json
import sys
import time
from hashlib import sha256
from pathlib import Path
from zipfile import ZipFile

import pytest

from tests.project import Project, RunWith, commit
from tests.team.remote.conftest import TRIED, share
from tests.team.remote.servers import S3

pytestmark = [pytest.mark.pipeline, pytest.mark.remote]

MAKE = ("make", "--old-file", ".venv/installed", "release")


def test_version_downloads_exactly_the_released_bytes(
    s3: S3, project: Project, run_with: RunWith, tmp_path: Path, place: str
) -> None:
    (project.path / ".venv").symlink_to(sys.prefix)
    project.add_runs_of(run_with("train.epochs", 2))
    project = share(project, s3, place)
    (project.path / "src/anteojos/stray.py").write_text("")
    released = {}
    for version, epochs in (("v1.0.0", 1), ("v1.1.0", 2)):
        project.set("train.epochs", epochs)
        project.repro()
        if epochs > 1:
            commit(project, "Longer")
        output = project.must(*MAKE, f"VERSION={version}")
        TRIED["pushes"] += 1
        assert f"git push origin HEAD classifier@{version}" in output
        assert sorted(path.name for path in (project.path / "release" / version).iterdir()) == [
            "README.md",
            "SHA256SUMS",
            "anteojos-0.1.0-py3-none-any.whl",
            "model.tflite",
            "release.json",
        ]
        project.must("sh", "-c", f"cd release/{version} && sha256sum --strict --check SHA256SUMS")
        shown = json.loads((project.path / "release" / version / "release.json").read_text())
        assert shown["metrics"] == json.loads((project.path / "metrics/evaluate.json").read_text())
        assert (shown["name"], shown["version"]) == ("classifier", version)
        released[version] = (project.path / "models/model.tflite").read_bytes()
    assert released["v1.0.0"] != released["v1.1.0"]
    for version, model in released.items():
        assert (project.path / "release" / version / "model.tflite").read_bytes() == model
    wheels = [next((project.path / "release" / version).glob("*.whl")) for version in released]
    # The dates of its files are that of the commit, and a file that is not in git is not in it.
    with ZipFile(wheels[0]) as wheel:
        assert "anteojos/stray.py" not in wheel.namelist()
        dates = {entry.date_time[:3] for entry in wheel.infolist()}
    assert dates == {time.gmtime(int(project.must("git", "log", "-1", "--format=%ct", "classifier@v1.0.0")))[:3]}
    shown = project.must("gto", "show", "classifier", "--json")
    assert shown.index('"v1.1.0"') < shown.index('"v1.0.0"')

    # Someone without a clone needs only the URL of the repository.
    origin = tmp_path / "origin.git"
    project.must("git", "clone", "--quiet", "--bare", str(project.path), str(origin))
    empty = Project(tmp_path / "empty", s3.environment)
    empty.path.mkdir()
    for version, model in released.items():
        empty.must("dvc", "artifacts", "get", str(origin), "classifier", "--rev", version, "--out", f"{version}.tflite")
        TRIED["pulls"] += 1
        assert sha256((empty.path / f"{version}.tflite").read_bytes()).digest() == sha256(model).digest()
    empty.must("dvc", "get", str(origin), "models/README.md", "--rev", "classifier@v1.0.0")
    card = (empty.path / "README.md").read_text()
    assert "| train | 6 | 6 |" in card
    assert "1 epochs, seed 1" in card
    assert "95 % interval" in card
    failed = empty.run("dvc", "artifacts", "get", str(origin), "classifier", "--rev", "v9.0.0")
    assert failed.returncode != 0
    assert "Unable to find artifact 'classifier @ v9.0.0'" in failed.stderr


def test_all_obstacles_of_a_release_are_named_at_once(project: Project) -> None:
    (project.path / ".venv").symlink_to(sys.prefix)
    project.set("predict.threshold", 0.9)
    failed = project.run(*MAKE, "VERSION=1.0")
    assert failed.returncode != 0
    for problem in (
        "VERSION: found '1.0', expected a version such as v1.0.0",
        "params.yaml: not committed",
        "run `dvc repro` and commit",
        "there is no default remote",
    ):
        assert problem in failed.stderr
    assert project.must("git", "tag").strip() == ""


def test_existing_version_is_refused(project: Project) -> None:
    (project.path / ".venv").symlink_to(sys.prefix)
    project.must("git", "tag", "classifier@v1.0.0")
    failed = project.run(*MAKE, "VERSION=v1.0.0")
    assert failed.returncode != 0
    assert "classifier@v1.0.0 already exists" in failed.stderr

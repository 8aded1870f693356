"""The whole pipeline on real images, if they are next to the checkout."""

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from PIL import Image

from anteojos import Classifier
from tests.conftest import ROOT
from tests.project import Project, built_once

pytestmark = [pytest.mark.pipeline, pytest.mark.shared]

COUNTS = {"train": 52, "validate": 20, "test": 10}


@pytest.fixture(scope="module")
def real(small_project: Project, shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A checkout that has run on the zip with the committed parameters: edge, trained on aligned faces."""

    def build(folder: Path) -> None:
        project = small_project.copy_to(folder / "a project")
        committed = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
        committed["dataset"] |= {
            "source": "archive",
            "archive": str(shared_data / "glasses-noglasses.zip"),
            "test_labels": str(shared_data / "test_labels.csv"),
        }
        (project.path / "params.yaml").write_text(yaml.safe_dump(committed, sort_keys=False), encoding="utf-8")
        done = project.started("dvc", "repro")
        # More time than other commands, for 120 epochs.
        _, stderr = done.communicate(timeout=900)
        assert done.returncode == 0, stderr

    return Project(built_once(tmp_path_factory, "real", build) / "a project")


def metrics_of(project: Project) -> dict[str, Any]:
    return {file.stem: json.loads(file.read_text()) for file in (project.path / "metrics/details").glob("*.json")}


@pytest.mark.timeout(1200)
def test_pipeline_runs_on_real_images(real: Project, shared_data: Path) -> None:
    metrics = metrics_of(real)
    for split, n in COUNTS.items():
        assert metrics["verify"][split] == {"glasses": n, "noglasses": n}
        assert np.load(real.path / f"data/processed/{split}/images.npy", mmap_mode="r").shape == (2 * n, 160, 160, 3)
    assert metrics["verify"]["test_balance"] == "known"
    assert set(metrics["verify"]["warnings"].values()) == {0}
    assert metrics["audit"]["border"]["verdict"] == "none"
    assert metrics["audit"]["border"]["accuracy"] <= 0.65
    assert metrics["train"]["parameters"] <= 60_000
    assert {split: score["n"] for split, score in metrics["evaluate"].items()} == {"validate": 40, "test": 20}
    # Seed 1; tests/model/test_edge.py checks seeds 0 and 2.
    assert metrics["evaluate"]["validate"]["accuracy"] >= 0.95
    assert metrics["evaluate"]["validate"]["ece"] <= 0.05
    assert metrics["evaluate"]["test"]["accuracy"] >= 0.9
    assert sum(metrics["predict"]["predicted"].values()) == 20
    warnings = metrics["predict"]["warnings"]
    assert warnings["small_face"] == warnings["turned"] == warnings["size"] == 0

    labels = pd.read_csv(shared_data / "test_labels.csv")
    predictions = pd.read_csv(real.path / "data/predictions.csv")
    assert predictions["file"].tolist() == ("test/" + labels["file"]).tolist()


@pytest.mark.timeout(1200)
def test_photographs_faces_found_and_labelled(real: Project, shared_data: Path) -> None:
    classifier = Classifier.load(real.path / "models/model.tflite")
    folder = shared_data / "photographs"
    with (folder / "faces.csv").open(encoding="utf-8") as table:
        expected = list(csv.DictReader(table))
    assert len(expected) == 6
    wrong = []
    for file in sorted({row["file"] for row in expected}):
        faces = sorted((row for row in expected if row["file"] == file), key=lambda row: float(row["x"]))
        found = classifier.faces(folder / file)
        assert len(found) == len(faces), file
        with Image.open(folder / file) as image:
            width, height = image.size
        for row, prediction in zip(faces, found, strict=True):
            assert prediction.face is not None
            left, top, right, bottom = prediction.face.box
            size = float(row["width"])
            assert (left + right) / 2 / width == pytest.approx(float(row["x"]), abs=0.3 * size), file
            assert (top + bottom) / 2 / height == pytest.approx(float(row["y"]), abs=0.3 * size * width / height), file
            assert 0.6 * size < (right - left) / width < 1.5 * size, file
            if prediction.label != row["label"]:
                wrong.append((file, prediction))
    assert wrong == []


@pytest.mark.timeout(1200)
@pytest.mark.parametrize("file", ["chelsea.png", "coffee.png"])
def test_photograph_without_face_has_no_faces(real: Project, shared_data: Path, file: str) -> None:
    assert Classifier.load(real.path / "models/model.tflite").faces(shared_data / "photographs" / file) == []


@pytest.mark.timeout(1200)
def test_whole_images_leak_their_label(real: Project, tmp_path: Path) -> None:
    project = real.copy_to(tmp_path / "a project")
    project.set("preprocess.crop", "none")
    done = project.run("dvc", "repro", "audit")
    assert done.returncode == 0, done.stderr
    border = metrics_of(project)["audit"]["border"]
    assert (border["accuracy"] >= 0.9, border["verdict"]) == (True, "leak")
    assert "Set `preprocess.crop: face` in params.yaml" in done.stderr

"""Images of two other classes need only other parameters: dataset.source, dataset.classes and dataset.expected."""

import csv
import io
import json
import re
import shutil
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from anteojos.sources.drawing import draw_face
from tests.project import Project, built_once, check_out, commit

pytestmark = pytest.mark.pipeline

COUNTS = {"train": 12, "validate": 6, "test": 4}  # of each class
ABOUT_GLASSES = re.compile("glasses|lentes|anteojos(?!`| predict)", re.IGNORECASE)


def draw_masks(folder: Path, counts: Mapping[str, int] = COUNTS) -> None:
    """Draw the same number of faces with and without a mask over mouth and nose, in the folders of the splits."""
    rng = np.random.default_rng(1)
    for split, count in counts.items():
        for number in range(2 * count):
            label = ("mask", "nomask")[number % 2]
            face = draw_face(rng, False, 96)
            if label == "mask":
                ImageDraw.Draw(face).polygon([(26, 54), (70, 54), (64, 76), (48, 81), (32, 76)], (150, 200, 230))
            (folder / split / label).mkdir(parents=True, exist_ok=True)
            # Without compression: an image with a plain mask would have fewer bytes, which the audit would detect.
            face.save(folder / split / label / f"{number}.bmp")


@pytest.fixture(scope="session")
def masks(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A checkout that has run on faces with and without masks; output.txt is the output. Tests do not change it."""

    def build(folder: Path) -> None:
        draw_masks(folder / "faces")
        project = check_out(folder / "a project")
        for key, value in {
            "dataset.source": "archive",
            "dataset.archive": "../faces",
            "dataset.classes": [{"folder": "mask", "name": "con barbijo"}, {"folder": "nomask", "name": "sin barbijo"}],
            "dataset.expected": {split: {"mask": count, "nomask": count} for split, count in COUNTS.items()},
            "preprocess.crop": "none",
            # To save time.
            "preprocess.size": 48,
            "train.network": "sigmoid",
            "train.rescale": True,
        }.items():
            project.set(key, value)
        (project.path / "dvc.lock").unlink()
        commit(project, "Masks")
        done = project.run("dvc", "repro")
        assert done.returncode == 0, done.stderr
        (folder / "output.txt").write_text(done.stdout + done.stderr)

    return Project(built_once(tmp_path_factory, "masks", build) / "a project")


@pytest.fixture
def own_masks(masks: Project, tmp_path: Path) -> Project:
    """A copy of `masks` and its images, which a test may change."""
    shutil.copytree(masks.path.parent, tmp_path / "masks", symlinks=True)
    return Project(tmp_path / "masks/a project")


def test_the_whole_pipeline_learns_two_other_classes(masks: Project) -> None:
    metrics = {
        name: json.loads((masks.path / f"metrics/details/{name}.json").read_text())
        for name in ("verify", "audit", "evaluate", "predict")
    }
    assert metrics["verify"]["train"] == {"mask": 12, "nomask": 12}
    assert metrics["audit"]["border"]["verdict"] == "none"
    assert metrics["evaluate"]["test"]["n"] == 8
    assert metrics["evaluate"]["test"]["accuracy"] >= 0.75
    assert set(metrics["predict"]["predicted"]) == {"mask", "nomask"}
    confusion = csv.DictReader((masks.path / "metrics/plots/confusion.csv").read_text().splitlines())
    assert {row["actual"] for row in confusion} == {"con barbijo", "sin barbijo"}


def test_the_command_labels_images_with_the_other_classes(masks: Project) -> None:
    rows = list(csv.DictReader(io.StringIO(masks.must("anteojos", "predict", "../faces/test", PYTHONPATH="src"))))
    assert len(rows) == 8
    right = [row["label"] == Path(row["file"]).parent.name for row in rows]
    assert sum(right) >= 6


def test_outputs_and_messages_do_not_mention_glasses(masks: Project) -> None:
    project, printed = masks, (masks.path.parent / "output.txt").read_text()
    written = [*project.path.glob("metrics/**/*.json"), *project.path.glob("metrics/**/*.csv")]
    card = (project.path / "models/README.md").read_text()
    assert card.startswith("# con barbijo or sin barbijo\n")
    for text in (card, (project.path / "data/predictions.csv").read_text(), *(file.read_text() for file in written)):
        assert ABOUT_GLASSES.findall(text) == []
    # DVC shows the command of each stage, which has the package's name.
    lines = [line for line in printed.splitlines() if not line.startswith(("> ", "Adding", "\tgit add"))]
    assert [line for line in lines if ABOUT_GLASSES.search(line)] == []


def test_leak_is_reported_with_class_names(own_masks: Project) -> None:
    for file in (own_masks.path.parent / "faces").rglob("*/mask/*.bmp"):
        with Image.open(file) as face:
            ImageDraw.Draw(face).rectangle((0, 0, 96, 8), "navy")
            face.save(file)
    printed = own_masks.run("dvc", "repro", "--force", "audit").stderr
    assert "con barbijo and sin barbijo are classified" in printed
    assert ABOUT_GLASSES.findall(printed) == []


def test_edge_warns_for_other_classes_and_whole_images(own_masks: Project) -> None:
    own_masks.set("train.network", "edge")
    own_masks.set("train.epochs", 1)
    printed = own_masks.run("dvc", "repro", "train").stderr
    assert "warning: train.network is edge, which is made for glasses" in printed
    assert "warning: train.network is edge, which expects aligned faces, but preprocess.crop is none" in printed

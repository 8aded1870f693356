"""Fixtures and helpers for several test files."""

import re
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from anteojos.images import detector_models
from anteojos.model.metadata import Metadata
from anteojos.model.statistics import TrainingRanges
from anteojos.sources import drawing
from tests.project import ROOT, built_once, other_images, project, run_with, small_project
from tests.team.remote.servers import folder, s3, ssh

__all__ = ["ROOT", "folder", "other_images", "project", "run_with", "s3", "small_project", "ssh"]
# The training images of `model`: those of `bright_and_dark` are like them.
RANGES = TrainingRanges(
    width=(64, 80),
    height=(60, 60),
    aspect=(16 / 15, 4 / 3),
    brightness=(0.05, 0.95),
    contrast=(0.0, 0.3),
    sharpness=(0.0, 2.0),
)
METADATA = Metadata(
    labels=("bright", "dark"), names=("hell", "dunkel"), crop="none", threshold=0.5, uncertain=(0.2, 0.8), ranges=RANGES
)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Do not import files with no test for `make test-quick`: TensorFlow and DVC take more time than its tests."""
    if collection_path.suffix != ".py":
        return None
    marks = re.search(r"^pytestmark = .*", collection_path.read_text(encoding="utf-8"), re.MULTILINE)
    left_out = re.findall(r"\bnot (\w+)", config.option.markexpr)
    return True if marks and set(re.findall(r"mark\.(\w+)", marks[0])) & set(left_out) else None


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder with real images next to the checkout, which is never committed."""
    folder = ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"{folder.relative_to(ROOT.parent)} is not beside the checkout")
    return folder


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model.tflite for whole images of 48 px, trained to call bright ones "bright" and dark ones "dark"."""

    def build(folder: Path) -> None:
        from anteojos.model import batches, training
        from anteojos.model.recipes import Recipe

        rng = np.random.default_rng(0)
        first = np.arange(32) % 2 == 0
        images = (
            rng.integers(0, 60, (32, 48, 48, 3), dtype=np.uint8)
            + np.where(first, 190, 10).astype(np.uint8)[:, np.newaxis, np.newaxis, np.newaxis]
        )
        pictures = batches.LabelledImages(images, first)
        recipe = Recipe(epochs=8, batch_size=16, rescale=True)
        network, history = training.train(pictures, pictures, "sigmoid", recipe, 1, lambda epoch: None)
        assert history[-1].train.accuracy == 1.0
        training.save_tflite(network, folder / "model.tflite")
        METADATA.attach(folder / "model.tflite")

    return built_once(tmp_path_factory, "model", build) / "model.tflite"


def without_metadata(model: Path) -> bytes:
    """Return the bytes of a model.tflite up to its metadata."""
    data = model.read_bytes()
    return data[: data.index(b"PK\x03\x04")]


def face_metadata(ranges: TrainingRanges = RANGES) -> Metadata:
    """Return the metadata of a model that labels aligned faces "bright" or "dark"."""
    models, notice = detector_models.installed(), detector_models.NOTICE
    return replace(METADATA, crop="face", ranges=ranges, detector=models, notice=notice)


@pytest.fixture(scope="session")
def face_model(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The network of `model`, as a model.tflite that labels the faces of an image."""
    path = tmp_path_factory.mktemp("face model") / "model.tflite"
    path.write_bytes(without_metadata(model))
    face_metadata().attach(path)
    return path


@pytest.fixture
def bright_and_dark(tmp_path: Path) -> tuple[Path, Path]:
    """Two image files, one of each class of `model`."""
    paths = tmp_path / "bright.png", tmp_path / "dark.jpg"
    for path, grey in zip(paths, (220, 40), strict=True):
        Image.new("RGB", (80, 60), (grey, grey, grey)).save(path)
    return paths


def drawn_face(seed: int, size: int) -> Image.Image:
    """A drawn face without glasses."""
    return drawing.draw_face(np.random.default_rng(seed), glasses=False, size=size)


def drawn_eyes(seed: int, size: int) -> NDArray[np.float64]:
    """The positions of the eyes of `drawn_face`, in px: (2, 2), the eye on the left of the image first."""
    face = drawing.Face(np.random.default_rng(seed))
    return face.pose.project(np.array([(-face.eye_apart, 0.0), (face.eye_apart, 0.0)])) * size


@dataclass(frozen=True)
class Photographs:
    """Image files in `folder`: `two` shows a dark face and a bright face, `small` a small face, and `none` no face."""

    folder: Path
    two: Path
    small: Path
    none: Path


@pytest.fixture(scope="session")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> Photographs:
    """Drawn photographs; no test changes them."""
    folder = tmp_path_factory.mktemp("photographs")
    found = Photographs(folder, folder / "two.png", folder / "small.jpg", folder / "none.png")
    two = Image.new("RGB", (640, 360), (110, 120, 130))
    for left, top, size, seed, light in ((40, 60, 200, 3, 0.25), (340, 20, 280, 4, 1.6)):
        two.paste(drawn_face(seed, size).point(lambda value, light=light: int(min(255, value * light))), (left, top))
    two.save(found.two)
    small = Image.new("RGB", (800, 600), (110, 120, 130))
    small.paste(drawn_face(5, 48), (500, 300))
    small.save(found.small, quality=95)
    Image.fromarray(np.linspace(0, 255, 300 * 200 * 3).reshape(200, 300, 3).astype(np.uint8)).save(found.none)
    return found

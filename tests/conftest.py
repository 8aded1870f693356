"""What several test files share."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from anteojos.card import Card, Seen
from tests.project import ROOT, project, small_project
from tests.remote.servers import folder, s3, ssh

__all__ = ["ROOT", "folder", "project", "s3", "small_project", "ssh"]
# What the card of `model` says of its training pictures: those of `bright_and_dark` are like them.
SEEN = Seen(
    width=(64, 80),
    height=(60, 60),
    aspect=(16 / 15, 4 / 3),
    brightness=(0.05, 0.95),
    contrast=(0.0, 0.3),
    sharpness=(0.0, 2.0),
)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder with the real pictures, which lies beside the checkout and is never committed."""
    folder = ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"{folder.relative_to(ROOT.parent)} is not beside the checkout")
    return folder


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model.tflite for pictures of 48 px, trained to call bright ones "bright" and dark ones "dark"."""
    from anteojos import training
    from anteojos.recipes import Recipe

    rng = np.random.default_rng(0)
    first = np.arange(32) % 2 == 0
    images = (
        rng.integers(0, 60, (32, 48, 48, 3), dtype=np.uint8)
        + np.where(first, 190, 10).astype(np.uint8)[:, np.newaxis, np.newaxis, np.newaxis]
    )
    pictures = training.Pictures(images, first)
    recipe = Recipe(epochs=8, batch_size=16, rescale=True)
    network, history = training.train(pictures, pictures, "sigmoid", recipe, 1, lambda epoch: None)
    assert history[-1].train.accuracy == 1.0
    path = tmp_path_factory.mktemp("model") / "model.tflite"
    training.save_tflite(network, path)
    Card(("bright", "dark"), ("hell", "dunkel"), "none", SEEN, {}).attach(path)
    return path


@pytest.fixture
def bright_and_dark(tmp_path: Path) -> tuple[Path, Path]:
    """Two picture files, one of each class of `model`."""
    paths = tmp_path / "bright.png", tmp_path / "dark.jpg"
    for path, grey in zip(paths, (220, 40), strict=True):
        Image.new("RGB", (80, 60), (grey, grey, grey)).save(path)
    return paths

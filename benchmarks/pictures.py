"""The labelled pictures that benchmarks measure on, as they came; the test pictures are not looked at."""

import argparse
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from anteojos import archive, checks, images
from anteojos.params import Crop, Params
from anteojos.training import Pictures

Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Labelled:
    """A picture of `train` or `validate`: `pixels`, uint8 (H, W, 3), and whether it is of the first class."""

    split: str
    pixels: Pixels
    first: bool


def parse_arguments(description: str) -> argparse.Namespace:
    """Read from the command line which `seeds` and which `archive` to measure with."""
    parser = argparse.ArgumentParser(description=description.partition("\n")[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--archive", type=Path, help="zip or folder to measure on; default: data/raw")
    return parser.parse_args()


def read(source: Path | None) -> list[Labelled]:
    """Read the pictures of a zip or folder, or where none is named those of data/raw, which `dvc repro fetch` makes."""
    dataset = Params.load().dataset
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) if source else Path("data/raw")
        if source:
            archive.import_dataset(str(source), target, sha256=None, max_bytes=dataset.max_bytes)
        found = checks.find_pictures(target, dataset.labels, checks.Findings())
        return [
            Labelled(
                picture.split,
                images.decode((target / picture.file).read_bytes()).pixels,
                picture.label == dataset.labels[0],
            )
            for picture in found
            if picture.split != "test"
        ]


def prepare(pictures: list[Labelled], split: str, crop: Crop) -> Pictures:
    """Bring the pictures of a split to what a network sees of them."""
    size = Params.load().preprocess.size
    chosen = [picture for picture in pictures if picture.split == split]
    arrays = np.stack([images.prepare(picture.pixels, size, crop) for picture in chosen])
    return Pictures(arrays, np.array([picture.first for picture in chosen]))


def name_of(source: Path | None) -> str:
    """Say in a table's caption which pictures it was measured on."""
    return f"the pictures of `{source.name}`" if source else "the pictures of data/raw"

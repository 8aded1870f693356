"""The labelled images that benchmarks measure on, as they came; the test images are not looked at."""

import argparse
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from anteojos.images import checks, decoding, detector, faces
from anteojos.model.training import LabelledImages
from anteojos.params import Params
from anteojos.sources import archive
from anteojos.vocabulary import Crop

Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Labelled:
    """An image: `pixels`, uint8 (H, W, 3), and whether it is of the first class."""

    pixels: Pixels
    first: bool


def parse_arguments(description: str) -> argparse.Namespace:
    """Read from the command line which `seeds` and which `archive` to measure with."""
    parser = argparse.ArgumentParser(description=description.partition("\n")[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--archive", type=Path, help="zip or folder to measure on; default: data/raw")
    parser.add_argument("--test-labels", type=Path, help="CSV with file,label for the archive's test images")
    return parser.parse_args()


def read(source: Path | None) -> tuple[list[Labelled], list[Labelled]]:
    """Read `train` and `validate` of a zip or folder, or where none is named of data/raw, which `dvc repro` makes."""
    dataset = Params.load().dataset
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) if source else Path("data/raw")
        if source:
            archive.import_dataset(str(source), target, sha256=None, max_bytes=dataset.max_bytes)
        found = checks.find_images(target, dataset.labels, checks.Findings())

        def of(split: str) -> list[Labelled]:
            return [
                Labelled(
                    decoding.decode((target / picture.file).read_bytes()).pixels, picture.label == dataset.labels[0]
                )
                for picture in found
                if picture.split == split
            ]

        return of("train"), of("validate")


def prepare(images: list[Labelled], crop: Crop) -> LabelledImages:
    """Make of images what a network sees of them."""
    size = Params.load().preprocess.size

    def prepared(picture: Labelled) -> Pixels:
        image = Image.fromarray(picture.pixels)
        return faces.prepare(image, size, face_of(image) if crop == "face" else None)

    return LabelledImages(np.stack(list(map(prepared, images))), np.array([picture.first for picture in images]))


def face_of(image: Image.Image) -> faces.Face:
    """Return the largest face of an image."""
    face = faces.largest(detector.default()(image, shows_face=True))
    if face is None:
        raise SystemExit("No face was found in one of the images.")
    return face


def name_of(source: Path | None) -> str:
    """Say in a table's caption which images it was measured on."""
    return f"the images of `{source.name}`" if source else "the images of data/raw"

"""Labelled images for benchmarks, unchanged, from `train` and `validate`; the test images are not used."""

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
from anteojos.vocabulary import UNSPLIT, Crop

Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Labelled:
    """An image: `pixels`, uint8 (H, W, 3); `first` is true for the first class."""

    pixels: Pixels
    first: bool


def read(source: Path | None) -> tuple[list[Labelled], list[Labelled]]:
    """Return the images of `train` and `validate` of a zip or folder; by default of data/raw."""
    dataset = Params.load().dataset
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) if source else Path("data/raw")
        if source:
            classes = archive.Classes(dataset.labels, dataset.ignored)
            archive.import_dataset(str(source), target, classes, sha256=None, max_bytes=dataset.max_bytes)
        found = checks.find_images(target, dataset.labels, checks.Findings())
        if any(image.split == UNSPLIT for image in found):
            raise SystemExit(f"{source or target}: has no train/ and validate/, which this measurement needs")

        by_split: dict[str, list[Labelled]] = {"train": [], "validate": [], "test": []}
        for image in found:
            pixels = decoding.decode((target / image.file).read_bytes()).pixels
            by_split[image.split].append(Labelled(pixels, image.label == dataset.labels[0]))
        return by_split["train"], by_split["validate"]


def prepare(images: list[Labelled], crop: Crop) -> LabelledImages:
    """Return the images as a network gets them."""
    size = Params.load().preprocess.size
    prepared = []
    for labelled in images:
        image = Image.fromarray(labelled.pixels)
        prepared.append(faces.prepare(image, size, face_of(image) if crop == "face" else None))
    return LabelledImages(np.stack(prepared), np.array([labelled.first for labelled in images]))


def face_of(image: Image.Image) -> faces.Face:
    """Return the largest face of an image."""
    face = faces.largest(detector.default()(image, shows_face=True))
    if face is None:
        raise SystemExit("No face was found in one of the images.")
    return face


def name_of(source: Path | None) -> str:
    """Return the name of the images for the caption of a table."""
    return f"the images of `{source.name}`" if source else "the images of data/raw"

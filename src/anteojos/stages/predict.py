"""Label the test images."""

import math
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from anteojos.evaluation import figures
from anteojos.images import manifest
from anteojos.images.faces import Face
from anteojos.model import reliability
from anteojos.model.classifier import Classifier
from anteojos.model.inference import LiteNetwork
from anteojos.model.metadata import Metadata
from anteojos.model.probability import as_text
from anteojos.model.reliability import Warnings
from anteojos.params import Params
from anteojos.runtime import parallel
from anteojos.runtime.outputs import replacing, write_json
from anteojos.runtime.runner import run
from anteojos.vocabulary import Pixels

TEST = Path("data/processed/test")
MOST_SHOWN = 100


def main() -> None:
    """Run the stage."""
    expected = Params.load().dataset.expected
    classifier = Classifier.load(Path("models/model.tflite"))
    metadata = classifier.metadata
    index = manifest.read(TEST / "index.csv")
    images = np.load(TEST / "images.npy", mmap_mode="r")
    total = len(images)
    sizes, positions = index[["width", "height"]].to_numpy().tolist(), index[list(manifest.FACE)].to_numpy().tolist()
    items = zip(range(total), sizes, positions, strict=True)
    work = partial(label, classifier.network, metadata)
    labelled = list(parallel.spread(partial(read, images), work, items, total=total, description="predict"))
    probability = np.fromiter((value for value, _ in labelled), np.float32, count=total)
    warnings = [found for _, found in labelled]
    is_first = probability >= metadata.threshold
    predictions = pd.DataFrame(
        {
            "file": index["file"],
            "label": np.where(is_first, *metadata.labels),
            "probability": np.where(is_first, probability, 1 - probability),
            "first_class_probability": probability,
            "warning": [reliability.join(found) for found in warnings],
        }
    )

    with replacing(Path("data/predictions.csv")) as path:
        manifest.write(predictions, path)
    predicted = {label: int((predictions["label"] == label).sum()) for label in metadata.labels}
    write_json(Path("metrics/predict.json"), {"predicted": predicted, "warnings": sum(map(bool, warnings))})
    write_json(
        Path("metrics/details/predict.json"),
        {
            "images": total,
            "predicted": predicted,
            "expected": {label: expected["test"][label] for label in metadata.labels} if expected else {},
            "warnings": {kind: sum(kind in found for found in warnings) for kind in reliability.KINDS},
        },
    )
    with replacing(Path("metrics/plots/test.png")) as path:
        draw_test_set(images, predictions, warnings, index["label"], metadata).save(path)


def read(
    images: "np.memmap[Any, np.dtype[np.uint8]]", item: tuple[int, tuple[int, int], Sequence[float]]
) -> tuple[Pixels, tuple[int, int], Face | None]:
    """Return an image, the size of its file and its face, from its row and the values of index.csv."""
    row, size, face = item
    pixels = math.prod(images.shape[1:])
    # Not from the memory map: its pages would stay in the memory of the process.
    image = np.fromfile(TEST / "images.npy", np.uint8, pixels, offset=images.offset + row * pixels)
    return image.reshape(images.shape[1:]), size, Face.of(face)


def label(
    network: LiteNetwork, metadata: Metadata, item: tuple[Pixels, tuple[int, int], Face | None]
) -> tuple[np.float32, Warnings]:
    """Return the probability of the first class for an image, and the warnings."""
    image, size, face = item
    probability = network.probability(image)
    return probability, reliability.warnings(metadata, image, size, face, float(probability), metadata.uncertain)


def draw_test_set(
    images: Pixels, predictions: pd.DataFrame, warnings: Sequence[Warnings], actual: pd.Series, metadata: Metadata
) -> figures.Figure:
    """Draw the test images with their predicted label, probability and warnings; frame those with incorrect labels."""
    names = dict(zip(metadata.labels, metadata.names, strict=True))
    cells = [
        figures.Cell(
            images[row],
            (
                names[prediction["label"]],
                f"p = {as_text(prediction['probability'], 3)}",
                *([f"({', '.join(warnings[row]).replace('_', ' ')})"] if warnings[row] else []),
            ),
            wrong=actual[row] not in ("", prediction["label"]),
        )
        for row, prediction in enumerate(predictions.head(MOST_SHOWN).to_dict("records"))
    ]
    note = "p is the probability of the label"
    if (actual != "").any():
        note += "; wrong labels are framed in red"
    if any(warnings):
        note += "; warnings in brackets"
    if len(predictions) > MOST_SHOWN:
        note += f"; the first {MOST_SHOWN} are shown"
    return figures.contact_sheet(f"Test set: {len(predictions)} images", cells, 5, note)


if __name__ == "__main__":
    run(main)

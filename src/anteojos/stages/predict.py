"""Label the test images."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from anteojos.evaluation import figures
from anteojos.images import manifest
from anteojos.images.faces import Face
from anteojos.model import reliability
from anteojos.model.classifier import Classifier
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
    network, total = classifier.network, len(images)
    probabilities = parallel.spread(np.asarray, network.probability, images, total=total, description="predict")
    probability = np.fromiter(probabilities, np.float32, count=total)
    is_first = probability >= metadata.threshold
    warnings = warn(index, images, probability.tolist(), metadata)
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


def warn(index: pd.DataFrame, images: Pixels, probability: Sequence[float], metadata: Metadata) -> list[Warnings]:
    """Return the warnings for each image of an index."""
    sizes, faces = index[["width", "height"]].to_numpy().tolist(), index[list(manifest.FACE)].to_numpy().tolist()
    return [
        reliability.warnings(metadata, image, (width, height), Face.of(face), value, metadata.uncertain)
        for image, (width, height), face, value in zip(images, sizes, faces, probability, strict=True)
    ]


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

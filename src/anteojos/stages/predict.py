"""Label the test images."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from anteojos.evaluation import figures
from anteojos.images import manifest
from anteojos.images.faces import Face
from anteojos.model import likeness
from anteojos.model.classifier import Classifier
from anteojos.model.metadata import Card
from anteojos.params import Params, Predict
from anteojos.runtime import parallel
from anteojos.runtime.outputs import replacing, write_json
from anteojos.runtime.runner import run
from anteojos.vocabulary import Pixels

TEST = Path("data/processed/test")
MOST_SHOWN = 100


def main() -> None:
    """Run the stage."""
    params = Params.load()
    classifier = Classifier.load(Path("models/model.tflite"))
    index = manifest.read(TEST / "index.csv")
    images = np.load(TEST / "images.npy", mmap_mode="r")
    found = parallel.spread(
        np.asarray, classifier.probability_of_prepared, images, total=len(images), description="predict"
    )
    probability = np.fromiter(found, np.float32, count=len(images))
    first = probability >= params.predict.threshold
    chosen = np.where(first, *params.dataset.labels)
    warnings = warn(index, images, probability.tolist(), classifier.card, params.predict)
    predictions = pd.DataFrame(
        {
            "file": index["file"],
            "label": chosen,
            "probability": np.where(first, probability, 1 - probability),
            "first_class_probability": probability,
            "warning": [likeness.in_words(found) for found in warnings],
        }
    )

    with replacing(Path("data/predictions.csv")) as path:
        manifest.write(predictions, path)
    write_json(
        Path("metrics/predict.json"),
        {
            "images": len(predictions),
            "predicted": {label: int((chosen == label).sum()) for label in params.dataset.labels},
            "expected": {label: params.dataset.expected["test"][label] for label in params.dataset.labels},
            "warnings": {kind: sum(kind in found for found in warnings) for kind in likeness.KINDS},
        },
    )
    with replacing(Path("metrics/plots/test.png")) as path:
        draw_test_set(images, predictions, warnings, index["label"], params).save(path)


def warn(
    index: pd.DataFrame, images: Pixels, probability: Sequence[float], card: Card, predict: Predict
) -> list[dict[likeness.Kind, str]]:
    """Return the warnings of each image of an index."""
    return [
        likeness.warnings(
            card.seen,
            image,
            width=int(row["width"]),
            height=int(row["height"]),
            crop=card.crop,
            face=Face.of([row[name] for name in manifest.FACE]),
            probability=value,
            uncertain=predict.uncertain,
        )
        for row, image, value in zip(index.to_dict("records"), images, probability, strict=True)
    ]


def draw_test_set(
    images: Pixels,
    predictions: pd.DataFrame,
    warnings: Sequence[dict[likeness.Kind, str]],
    actual: pd.Series,
    params: Params,
) -> figures.Figure:
    """Draw the test images, each with its predicted label, probability and warnings; wrong labels are framed."""
    cells = [
        figures.Cell(
            images[row],
            (
                params.dataset.name(prediction["label"]),
                f"p = {prediction['probability']:.3f}",
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

"""Evaluate the network on images with known labels; draw its mistakes and attention maps."""

from collections.abc import Hashable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from anteojos.evaluation import attention, figures, scores
from anteojos.images import manifest
from anteojos.model.inference import LiteNetwork
from anteojos.params import Params
from anteojos.runtime import threads
from anteojos.runtime.outputs import replacing, write_json
from anteojos.runtime.runner import run
from anteojos.vocabulary import Pixels

PROCESSED, PLOTS = Path("data/processed"), Path("metrics/plots")
MOST_MISTAKES = 40
# In the image of where the network looked.
RIGHT_PER_CLASS, MOST_MISTAKES_LOOKED_AT = 4, 8


def main() -> None:
    """Run the stage."""
    params = Params.load()
    network = LiteNetwork(Path("models/network.tflite").read_bytes())
    results = pd.concat([label_split(split, network, params) for split in ("validate", "test")], ignore_index=True)

    validate = results[results["split"] == "validate"]
    chosen_threshold = scores.choose_threshold(*scored(validate, params))
    splits = results.groupby("split", sort=False)
    write_json(
        Path("metrics/evaluate.json"),
        {split: score_split(rows, params, chosen_threshold) for split, rows in splits},
    )
    write_curves(validate, params)
    with replacing(PLOTS / "mistakes.png") as path:
        draw_mistakes(results, params).save(path)
    with replacing(PLOTS / "attention.png") as path:
        draw_attention(results, network, params).save(path)


def label_split(split: str, network: LiteNetwork, params: Params) -> pd.DataFrame:
    """Label a split: a row an image with split, row, label, probability and predicted; none if labels are unknown."""
    index = manifest.read(PROCESSED / split / "index.csv")
    if (index["label"] == "").any():
        index = index[:0]
    images = np.load(PROCESSED / split / "images.npy", mmap_mode="r")[: len(index)]
    probability = network.probabilities(images)
    predicted = np.where(probability >= params.evaluate.threshold, *params.dataset.labels)
    columns = {"split": split, "row": index.index, "label": index["label"]}
    return pd.DataFrame({**columns, "probability": probability, "predicted": predicted})


def scored(rows: pd.DataFrame, params: Params) -> tuple[scores.Booleans, scores.Floats]:
    """Return what is scored: whether each label is the first class, bool (N,), and its probability, float32 (N,)."""
    return (rows["label"] == params.dataset.labels[0]).to_numpy(), rows["probability"].to_numpy()


def score_split(rows: pd.DataFrame, params: Params, chosen_threshold: float) -> dict[str, object]:
    """Score the labels of a split, and those that it would have with the threshold that validate would choose.

    That threshold is only reported. Its accuracy is biased on validate, where it was chosen, but not on test.
    """
    first, probability = scored(rows, params)
    curve = scores.calibration_curve(first, probability, params.evaluate.bins)
    return {
        **asdict(scores.score(first, probability, params.evaluate.threshold)),
        "ece": scores.expected_calibration_error(curve),
        "chosen_threshold": {
            "threshold": chosen_threshold,
            "accuracy": scores.score(first, probability, chosen_threshold).accuracy,
        },
    }


def write_curves(rows: pd.DataFrame, params: Params) -> None:
    """Write what `dvc plots` draws: confusion matrix, ROC and calibration curve."""
    first, probability = scored(rows, params)
    confusion = pd.DataFrame({"actual": rows["label"], "predicted": rows["predicted"]}).map(params.dataset.name)
    false_positives, true_positives, _ = scores.roc_curve(first, probability)
    roc = pd.DataFrame(
        {"false_positive_rate": false_positives, "true_positive_rate": true_positives, "uninformed": false_positives}
    )
    bins = scores.calibration_curve(first, probability, params.evaluate.bins)
    calibration = pd.DataFrame([{**asdict(bin_), "perfect": bin_.predicted} for bin_ in bins])
    for name, table in (("confusion", confusion), ("roc", roc), ("calibration", calibration)):
        with replacing(PLOTS / f"{name}.csv") as path:
            manifest.write(table, path)


def draw_mistakes(results: pd.DataFrame, params: Params) -> figures.Figure:
    """Draw the images that are labelled incorrectly, those farthest from the threshold first."""
    wrong = results["label"] != results["predicted"]
    counted = [
        f"{wrong[results['split'] == split].sum()} of {n} in {split}"
        for split, n in results["split"].value_counts(sort=False).items()
    ]
    mistakes = most_certain_mistakes(results, params)
    cells = [
        figures.Cell(image_of(mistake), caption_of(mistake, params))
        for mistake in mistakes.head(MOST_MISTAKES).to_dict("records")
    ]
    note = "p is the probability of the predicted label" if cells else "All labels are correct."
    if len(mistakes) > MOST_MISTAKES:
        note += f"; the {MOST_MISTAKES} mistakes farthest from the threshold are shown"
    return figures.contact_sheet(f"Mistakes: {', '.join(counted)}", cells, 5, note)


def draw_attention(results: pd.DataFrame, network: LiteNetwork, params: Params) -> figures.Figure:
    """Draw attention maps: a row of correct labels for each class, then the mistakes farthest from the threshold.

    The correct ones are the first of validate, so they are the same for every network that labels them correctly.
    """
    first_label = params.dataset.labels[0]
    right = results[(results["split"] == "validate") & (results["label"] == results["predicted"])]
    rows = [right[right["label"] == label].head(RIGHT_PER_CLASS) for label in params.dataset.labels]
    mistakes = most_certain_mistakes(results, params).head(MOST_MISTAKES_LOOKED_AT)
    answers = pd.concat([*rows, mistakes]).to_dict("records")

    def looked_at(answer: dict[Hashable, Any]) -> figures.Cell:
        image, first = image_of(answer), answer["predicted"] == first_label
        drops = attention.occlusion_map(network.probabilities, image, first)
        wrong = answer["label"] != answer["predicted"]
        return figures.Cell(attention.colour(image, drops), caption_of(answer, params), wrong)

    cells = list(threads.in_order(looked_at, answers, total=len(answers), description="attention maps"))
    title = f"Attention maps: correct labels ({len(cells) - len(mistakes)}), mistakes ({len(mistakes)})"
    return figures.contact_sheet(
        title,
        cells,
        RIGHT_PER_CLASS,
        note="Full colour: the strongest part of each image; p is the probability of the predicted label",
        legend="Orange: without this part, the label would be less likely; blue: more likely",
    )


def most_certain_mistakes(results: pd.DataFrame, params: Params) -> pd.DataFrame:
    """Return the rows with an incorrect label, those with the probability farthest from the threshold first."""
    certainty = (results["probability"] - params.evaluate.threshold).abs()
    wrong = results["label"] != results["predicted"]
    return results.assign(certainty=certainty)[wrong].sort_values("certainty", ascending=False, kind="stable")


def image_of(row: dict[Hashable, Any]) -> Pixels:
    """Read the image of a row as the network saw it: uint8 (size, size, 3)."""
    return np.asarray(np.load(PROCESSED / row["split"] / "images.npy", mmap_mode="r")[row["row"]])


def caption_of(row: dict[Hashable, Any], params: Params) -> tuple[str, str, str]:
    """Return the lines below an image: its split and class, the predicted label, and its probability."""
    return (
        f"{row['split']}: {params.dataset.name(row['label'])}",
        f"predicted: {params.dataset.name(row['predicted'])}",
        f"p = {row['probability'] if row['predicted'] == params.dataset.labels[0] else 1 - row['probability']:.3f}",
    )


if __name__ == "__main__":
    run(main)

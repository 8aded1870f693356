"""Evaluate the network on images with known labels; draw its mistakes, attention maps, and doubtful labels."""

from collections.abc import Hashable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from anteojos.evaluation import attention, figures, scores
from anteojos.images import manifest
from anteojos.model.inference import LiteNetwork
from anteojos.model.probability import as_text
from anteojos.params import Params
from anteojos.runtime import threads
from anteojos.runtime.outputs import replacing, write_json
from anteojos.runtime.runner import run
from anteojos.vocabulary import Pixels

PROCESSED, PLOTS = Path("data/processed"), Path("metrics/plots")
CROSSVALIDATION = "crossvalidation"
# What `dvc metrics` compares; the details have more.
COMPARED = (
    "n", "accuracy", "accuracy_low", "accuracy_high", "majority_accuracy", "balanced_accuracy", "loss", "roc_auc"
)  # fmt: skip
MOST_MISTAKES = 40
# Attention maps.
CORRECT_PER_CLASS, MOST_MISTAKES_MAPPED = 4, 8


def main() -> None:
    """Run the stage."""
    params = Params.load()
    network = LiteNetwork(Path("models/network.tflite").read_bytes())
    results = pd.concat([label_split(split, network, params) for split in ("validate", "test")], ignore_index=True)

    validate = results[results["split"] == "validate"]
    threshold = scores.choose_threshold(*first_and_probability(validate, params))
    held_out = read_crossvalidation(params)
    splits = [*results.groupby("split", sort=False), *([(CROSSVALIDATION, held_out)] if len(held_out) else [])]
    scored = {split: score_split(rows, params, threshold) for split, rows in splits}
    write_json(Path("metrics/details/evaluate.json"), scored)
    compared = {split: {key: score[key] for key in COMPARED} for split, score in scored.items()}
    write_json(Path("metrics/evaluate.json"), compared)
    write_curves(validate, params)
    doubtful = find_doubtful(held_out, params)
    with replacing(Path("data/doubtful_labels.csv")) as path:
        manifest.write(doubtful[["file", "label", "predicted", "probability"]], path)
    with replacing(PLOTS / "doubtful_labels.png") as path:
        draw_doubtful(doubtful, params).save(path)
    with replacing(PLOTS / "mistakes.png") as path:
        draw_mistakes(results, params).save(path)
    with replacing(PLOTS / "attention.png") as path:
        draw_attention(results, network, params).save(path)


def label_split(split: str, network: LiteNetwork, params: Params) -> pd.DataFrame:
    """Label a split; return the columns split, row, label, probability and predicted; no rows if labels are unknown."""
    index = manifest.read(PROCESSED / split / "index.csv")
    if (index["label"] == "").any():
        index = index[:0]
    images = np.load(PROCESSED / split / "images.npy", mmap_mode="r")[: len(index)]
    columns = {"split": split, "row": index.index, "label": index["label"]}
    return add_predicted(pd.DataFrame({**columns, "probability": network.probabilities(images)}), params)


def add_predicted(rows: pd.DataFrame, params: Params) -> pd.DataFrame:
    """Add the column `predicted`, the label of each probability of the first class."""
    is_first = rows["probability"].to_numpy() >= params.evaluate.threshold
    return rows.assign(predicted=np.where(is_first, *params.dataset.labels))


def read_crossvalidation(params: Params) -> pd.DataFrame:
    """Return rows as `label_split` does, with `file`, for the images of train and validate. No rows without folds."""
    rows = pd.read_csv(
        "data/crossvalidation.csv", dtype={"label": str, "probability": np.float32}, keep_default_na=False
    )
    return add_predicted(rows, params)


def first_and_probability(rows: pd.DataFrame, params: Params) -> tuple[scores.Booleans, scores.Floats]:
    """Return whether each label is the first class, bool (N,), and the probability of that class, float32 (N,)."""
    return (rows["label"] == params.dataset.labels[0]).to_numpy(), rows["probability"].to_numpy()


def score_split(rows: pd.DataFrame, params: Params, chosen_threshold: float) -> dict[str, object]:
    """Return the metrics of a split, and its accuracy with the threshold that was chosen on validate.

    That threshold is only reported. Its accuracy is too high on validate, where it was chosen, but unbiased on test.
    """
    first, probability = first_and_probability(rows, params)
    curve = scores.calibration_curve(first, probability, params.evaluate.bins)
    chosen = scores.score(first, probability, chosen_threshold)
    return {
        **asdict(scores.score(first, probability, params.evaluate.threshold)),
        "ece": scores.expected_calibration_error(curve),
        "chosen_threshold": {
            "threshold": chosen_threshold,
            "accuracy": chosen.accuracy,
            "balanced_accuracy": chosen.balanced_accuracy,
        },
    }


def write_curves(rows: pd.DataFrame, params: Params) -> None:
    """Write what `dvc plots` draws: confusion matrix, ROC and calibration curve."""
    first, probability = first_and_probability(rows, params)
    confusion = pd.DataFrame({"actual": rows["label"], "predicted": rows["predicted"]}).map(params.dataset.name)
    false_positives, true_positives = scores.roc_curve(first, probability)
    roc = pd.DataFrame(
        {"false_positive_rate": false_positives, "true_positive_rate": true_positives, "uninformed": false_positives}
    )
    bins = scores.calibration_curve(first, probability, params.evaluate.bins)
    calibration = pd.DataFrame([{**asdict(bin_), "perfect": bin_.predicted} for bin_ in bins])
    for name, table in (("confusion", confusion), ("roc", roc), ("calibration", calibration)):
        with replacing(PLOTS / f"{name}.csv") as path:
            manifest.write(table, path)


def draw_mistakes(results: pd.DataFrame, params: Params) -> figures.Figure:
    """Draw the images with an incorrect label, those with the probability farthest from the threshold first."""
    mistakes = most_certain_mistakes(results, params)
    totals = results["split"].value_counts(sort=False)
    counts = ", ".join(f"{(mistakes['split'] == split).sum()} of {n} in {split}" for split, n in totals.items())
    cells = [
        figures.Cell(image_of(mistake), caption_of(mistake, params))
        for mistake in mistakes.head(MOST_MISTAKES).to_dict("records")
    ]
    note = "p is the probability of the predicted label" if cells else "All labels are correct."
    if len(mistakes) > MOST_MISTAKES:
        note += f"; the {MOST_MISTAKES} mistakes farthest from the threshold are shown"
    return figures.contact_sheet(f"Mistakes: {counts}", cells, 5, note)


def draw_attention(results: pd.DataFrame, network: LiteNetwork, params: Params) -> figures.Figure:
    """Draw attention maps: a row of correct labels for each class, then the mistakes farthest from the threshold.

    The images with correct labels are the first of validate, so they are the same for all networks that are right.
    """
    labels = params.dataset.labels
    correct = results[(results["split"] == "validate") & (results["label"] == results["predicted"])]
    mistakes = most_certain_mistakes(results, params).head(MOST_MISTAKES_MAPPED)
    rows = pd.concat([*(correct[correct["label"] == label].head(CORRECT_PER_CLASS) for label in labels), mistakes])

    def cell(row: dict[Hashable, Any]) -> figures.Cell:
        image = image_of(row)
        drops = attention.occlusion_map(network.probabilities, image, row["predicted"] == labels[0])
        wrong = row["label"] != row["predicted"]
        return figures.Cell(attention.colour(image, drops), caption_of(row, params), wrong)

    records = rows.to_dict("records")
    cells = list(threads.in_order(cell, records, total=len(records), description="attention maps"))
    return figures.contact_sheet(
        f"Attention maps: correct labels ({len(cells) - len(mistakes)}), mistakes ({len(mistakes)})",
        cells,
        CORRECT_PER_CLASS,
        note="Full colour: the strongest part of each image; p is the probability of the predicted label",
        legend="Orange: without this part, the label would be less likely; blue: more likely",
    )


def most_certain_mistakes(results: pd.DataFrame, params: Params) -> pd.DataFrame:
    """Return the rows with an incorrect label, the probability farthest from the threshold first."""
    certainty = (results["probability"] - params.evaluate.threshold).abs()
    wrong = results["label"] != results["predicted"]
    return results.assign(certainty=certainty)[wrong].sort_values("certainty", ascending=False, kind="stable")


def find_doubtful(rows: pd.DataFrame, params: Params) -> pd.DataFrame:
    """Return the rows of the cross-validation with doubtful labels, the least probable label first."""
    first, probability = first_and_probability(rows, params)
    doubtful = rows[scores.doubtful_labels(first, probability)]
    of_label = doubtful["probability"].where(doubtful["label"] == params.dataset.labels[0], 1 - doubtful["probability"])
    return doubtful.iloc[np.argsort(of_label, kind="stable")]


def draw_doubtful(doubtful: pd.DataFrame, params: Params) -> figures.Figure:
    """Draw the first images with doubtful labels."""
    cells = [
        figures.Cell(image_of(row), caption_of(row, params)) for row in doubtful.head(MOST_MISTAKES).to_dict("records")
    ]
    note = "p is the probability of the predicted label, by a network that was trained without the image"
    if not params.evaluate.folds:
        note = "Not searched for: set evaluate.folds in params.yaml."
    elif len(doubtful) > MOST_MISTAKES:
        note += f"; the first {MOST_MISTAKES} are shown"
    return figures.contact_sheet(f"Doubtful labels: {len(doubtful)}", cells, 5, note)


def image_of(row: dict[Hashable, Any]) -> Pixels:
    """Return the image of a row as the network sees it: uint8 (size, size, 3)."""
    return np.asarray(np.load(PROCESSED / row["split"] / "images.npy", mmap_mode="r")[row["row"]])


def caption_of(row: dict[Hashable, Any], params: Params) -> tuple[str, str, str]:
    """Return the lines below an image: its split and class, the predicted label, and its probability."""
    probability = row["probability"] if row["predicted"] == params.dataset.labels[0] else 1 - row["probability"]
    return (
        f"{row['split']}: {params.dataset.name(row['label'])}",
        f"predicted: {params.dataset.name(row['predicted'])}",
        f"p = {as_text(probability, 3)}",
    )


if __name__ == "__main__":
    run(main)

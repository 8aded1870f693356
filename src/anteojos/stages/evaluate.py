"""Evaluate the network on images with known labels; draw its mistakes, attention maps, and doubtful labels."""

from collections.abc import Hashable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from anteojos.evaluation import attention, figures
from anteojos.images import manifest
from anteojos.model.inference import LiteNetwork
from anteojos.model.probability import as_text
from anteojos.params import Params
from anteojos.runtime import threads
from anteojos.runtime.outputs import replacing
from anteojos.runtime.runner import run
from anteojos.vocabulary import Pixels

PROCESSED, PLOTS = Path("data/processed"), Path("metrics/plots")
MOST_MISTAKES = 40
# Attention maps.
CORRECT_PER_CLASS, MOST_MISTAKES_MAPPED = 2, 4


def main() -> None:
    """Run the stage."""
    params = Params.load()
    network = LiteNetwork(Path("models/network.tflite").read_bytes())
    results = pd.concat([label_split(split, network, params) for split in ("validate", "test")], ignore_index=True)

    held_out = read_crossvalidation(params)
    with ThreadPoolExecutor(1) as executor:
        # LiteRT computes the maps while the import of scikit-learn takes a second.
        attention_maps = executor.submit(draw_attention, results, network, params)
        from anteojos.evaluation import scoring

        scoring.write_metrics(results, held_out, params)
        doubtful = scoring.find_doubtful(held_out, params)
    with replacing(Path("data/doubtful_labels.csv")) as path:
        manifest.write(doubtful[["file", "label", "predicted", "probability"]], path)
    with replacing(PLOTS / "doubtful_labels.png") as path:
        draw_doubtful(doubtful, params).save(path)
    with replacing(PLOTS / "mistakes.png") as path:
        draw_mistakes(results, params).save(path)
    with replacing(PLOTS / "attention.png") as path:
        attention_maps.result().save(path)


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
    """Draw attention maps: the first correct labels of each class, then the mistakes farthest from the threshold.

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
        columns=2 * CORRECT_PER_CLASS,
        note="Full colour: the strongest part of each image; p is the probability of the predicted label",
        legend="Orange: without this part, the label would be less likely; blue: more likely",
    )


def most_certain_mistakes(results: pd.DataFrame, params: Params) -> pd.DataFrame:
    """Return the rows with an incorrect label, the probability farthest from the threshold first."""
    certainty = (results["probability"] - params.evaluate.threshold).abs()
    wrong = results["label"] != results["predicted"]
    return results.assign(certainty=certainty)[wrong].sort_values("certainty", ascending=False, kind="stable")


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

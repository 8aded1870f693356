"""Score the model that ships on the pictures whose labels are known, and draw where it is right and wrong."""

from dataclasses import asdict
from pathlib import Path

import numpy as np
import pandas as pd

from anteojos import figures, manifest, scores
from anteojos.classifier import Classifier
from anteojos.outputs import replacing, write_json
from anteojos.params import Params
from anteojos.stages import run

PROCESSED, PLOTS = Path("data/processed"), Path("metrics/plots")
MOST_MISTAKES = 40


def main() -> None:
    """Run the stage."""
    params = Params.load()
    classifier = Classifier.load(Path("models/model.tflite"))
    results = pd.concat([label_split(split, classifier, params) for split in ("validate", "test")], ignore_index=True)

    metrics = {split: asdict(score_split(rows, params)) for split, rows in results.groupby("split", sort=False)}
    write_json(Path("metrics/evaluate.json"), metrics)
    write_curves(results[results["split"] == "validate"], params)
    with replacing(PLOTS / "mistakes.png") as path:
        draw_mistakes(results, params).save(path)


def label_split(split: str, classifier: Classifier, params: Params) -> pd.DataFrame:
    """Label a split: a row a picture with split, row, label, probability and predicted; none if labels are unknown."""
    index = manifest.read(PROCESSED / split / "index.csv")
    if (index["label"] == "").any():
        index = index[:0]
    pictures = np.load(PROCESSED / split / "images.npy", mmap_mode="r")[: len(index)]
    probability = classifier.probabilities(pictures)
    predicted = np.where(probability >= params.evaluate.threshold, *params.dataset.labels)
    columns = {"split": split, "row": index.index, "label": index["label"]}
    return pd.DataFrame({**columns, "probability": probability, "predicted": predicted})


def score_split(rows: pd.DataFrame, params: Params) -> scores.Score:
    """Score the labels of a split."""
    first = (rows["label"] == params.dataset.labels[0]).to_numpy()
    return scores.score(first, rows["probability"].to_numpy(), params.evaluate.threshold)


def write_curves(rows: pd.DataFrame, params: Params) -> None:
    """Write what `dvc plots` draws: confusion matrix, ROC and calibration curve."""
    first, probability = (rows["label"] == params.dataset.labels[0]).to_numpy(), rows["probability"].to_numpy()
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
    """Draw the pictures that were labelled wrongly, the most certain mistakes first."""
    dataset, certainty = params.dataset, (results["probability"] - params.evaluate.threshold).abs()
    wrong = results["label"] != results["predicted"]
    counted = [
        f"{wrong[results['split'] == split].sum()} of {n} in {split}"
        for split, n in results["split"].value_counts(sort=False).items()
    ]
    mistakes = results.assign(certainty=certainty)[wrong].sort_values("certainty", ascending=False, kind="stable")
    cells = [
        figures.Cell(
            np.load(PROCESSED / mistake["split"] / "images.npy", mmap_mode="r")[mistake["row"]],
            (
                f"{mistake['split']}: {dataset.name(mistake['label'])}",
                f"called {dataset.name(mistake['predicted'])}",
                f"p = {mistake['probability']:.3f}",
            ),
        )
        for mistake in mistakes.head(MOST_MISTAKES).to_dict("records")
    ]
    note = f"p is the probability of {dataset.names[0]}" if cells else "Nothing was labelled wrongly."
    if len(mistakes) > MOST_MISTAKES:
        note += f"; the {MOST_MISTAKES} most certain mistakes are shown"
    return figures.contact_sheet(f"Mistakes: {', '.join(counted)}", cells, 5, note)


if __name__ == "__main__":
    run(main)

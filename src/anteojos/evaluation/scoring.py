"""Metrics and curves of labelled images, as `evaluate` writes them.

Importing this module takes about a second, because it imports scikit-learn.
"""

from dataclasses import asdict
from pathlib import Path

import numpy as np
import pandas as pd

from anteojos.evaluation import scores
from anteojos.images import manifest
from anteojos.params import Params
from anteojos.runtime.outputs import replacing, write_json

METRICS, DETAILS = Path("metrics/evaluate.json"), Path("metrics/details/evaluate.json")
PLOTS = Path("metrics/plots")
CROSSVALIDATION = "crossvalidation"
# What `dvc metrics` compares; the details have more.
COMPARED = (
    "n", "accuracy", "accuracy_low", "accuracy_high", "majority_accuracy", "balanced_accuracy", "loss", "roc_auc"
)  # fmt: skip


def write_metrics(results: pd.DataFrame, held_out: pd.DataFrame, params: Params) -> None:
    """Write the metrics of each split in `results` and those of the cross-validation, and the curves of validate.

    The columns of both are split, label, probability (of the first class) and predicted. Without cross-validation,
    `held_out` has no rows.
    """
    validate = results[results["split"] == "validate"]
    threshold = scores.choose_threshold(*first_and_probability(validate, params))
    splits = [*results.groupby("split", sort=False), *([(CROSSVALIDATION, held_out)] if len(held_out) else [])]
    scored = {split: score_split(rows, params, threshold) for split, rows in splits}
    write_json(DETAILS, scored)
    write_json(METRICS, {split: {key: score[key] for key in COMPARED} for split, score in scored.items()})
    write_curves(validate, params)


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


def find_doubtful(rows: pd.DataFrame, params: Params) -> pd.DataFrame:
    """Return the rows of the cross-validation with doubtful labels, the least probable label first."""
    first, probability = first_and_probability(rows, params)
    doubtful = rows[scores.doubtful_labels(first, probability)]
    of_label = doubtful["probability"].where(doubtful["label"] == params.dataset.labels[0], 1 - doubtful["probability"])
    return doubtful.iloc[np.argsort(of_label, kind="stable")]

"""The model card: what the model was made from, how good it is and where not to rely on it, in Markdown.

Its headings follow M. Mitchell et al., "Model Cards for Model Reporting", 2019, as far as the pipeline knows.
"""

from collections.abc import Mapping
from typing import Any

from anteojos.images.detector_models import NOTICE
from anteojos.params import Dataset, Preprocess
from anteojos.vocabulary import SPLITS, Network

Metrics = Mapping[str, Any]


def write(dataset: Dataset, preprocess: Preprocess, network: Network, seed: int, metrics: Mapping[str, Metrics]) -> str:
    """Return the model card. `metrics` has the contents of metrics/<name>.json of verify, audit, train and evaluate."""
    first, second = dataset.names
    trained = metrics["train"]
    lines = [
        f"# {first} or {second}",
        "",
        f"`model.tflite` returns the probability that an image is of the class “{first}” (`{dataset.labels[0]}`), from",
        f"images of {preprocess.size} × {preprocess.size} px; `model.keras` is the same network, to train on.",
        "Written by the pipeline from its metrics.",
        "",
        *(_detection(metrics["verify"]) if preprocess.crop == "face" else []),
        "## Data",
        "",
        f"Source: {_source(dataset)}. Licence: {_license(dataset)}",
        "",
        *_counts(dataset, metrics["verify"]),
        "",
        "## Training",
        "",
        f"Network `{network}`, {trained['parameters']:,} parameters, {trained['last']['epoch']} epochs, seed {seed}, "
        f"crop `{preprocess.crop}`.",
        "",
        "## Can the label be predicted without the face?",
        "",
        _audit(metrics["audit"]),
        "",
        "## Accuracy",
        "",
        *_scores(metrics["evaluate"]),
        "",
        "## Limits",
        "",
        *_limits(dataset, preprocess, network, metrics),
        "",
    ]
    return "\n".join(lines)


def _source(dataset: Dataset) -> str:
    match dataset.source:
        case "sample":
            return f"faces drawn by anteojos from seed {dataset.seed}; no person's image is among them"
        case "kaggle":
            return f"Kaggle, {dataset.kaggle}"
        case "archive":
            return "an archive of the team's own" + (f", SHA-256 {dataset.sha256}" if dataset.sha256 else "")


def _license(dataset: Dataset) -> str:
    if dataset.license:
        return dataset.license
    if dataset.source == "sample":
        return "that of anteojos, Apache-2.0."
    return "not stated. Find it out before you share the images or the model (`dataset.license` in params.yaml)."


def _counts(dataset: Dataset, verify: Metrics) -> list[str]:
    columns = dict(zip(dataset.labels, dataset.names, strict=True))
    # Images whose label is not known are counted by verify under a heading of their own.
    columns |= {label: label for split in SPLITS for label in verify[split] if label not in columns}
    rows = [f"| {split} | {' | '.join(str(verify[split].get(label, 0)) for label in columns)} |" for split in SPLITS]
    return [f"| split | {' | '.join(columns.values())} |", "|---" * (1 + len(columns)) + "|", *rows]


def _detection(verify: Metrics) -> list[str]:
    warnings = verify["warnings"]
    return [
        "## Face detection",
        "",
        f"Faces are found and aligned by their eyes before they are labelled. {NOTICE}",
        "",
        f"Of the images below, {warnings['no_face']} have no face and are used as a whole, and "
        f"{warnings['several_faces']} have several faces, of which the largest is used.",
        "",
    ]


def _audit(audit: Metrics) -> str:
    border = audit["border"]
    found = (
        f"From the border of the images alone, without their middle, {border['accuracy']:.3f} of {border['n']} labels "
        f"are predicted correctly (chance {border['chance']:.3f}, p = {border['p_value']:.3f})."
    )
    leaks = ", ".join(name for name, probe in audit.items() if probe["verdict"] == "leak")
    if leaks:
        return f"{found} **The label leaks** ({leaks}): the accuracies below may be of that, not of the faces."
    return f"{found} Nothing was found that gives the label away."


def _scores(evaluate: Metrics) -> list[str]:
    rows = []
    for split, score in evaluate.items():
        interval = f"{score['accuracy_low']:.3f} to {score['accuracy_high']:.3f}"
        area = "–" if score["roc_auc"] is None else f"{score['roc_auc']:.3f}"
        numbers = (f"{score['accuracy']:.3f}", interval, f"{score['f1']:.3f}", area, f"{score['ece']:.3f}")
        rows.append(f"| {split} | {score['n']} | {' | '.join(numbers)} |")
    heads = ("split", "images", "accuracy", "95 % interval", "F1", "ROC AUC", "calibration error")
    return [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|", *rows]


def _limits(dataset: Dataset, preprocess: Preprocess, network: Network, metrics: Mapping[str, Metrics]) -> list[str]:
    limits = [
        f"- Trained on {sum(metrics['verify']['train'].values())} images of one source: on images of another camera or "
        "of other people expect less than the table says.",
    ]
    if preprocess.crop == "face":
        limits.append("- Faces that are small, strongly turned or covered may not be found, or be labelled wrongly.")
    else:
        limits.append("- It has seen whole images, with all that is around their subject.")
    if any(score["accuracy_low"] <= 0.5 for score in metrics["evaluate"].values()):
        limits.append("- An interval above contains 0.5 or lower values: there the accuracy may be chance.")
    if network == "edge":
        limits.append("- The network `edge` sees only the band of the face where glasses can be: eyes and nose.")
    if dataset.source == "sample":
        limits.append("- Trained on drawn faces alone: on photographs, expect less than the table says.")
    return limits

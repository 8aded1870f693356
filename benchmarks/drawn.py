"""Train on the drawn faces of data/processed only, label real faces, and write the table.

`make drawn ARCHIVE=faces.zip TEST_LABELS=labels.csv` trains the network of params.yaml once for each seed and labels
all images of the archive. None of these images is used for training.
"""

import tempfile
from pathlib import Path

import numpy as np
import numpy.typing as npt

from anteojos.evaluation import scores
from anteojos.images import checks, decoding
from anteojos.model import training
from anteojos.model.batches import load
from anteojos.model.recipes import recipe_for
from anteojos.params import Params
from anteojos.sources import archive
from anteojos.vocabulary import TEST_LABELS
from images import Labelled, prepare
from measure import parse_arguments
from readme import mean_and_range, over, write_part

PAGE = Path("docs/explanation/drawn-faces.md")


def main() -> None:
    """Train once for each seed, label the images, and write the table."""
    options = parse_arguments(__doc__)
    params = Params.load()
    if params.dataset.source != "sample" or options.archive is None:
        raise SystemExit("Run `make repro` with dataset.source: sample, then name real images: make drawn ARCHIVE=…")
    splits = {split: prepare(images, "face") for split, images in read(options.archive, options.test_labels).items()}
    folders = Path("data/processed/train"), Path("data/processed/validate")
    train, validate = (load(folder, params.dataset.labels[0]) for folder in folders)
    columns: dict[str, list[list[float]]] = {split: [] for split in [*splits, "all"]}
    for seed in options.seeds:
        recipe = recipe_for(params.train, train.counts)
        network, _ = training.train(train, validate, params.train.network, recipe, seed, lambda epoch: None)
        found = {split: probabilities(network, images.images) for split, images in splits.items()}
        first = np.concatenate([images.first for images in splits.values()])
        for split, images in splits.items():
            columns[split].append(measured(images.first, found[split]))
        columns["all"].append(measured(first, np.concatenate(list(found.values()))))
        print(f"seed {seed}: {columns['all'][-1]}", flush=True)
    lines = ["| images | n | accuracy | ROC AUC | calibration error |", "|---" * 5 + "|"]
    for split, rows in columns.items():
        n = len(splits[split].first) if split in splits else len(first)
        lines.append(f"| {split} | {n} | {' | '.join(mean_and_range(values) for values in zip(*rows, strict=True))} |")
    caption = (
        f"`{params.train.network}`, trained on {len(train.images):,} drawn faces and on no other image, labels the "
        f"images of `{options.archive.name}`: {over(options.seeds)}."
    )
    write_part("drawn", "make drawn", "\n".join([*lines, "", caption]), PAGE)


def read(source: Path, test_labels: Path | None) -> dict[str, list[Labelled]]:
    """Return the labelled images of a zip or folder by split; `test` only if its labels are known."""
    dataset = Params.load().dataset
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        classes = archive.Classes(dataset.labels, dataset.ignored)
        archive.import_dataset(str(source), folder, classes, sha256=None, max_bytes=dataset.max_bytes)
        findings = checks.Findings()
        found = checks.find_images(folder, dataset.labels, findings)
        table = test_labels or folder / TEST_LABELS
        if table.exists():
            found = checks.add_test_labels(found, table, dataset.labels, findings)
        by_split: dict[str, list[Labelled]] = {}
        for image in found:
            if image.label:
                pixels = decoding.decode((folder / image.file).read_bytes()).pixels
                labelled = Labelled(pixels, image.label == dataset.labels[0])
                by_split.setdefault(image.split, []).append(labelled)
        return by_split


def probabilities(network: training.keras.Model, images: npt.NDArray[np.uint8]) -> npt.NDArray[np.float64]:
    """Return the probability of the first class of prepared images."""
    parts = np.array_split(images, len(images) // 32 + 1)
    return np.concatenate([np.asarray(network(part.astype(np.float32)))[:, 0] for part in parts]).astype(np.float64)


def measured(first: npt.NDArray[np.bool_], probability: npt.NDArray[np.float64]) -> list[float]:
    """Return accuracy, ROC AUC and expected calibration error."""
    score = scores.score(first, probability, 0.5)
    error = scores.expected_calibration_error(scores.calibration_curve(first, probability, 10))
    return [score.accuracy, float(score.roc_auc or 0), error]


if __name__ == "__main__":
    main()

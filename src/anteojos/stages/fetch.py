"""Bring the images to data/raw: draw them, download them from Kaggle, or unpack an archive."""

import shutil
import sys
from pathlib import Path

from anteojos.params import Dataset, Params
from anteojos.runtime import threads
from anteojos.runtime.errors import InputError
from anteojos.runtime.outputs import replacing
from anteojos.runtime.processes import forked
from anteojos.runtime.runner import run
from anteojos.sources import archive, drawing, kaggle
from anteojos.vocabulary import GLASSES, SPLITS, TEST_LABELS

# What Kaggle's sheet prints above the faces, where it is not the folder's name.
TITLES = {"noglasses": "no_glasses"}


def main() -> None:
    """Run the stage."""
    dataset = Params.load().dataset
    with replacing(Path("data/raw")) as folder:
        folder.mkdir()
        bring(dataset, folder)
        if dataset.test_labels is not None:
            copy_test_labels(Path(dataset.test_labels).expanduser(), folder / TEST_LABELS)


def bring(dataset: Dataset, folder: Path) -> None:
    """Fill `folder` from the source that params.yaml names."""
    match dataset.source:
        case "sample":
            expected: dict[str, dict[str, int]] = {
                split: {label: dataset.expected[split][label] for label in dataset.labels} for split in SPLITS
            }
            if dataset.labels != GLASSES:
                first, second = dataset.labels
                print(
                    f"warning: dataset.source is sample, which draws glasses for {first} and none for {second}, "
                    "whatever they are called. For images of your own set dataset.source: archive.",
                    file=sys.stderr,
                )
            draw(folder, dataset, expected)
        case "kaggle":
            archive.import_folder(kaggle.download(dataset.kaggle), folder, max_bytes=dataset.max_bytes)
        case "archive":
            archive.import_dataset(dataset.archive or "", folder, sha256=dataset.sha256, max_bytes=dataset.max_bytes)


def draw(folder: Path, dataset: Dataset, expected: dict[str, dict[str, int]]) -> None:
    """Draw the sample, with a process for each core: threads would wait for each other, drawing is much Python."""
    if sys.platform != "linux":  # where processes would outlive a stage that is killed
        drawing.draw_dataset(folder, dataset.seed, expected, TITLES, dataset.size, drawn=dataset.drawn)
        return
    with forked(threads.cores()) as processes:
        drawing.draw_dataset(folder, dataset.seed, expected, TITLES, dataset.size, processes.map, dataset.drawn)


def copy_test_labels(source: Path, target: Path) -> None:
    """Keep the labels of the test images with the images, so that they are versioned and shared together."""
    try:
        shutil.copyfile(source, target)
    except OSError as error:
        raise InputError(
            f"params.yaml: dataset.test_labels: {source}: {error.strerror}",
            advice="Name a CSV file with the columns file,label, or null.",
        ) from error


if __name__ == "__main__":
    run(main)

"""Write the images to data/raw: draw them, download them from Kaggle, or import an archive."""

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from anteojos.params import Dataset, Params
from anteojos.runtime import threads
from anteojos.runtime.errors import InputError
from anteojos.runtime.files import read
from anteojos.runtime.outputs import replacing
from anteojos.runtime.processes import forked
from anteojos.runtime.runner import run
from anteojos.sources import archive, kaggle
from anteojos.sources.drawing import draw_dataset
from anteojos.vocabulary import GLASSES, SPLITS, TEST_LABELS

# The texts that the images of the Kaggle dataset show, where they differ from the name of the class folder.
TITLES = {"noglasses": "no_glasses"}


def main() -> None:
    """Run the stage."""
    dataset = Params.load().dataset
    classes = archive.Classes(dataset.labels, dataset.ignored)
    with replacing(Path("data/raw")) as folder:
        folder.mkdir()
        match dataset.source:
            case "sample":
                draw(folder, dataset)
            case "kaggle":
                archive.import_folder(kaggle.download(dataset.kaggle), folder, classes, max_bytes=dataset.max_bytes)
            case "archive":
                location = dataset.archive or ""
                archive.import_dataset(location, folder, classes, sha256=dataset.sha256, max_bytes=dataset.max_bytes)
        if dataset.test_labels is not None:
            copy_test_labels(Path(dataset.test_labels).expanduser(), folder / TEST_LABELS)


def draw(folder: Path, dataset: Dataset) -> None:
    """Draw the sample dataset, with one process per core."""
    if dataset.labels != GLASSES:
        first, second = dataset.labels
        print(
            f"warning: dataset.source is sample, which draws glasses for {first} and none for {second}, whatever they "
            "are called. For images of your own set dataset.source: archive.",
            file=sys.stderr,
        )
    counts = dataset.expected or {}  # never empty for this source
    expected: dict[str, dict[str, int]] = {
        split: {label: counts[split][label] for label in dataset.labels} for split in SPLITS
    }
    # Only on Linux, forked processes end if the stage is killed. Threads are slow, because most work is Python code.
    processes = forked(threads.cores()) if sys.platform == "linux" else nullcontext()
    total = sum(sum(of_split.values()) for of_split in (dataset.counts or {}).values())
    print(f"Drawing {total:,} faces.", flush=True)
    with processes as pool, threads.bar(total, "Drawing") as progress:

        def map_rows(draw_row: Callable[..., list[bytes]], *arguments: Iterable[Any]) -> Iterator[list[bytes]]:
            for files in (pool.map if pool else map)(draw_row, *arguments):
                progress.update(len(files))
                yield files

        draw_dataset(folder, dataset.seed, expected, TITLES, dataset.size, map_rows, dataset.drawn)


def copy_test_labels(source: Path, target: Path) -> None:
    """Copy the labels of the test images to data/raw, so that both are versioned and shared together."""
    try:
        table = read(source)
    except OSError as error:
        raise InputError(
            f"params.yaml: dataset.test_labels: {source}: {error.strerror}",
            advice="Name a CSV file with the columns file,label, or null.",
        ) from error
    target.write_bytes(table)


if __name__ == "__main__":
    run(main)

"""Crop and resize the images of each split into one array, the input of the network."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from anteojos.evaluation import figures
from anteojos.images import decoding, faces, manifest
from anteojos.params import Dataset, Params
from anteojos.runtime import parallel
from anteojos.runtime.outputs import replacing
from anteojos.runtime.runner import run
from anteojos.vocabulary import SPLITS, Pixels

RAW = Path("data/raw")
SAMPLES_PER_CLASS = 4


def main() -> None:
    """Run the stage."""
    params = Params.load()
    table = manifest.read(Path("data/manifest.csv"), ("split", *manifest.INDEX))
    for split in SPLITS:
        rows = table[table["split"] == split]
        with replacing(Path("data/processed", split)) as folder:
            folder.mkdir()
            write_split(rows, folder, params.preprocess.size, description=split)
    with replacing(Path("metrics/plots/samples.png")) as path:
        draw_samples(Path("data/processed/train"), params.dataset).save(path)


def write_split(rows: pd.DataFrame, folder: Path, size: int, description: str) -> None:
    """Write `rows` of the manifest to `folder`: images.npy, uint8 (N, size, size, 3), and index.csv in the same order.

    `description` is shown at the progress bar.
    """
    items = list(zip(rows["file"], rows[list(manifest.FACE)].itertuples(index=False, name=None), strict=True))
    images = parallel.spread(read, partial(prepare, size=size), items, total=len(items), description=description)
    header = {"descr": "|u1", "fortran_order": False, "shape": (len(items), size, size, 3)}
    # Write image by image, to keep few of them in memory. A memory map would crash the process on a full disk (SIGBUS).
    with (folder / "images.npy").open("wb") as array:
        np.lib.format.write_array_header_1_0(array, header)
        for image in images:
            array.write(np.ascontiguousarray(image).data)
    manifest.write(rows[list(manifest.INDEX)], folder / "index.csv")


def read(item: tuple[str, Sequence[float]]) -> tuple[bytes, faces.Face | None]:
    """Return the bytes of an image and its face, from its path and the values of the face in the manifest."""
    file, face = item
    return (RAW / file).read_bytes(), faces.Face.of(face)


def prepare(item: tuple[bytes, faces.Face | None], size: int) -> Pixels:
    """Return the input of the network, uint8 (size, size, 3): the aligned face, or the whole image if there is none."""
    data, face = item
    return faces.prepare(decoding.decode(data, None if face else size).image, size, face)


def draw_samples(folder: Path, dataset: Dataset) -> figures.Figure:
    """Draw a row of training images for each class, with their labels: Figure 4 of the 2024 report."""
    images, index = np.load(folder / "images.npy", mmap_mode="r"), manifest.read(folder / "index.csv")
    rows = [np.flatnonzero(index["label"] == label)[:SAMPLES_PER_CLASS] for label in dataset.labels]
    columns = min(len(row) for row in rows)
    cells = [
        figures.Cell(images[number], (dataset.name(label),))
        for label, row in zip(dataset.labels, rows, strict=True)
        for number in row[:columns]
    ]
    return figures.contact_sheet("Training images", cells, columns=max(1, columns))


if __name__ == "__main__":
    run(main)

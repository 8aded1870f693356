"""Make of each split's images one array of what the network sees."""

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
            write_split(rows, folder, params.preprocess.size, split)
    with replacing(Path("metrics/plots/samples.png")) as path:
        draw_samples(Path("data/processed/train"), params.dataset).save(path)


def write_split(rows: pd.DataFrame, folder: Path, size: int, description: str) -> None:
    """Write the images of `rows` to `folder`: images.npy, uint8 (N, size, size, 3), and index.csv, in one order."""
    shape = (len(rows), size, size, 3)
    items = list(zip(rows["file"], rows[list(manifest.FACE)].itertuples(index=False, name=None), strict=True))
    images = parallel.spread(read, partial(prepared, size=size), items, total=len(items), description=description)
    # One after the other, so that only the images in use are held in memory. Not into a memory map: a full disk would
    # end the process there without a word.
    with (folder / "images.npy").open("wb") as array:
        np.lib.format.write_array_header_1_0(array, {"descr": "|u1", "fortran_order": False, "shape": shape})
        for image in images:
            array.write(np.ascontiguousarray(image).data)
    manifest.write(rows[list(manifest.INDEX)], folder / "index.csv")


def read(item: tuple[str, Sequence[float]]) -> tuple[bytes, faces.Face | None]:
    """Read an image of the manifest; return its bytes and its face."""
    file, face = item
    return (RAW / file).read_bytes(), faces.Face.of(face)


def prepared(given: tuple[bytes, faces.Face | None], size: int) -> Pixels:
    """Make of an image's bytes what the network sees, uint8 (size, size, 3): the face, or the whole without one."""
    data, face = given
    return faces.prepare(decoding.decode(data, None if face else size).image, size, face)


def draw_samples(folder: Path, dataset: Dataset) -> figures.Figure:
    """Draw the report's Figure 4, a row of training images for each class, with their labels."""
    array, index = np.load(folder / "images.npy", mmap_mode="r"), manifest.read(folder / "index.csv")
    rows = [np.flatnonzero(index["label"] == label)[:SAMPLES_PER_CLASS] for label in dataset.labels]
    columns = min(len(row) for row in rows)
    cells = [
        figures.Cell(array[image], (dataset.name(label),))
        for label, row in zip(dataset.labels, rows, strict=True)
        for image in row[:columns]
    ]
    return figures.contact_sheet("Training images", cells, columns=max(1, columns))


if __name__ == "__main__":
    run(main)

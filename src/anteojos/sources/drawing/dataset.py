"""A dataset of drawn faces, with the layout and the flaws of the Kaggle dataset.

There, each image is a cell cut out of a contact sheet, with its label printed above the face. The distance between the
cuts is slightly wrong, so the position of face and label changes from row to row.
"""

import csv
import io
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import repeat
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from anteojos.sources.drawing.portrait import draw_face
from anteojos.vocabulary import TEST_LABELS

COLUMNS = 12  # of the contact sheet
CLASS_ROWS = 7  # rows of one class on a contact sheet; then the positions repeat
JPEG_QUALITY = 86  # about 6 kB per image


def draw_cell(
    faces: Sequence[Image.Image | None], titles: Sequence[str], second: bool, row: int, column: int, width: int = 160
) -> Image.Image:
    """Return the cell of a face, cut out of a contact sheet: RGB, about `width` px wide and 31/32 of that high.

    `faces` are the face and its neighbours: left, face, right; their side is 125/160 of `width`. `titles` are printed
    above the face and above the next row. `row` is the number within the class, and `column` that within the row, from
    0. From row to row, the faces of the first class move up, those of the second class (`second`) up and to the right.
    """
    unit = width / 160
    # The distance between two cuts is not a whole number of pixels.
    wide, high = (
        math.floor((k + 1) * pitch * unit) - math.floor(k * pitch * unit)
        for k, pitch in ((column, 159.5), (row, 155.4))
    )
    phase, row = column * 7 % 5, row % CLASS_ROWS
    x = (3 + 4.2 * row + phase) if second else (3 + 0.3 * row + phase)
    y = (8 - 1.35 * row) if second else (16 - 1.3 * row)
    cell = Image.new("RGB", (wide, high), "white")
    pen = ImageDraw.Draw(cell)
    font = ImageFont.load_default(9.5 * unit)
    for k, title in enumerate(titles):
        pen.text(((x + 62.5) * unit, (y - 4.5 + 155 * k) * unit), title, fill=(20, 20, 20), font=font, anchor="ms")
    for k, face in enumerate(faces):
        if face is not None:
            cell.paste(face, (round((x + (k - 1) * 154) * unit), round(y * unit)))
    return cell


@dataclass(frozen=True)
class Row:
    """A row of the contact sheets: its class, its number within the class from 0, and the split of each cell."""

    second: bool
    number: int
    splits: tuple[str, ...]


def draw_row(seed: int, row: Row, titles: tuple[str, str], width: int) -> list[bytes]:
    """Return the cells of a row as JPEG files."""
    # Draw one more face than cells, because the last cell shows the edge of the next face.
    columns = range(min(COLUMNS, len(row.splits) + 1))
    keys = [(0, int(row.second), row.number * COLUMNS + column) for column in columns]
    rngs = [np.random.default_rng(np.random.SeedSequence(seed, spawn_key=key)) for key in keys]
    faces = [draw_face(rng, not row.second, round(width * 125 / 160)) for rng in rngs]
    around = [None, *faces, None]
    below = titles[1] if row.number % CLASS_ROWS == CLASS_ROWS - 1 else titles[row.second]
    files = []
    for column in range(len(row.splits)):
        file = io.BytesIO()
        printed = (titles[row.second], below)
        cell = draw_cell(around[column : column + 3], printed, row.second, row.number, column, width)
        cell.save(file, "JPEG", quality=JPEG_QUALITY)
        files.append(file.getvalue())
    return files


def arrange_rows(seed: int, expected: Mapping[str, Mapping[str, int]], drawn: int | None) -> list[Row]:
    """Return the rows of the contact sheets. The cells of a class are assigned to the splits at random.

    Training images beyond `expected` are in separate rows after the others, so that the others do not change.
    """
    classes = list(next(iter(expected.values())))
    train = expected.get("train", {})
    more = {"train": {label: max(0, (drawn or 0) - train.get(label, 0)) for label in classes}}
    rows: list[Row] = []
    for counts in (expected, more):
        for second, label in enumerate(classes):
            splits = [split for split, of_split in counts.items() for _ in range(of_split[label])]
            rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(1, second)))
            splits = [splits[place] for place in rng.permutation(len(splits))]
            first = sum(row.second == bool(second) for row in rows)
            for number, start in enumerate(range(0, len(splits), COLUMNS), first):
                rows.append(Row(bool(second), number, tuple(splits[start : start + COLUMNS])))
    return rows


def draw_dataset(
    folder: Path,
    seed: int,
    expected: Mapping[str, Mapping[str, int]],
    titles: Mapping[str, str] | None = None,
    width: int = 160,
    map_rows: Callable[..., Iterable[list[bytes]]] = map,
    drawn: int | None = None,
) -> None:
    """Write a dataset in the layout of the Kaggle dataset to `folder`, with its `test_labels.csv`.

    `expected` is the number of images per split and class. The first of its two classes wears glasses. The split
    `test` is flat; the others have a folder for each class. `titles` is the text above the faces of a class, by default
    the name of the class. `drawn` is the number of training images per class, if it is larger than in `expected`; the
    additional images do not change the others. An image depends only on the seed, its class, its place in the class,
    the titles and the width. `map_rows` calls `draw_row` like the built-in `map`; with the `map` of an executor,
    several rows are drawn at the same time.
    """
    classes = list(next(iter(expected.values())))
    printed = [(titles or {}).get(label, label) for label in classes]
    folders = {(split, label): Path(folder, split, "" if split == "test" else label)
               for split in expected for label in classes}  # fmt: skip
    for path in folders.values():
        path.mkdir(parents=True, exist_ok=True)
    rows = arrange_rows(seed, expected, drawn)
    files_of_rows = map_rows(draw_row, repeat(seed), rows, repeat((printed[0], printed[1])), repeat(width))
    labels: dict[str, str] = {}
    for number, (row, files) in enumerate(zip(rows, files_of_rows, strict=True), start=1):
        label = classes[row.second]
        for column, (split, file) in enumerate(zip(row.splits, files, strict=True), start=1):
            name = f"row-{number}-column-{column}.jpg"
            (folders[split, label] / name).write_bytes(file)
            if split == "test":
                labels[name] = label
    with Path(folder, TEST_LABELS).open("w", encoding="utf-8", newline="") as csv_file:
        csv.writer(csv_file, lineterminator="\n").writerows([("file", "label"), *sorted(labels.items())])

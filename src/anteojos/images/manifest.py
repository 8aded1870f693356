"""The manifest: the one list of the pipeline's images, a table with a row for each."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

# Where the largest face of an image is, as faces.Face.values returns it: in px of the upright image its box, the eye on
# the left and the eye on the right of the image; then `turn` and `score`. `faces` counts the faces. Without any all but
# `faces` are empty; with preprocess.crop: none no face is searched for, and `faces` is 0.
FACE = ("left", "top", "right", "bottom", "left_eye_x", "left_eye_y", "right_eye_x", "right_eye_y", "turn", "score")
# File is the path below data/raw, with slashes; label is "" where it is not known; width and height are in px, mode is
# Pillow's; dhash is the 64-bit difference hash of the aligned face, or of the whole image where there is no face, in
# 16 hex digits.
COLUMNS = ("file", "split", "label", "width", "height", "mode", "bytes", "sha256", "dhash", "faces", *FACE)
# What an index.csv has of them.
INDEX = ("file", "label", "width", "height", "faces", *FACE)


def read(path: Path, columns: Sequence[str] | None = None) -> pd.DataFrame:
    """Read a manifest, or an index.csv with some of its columns; an unknown label is "".

    Of very many images, only the `columns` that are needed should be held in memory.
    """
    # A checksum of digits alone is text too; a column of nothing but empty values is of numbers all the same.
    text = dict.fromkeys(("file", "split", "label", "mode", "sha256", "dhash"), str)
    numbers = dict.fromkeys(FACE, np.float64)
    return pd.read_csv(
        path,
        dtype={**text, **numbers},
        keep_default_na=False,
        na_values={name: [""] for name in FACE},
        usecols=None if columns is None else list(columns),
    )


def write(table: pd.DataFrame, path: Path) -> None:
    """Write a table as CSV, the same bytes on every system."""
    table.to_csv(path, index=False, lineterminator="\n", encoding="utf-8")

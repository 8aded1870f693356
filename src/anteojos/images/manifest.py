"""The manifest, a table with a row for each image of the dataset."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

# The largest face of an image, see faces.Face: positions are in px of the upright image. Empty if there is no face.
FACE = ("left", "top", "right", "bottom", "left_eye_x", "left_eye_y", "right_eye_x", "right_eye_y", "turn", "score")
# `file` is the path below data/raw, with slashes; `label` is "" if it is not known; `width` and `height` are in px of
# the upright image; `mode` is Pillow's colour mode; `dhash` is the difference hash, in 16 hex digits, of the aligned
# face, or of the whole image if there is none; `faces` is the number of faces, 0 with preprocess.crop: none.
COLUMNS = ("file", "split", "label", "width", "height", "mode", "bytes", "sha256", "dhash", "faces", *FACE)
# The columns of index.csv.
INDEX = ("file", "label", "width", "height", "faces", *FACE)


def read(path: Path, columns: Sequence[str] | None = None) -> pd.DataFrame:
    """Read a manifest or an index.csv; an unknown label is "". For large datasets, read only the `columns` you need."""
    # Without these types, checksums that consist of digits would become numbers, and empty columns would be objects.
    text = dict.fromkeys(("file", "split", "label", "mode", "sha256", "dhash"), str)
    return pd.read_csv(
        path,
        dtype={**text, **dict.fromkeys(FACE, np.float64)},
        keep_default_na=False,
        na_values={name: [""] for name in FACE},
        usecols=None if columns is None else list(columns),
    )


def write(table: pd.DataFrame, path: Path) -> None:
    """Write a table as CSV, with the same bytes on all systems."""
    table.to_csv(path, index=False, lineterminator="\n", encoding="utf-8")

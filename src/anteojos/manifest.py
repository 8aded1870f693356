"""The manifest: the one list of the pipeline's pictures, a table with a row for each."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

# File is the path below data/raw, with slashes; label is "" where it is not known; width and height are in px, mode is
# Pillow's; dhash is the 64-bit difference hash of the face panel in 16 hex digits; panel says whether a face panel
# stands out of a white canvas at all (without one, dhash is that of the whole picture).
COLUMNS = ("file", "split", "label", "width", "height", "mode", "bytes", "sha256", "dhash", "panel")
# What an index.csv has of them.
INDEX = ("file", "label", "width", "height", "panel")


def read(path: Path, columns: Sequence[str] | None = None) -> pd.DataFrame:
    """Read a manifest, or an index.csv with some of its columns; an unknown label is "".

    Of very many pictures, only the `columns` that are needed should be held in memory.
    """
    # A checksum of digits alone is text too; of no pictures at all, pandas could not tell what `panel` is.
    types = dict.fromkeys(("file", "split", "label", "mode", "sha256", "dhash"), str)
    return pd.read_csv(
        path, dtype={**types, "panel": bool}, keep_default_na=False, usecols=None if columns is None else list(columns)
    )


def write(table: pd.DataFrame, path: Path) -> None:
    """Write a table as CSV, the same bytes on every system."""
    table.to_csv(path, index=False, lineterminator="\n", encoding="utf-8")

"""The manifest: the one list of the pipeline's pictures, a table with a row for each."""

from pathlib import Path

import pandas as pd

# File is the path below data/raw, with slashes; label is "" where it is not known; width and height are in px, mode is
# Pillow's; dhash is the 64-bit difference hash of the face panel in 16 hex digits.
COLUMNS = ("file", "split", "label", "width", "height", "mode", "bytes", "sha256", "dhash")


def read(path: Path) -> pd.DataFrame:
    """Read a manifest, or an index.csv with some of its columns; an unknown label is ""."""
    # A checksum of digits alone is text too.
    text = dict.fromkeys(("file", "split", "label", "mode", "sha256", "dhash"), str)
    return pd.read_csv(path, dtype=text, keep_default_na=False)


def write(table: pd.DataFrame, path: Path) -> None:
    """Write a table as CSV, the same bytes on every system."""
    table.to_csv(path, index=False, lineterminator="\n", encoding="utf-8")

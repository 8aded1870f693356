"""Read the labels of the test images from a table, as people and spreadsheet programs save it."""

import csv
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from anteojos.runtime import files
from anteojos.runtime.errors import InputError, printable
from anteojos.runtime.names import nfc

COLUMNS = ("file", "label")
SAVE = "Save it as CSV in UTF-8 with the columns file,label: in Excel, choose “CSV UTF-8” in “Save as”."
_SEPARATORS = ",;\t"
_MOST_BYTES = 100_000_000


@dataclass(frozen=True)
class Row:
    """A row of the table, with the number of its line."""

    line: int
    file: str
    label: str


@dataclass(frozen=True)
class Table:
    """The rows; `is_utf` is False if the encoding is not certain: Windows-1252, in which any text can be read."""

    rows: Sequence[Row]
    is_utf: bool


def read(path: Path) -> Table:
    """Read a CSV with the columns file and label, in any order and case, separated by commas, semicolons or tabs.

    It may be UTF-8, UTF-16 with a mark, or Windows-1252. Raises InputError if it is not such a table.
    """
    try:
        text, is_utf = _decoded(files.read(path, _MOST_BYTES))
        mark = re.match(r"sep=(.)\r?\n", text)  # Excel's own first line
        separators = mark[1] if mark else _SEPARATORS
        first = next((line for line in text[mark.end() if mark else 0 :].splitlines() if line.strip()), "")
        headers = {each: _cells(first, each) for each in separators}
        separator = max(headers, key=lambda each: (set(headers[each]) >= set(COLUMNS), len(headers[each])))
        lines = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
        table = [(lines.line_num, [nfc(cell.strip()) for cell in line]) for line in lines]
    except (OSError, ValueError, csv.Error) as error:
        raise InputError(f"{path.name}: not a CSV table", [str(error)], SAVE) from error
    header, found = headers[separator], [(number, cells) for number, cells in table if any(cells)][1 + bool(mark) :]
    if sorted(name for name in header if name in COLUMNS) != sorted(COLUMNS):
        columns = ", ".join(printable(name) for name in header)
        raise InputError(f"{path.name}: has the columns {columns}; expected file,label", advice=SAVE)
    if wrong := [
        f"{path.name}, line {number}: {len(cells)} cells, expected {len(header)}"
        for number, cells in found
        if any(cells[len(header) :])
    ]:
        raise InputError(f"{path.name}: not a CSV table", wrong, "Put a name that contains a separator into quotes.")
    at_file, at_label = map(header.index, COLUMNS)
    padded = [(number, [*cells, *[""] * len(header)]) for number, cells in found]
    return Table([Row(number, cells[at_file], cells[at_label]) for number, cells in padded], is_utf)


def _cells(line: str, separator: str) -> list[str]:
    """Return the names of the columns, without regard to case."""
    return [cell.strip().casefold() for cell in next(csv.reader([line], delimiter=separator))]


def _decoded(data: bytes) -> tuple[str, bool]:
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return data.decode("utf-16"), True
    if b"\0" in data:
        raise ValueError("it contains NUL bytes, so it is not text or has an encoding that is not known")
    if not data.strip():
        raise ValueError("it is empty")
    try:
        return data.decode("utf-8-sig"), True
    except UnicodeDecodeError:
        return data.decode("cp1252"), False

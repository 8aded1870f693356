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
_SEP = re.compile(r"sep=(.)\r?\n")  # Excel's own first line
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
        separator, header = _header(text)
        lines = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
        table = [(lines.line_num, [nfc(cell.strip()) for cell in line]) for line in lines]
    except (OSError, ValueError, csv.Error) as error:
        raise InputError(f"{path.name}: not a CSV table", [str(error)], SAVE) from error
    if sorted(name for name in header if name in COLUMNS) != sorted(COLUMNS):
        columns = ", ".join(printable(name) for name in header)
        raise InputError(f"{path.name}: has the columns {columns}; expected file,label", advice=SAVE)
    above = 2 if _SEP.match(text) else 1
    found = [(number, cells) for number, cells in table if any(cells)][above:]
    wrong = [
        f"{path.name}, line {number}: {len(cells)} cells, expected {len(header)}"
        for number, cells in found
        if any(cells[len(header) :])
    ]
    if wrong:
        raise InputError(f"{path.name}: not a CSV table", wrong, "Put a name that contains a separator into quotes.")
    at_file, at_label = map(header.index, COLUMNS)
    padded = [(number, [*cells, *[""] * len(header)]) for number, cells in found]
    return Table([Row(number, cells[at_file], cells[at_label]) for number, cells in padded], is_utf)


def _header(text: str) -> tuple[str, list[str]]:
    """Return the separator of a table, and the names of its columns in lower case."""
    mark = _SEP.match(text)
    first = next((line for line in text[mark.end() if mark else 0 :].splitlines() if line.strip()), "")
    headers = {
        separator: [cell.strip().casefold() for cell in next(csv.reader([first], delimiter=separator))]
        for separator in (mark[1] if mark else _SEPARATORS)
    }
    best = max(headers, key=lambda separator: (set(headers[separator]) >= set(COLUMNS), len(headers[separator])))
    return best, headers[best]


def _decoded(data: bytes) -> tuple[str, bool]:
    text, is_utf = "", True
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        text = data.decode("utf-16")
    elif b"\0" in data:
        raise ValueError("it contains NUL bytes, so it is not text or has an encoding that is not known")
    else:
        try:
            text = data.decode("utf-8-sig")
        except UnicodeDecodeError:
            text, is_utf = data.decode("cp1252"), False
    if not text.strip():
        raise ValueError("it is empty")
    return text, is_utf

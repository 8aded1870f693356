"""Files in, their labels out, as a table for people or for programs."""

import csv
import io
import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, fields
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TextIO

import click
from tqdm import tqdm

from anteojos import parallel
from anteojos.images import FORMATS as _FORMATS
from anteojos.images import PictureError, is_picture
from anteojos.outputs import replacing

if TYPE_CHECKING:
    from anteojos.classifier import Classifier

Form = Literal["table", "csv", "jsonl"]
FORMATS = tuple(_FORMATS)
MANY = 50  # pictures from which one wants to see how far it is
_WIDEST = 60  # letters; a longer name pushes its row to the right


@dataclass(frozen=True)
class Row:
    """What is said of a picture; `error` says why it could not be read, and nothing else is then known."""

    file: str
    label: str = ""
    probability: float | None = None
    warning: str = ""
    error: str = ""


@dataclass(frozen=True)
class Written:
    """How many rows were written, and how many of them of pictures that could not be read."""

    rows: int
    unreadable: int


def find(paths: Sequence[Path]) -> Iterator[Path]:
    """Yield the files among `paths` and, sorted, the pictures in the folders among them; of -, what stdin lists."""
    for path in paths:
        if str(path) == "-":
            yield from find(_listed(sys.stdin.buffer.read()))
        elif path.is_dir():
            yield from (file for file in sorted(path.rglob("*")) if file.is_file() and is_picture(file))
        else:
            yield path


def _listed(data: bytes) -> list[Path]:
    names = data.split(b"\0") if b"\0" in data else data.splitlines()
    # A list that names - would have itself read again.
    return [Path(os.fsdecode(name)) for name in names if name not in (b"", b"-")]


def label(
    pictures: Sequence[Path],
    classifier: "Classifier",
    threshold: float,
    uncertain: tuple[float, float],
    progress: bool,
) -> Iterator[Row]:
    """Yield a row for each picture, in their order, worked out as parallel.spread does; stderr may show `progress`."""
    work = partial(_label, classifier, threshold, uncertain)
    rows = parallel.spread(_read, work, pictures, total=len(pictures), description="predict" if progress else "")
    for picture, (name, probability, warning, error) in zip(pictures, rows, strict=True):
        yield Row(str(picture), name, probability, warning, error)


def _read(path: Path) -> bytes | OSError:
    try:
        return path.read_bytes()
    except OSError as error:
        return error


def _label(
    classifier: "Classifier", threshold: float, uncertain: tuple[float, float], data: bytes | OSError
) -> tuple[str, float | None, str, str]:
    """Give a picture's label, probability and warning, or what is wrong with it."""
    if isinstance(data, OSError):
        return "", None, "", data.strerror or str(data)
    try:
        found = classifier(data, threshold=threshold, uncertain=uncertain)
    except PictureError as error:
        return "", None, "", str(error)
    return found.label, found.probability, found.warning, ""


def write(rows: Iterable[Row], form: Form, output: Path | None, width: int, color: bool) -> Written:
    """Write rows one by one to the file `output`, whole or not at all, or where that is None to stdout.

    A table's column of files has `width` letters, if that is not too many.
    """
    line_of: Callable[[Row], str]
    match form:
        case "csv":
            head, line_of, errors = _csv_line([field.name for field in fields(Row)]), _as_csv, "surrogateescape"
        case "jsonl":
            # A name that is no text is written as JSON's own escapes.
            head, line_of, errors = "", _as_json, "backslashreplace"
        case "table":
            width = min(max(width, len("file")), _WIDEST)
            head, errors = f"{'file':{width}}  label        probability\n", "backslashreplace"
            line_of = partial(_as_text, width=width, color=color)
    count = unreadable = 0
    with ExitStack() as stack:
        stream = _opened(output, errors, stack)
        stream.write(head)
        for row in rows:
            # Above a progress bar, where there is one.
            tqdm.write(line_of(row), stream, end="")
            count, unreadable = count + 1, unreadable + bool(row.error)
        stream.flush()
    return Written(count, unreadable)


def _opened(output: Path | None, errors: str, stack: ExitStack) -> TextIO:
    if output:
        path = stack.enter_context(replacing(output))
        return stack.enter_context(path.open("w", encoding="utf-8", errors=errors, newline=""))
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors=errors)
    return sys.stdout


def _as_csv(row: Row) -> str:
    probability = "" if row.probability is None else f"{row.probability:.4f}"
    return _csv_line([row.file, row.label, probability, row.warning, row.error])


def _csv_line(values: Sequence[str]) -> str:
    line = io.StringIO()
    csv.writer(line, lineterminator="\n").writerow(values)
    return line.getvalue()


def _as_json(row: Row) -> str:
    return json.dumps(asdict(row), ensure_ascii=False) + "\n"


def _as_text(row: Row, width: int, color: bool) -> str:
    file = f"{shown(row.file):{width}}"
    if row.error:
        return f"{file}  {_styled(shown(row.error), 'red', color)}\n"
    warning = f"  {_styled(row.warning, 'yellow', color)}" if row.warning else ""
    return f"{file}  {shown(row.label):11}  {row.probability:11.4f}{warning}\n"


def _styled(words: str, fg: str, color: bool) -> str:
    return click.style(words, fg=fg) if color else words


def shown(name: str | Path) -> str:
    """Give a name as a terminal may be shown it: what could steer the terminal is escaped."""
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in str(name))

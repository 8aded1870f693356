"""Write labels as a table, CSV or JSON lines, and annotated copies of the images."""

import csv
import io
import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal, TextIO

import click

from anteojos.labelling.inference import Labelled
from anteojos.labelling.reading import counted
from anteojos.model.probability import as_text
from anteojos.runtime.errors import InputError, printable
from anteojos.runtime.outputs import replacing

Form = Literal["table", "csv", "jsonl"]
Row = dict[str, Any]  # an object of JSON lines
_NO_FACE = "no face found"
_WIDEST = 60  # letters; a longer file name moves its row to the right
_COORDINATES = ("left", "top", "right", "bottom", "left_eye_x", "left_eye_y", "right_eye_x", "right_eye_y")
_COLUMNS = ("file", "face", *_COORDINATES, "label", "probability", "first_class_probability", "warning", "error")


@dataclass
class Totals:
    """Numbers of images, of faces, and of images without a face and unreadable ones."""

    images: int = 0
    faces: int = 0
    without_face: int = 0
    unreadable: int = 0

    def add(self, labelled: Labelled) -> None:
        """Count an image."""
        self.images += 1
        self.faces += sum(prediction.face is not None for prediction in labelled.predictions)
        self.unreadable += bool(labelled.error)
        self.without_face += not labelled.predictions and not labelled.error

    def summary(self, by_face: bool) -> str:
        """Return the totals in one line; those of faces only if images were labelled `by_face`."""
        faces = [counted(self.faces, "face"), f"{self.without_face:,} without a face"] if by_face else []
        return ", ".join([counted(self.images, "image"), *faces, f"{self.unreadable:,} unreadable"])


def annotated_paths(files: Sequence[Path], folder: Path) -> list[Path]:
    """Return where the annotated copy of each file is written: in `folder`, by its path from their common folder.

    Copies of JPEG files are JPEG, all others PNG. Raises InputError if a copy would overwrite one of the files.
    """
    from anteojos.evaluation.annotation import suffix_of

    places = [Path(os.path.abspath(file)) for file in files]  # noqa: PTH100, resolve() would follow links
    common = os.path.commonpath([place.parent for place in places])
    targets = [folder / place.relative_to(common).with_name(place.name + suffix_of(place.suffix)) for place in places]
    sources = {file.resolve() for file in files}
    for target in targets:
        if target.resolve() in sources:
            raise InputError(
                f"--annotate {folder}: {target} is one of the images, and would be overwritten",
                advice="Name another folder for the annotated copies.",
            )
    return targets


def save_copies(labelled: Iterable[Labelled], targets: Sequence[Path]) -> Iterator[Labelled]:
    """Yield each image after its annotated copy, if it has one, was written to its path in `targets`."""
    for image, target in zip(labelled, targets, strict=True):
        if image.annotated:
            with replacing(target) as path:
                path.write_bytes(image.annotated)
        yield image


def write(labelled: Iterable[Labelled], form: Form, output: Path | None, width: int, color: bool) -> Totals:
    """Write rows one by one to the file `output`, atomically, or if that is None to stdout.

    In a table, the column of files has `width` letters, but at most 60.
    """
    lines_of: Callable[[Labelled], Iterable[str]]
    # File names that are not UTF-8: CSV keeps their bytes, the other formats escape them.
    errors = "surrogateescape" if form == "csv" else "backslashreplace"
    match form:
        case "csv":
            head, lines_of = _csv_line(_COLUMNS), _as_csv
        case "jsonl":
            head, lines_of = "", _as_json
        case "table":
            width = min(max(width, len("file")), _WIDEST)
            head = f"{'file':{width}}  face  {'box (px)':20}  {'label':11}  probability of the label\n"
            lines_of = partial(_as_text, width=width, color=color)
    totals = Totals()
    with ExitStack() as stack:
        stream = _opened(output, errors, stack)
        stream.write(head)
        write_line = _above_progress_bar(stream) if sys.stderr.isatty() else stream.write
        for image in labelled:
            for line in lines_of(image):
                write_line(line)
            totals.add(image)
        stream.flush()
    return totals


def _opened(output: Path | None, errors: str, stack: ExitStack) -> TextIO:
    if output:
        path = stack.enter_context(replacing(output))
        return stack.enter_context(path.open("w", encoding="utf-8", errors=errors, newline=""))
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors=errors)
    return sys.stdout


def _above_progress_bar(stream: TextIO) -> Callable[[str], None]:
    from tqdm import tqdm  # 50 ms, so only on a terminal

    return partial(tqdm.write, file=stream, end="")


def rows(labelled: Labelled) -> Iterator[Row]:
    """Yield the rows of an image: one for each prediction, or one that says why there is none."""
    for number, found in enumerate(labelled.predictions or (None,), start=1):
        face = found and found.face
        yield {
            "file": str(labelled.file),
            "face": number if face else None,
            "box": face and face.box,
            "eyes": face and face.eyes,
            "label": found.label if found else "",
            "probability": found and found.probability,
            "first_class_probability": found and found.first_class_probability,
            "warning": found.warning if found else "" if labelled.error else _NO_FACE,
            "error": labelled.error,
        }


def _as_json(labelled: Labelled) -> Iterator[str]:
    for row in rows(labelled):
        yield json.dumps(row, ensure_ascii=False) + "\n"


def _as_csv(labelled: Labelled) -> Iterator[str]:
    for row in rows(labelled):
        values = row | dict.fromkeys(_COORDINATES, "")
        if row["face"]:
            place = (*row["box"], *row["eyes"][0], *row["eyes"][1])
            values |= {name: f"{value:g}" for name, value in zip(_COORDINATES, place, strict=True)}
        if row["label"]:
            values |= {name: as_text(row[name], 4) for name in ("probability", "first_class_probability")}
        yield _csv_line([values[name] for name in _COLUMNS])


def _csv_line(values: Iterable[Any]) -> str:
    line = io.StringIO()
    csv.writer(line, lineterminator="\n").writerow(values)
    return line.getvalue()


def _as_text(labelled: Labelled, width: int, color: bool) -> Iterator[str]:
    file = f"{printable(labelled.file):{width}}"
    if labelled.error:
        yield f"{file}  {_styled(printable(labelled.error), 'red', color)}\n"
    elif not labelled.predictions:
        yield f"{file}  {_styled(_NO_FACE, 'yellow', color)}\n"
    for number, found in enumerate(labelled.predictions, start=1):
        box = ", ".join(f"{edge:.0f}" for edge in found.face.box) if found.face else "whole image"
        warning = f"  {_styled(found.warning, 'yellow', color)}" if found.warning else ""
        face = number if found.face else ""
        yield f"{file}  {face:4}  {box:20}  {printable(found.name):11}  {as_text(found.probability, 4)}{warning}\n"


def _styled(text: str, fg: str, color: bool) -> str:
    return click.style(text, fg=fg) if color else text

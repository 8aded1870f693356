"""Files in, the labels of their faces out, as a table for people or for programs."""

import csv
import io
import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TextIO

import click
from tqdm import tqdm

from anteojos.images import decoding
from anteojos.images.decoding import ImageError, is_image
from anteojos.runtime import parallel
from anteojos.runtime.errors import InputError
from anteojos.runtime.outputs import replacing

if TYPE_CHECKING:
    from anteojos.model.classifier import Classifier, Prediction

Form = Literal["table", "csv", "jsonl"]
FORMATS = tuple(decoding.FORMATS)
MANY = 50  # images from which a progress bar is shown
NO_FACE = "no face found"
_WIDEST = 60  # letters; a longer name moves its row to the right
_COORDINATES = ("left", "top", "right", "bottom", "left_eye_x", "left_eye_y", "right_eye_x", "right_eye_y")
_COLUMNS = ("file", "face", *_COORDINATES, "label", "probability", "first_class_probability", "warning", "error")


@dataclass
class Found:
    """The image `files` to label, in order, and how many files of folders were `skipped` as no images."""

    files: list[Path] = field(default_factory=list)
    skipped: int = 0


@dataclass(frozen=True)
class Options:
    """How images are labelled: see Classifier. With `annotate`, copies with boxes and labels are drawn."""

    threshold: float
    uncertain: tuple[float, float]
    whole: bool
    annotate: bool


@dataclass(frozen=True)
class Labelled:
    """What was found in an image: a prediction for each face, from left to right, or one for the whole image.

    `error` says why it could not be read; then there are no predictions. `annotated` is an encoded copy with boxes and
    labels, if one was asked for.
    """

    file: Path
    predictions: tuple["Prediction", ...] = ()
    error: str = ""
    annotated: bytes = b""


@dataclass
class Totals:
    """What was written: images, of which so many without a face and so many unreadable, and faces."""

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


def find(paths: Sequence[Path], ignored: Path | None = None) -> Found:
    """List the files among `paths` and, sorted, the images in the folders among them; of -, what stdin lists.

    Of a folder, hidden files and those in its subfolder `ignored` are ignored; other files that are no images are
    counted.
    """
    found = Found()
    for path in paths:
        if str(path) == "-":
            listed = find(_listed(sys.stdin.buffer.read()), ignored)
            found.files += listed.files
            found.skipped += listed.skipped
        elif path.is_dir():
            inside = [file for file in sorted(path.rglob("*")) if file.is_file() and not _hidden(file, path)]
            if ignored and path.resolve() in ignored.resolve().parents:
                inside = [file for file in inside if not file.resolve().is_relative_to(ignored.resolve())]
            found.files += filter(is_image, inside)
            found.skipped += sum(not is_image(file) for file in inside)
        else:
            found.files.append(path)
    return found


def _hidden(file: Path, folder: Path) -> bool:
    return any(part.startswith(".") for part in file.relative_to(folder).parts)


def _listed(data: bytes) -> list[Path]:
    names = data.split(b"\0") if b"\0" in data else data.splitlines()
    # A list that names - would have itself read again.
    return [Path(os.fsdecode(name)) for name in names if name not in (b"", b"-")]


def label(files: Sequence[Path], classifier: "Classifier", options: Options, progress: bool) -> Iterator[Labelled]:
    """Yield what is found in each image, in their order, worked out as parallel.spread does."""
    work = partial(_label, classifier, options)
    return parallel.spread(_read, work, files, total=len(files), description="predict" if progress else "")


def _read(path: Path) -> tuple[Path, bytes | OSError]:
    try:
        return path, path.read_bytes()
    except OSError as error:
        return path, error


def _label(classifier: "Classifier", options: Options, given: tuple[Path, bytes | OSError]) -> Labelled:
    file, data = given
    if isinstance(data, OSError):
        return Labelled(file, error=data.strerror or str(data))
    how: dict[str, Any] = {"threshold": options.threshold, "uncertain": options.uncertain}
    try:
        # Once, if the whole of it is needed for the copy too.
        image = decoding.decode(data).image if options.annotate else data
        if options.whole or classifier.metadata.crop == "none":
            predictions = [classifier(image, whole=True, **how)]
        else:
            predictions = classifier.faces(image, **how)
    except ImageError as error:
        return Labelled(file, error=str(error))
    if isinstance(image, bytes):
        return Labelled(file, tuple(predictions))
    from anteojos.evaluation import annotation

    annotated = annotation.annotate(image, predictions, classifier.metadata.labels[0], file.suffix)
    return Labelled(file, tuple(predictions), annotated=annotated)


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


def write(labelled: Iterable[Labelled], form: Form, output: Path | None, width: int, color: bool) -> Totals:
    """Write rows one by one to the file `output`, whole or not at all, or where that is None to stdout.

    A table's column of files has `width` letters, if that is not too many.
    """
    lines_of: Callable[[Labelled], Iterable[str]]
    match form:
        case "csv":
            head, lines_of, errors = _csv_line(_COLUMNS), _as_csv, "surrogateescape"
        case "jsonl":
            # A name that is no text is written as JSON's own escapes.
            head, lines_of, errors = "", _as_json, "backslashreplace"
        case "table":
            width = min(max(width, len("file")), _WIDEST)
            head = f"{'file':{width}}  face  {'box (px)':20}  {'label':11}  probability of the label\n"
            lines_of, errors = partial(_as_text, width=width, color=color), "backslashreplace"
    totals = Totals()
    with ExitStack() as stack:
        stream = _opened(output, errors, stack)
        stream.write(head)
        for one in labelled:
            for line in lines_of(one):
                # Above a progress bar, where there is one.
                tqdm.write(line, stream, end="")
            totals.add(one)
        stream.flush()
    return totals


def _opened(output: Path | None, errors: str, stack: ExitStack) -> TextIO:
    if output:
        path = stack.enter_context(replacing(output))
        return stack.enter_context(path.open("w", encoding="utf-8", errors=errors, newline=""))
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors=errors)
    return sys.stdout


def _as_csv(labelled: Labelled) -> Iterator[str]:
    empty = [""] * len(_COORDINATES)
    if not labelled.predictions:
        warning = "" if labelled.error else NO_FACE
        yield _csv_line([str(labelled.file), "", *empty, "", "", "", warning, labelled.error])
    for number, found in enumerate(labelled.predictions, start=1):
        face = found.face
        place = [f"{value:g}" for value in face.values[: len(_COORDINATES)]] if face else empty
        probabilities = (f"{found.probability:.4f}", f"{found.first_class_probability:.4f}")
        numbered = str(number) if face else ""
        yield _csv_line([str(labelled.file), numbered, *place, found.label, *probabilities, found.warning, ""])


def _csv_line(values: Sequence[str]) -> str:
    line = io.StringIO()
    csv.writer(line, lineterminator="\n").writerow(values)
    return line.getvalue()


def _as_json(labelled: Labelled) -> Iterator[str]:
    nothing = {"face": None, "box": None, "eyes": None, "label": "", "probability": None}
    nothing |= {"first_class_probability": None, "warning": "" if labelled.error else NO_FACE, "error": labelled.error}
    rows: list[dict[str, Any]] = [] if labelled.predictions else [nothing]
    for number, found in enumerate(labelled.predictions, start=1):
        face = found.face
        rows.append(
            {
                "face": number if face else None,
                "box": face and face.box,
                "eyes": face and face.eyes,
                "label": found.label,
                "probability": found.probability,
                "first_class_probability": found.first_class_probability,
                "warning": found.warning,
                "error": "",
            }
        )
    for row in rows:
        yield json.dumps({"file": str(labelled.file), **row}, ensure_ascii=False) + "\n"


def _as_text(labelled: Labelled, width: int, color: bool) -> Iterator[str]:
    file = f"{shown(labelled.file):{width}}"
    if labelled.error:
        yield f"{file}  {_styled(shown(labelled.error), 'red', color)}\n"
    elif not labelled.predictions:
        yield f"{file}  {_styled(NO_FACE, 'yellow', color)}\n"
    for number, found in enumerate(labelled.predictions, start=1):
        box = ", ".join(f"{edge:.0f}" for edge in found.face.box) if found.face else "whole image"
        warning = f"  {_styled(found.warning, 'yellow', color)}" if found.warning else ""
        numbered = number if found.face else ""
        yield f"{file}  {numbered:4}  {box:20}  {shown(found.name):11}  {found.probability:.4f}{warning}\n"


def _styled(words: str, fg: str, color: bool) -> str:
    return click.style(words, fg=fg) if color else words


def shown(name: str | Path) -> str:
    """Return a name for a terminal: control characters are escaped."""
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in str(name))

"""The command `anteojos`."""

import argparse
import csv
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from anteojos.errors import InputError

if TYPE_CHECKING:
    from anteojos.classifier import Classifier


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; give its exit code.

    0, 1 for wrong input, 3 where `predict` could not read a picture, 4 where `audit --fail` found a leak.
    """
    parser = argparse.ArgumentParser(prog="anteojos", description="Tells faces with glasses from faces without.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND", dest="command")
    predict = commands.add_parser("predict", help="label pictures", description="Label pictures; writes CSV.")
    predict.add_argument("paths", nargs="+", type=Path, metavar="PATH", help="a picture, or a folder of pictures")
    predict.add_argument("--model", type=Path, default=Path("models/model.tflite"), help="default: %(default)s")
    predict.add_argument(
        "--threshold",
        type=_probability,
        default=0.5,
        help="probability from which a picture counts as the first class, default: %(default)s",
    )
    predict.add_argument(
        "--uncertain",
        action=_FromLowToHigh,
        nargs=2,
        type=_probability,
        default=(0.2, 0.8),
        metavar=("LOW", "HIGH"),
        help="probabilities between which a picture is warned of as uncertain, default: 0.2 0.8",
    )
    _add_audit(commands)
    options = parser.parse_args(arguments)
    try:
        if options.command == "audit":
            return _audit(options)
        return _predict(options.paths, options.model, options.threshold, options.uncertain)
    except InputError as error:
        print(f"anteojos: {error}", file=sys.stderr)
        return 1


def _predict(paths: Sequence[Path], model: Path, threshold: float, uncertain: tuple[float, float]) -> int:
    # Here, so that --help need not wait for NumPy, Pillow and LiteRT.
    from anteojos import parallel
    from anteojos.classifier import Classifier

    label = partial(_label, Classifier.load(model), threshold, uncertain)
    pictures = list(_pictures(paths))
    # On a terminal, the table itself shows how far it is.
    description = "" if len(pictures) == 1 or sys.stdout.isatty() else "predict"
    table = csv.writer(sys.stdout, lineterminator="\n")
    table.writerow(("file", "label", "probability", "warning", "error"))
    unreadable = False
    rows = parallel.spread(_read, label, pictures, total=len(pictures), description=description)
    for path, (*row, error) in zip(pictures, rows, strict=True):
        table.writerow((path, *row, error))
        unreadable = unreadable or bool(error)
    return 3 if unreadable else 0


def _read(path: Path) -> bytes | OSError:
    try:
        return path.read_bytes()
    except OSError as error:
        return error


def _label(
    classifier: "Classifier", threshold: float, uncertain: tuple[float, float], data: bytes | OSError
) -> tuple[str, str, str, str]:
    """Give what is written of a picture: its label, probability and warning, or what is wrong with it."""
    from anteojos.images import PictureError

    if isinstance(data, OSError):
        return "", "", "", data.strerror or str(data)
    try:
        found = classifier(data, threshold=threshold, uncertain=uncertain)
    except PictureError as error:
        return "", "", "", str(error)
    return found.label, f"{found.probability:.4f}", found.warning, ""


def _pictures(paths: Sequence[Path]) -> Iterator[Path]:
    """Yield the files among `paths` and, sorted, the pictures in the folders among them."""
    from anteojos.images import is_picture

    for path in paths:
        if path.is_dir():
            yield from (file for file in sorted(path.rglob("*")) if file.is_file() and is_picture(file))
        else:
            yield path


class _FromLowToHigh(argparse.Action):
    def __call__(self, parser: Any, namespace: argparse.Namespace, values: Any, option_string: Any = None) -> None:
        low, high = values
        if low > high:
            raise argparse.ArgumentError(self, f"{low} is above {high}")
        setattr(namespace, self.dest, (low, high))


def _probability(text: str) -> float:
    value = float(text)
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"{text} is not from 0 to 1")
    return value


def _add_audit(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    audit = commands.add_parser(
        "audit",
        help="ask whether labels can be told from the pictures' border",
        description="Ask whether the labels of pictures can be told where what they are about is not: from their "
        "border, and from what their files give away.",
    )
    audit.add_argument(
        "folder",
        type=Path,
        metavar="FOLDER",
        help="holds a folder of pictures for each of two classes, or train/ and validate/ that do",
    )
    audit.add_argument(
        "--crop",
        choices=("panel", "none"),
        default="none",
        help="panel: look at the face cut out of its canvas, default: %(default)s",
    )
    audit.add_argument(
        "--border",
        type=_from_to(4, 72),
        default=22,
        help="width of the border in 160ths of a picture's, default: %(default)s",
    )
    audit.add_argument(
        "--size",
        type=_from_to(32, 1024),
        default=160,
        help="px, width and height that pictures are brought to first, default: %(default)s",
    )
    audit.add_argument("--picture", type=Path, metavar="PNG", help="draw there where in the border the label is")
    audit.add_argument("--fail", action="store_true", help="exit with code 4 if the label can be told from the border")


def _audit(options: argparse.Namespace) -> int:
    from anteojos import labelled, leak, leak_sheet
    from anteojos.outputs import replacing

    files, labels = labelled.find(options.folder)
    first, names = leak.two_classes(labels)
    chosen = leak.sample(len(files))
    pictures, facts = labelled.read([files[row] for row in chosen], options.size, options.crop)
    found = leak.probes(pictures, first[chosen], facts, border=options.border)
    print(f"{'':16}  accuracy  chance  p value  pictures  verdict")
    for name, probe in found.items():
        figures = f"{probe.accuracy:8.3f}  {probe.chance:6.3f}  {probe.p_value:7.3f}  {probe.n:8,}"
        print(f"{name:16}  {figures}  {probe.verdict}")
    for paragraph in leak.explain(found, names, options.border, options.crop, str(options.picture or "")):
        print(f"\n{paragraph}")
    if options.picture:
        with replacing(options.picture) as path:
            leak_sheet.draw(pictures, first[chosen], names, found["border"], options.border).save(path, "PNG")
    return 4 if options.fail and found["border"].verdict == "leak" else 0


def _from_to(low: int, high: int) -> Callable[[str], int]:
    def number(text: str) -> int:
        value = int(text)
        if not low <= value <= high:
            raise argparse.ArgumentTypeError(f"{text} is not from {low} to {high}")
        return value

    return number

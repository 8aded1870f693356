"""The command `anteojos`."""

import argparse
import csv
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from anteojos.errors import InputError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; give its exit code: 0, 1 for wrong input, 3 where a picture could not be read."""
    parser = argparse.ArgumentParser(prog="anteojos", description="Tells faces with glasses from faces without.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
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
    options = parser.parse_args(arguments)
    try:
        return _predict(options.paths, options.model, options.threshold, options.uncertain)
    except InputError as error:
        print(f"anteojos: {error}", file=sys.stderr)
        return 1


def _predict(paths: Sequence[Path], model: Path, threshold: float, uncertain: tuple[float, float]) -> int:
    # Here, so that --help need not wait for NumPy, Pillow and LiteRT.
    from anteojos.classifier import Classifier
    from anteojos.images import PictureError

    classifier = Classifier.load(model)
    table = csv.writer(sys.stdout, lineterminator="\n")
    table.writerow(("file", "label", "probability", "warning", "error"))
    unreadable = False
    for path in _pictures(paths):
        try:
            picture = classifier.predict(path.read_bytes(), threshold, uncertain)
        except (PictureError, OSError) as error:
            unreadable = True
            table.writerow((path, "", "", "", error.strerror if isinstance(error, OSError) else error))
        else:
            table.writerow((path, picture.label, f"{picture.probability:.4f}", picture.warning, ""))
    return 3 if unreadable else 0


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

"""Read the metrics of this checkout and of commits, and check that they can be compared."""

import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from anteojos.runtime.errors import InputError
from anteojos.team.commands import git, leaves

FOLDER = Path("metrics")
EVALUATE, AUDIT = FOLDER / "evaluate.json", FOLDER / "audit.json"
ADVICE = "Run `make repro`, which writes it."
BETWEEN_0_AND_1 = ("accuracy", "accuracy_low", "accuracy_high", "majority_accuracy")


def read(path: Path) -> dict[str, Any]:
    """Read metrics from a file. Raises InputError if it does not exist or is not valid."""
    if not path.is_file():
        raise InputError(f"{path}: No such file", advice=ADVICE)
    return parse(path.read_text(encoding="utf-8"), str(path))


def read_at(path: Path, base: str) -> dict[str, Any] | None:
    """Read the metrics that are committed in `base`; None if there is no such file. Raises InputError if not valid."""
    # A path relative to the current folder: the checkout may be a folder of a larger repository.
    if not git("ls-tree", "--name-only", base, "--", str(path)):
        return None
    return parse(git("show", f"{base}:./{path.as_posix()}"), f"{path} in {base}", advice="Choose another commit.")


def parse(text: str, name: str, advice: str = ADVICE) -> dict[str, Any]:
    """Return the metrics in a JSON text.

    Raises InputError that mentions `name` if it is not a JSON object, or has a number that cannot be compared: NaN,
    infinity, or an accuracy that is no number from 0 to 1.
    """
    try:
        metrics = json.loads(text)
    except ValueError:
        metrics = None
    if not isinstance(metrics, dict):
        raise InputError(f"{name}: not a JSON object", advice=advice)
    problems = list(_wrong_values(metrics))
    if problems:
        raise InputError(f"{name}: metrics that cannot be compared", problems, advice)
    return metrics


def _wrong_values(metrics: Mapping[str, Any]) -> Iterator[str]:
    """Yield each value that is not a finite number, and each accuracy that is not between 0 and 1."""
    for key, value in leaves(metrics, lists=True):
        if key.rpartition(".")[2] in BETWEEN_0_AND_1:
            if not (is_number(value) and 0 <= value <= 1):
                yield f"{key}: found {value!r}, expected a number from 0 to 1"
        elif isinstance(value, float) and not math.isfinite(value):
            yield f"{key}: found {value}, expected a finite number"


def is_number(value: Any) -> bool:
    """Return whether a value is a finite number; True and False are none."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def require_scores(metrics: Mapping[str, Any], split: str, name: str) -> dict[str, Any]:
    """Return the accuracy on a split with its interval. Raises InputError that mentions `name` if it is incomplete."""
    scores = metrics.get(split)
    scores = scores if isinstance(scores, dict) else {}
    numbers = ["n", "accuracy", "accuracy_low", *(["accuracy_high"] if "majority_accuracy" in scores else [])]
    missing = [key for key in numbers if not is_number(scores.get(key))]
    if missing:
        raise InputError(
            f"{name}: no accuracy of {split} with its interval in it",
            [f"{split}.{key}: found {scores.get(key, 'nothing')!r}, expected a number" for key in missing],
            ADVICE,
        )
    return scores

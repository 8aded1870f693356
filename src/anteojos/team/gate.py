"""The quality gate: check that the model is as good as that of another branch, and that no label leaks."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from anteojos.evaluation import majority
from anteojos.runtime.errors import InputError
from anteojos.team.commands import git, revision

EVALUATE, AUDIT = Path("metrics/evaluate.json"), Path("metrics/audit.json")
SPLIT = "validate"
ADVICE = "Run `make repro`, which writes it."


@dataclass(frozen=True)
class Accuracy:
    """The accuracy on `n` images, the lower end of its 95 % interval, and how it compares with the larger class.

    `compared` is "" in commits from before this was measured.
    """

    n: int
    accuracy: float
    accuracy_low: float
    compared: str = ""

    def __str__(self) -> str:
        """Return the accuracy as text."""
        return f"{self.accuracy:.3f} of {self.n:,} images, its 95 % interval from {self.accuracy_low:.3f}"


def check(base: str) -> None:
    """Compare with the commit `base`, and print the result. Raises InputError if the model does not pass."""
    base = revision(base)
    here = accuracy(read(EVALUATE), str(EVALUATE))
    before = accuracy_at(base)
    border, others = leaks(read(AUDIT))
    print(f"{SPLIT}: accuracy {here}; in {base or 'the branch before'}: {before or 'none yet'}.")
    if here.compared:
        print(f"The model is {here.compared}.")
    problems = []
    if before and here.n != before.n:
        print("The numbers of images differ: the change may come from the images and not from the model.")
    if before and fell(here, before):
        problems.append(
            f"{SPLIT}: accuracy {here.accuracy:.3f} is below the interval of {base}, {before.accuracy_low:.3f} and up"
        )
    if others:
        print(f"warning: {AUDIT}: the label can also be predicted from: {others}. The gate checks the border only.")
    if border:
        problems.append(f"{AUDIT}: the border predicts the label: {border}; expected no leak")
    if problems:
        raise InputError(
            "The model does not pass:",
            problems,
            "`make compare` shows what else has changed; metrics/plots/leak.png shows where a leak is.",
        )
    print("The border does not leak the label. The model passes.")


def fell(here: Accuracy, before: Accuracy) -> bool:
    """Return whether an accuracy is below the 95 % interval of the earlier one.

    The interval shows how much the accuracy varies with other images of the same kind. The interval of the new accuracy
    is not used: usually both are from the same images, and requiring separate intervals would let a fall from 0.85 to
    0.60 on 40 images pass. Several small falls can pass one by one; compare with the last release (BASE=v1.0.0) to find
    them.
    """
    return here.accuracy < before.accuracy_low


def leaks(audit: dict[str, Any]) -> tuple[str, str]:
    """Return the result of the border, "" if it does not leak, and the names of the other leaks, "" without any.

    Only the border decides, as in the audit: the network sees the rest only as a part of the border.
    """
    try:
        border, others = audit["border"], audit["other_leaks"]
        found = f"accuracy {border['accuracy']:.3f} (p = {border['p_value']:.3f})"
        return "" if border["verdict"] == "none" else found, "" if others == "none" else others
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{AUDIT}: no verdict of the audit in it ({error})", advice=ADVICE) from None


def accuracy_at(base: str) -> Accuracy | None:
    """Return the accuracy that is committed in `base`, or None if there is none."""
    # A path relative to the current folder: the checkout may be a folder of a larger repository.
    if not base or not git("ls-tree", "--name-only", base, "--", str(EVALUATE)):
        return None
    name = f"{EVALUATE} in {base}"
    metrics = parse(git("show", f"{base}:./{EVALUATE.as_posix()}"), name)
    return accuracy(metrics, name) if SPLIT in metrics else None


def read(path: Path) -> dict[str, Any]:
    """Read metrics from a file. Raises InputError if it does not exist or is not valid."""
    if not path.is_file():
        raise InputError(f"{path}: No such file", advice=ADVICE)
    return parse(path.read_text(encoding="utf-8"), str(path))


def parse(text: str, name: str) -> dict[str, Any]:
    """Return the metrics in a JSON text. Raises InputError that mentions `name` if it is not a JSON object."""
    try:
        metrics = json.loads(text)
    except ValueError:
        metrics = None
    if not isinstance(metrics, dict):
        raise InputError(f"{name}: not a JSON object", advice=ADVICE)
    return metrics


def accuracy(metrics: dict[str, Any], name: str) -> Accuracy:
    """Return the accuracy on the split. Raises InputError that mentions `name` if it is missing."""
    try:
        scores = metrics[SPLIT]
        low = float(scores["accuracy_low"])
        return Accuracy(int(scores["n"]), float(scores["accuracy"]), low, majority.compare(scores))
    except (KeyError, TypeError, ValueError):
        raise InputError(f"{name}: no accuracy of {SPLIT} with its interval in it", advice=ADVICE) from None

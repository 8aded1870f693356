"""The quality gate: check that the model is as good as that of another branch, and that no label leaks."""

from dataclasses import dataclass
from typing import Any

from anteojos.evaluation import majority
from anteojos.runtime.errors import InputError
from anteojos.team.commands import revision
from anteojos.team.metrics import ADVICE, AUDIT, EVALUATE, is_number, read, read_at, require_scores

SPLIT = "validate"


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
    base = revision(base, example="make gate BASE=main")
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
    0.60 on 40 images pass. Several small falls can pass one by one; compare with the last release
    (BASE=classifier@v1.0.0) to find them.
    """
    return here.accuracy < before.accuracy_low


def leaks(audit: dict[str, Any]) -> tuple[str, str]:
    """Return the result of the border, "" if it does not leak, and the names of the other leaks, "" without any.

    Only the border decides, as in the audit: the network sees the rest only as a part of the border.
    """
    border, others = audit.get("border"), audit.get("other_leaks")
    if not (
        isinstance(border, dict)
        and border.get("verdict") in ("none", "leak")
        and is_number(border.get("accuracy"))
        and is_number(border.get("p_value"))
        and isinstance(others, str)
    ):
        raise InputError(
            f"{AUDIT}: no verdict of the audit in it",
            [
                f"border: found {border!r}, expected accuracy, p_value, and the verdict none or leak",
                f"other_leaks: found {others!r}, expected names or none",
            ],
            ADVICE,
        )
    found = f"accuracy {border['accuracy']:.3f} (p = {border['p_value']:.3f})"
    return found if border["verdict"] == "leak" else "", "" if others == "none" else others


def accuracy_at(base: str) -> Accuracy | None:
    """Return the accuracy that is committed in `base`, or None if there is none."""
    metrics = read_at(EVALUATE, base) if base else None
    return accuracy(metrics, f"{EVALUATE} in {base}") if metrics and SPLIT in metrics else None


def accuracy(metrics: dict[str, Any], name: str) -> Accuracy:
    """Return the accuracy on the split. Raises InputError that mentions `name` if it is missing."""
    scores = require_scores(metrics, SPLIT, name)
    return Accuracy(scores["n"], scores["accuracy"], scores["accuracy_low"], majority.compare(scores))

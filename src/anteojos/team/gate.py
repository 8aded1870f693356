"""The quality gate: is the model as good as that of another branch, and is its accuracy honest?"""

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from anteojos.runtime.errors import InputError
from anteojos.runtime.runner import run
from anteojos.team.commands import git, revision

EVALUATE, AUDIT = Path("metrics/evaluate.json"), Path("metrics/audit.json")
SPLIT = "validate"
NO_LEAK = "none"


@dataclass(frozen=True)
class Accuracy:
    """The accuracy on `n` images, and the lower end of its 95 % interval."""

    n: int
    accuracy: float
    accuracy_low: float

    def __str__(self) -> str:
        """Write it for a person."""
        return f"{self.accuracy:.3f} of {self.n:,} images, its 95 % interval from {self.accuracy_low:.3f}"


def main() -> None:
    """Run the gate against the commit that is named on the command line: exit code 1 where the model does not pass."""
    base = revision(sys.argv[1])
    here = accuracy(read(EVALUATE), str(EVALUATE))
    before = accuracy_at(base)
    border, others = leaks(read(AUDIT))
    print(f"{SPLIT}: accuracy {here}; in {base or 'the branch before'}: {before or 'none yet'}.")
    problems = []
    if before and here.n != before.n:
        print("The numbers of images differ: the change may be due to the images and not to the model.")
    if before and fell(here, before):
        problems.append(
            f"{SPLIT}: accuracy {here.accuracy:.3f} is below the interval of {base}, {before.accuracy_low:.3f} and up"
        )
    for name, probe in others.items():
        print(f"warning: {AUDIT}: {name} predicts the label: {probe}. The gate checks the border only.")
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
    """Return whether an accuracy is below the interval of the previous one.

    The interval says where the accuracy before may well have lain with other images of the kind; below it, bad luck
    is no likely reason. Both are of the same images as a rule, so that the new one's own interval says nothing more:
    to wait until the two intervals part would let a fall from 0.85 to 0.60 of 40 images pass. Several small falls
    pass one by one; compared with the last release (BASE=v1.0.0) they are seen.
    """
    return here.accuracy < before.accuracy_low


def leaks(audit: Mapping[str, Any]) -> tuple[str, dict[str, str]]:
    """Return the result of the border, "" if it is no leak, and of everything else that predicts the label.

    Only the border decides, as in the stage: of the rest, the network sees only parts of the border.
    """
    try:
        found = {
            name: f"accuracy {probe['accuracy']:.3f} (p = {probe['p_value']:.3f})"
            for name, probe in audit.items()
            if probe["verdict"] != NO_LEAK
        }
        audit["border"]
    except (KeyError, TypeError) as error:
        raise InputError(f"{AUDIT}: no verdict of the audit in it ({error})", advice="Run `make repro`.") from None
    return found.pop("border", ""), found


def accuracy_at(base: str) -> Accuracy | None:
    """Return the accuracy that is committed in `base`, or None where it has none yet."""
    # As a path from here, for the checkout may be a folder of a larger repository.
    if not base or not git("ls-tree", "--name-only", base, "--", str(EVALUATE)):
        return None
    metrics = parsed(git("show", f"{base}:./{EVALUATE.as_posix()}"), f"{EVALUATE} in {base}")
    return accuracy(metrics, f"{EVALUATE} in {base}") if SPLIT in metrics else None


def read(path: Path) -> Mapping[str, Any]:
    """Read metrics from a file; InputError where there is none."""
    if not path.is_file():
        raise InputError(f"{path}: not there", advice="Run `make repro`, which writes it.")
    return parsed(path.read_text(encoding="utf-8"), str(path))


def parsed(text: str, where: str) -> Mapping[str, Any]:
    """Read metrics from JSON; InputError where it is none."""
    try:
        metrics = json.loads(text)
    except ValueError as error:
        raise InputError(f"{where}: not JSON ({error})", advice="Run `make repro`, which writes it anew.") from None
    if not isinstance(metrics, dict):
        raise InputError(f"{where}: no metrics in it", advice="Run `make repro`, which writes it anew.")
    return metrics


def accuracy(metrics: Mapping[str, Any], where: str) -> Accuracy:
    """Take the accuracy of the split out of the metrics; InputError where it is not in them."""
    try:
        of = metrics[SPLIT]
        return Accuracy(int(of["n"]), float(of["accuracy"]), float(of["accuracy_low"]))
    except (KeyError, TypeError, ValueError):
        raise InputError(
            f"{where}: no accuracy of {SPLIT} with its interval in it", advice="Run `make repro`, which writes it anew."
        ) from None


if __name__ == "__main__":
    run(main)

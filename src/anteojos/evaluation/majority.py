"""Compare an accuracy with that of always predicting the larger class, in words."""

from collections.abc import Mapping


def compare(score: Mapping[str, float]) -> str:
    """Return how an accuracy compares with its `majority_accuracy`, as the end of a sentence that begins with "It is".

    `score` is an entry of metrics/evaluate.json. In old commits it has no `majority_accuracy`; the result is then "".
    """
    if "majority_accuracy" not in score:
        return ""
    majority = f"always predicting the larger class ({score['majority_accuracy']:.3f})"
    if score["accuracy_high"] < score["majority_accuracy"]:
        return f"worse than {majority}"
    if is_better(score):
        return f"better than {majority}"
    return f"not shown to be better than {majority}: the 95 % interval contains this value"


def is_better(score: Mapping[str, float]) -> bool:
    """Return whether the whole 95 % interval of the accuracy is above `majority_accuracy`."""
    return score["accuracy_low"] > score["majority_accuracy"]

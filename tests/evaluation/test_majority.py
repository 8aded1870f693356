"""An accuracy is compared with that of always predicting the larger class."""

import pytest

from anteojos.evaluation import majority
from anteojos.evaluation.scores import wilson_interval


def score(correct: int, n: int, majority_accuracy: float) -> dict[str, float]:
    low, high = wilson_interval(correct, n)
    return {"accuracy_low": low, "accuracy_high": high, "majority_accuracy": majority_accuracy}


@pytest.mark.parametrize(
    ("correct", "text"),
    [
        # Of 40, with 34 of one class.
        (39, "better than always predicting the larger class (0.850)"),
        (34, "not shown to be better than always predicting the larger class (0.850): the 95 % interval contains this"),
        (25, "worse than always predicting the larger class (0.850)"),
    ],
)
def test_whole_interval_is_compared(correct: int, text: str) -> None:
    of = score(correct, 40, 0.85)
    assert majority.compare(of).startswith(text)
    assert majority.is_better(of) == text.startswith("better")


def test_interval_that_begins_at_the_majority_is_not_better() -> None:
    assert not majority.is_better({"accuracy_low": 0.5, "accuracy_high": 0.9, "majority_accuracy": 0.5})


def test_metrics_of_an_older_commit_are_not_compared() -> None:
    assert majority.compare({"accuracy_low": 0.5, "accuracy_high": 0.9}) == ""

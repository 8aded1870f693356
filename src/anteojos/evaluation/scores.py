"""How good a classifier is: labels and probabilities in, numbers out."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Booleans = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.floating]

# Probabilities are kept this far from 0 and 1 in the loss, as Keras does.
_EPSILON = 1e-7


@dataclass(frozen=True)
class Score:
    """How `n` images were labelled; precision, recall and f1 are those of the first class.

    `accuracy_low` to `accuracy_high` is the 95 % interval of the accuracy. `loss` is the mean binary cross-entropy in
    nats. `roc_auc` is None where only one class is there.
    """

    n: int
    accuracy: float
    accuracy_low: float
    accuracy_high: float
    loss: float
    precision: float
    recall: float
    f1: float
    roc_auc: float | None


def score(first: Booleans, probability: Floats, threshold: float) -> Score:
    """Score probabilities of the first class, (N,) with N of at least 1, against `first`, bool (N,).

    Precision and f1 are 0 where no image is put into the first class, recall is 0 where none is in it.
    """
    chosen = probability >= threshold
    right = int((chosen == first).sum())
    low, high = wilson_interval(right, len(first))
    hits = int((chosen & first).sum())
    precision = hits / max(1, int(chosen.sum()))
    recall = hits / max(1, int(first.sum()))
    certain = np.clip(np.where(first, probability, 1 - probability).astype(np.float64), _EPSILON, 1 - _EPSILON)
    return Score(
        n=len(first),
        accuracy=right / len(first),
        accuracy_low=low,
        accuracy_high=high,
        loss=float(-np.log(certain).mean()),
        precision=precision,
        recall=recall,
        f1=2 * precision * recall / (precision + recall) if hits else 0.0,
        roc_auc=roc_auc(first, probability),
    )


def wilson_interval(successes: int, n: int, z: float = 1.959963984540054) -> tuple[float, float]:
    """Return the Wilson score interval of a proportion, of 95 % with the default `z`.

    Source: E. B. Wilson, "Probable Inference, the Law of Succession, and Statistical Inference", 1927.
    """
    p = successes / n
    middle = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    return max(0.0, middle - half), min(1.0, middle + half)


def roc_curve(first: Booleans, probability: Floats) -> tuple[Floats, Floats, Floats]:
    """Return the ROC curve: false positive rate, true positive rate and threshold, each float64 (K,).

    It starts at (0, 0) with a threshold of infinity and has a point for each distinct probability, from high to low.
    """
    order = np.argsort(-probability, kind="stable")
    first, probability = first[order], probability[order].astype(np.float64)
    last_of_ties = np.append(np.flatnonzero(np.diff(probability)), len(probability) - 1)
    true_positives = np.cumsum(first)[last_of_ties]
    false_positives = 1 + last_of_ties - true_positives
    return (
        np.append(0, false_positives / max(1, int((~first).sum()))),
        np.append(0, true_positives / max(1, int(first.sum()))),
        np.append(math.inf, probability[last_of_ties]),
    )


def roc_auc(first: Booleans, probability: Floats) -> float | None:
    """Return the area under the ROC curve, or None if there is only one class."""
    if first.all() or not first.any():
        return None
    false_positive_rate, true_positive_rate, _ = roc_curve(first, probability)
    return float(np.trapezoid(true_positive_rate, false_positive_rate))


@dataclass(frozen=True)
class CalibrationBin:
    """Images of like probability: their mean `predicted` probability, and the share `observed` in the first class.

    `observed_low` to `observed_high` is the 95 % interval of that share.
    """

    n: int
    predicted: float
    observed: float
    observed_low: float
    observed_high: float


def calibration_curve(first: Booleans, probability: Floats, bins: int) -> list[CalibrationBin]:
    """Return the bins of equal width from 0 to 1 that contain images, from low to high."""
    number = np.minimum((probability * bins).astype(int), bins - 1)
    return [
        CalibrationBin(
            int(inside.sum()),
            float(probability[inside].mean()),
            float(first[inside].mean()),
            *wilson_interval(int(first[inside].sum()), int(inside.sum())),
        )
        for inside in (number == bin_ for bin_ in range(bins))
        if inside.any()
    ]


def expected_calibration_error(curve: Sequence[CalibrationBin]) -> float:
    """Return the expected calibration error, 0 to 1: the mean over images of |predicted - observed| of their bin.

    Few images make it large by chance alone: of 4 that are rightly called 0.5, all 4 are of one class 1 time in 8.
    Source: M. P. Naeini, G. F. Cooper and M. Hauskrecht, "Obtaining Well Calibrated Probabilities Using Bayesian
    Binning", 2015. (C. Guo et al., "On Calibration of Modern Neural Networks", 2017, bin the certainty of the label
    instead of the probability of one class.)
    """
    return sum(bin_.n * abs(bin_.predicted - bin_.observed) for bin_ in curve) / sum(bin_.n for bin_ in curve)


def choose_threshold(first: Booleans, probability: Floats) -> float:
    """Return the threshold with the highest accuracy on these images; `probability` is (N,) with N of at least 1.

    That is 0.5 where no other is better, for nothing then asks for a change. Else it lies midway between two
    neighbouring probabilities (or 0 or 1 and the next), and of several that are as good it is the one nearest to 0.5,
    then the lower. It is rounded to the 6 decimals that metrics are written with, so that it does what it did here
    when it is copied from there. On the images that it was chosen on it looks better than it is.
    """
    levels = np.concatenate(([0.0], np.unique(probability), [1.0]))
    thresholds = np.append(np.round((levels[:-1] + levels[1:]) / 2, 6), 0.5)
    # Of its own dtype, as `score` compares them: right are those of the first class from the threshold on, and those
    # of the other below it.
    rounded = thresholds.astype(probability.dtype)
    below_first, below_other = (np.searchsorted(np.sort(probability[of]), rounded) for of in (first, ~first))
    right = below_other - below_first
    best = thresholds[right == right.max()]
    order = np.lexsort((best, np.round(np.abs(best - 0.5), 6)))
    return float(best[order[0]])

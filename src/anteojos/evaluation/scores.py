"""Metrics of a classifier, computed from labels and probabilities.

Of the stages, only `evaluate` imports this module, because importing scikit-learn takes about a second.
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.stats import binomtest
from sklearn import exceptions, metrics

Booleans = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.floating]

# The loss clips probabilities to this distance from 0 and 1, as Keras does.
_EPSILON = 1e-7


@dataclass(frozen=True)
class Score:
    """Metrics of `n` images; precision, recall and f1 are those of the first class.

    `accuracy_low` to `accuracy_high` is the 95 % interval of the accuracy. `majority_accuracy` is the accuracy of
    always predicting the larger class of these images, and `balanced_accuracy` the mean of the accuracies of their
    classes. `loss` is the mean binary cross-entropy in nats. `roc_auc` is None if there is only one class.
    """

    n: int
    accuracy: float
    accuracy_low: float
    accuracy_high: float
    majority_accuracy: float
    balanced_accuracy: float
    loss: float
    precision: float
    recall: float
    f1: float
    roc_auc: float | None


def score(first: Booleans, probability: Floats, threshold: float) -> Score:
    """Score probabilities of the first class, (N,) with N of at least 1, against `first`, bool (N,).

    Precision and f1 are 0 if no image is predicted to be of the first class; recall is 0 if no image is of it.
    """
    predicted = probability >= threshold
    correct = int((predicted == first).sum())
    precision, recall, f1, _ = metrics.precision_recall_fscore_support(
        first, predicted, average="binary", zero_division=0
    )
    clipped = np.clip(probability.astype(np.float64), _EPSILON, 1 - _EPSILON)
    return Score(
        len(first),
        correct / len(first),
        *wilson_interval(correct, len(first)),
        majority_accuracy=float(max(first.mean(), 1 - first.mean())),
        balanced_accuracy=float(np.mean([(predicted == first)[first == label].mean() for label in np.unique(first)])),
        loss=float(metrics.log_loss(first, clipped, labels=[False, True])),
        precision=float(precision),
        recall=float(recall),
        f1=float(f1),
        roc_auc=None if first.all() or not first.any() else float(metrics.roc_auc_score(first, probability)),
    )


def wilson_interval(successes: int, n: int) -> tuple[float, float]:
    """Return the Wilson score interval of a proportion, 95 %.

    Source: E. B. Wilson, "Probable Inference, the Law of Succession, and Statistical Inference", 1927.
    """
    interval = binomtest(successes, n).proportion_ci(confidence_level=0.95, method="wilson")
    return float(interval.low), float(interval.high)


def roc_curve(first: Booleans, probability: Floats) -> tuple[Floats, Floats]:
    """Return the ROC curve: false and true positive rate, each float64 (K,).

    It starts at (0, 0) and has a point for each distinct probability, from high to low. For a class without images, the
    rate is 0.
    """
    with warnings.catch_warnings(action="ignore", category=exceptions.UndefinedMetricWarning):
        rates = metrics.roc_curve(first, probability, drop_intermediate=False)[:2]
    return np.nan_to_num(rates[0]), np.nan_to_num(rates[1])


@dataclass(frozen=True)
class CalibrationBin:
    """A bin of `n` images: their mean `predicted` probability, and the share `observed` in the first class.

    `observed_low` to `observed_high` is the 95 % interval of that share.
    """

    n: int
    predicted: float
    observed: float
    observed_low: float
    observed_high: float


def calibration_curve(first: Booleans, probability: Floats, bins: int) -> list[CalibrationBin]:
    """Return the bins of equal width from 0 to 1 that contain images, from low to high.

    A bin includes its lower edge. sklearn.calibration.calibration_curve includes the upper one, without counts.
    """
    number = np.minimum((probability * bins).astype(int), bins - 1)
    return [
        CalibrationBin(
            int(inside.sum()),
            float(probability[inside].mean()),
            float(first[inside].mean()),
            *wilson_interval(int(first[inside].sum()), int(inside.sum())),
        )
        for inside in (number == bin_ for bin_ in np.unique(number))
    ]


def expected_calibration_error(curve: Sequence[CalibrationBin]) -> float:
    """Return the expected calibration error, 0 to 1: the mean over images of |predicted - observed| of their bin.

    With few images, it can be large by chance: 4 images with a true probability of 0.5 are all of one class in 1 of 8
    cases.
    Source: M. P. Naeini, G. F. Cooper and M. Hauskrecht, "Obtaining Well Calibrated Probabilities Using Bayesian
    Binning", 2015. (C. Guo et al., "On Calibration of Modern Neural Networks", 2017, bin the confidence of the label
    instead of the probability of one class.)
    """
    return sum(bin_.n * abs(bin_.predicted - bin_.observed) for bin_ in curve) / sum(bin_.n for bin_ in curve)


def choose_threshold(first: Booleans, probability: Floats) -> float:
    """Return the threshold with the highest balanced accuracy on these images, (N,) with N of at least 1.

    Candidates are 0.5 and the midpoints between neighbouring values of 0, the probabilities and 1. Of equally good
    candidates, the nearest to 0.5 is returned, or the lower of two that are equally near. It is rounded to 6 decimals,
    as in the metrics files, so that it has the same effect if you copy it from there. Its accuracy on these images is
    biased upwards.
    """
    levels = np.concatenate(([0.0], np.unique(probability), [1.0]))
    thresholds = np.append(np.round((levels[:-1] + levels[1:]) / 2, 6), 0.5)
    # `score` compares in the dtype of the probabilities, so the candidates are rounded to it.
    rounded = thresholds.astype(probability.dtype)
    below_first, below_other = (np.searchsorted(np.sort(probability[of]), rounded) for of in (first, ~first))
    # A linear function of the balanced accuracy, in integers, so that equally good thresholds have equal values.
    n_first, n_other = max(1, int(first.sum())), max(1, int((~first).sum()))
    balanced = below_other * n_first - below_first * n_other
    best = thresholds[balanced == balanced.max()].tolist()
    return float(min(best, key=lambda threshold: (round(abs(threshold - 0.5), 6), threshold)))


def doubtful_labels(first: Booleans, probability: Floats) -> Booleans:
    """Return which labels are doubtful, bool (N,), from probabilities of networks that were not trained on the image.

    An image certainly belongs to a class if its probability of this class is at least the mean over the images with
    this label (to the more probable class, if this is true for both). Of the images with a label that certainly belong
    to a class, the share that belongs to the other class estimates how many of these labels are wrong. This many labels
    are doubtful: the least probable ones, but only if the other class is more probable.
    Source: C. G. Northcutt, L. Jiang and I. L. Chuang, "Confident Learning: Estimating Uncertainty in Dataset Labels",
    2021, "prune by noise rate".
    """
    doubtful = np.zeros(len(first), dtype=bool)
    if first.all() or not first.any():
        return doubtful
    likely_first = probability >= probability[first].mean()
    likely_other = probability <= probability[~first].mean()
    certainly = {
        True: likely_first & (~likely_other | (probability > 0.5)),
        False: likely_other & (~likely_first | (probability < 0.5)),
    }
    for label, of_label in ((True, probability), (False, 1 - probability)):
        rows = np.flatnonzero(first == label)
        same, other = certainly[label][rows].sum(), certainly[not label][rows].sum()
        wrong = round(len(rows) * other / max(1, same + other))
        least = rows[np.argsort(of_label[rows], kind="stable")][:wrong]
        doubtful[least] = of_label[least] < 0.5
    return doubtful

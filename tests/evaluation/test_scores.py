"""Metrics agree with values computed by hand or by brute force."""

import math

import numpy as np
import pytest

from anteojos.evaluation.scores import (
    CalibrationBin,
    calibration_curve,
    choose_threshold,
    doubtful_labels,
    expected_calibration_error,
    roc_curve,
    score,
    wilson_interval,
)

YES, NO = True, False


def pairs_won(first: np.ndarray, probability: np.ndarray) -> float:
    """Return the share of pairs of both classes in which the first class has the higher probability; ties half."""
    difference = probability[first][:, np.newaxis] - probability[~first]
    return float(((difference > 0) + (difference == 0) / 2).mean())


@pytest.mark.parametrize(
    ("right", "n", "low", "high"),
    [
        (25, 40, 0.4703, 0.7578),  # the 2024 network on validate: 0.625
        (0, 10, 0.0, 0.2775),
        (10, 10, 0.7225, 1.0),
        (1, 1, 0.2065, 1.0),
        (0, 1, 0.0, 0.7935),
        (50, 100, 0.4038, 0.5962),
        (103, 104, 0.9475, 0.9983),
    ],
)
def test_wilson_interval_of_known_values(right: int, n: int, low: float, high: float) -> None:
    assert wilson_interval(right, n) == pytest.approx((low, high), abs=5e-5)


@pytest.mark.parametrize("n", [1, 2, 7, 40, 1000, 10**6])
def test_wilson_interval_is_within_0_and_1_and_contains_the_share(n: int) -> None:
    for right in {0, 1, n // 2, n - 1, n}:
        low, high = wilson_interval(right, n)
        assert 0 <= low < high <= 1
        assert low - 1e-12 <= right / n <= high + 1e-12


def test_score_of_five_images_by_hand() -> None:
    first = np.array([YES, YES, YES, NO, NO])
    probability = np.array([0.9, 0.8, 0.3, 0.6, 0.1])
    scored = score(first, probability, 0.5)
    assert scored.n == 5
    assert scored.accuracy == pytest.approx(3 / 5)
    assert (scored.accuracy_low, scored.accuracy_high) == wilson_interval(3, 5)
    assert scored.precision == pytest.approx(2 / 3)
    assert scored.recall == pytest.approx(2 / 3)
    assert scored.f1 == pytest.approx(2 / 3)
    assert scored.roc_auc == pytest.approx(5 / 6)
    by_hand = -(math.log(0.9) + math.log(0.8) + math.log(0.3) + math.log(0.4) + math.log(0.9)) / 5
    assert scored.loss == pytest.approx(by_hand)


def test_majority_and_balanced_accuracy_of_unequal_classes() -> None:
    first = np.array([YES] * 6 + [NO] * 2)
    scored = score(first, np.array([0.9] * 8), 0.5)
    assert (scored.accuracy, scored.majority_accuracy, scored.balanced_accuracy) == (0.75, 0.75, 0.5)
    scored = score(first, np.array([0.9] * 3 + [0.1] * 5), 0.5)
    assert (scored.accuracy, scored.majority_accuracy, scored.balanced_accuracy) == (0.625, 0.75, 0.75)
    # The second class may be the larger one.
    assert score(~first, np.array([0.9] * 8), 0.5).majority_accuracy == 0.75
    # Of one class only.
    scored = score(first[:6], np.array([0.9] * 3 + [0.1] * 3), 0.5)
    assert (scored.majority_accuracy, scored.balanced_accuracy) == (1, 0.5)


@pytest.mark.parametrize(
    ("first", "probability", "doubtful"),
    [
        pytest.param([YES, YES, NO, NO], [0.9, 0.1, 0.1, 0.2], [1], id="one label contradicts"),
        pytest.param([YES, YES, NO, NO], [0.9, 0.7, 0.1, 0.2], [], id="none"),
        pytest.param([YES, YES, YES, NO, NO, NO], [0.4, 0.4, 0.1, 0.1, 0.1, 0.4], [2], id="the label is more probable"),
        pytest.param([YES, YES], [0.9, 0.1], [], id="one class"),
    ],
)
def test_doubtful_labels_of_known_cases(first: list[bool], probability: list[float], doubtful: list[int]) -> None:
    assert np.flatnonzero(doubtful_labels(np.array(first), np.array(probability))).tolist() == doubtful


def test_most_wrong_labels_and_few_others_are_doubtful() -> None:
    chance = np.random.default_rng(0)
    true = np.arange(1000) < 300
    probability = np.clip(np.where(true, 0.8, 0.2) + chance.normal(0, 0.15, 1000), 0, 1)
    wrong = np.zeros(1000, dtype=bool)
    wrong[chance.choice(1000, 50, replace=False)] = True
    found = doubtful_labels(true ^ wrong, probability)
    assert (found & wrong).sum() >= 40
    assert (found & ~wrong).sum() <= 10


def test_precision_recall_and_f1_differ() -> None:
    first = np.array([YES, YES, YES, YES, NO])
    probability = np.array([0.9, 0.1, 0.1, 0.1, 0.1])
    scored = score(first, probability, 0.5)
    assert (scored.precision, scored.recall, scored.f1) == pytest.approx((1, 1 / 4, 2 / 5))


@pytest.mark.parametrize(("threshold", "accuracy"), [(0.0, 0.5), (0.3, 0.75), (0.31, 1.0), (0.7, 1.0), (0.71, 0.75)])
def test_probability_equal_to_threshold_is_the_first_class(threshold: float, accuracy: float) -> None:
    first = np.array([YES, YES, NO, NO])
    assert score(first, np.array([0.9, 0.7, 0.3, 0.1]), threshold).accuracy == accuracy


def test_threshold_is_compared_in_float32() -> None:
    assert score(np.array([YES]), np.array([0.7], dtype=np.float32), 0.7).accuracy == 1


def test_nothing_predicted_as_first_class_has_precision_0() -> None:
    scored = score(np.array([YES, NO]), np.array([0.2, 0.1]), 0.5)
    assert (scored.precision, scored.recall, scored.f1) == (0, 0, 0)
    assert scored.accuracy == 0.5


def test_no_image_of_the_first_class_has_recall_0() -> None:
    scored = score(np.array([NO, NO]), np.array([0.9, 0.1]), 0.5)
    assert (scored.precision, scored.recall, scored.f1) == (0, 0, 0)
    assert scored.roc_auc is None


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_loss_of_a_certain_mistake_is_finite(dtype: type) -> None:
    scored = score(np.array([YES, NO]), np.array([0, 1], dtype=dtype), 0.5)
    assert scored.loss == pytest.approx(-math.log(1e-7))
    certain = score(np.array([YES, NO]), np.array([1, 0], dtype=dtype), 0.5)
    assert certain.loss == pytest.approx(1e-7, rel=1e-3)


def test_roc_curve_has_a_point_per_probability() -> None:
    first = np.array([YES, NO, YES, NO, YES])
    probability = np.array([0.5, 0.5, 0.9, 0.1, 0.7], dtype=np.float32)
    false_positive_rate, true_positive_rate = roc_curve(first, probability)
    assert false_positive_rate.tolist() == [0, 0, 0, 0.5, 1]
    assert true_positive_rate == pytest.approx([0, 1 / 3, 2 / 3, 1, 1])


@pytest.mark.filterwarnings("error")
def test_roc_curve_of_one_class_has_the_other_rate_0() -> None:
    rates = roc_curve(np.array([NO, NO]), np.array([0.2, 0.9]))
    assert [rate.tolist() for rate in rates] == [[0, 0.5, 1], [0, 0, 0]]
    rates = roc_curve(np.array([YES, YES]), np.array([0.2, 0.9]))
    assert [rate.tolist() for rate in rates] == [[0, 0, 0], [0, 0.5, 1]]


@pytest.mark.parametrize("levels", [2, 5, 1000])
def test_roc_auc_is_the_share_of_ordered_pairs(levels: int) -> None:
    for seed in range(30):
        chance = np.random.default_rng(seed)
        n = int(chance.integers(2, 40))
        first = chance.random(n) < 0.5
        first[:2] = YES, NO
        probability = chance.integers(0, levels, n) / levels
        assert score(first, probability, 0.5).roc_auc == pytest.approx(pairs_won(first, probability)), seed


@pytest.mark.parametrize(
    ("probability", "area"), [([0.9, 0.8, 0.2, 0.1], 1.0), ([0.1, 0.2, 0.8, 0.9], 0.0), ([0.5] * 4, 0.5)]
)
def test_roc_auc_of_right_wrong_and_no_order(probability: list[float], area: float) -> None:
    assert score(np.array([YES, YES, NO, NO]), np.array(probability), 0.5).roc_auc == area


@pytest.mark.parametrize("only", [YES, NO])
def test_roc_auc_of_one_class_is_none(only: bool) -> None:
    assert score(np.array([only, only]), np.array([0.2, 0.9]), 0.5).roc_auc is None


def test_calibration_curve_of_six_images_by_hand() -> None:
    first = np.array([NO, YES, NO, YES, YES, YES])
    probability = np.array([0.0, 0.125, 0.125, 0.5, 0.75, 1.0])
    assert calibration_curve(first, probability, 4) == [
        CalibrationBin(3, pytest.approx(1 / 12), pytest.approx(1 / 3), *wilson_interval(1, 3)),
        CalibrationBin(1, 0.5, 1.0, *wilson_interval(1, 1)),
        CalibrationBin(2, 0.875, 1.0, *wilson_interval(2, 2)),
    ]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("bins", [2, 10, 100])
def test_probabilities_0_and_1_are_in_the_outer_bins(bins: int, dtype: type) -> None:
    curve = calibration_curve(np.array([NO, YES]), np.array([0, 1], dtype=dtype), bins)
    assert [(bin_.n, bin_.predicted, bin_.observed) for bin_ in curve] == [(1, 0.0, 0.0), (1, 1.0, 1.0)]


def test_each_image_is_in_one_bin() -> None:
    chance = np.random.default_rng(0)
    probability = chance.random(1000)
    curve = calibration_curve(chance.random(1000) < probability, probability, 10)
    assert sum(bin_.n for bin_ in curve) == 1000
    assert [int(bin_.predicted * 10) for bin_ in curve] == list(range(10))


def test_calibration_error_weights_bins_by_images() -> None:
    first = np.array([NO, YES, NO, YES, YES, YES])
    probability = np.array([0.0, 0.125, 0.125, 0.5, 0.75, 1.0])
    # 3 of 6 images differ by 1/3 - 1/12, 1 by 1/2, 2 by 1/8.
    error = expected_calibration_error(calibration_curve(first, probability, 4))
    assert error == pytest.approx((3 * 1 / 4 + 1 * 1 / 2 + 2 * 1 / 8) / 6)


@pytest.mark.parametrize(
    ("first", "probability", "error"),
    [
        ([YES, NO], [1.0, 0.0], 0.0),
        ([NO, YES], [1.0, 0.0], 1.0),
        ([YES, NO, NO, NO], [0.25] * 4, 0.0),
        ([YES, YES], [0.7, 0.9], 0.2),
    ],
)
def test_calibration_error_of_good_and_bad_probabilities(
    first: list[bool], probability: list[float], error: float
) -> None:
    assert expected_calibration_error(calibration_curve(np.array(first), np.array(probability), 10)) == pytest.approx(
        error
    )


@pytest.mark.parametrize(
    ("first", "probability", "threshold"),
    [
        pytest.param([NO, NO, YES], [0.6, 0.7, 0.9], 0.8, id="separable"),
        pytest.param([NO, NO, YES, NO, YES], [0.1, 0.2, 0.3, 0.4, 0.8], 0.25, id="both classes count the same"),
        pytest.param([NO, YES, NO, YES], [0.1, 0.3, 0.4, 0.8], 0.5, id="none is better than 0.5"),
        pytest.param([NO, YES, NO, YES], [0.1, 0.2, 0.3, 0.4], 0.35, id="0.15 and 0.35 tie: nearer to 0.5"),
        pytest.param([NO, YES, NO, YES], [0.1, 0.3, 0.7, 0.9], 0.2, id="0.2 and 0.8 tie: the lower"),
        pytest.param([NO, YES, YES, NO], [0.9, 0.9, 0.9, 0.7], 0.8, id="equal probabilities stay together"),
        pytest.param([YES, YES], [0.4, 0.9], 0.2, id="first class only"),
        pytest.param([NO, NO], [0.4, 0.8], 0.9, id="other class only"),
        pytest.param([YES, NO], [0.2, 0.8], 0.1, id="reversed"),
        pytest.param([YES], [0.0], 0.0, id="one image of 0"),
        pytest.param([YES, NO], [1.0, 0.0], 0.5, id="certain and correct"),
    ],
)
def test_chosen_threshold_of_known_cases(first: list[bool], probability: list[float], threshold: float) -> None:
    assert choose_threshold(np.array(first), np.array(probability)) == pytest.approx(threshold)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("levels", [3, 10, 10**7])
def test_no_threshold_has_a_higher_balanced_accuracy(levels: int, dtype: type) -> None:
    for seed in range(20):
        chance = np.random.default_rng(seed)
        first = chance.random(30) < 0.5
        probability = (chance.integers(0, levels, 30) / levels).astype(dtype)
        chosen = choose_threshold(first, probability)
        assert chosen == round(chosen, 6)
        thresholds = np.linspace(0, 1, 1001, dtype=dtype)
        correct = (probability >= thresholds[:, np.newaxis]) == first
        others = (correct[:, first].mean(axis=1) + correct[:, ~first].mean(axis=1)) / 2
        balanced = score(first, probability, chosen).balanced_accuracy
        assert balanced >= others.max() - 1e-12, seed


def test_threshold_between_neighbouring_float32_is_not_chosen() -> None:
    # In float64, 0.7 is between these two; in float32, it equals the lower one.
    probability = np.array([0.7, np.nextafter(np.float32(0.7), np.float32(1))], dtype=np.float32)
    assert choose_threshold(np.array([NO, YES]), probability) == 0.5


def test_threshold_is_chosen_as_rounded_in_the_metrics() -> None:
    # The midpoint, 0.99999985, is written as 1.0, which does not separate them.
    first, probability = np.array([NO, YES]), np.array([0.9999998, 0.9999999])
    assert score(first, probability, choose_threshold(first, probability)).accuracy == 0.5

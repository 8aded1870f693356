"""Scores agree with values worked out by hand or by the plainest way there is."""

import math

import numpy as np
import pytest

from anteojos.evaluation.scores import (
    CalibrationBin,
    calibration_curve,
    choose_threshold,
    expected_calibration_error,
    roc_auc,
    roc_curve,
    score,
    wilson_interval,
)

YES, NO = True, False


def pairs_won(first: np.ndarray, probability: np.ndarray) -> float:
    """The chance that one of the first class has the higher probability than one of the other, ties half."""
    won = [
        1.0 if one > other else 0.5 if one == other else 0.0
        for one in probability[first]
        for other in probability[~first]
    ]
    return sum(won) / len(won)


@pytest.mark.parametrize(
    ("right", "n", "low", "high"),
    [
        (25, 40, 0.4703, 0.7578),  # the report's validate accuracy of 0.625
        (0, 10, 0.0, 0.2775),
        (10, 10, 0.7225, 1.0),
        (1, 1, 0.2065, 1.0),
        (0, 1, 0.0, 0.7935),
        (50, 100, 0.4038, 0.5962),
        (103, 104, 0.9475, 0.9983),
    ],
)
def test_wilson_s_interval(right: int, n: int, low: float, high: float) -> None:
    assert wilson_interval(right, n) == pytest.approx((low, high), abs=5e-5)


@pytest.mark.parametrize("n", [1, 2, 7, 40, 1000, 10**6])
def test_wilson_s_interval_stays_within_0_and_1_and_holds_the_share(n: int) -> None:
    for right in {0, 1, n // 2, n - 1, n}:
        low, high = wilson_interval(right, n)
        assert 0 <= low < high <= 1
        assert low - 1e-12 <= right / n <= high + 1e-12


def test_wilson_s_interval_solves_its_equation() -> None:
    # Both ends are z standard errors of their own from the share that was seen.
    for end in wilson_interval(25, 40):
        assert abs(25 / 40 - end) == pytest.approx(1.959963984540054 * math.sqrt(end * (1 - end) / 40))


def test_a_score_worked_out_by_hand() -> None:
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


def test_precision_recall_and_f1_are_told_apart() -> None:
    first = np.array([YES, YES, YES, YES, NO])
    probability = np.array([0.9, 0.1, 0.1, 0.1, 0.1])
    scored = score(first, probability, 0.5)
    assert (scored.precision, scored.recall, scored.f1) == pytest.approx((1, 1 / 4, 2 / 5))


@pytest.mark.parametrize(("threshold", "accuracy"), [(0.0, 0.5), (0.3, 0.75), (0.31, 1.0), (0.7, 1.0), (0.71, 0.75)])
def test_an_image_counts_as_the_first_class_from_the_threshold_on(threshold: float, accuracy: float) -> None:
    first = np.array([YES, YES, NO, NO])
    assert score(first, np.array([0.9, 0.7, 0.3, 0.1]), threshold).accuracy == accuracy


def test_a_threshold_that_float32_rounds_counts_all_the_same() -> None:
    assert score(np.array([YES]), np.array([0.7], dtype=np.float32), 0.7).accuracy == 1


def test_where_none_is_called_the_first_class_precision_is_0() -> None:
    scored = score(np.array([YES, NO]), np.array([0.2, 0.1]), 0.5)
    assert (scored.precision, scored.recall, scored.f1) == (0, 0, 0)
    assert scored.accuracy == 0.5


def test_where_none_is_of_the_first_class_recall_is_0() -> None:
    scored = score(np.array([NO, NO]), np.array([0.9, 0.1]), 0.5)
    assert (scored.precision, scored.recall, scored.f1) == (0, 0, 0)
    assert scored.roc_auc is None


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_certain_mistake_costs_much_but_not_infinitely(dtype: type) -> None:
    scored = score(np.array([YES, NO]), np.array([0, 1], dtype=dtype), 0.5)
    assert scored.loss == pytest.approx(-math.log(1e-7))
    certain = score(np.array([YES, NO]), np.array([1, 0], dtype=dtype), 0.5)
    assert certain.loss == pytest.approx(1e-7, rel=1e-3)


def test_the_roc_curve_has_a_point_for_each_probability() -> None:
    first = np.array([YES, NO, YES, NO, YES])
    probability = np.array([0.5, 0.5, 0.9, 0.1, 0.7], dtype=np.float32)
    false_positive_rate, true_positive_rate, threshold = roc_curve(first, probability)
    assert false_positive_rate.tolist() == [0, 0, 0, 0.5, 1]
    assert true_positive_rate == pytest.approx([0, 1 / 3, 2 / 3, 1, 1])
    assert threshold.tolist() == [math.inf, *np.array([0.9, 0.7, 0.5, 0.1], dtype=np.float32).tolist()]


@pytest.mark.parametrize("levels", [2, 5, 1000])
def test_the_area_is_the_share_of_pairs_in_the_right_order(levels: int) -> None:
    for seed in range(30):
        chance = np.random.default_rng(seed)
        n = int(chance.integers(2, 40))
        first = chance.random(n) < 0.5
        first[:2] = YES, NO
        probability = chance.integers(0, levels, n) / levels
        assert roc_auc(first, probability) == pytest.approx(pairs_won(first, probability)), seed


@pytest.mark.parametrize(
    ("probability", "area"), [([0.9, 0.8, 0.2, 0.1], 1.0), ([0.1, 0.2, 0.8, 0.9], 0.0), ([0.5] * 4, 0.5)]
)
def test_the_area_of_right_wrong_and_no_order(probability: list[float], area: float) -> None:
    assert roc_auc(np.array([YES, YES, NO, NO]), np.array(probability)) == area


@pytest.mark.parametrize("only", [YES, NO])
def test_one_class_alone_has_no_area(only: bool) -> None:
    assert roc_auc(np.array([only, only]), np.array([0.2, 0.9])) is None


def test_calibration_compares_what_was_predicted_with_what_was_seen() -> None:
    first = np.array([NO, YES, NO, YES, YES, YES])
    probability = np.array([0.0, 0.125, 0.125, 0.5, 0.75, 1.0])
    assert calibration_curve(first, probability, 4) == [
        CalibrationBin(3, pytest.approx(1 / 12), pytest.approx(1 / 3), *wilson_interval(1, 3)),
        CalibrationBin(1, 0.5, 1.0, *wilson_interval(1, 1)),
        CalibrationBin(2, 0.875, 1.0, *wilson_interval(2, 2)),
    ]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("bins", [2, 10, 100])
def test_the_ends_0_and_1_are_in_the_first_and_the_last_bin(bins: int, dtype: type) -> None:
    curve = calibration_curve(np.array([NO, YES]), np.array([0, 1], dtype=dtype), bins)
    assert [(bin_.n, bin_.predicted, bin_.observed) for bin_ in curve] == [(1, 0.0, 0.0), (1, 1.0, 1.0)]


def test_every_image_is_in_one_bin() -> None:
    chance = np.random.default_rng(0)
    probability = chance.random(1000)
    curve = calibration_curve(chance.random(1000) < probability, probability, 10)
    assert sum(bin_.n for bin_ in curve) == 1000
    assert [int(bin_.predicted * 10) for bin_ in curve] == list(range(10))


def test_the_calibration_error_weighs_each_bin_by_its_images() -> None:
    first = np.array([NO, YES, NO, YES, YES, YES])
    probability = np.array([0.0, 0.125, 0.125, 0.5, 0.75, 1.0])
    # The bins of the test above: 3 of 6 are off by 1/3 - 1/12, 1 by 1/2, 2 by 1/8.
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
def test_the_calibration_error_of_good_and_bad_probabilities(
    first: list[bool], probability: list[float], error: float
) -> None:
    assert expected_calibration_error(calibration_curve(np.array(first), np.array(probability), 10)) == pytest.approx(
        error
    )


@pytest.mark.parametrize(
    ("first", "probability", "threshold"),
    [
        pytest.param([NO, NO, YES], [0.6, 0.7, 0.9], 0.8, id="separable"),
        pytest.param([NO, NO, YES, NO, YES], [0.1, 0.2, 0.3, 0.4, 0.8], 0.5, id="none is better than 0.5"),
        pytest.param([NO, YES, NO, YES], [0.1, 0.2, 0.3, 0.4], 0.35, id="0.15 and 0.35 tie: the nearer to 0.5"),
        pytest.param([NO, YES, NO, YES], [0.1, 0.3, 0.7, 0.9], 0.2, id="0.2 and 0.8 tie: the lower"),
        pytest.param([NO, YES, YES, NO], [0.9, 0.9, 0.9, 0.7], 0.8, id="equal probabilities stay together"),
        pytest.param([YES, YES], [0.4, 0.9], 0.2, id="the first class alone"),
        pytest.param([NO, NO], [0.4, 0.8], 0.9, id="the other class alone"),
        pytest.param([YES, NO], [0.2, 0.8], 0.1, id="the wrong way round"),
        pytest.param([YES], [0.0], 0.0, id="one image of 0"),
        pytest.param([YES, NO], [1.0, 0.0], 0.5, id="certain and right"),
    ],
)
def test_the_threshold_that_most_images_ask_for(first: list[bool], probability: list[float], threshold: float) -> None:
    assert choose_threshold(np.array(first), np.array(probability)) == pytest.approx(threshold)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("levels", [3, 10, 10**7])
def test_no_threshold_labels_more_images_rightly(levels: int, dtype: type) -> None:
    for seed in range(20):
        chance = np.random.default_rng(seed)
        first = chance.random(30) < 0.5
        probability = (chance.integers(0, levels, 30) / levels).astype(dtype)
        chosen = choose_threshold(first, probability)
        assert chosen == round(chosen, 6)
        accuracy = score(first, probability, chosen).accuracy
        others = [score(first, probability, threshold).accuracy for threshold in np.linspace(0, 1, 1001).tolist()]
        assert accuracy >= max(others), seed


def test_a_threshold_is_judged_as_float32_probabilities_will_be_compared_with_it() -> None:
    # In float64 0.7 lies between these two; in float32 it is the lower one.
    probability = np.array([0.7, np.nextafter(np.float32(0.7), np.float32(1))], dtype=np.float32)
    assert choose_threshold(np.array([NO, YES]), probability) == 0.5


def test_a_threshold_among_certain_probabilities_does_in_the_metrics_what_it_did_here() -> None:
    # Midway between these lies 0.99999985, which is written as 1.0: all that can be said there is all or none.
    first, probability = np.array([NO, YES]), np.array([0.9999998, 0.9999999])
    assert score(first, probability, choose_threshold(first, probability)).accuracy == 0.5

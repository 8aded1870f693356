"""What is said of a picture that is unlike those of the training."""

from typing import Any

import pytest

from anteojos.card import Seen
from anteojos.likeness import KINDS, in_words, warnings

KAGGLE = Seen(canvas=1.0, width=(155, 160), height=(155, 156), aspect=(0.99, 1.04))
ALIKE: dict[str, Any] = {"width": 160, "height": 155, "canvas": True, "probability": 0.9, "uncertain": (0.2, 0.8)}


def test_of_a_picture_like_those_of_the_training_nothing_is_said() -> None:
    assert warnings(KAGGLE, **ALIKE) == {}
    assert in_words({}) == ""


def test_all_that_is_unlike_is_said_at_once() -> None:
    found = warnings(KAGGLE, width=640, height=480, canvas=False, probability=0.5, uncertain=(0.2, 0.8))
    assert found == {
        "no_canvas": "no canvas",
        "size": "640 × 480 px, trained on 155 to 160 × 155 to 156 px",
        "uncertain": "uncertain",
    }
    assert tuple(found) == KINDS
    assert in_words(found) == "no canvas; 640 × 480 px, trained on 155 to 160 × 155 to 156 px; uncertain"


@pytest.mark.parametrize(
    ("trained", "canvas", "warned"),
    [(1.0, False, True), (0.51, False, True), (0.5, False, False), (0.0, False, False), (1.0, True, False)],
)
def test_a_canvas_is_expected_where_most_training_pictures_had_one(trained: float, canvas: bool, warned: bool) -> None:
    seen = Seen(trained, KAGGLE.width, KAGGLE.height, KAGGLE.aspect)
    assert ("no_canvas" in warnings(seen, **{**ALIKE, "canvas": canvas})) == warned


@pytest.mark.parametrize(
    ("width", "height", "warned"),
    [
        (320, 312, False),
        (321, 312, True),
        (320, 313, True),
        (78, 78, False),
        (77, 78, True),
        (78, 77, True),
        (4000, 3000, True),
        (1, 1, True),
    ],
)
def test_a_size_is_far_off_from_twice_or_half_of_any_training_picture(width: int, height: int, warned: bool) -> None:
    assert ("size" in warnings(KAGGLE, **{**ALIKE, "width": width, "height": height})) == warned


@pytest.mark.parametrize(
    ("width", "height", "warned"), [(200, 150, False), (209, 150, True), (150, 200, False), (150, 203, True)]
)
def test_a_picture_that_is_squeezed_beyond_4_to_3_is_warned_of_too(width: int, height: int, warned: bool) -> None:
    # Widths and heights within twice and half of what was trained on.
    assert ("size" in warnings(KAGGLE, **{**ALIKE, "width": width, "height": height})) == warned


def test_upright_and_lying_training_pictures_make_no_room_for_narrower_ones() -> None:
    seen = Seen(canvas=0.0, width=(60, 600), height=(60, 600), aspect=(0.75, 1.34))
    assert "size" in warnings(seen, **{**ALIKE, "width": 600, "height": 60})
    assert warnings(seen, **{**ALIKE, "width": 640, "height": 480}) == {}


def test_training_pictures_of_one_size_are_said_as_such() -> None:
    seen = Seen(canvas=1.0, width=(160, 160), height=(155, 155), aspect=(1.03, 1.04))
    assert in_words(warnings(seen, **{**ALIKE, "width": 640})) == "640 × 155 px, trained on 160 × 155 px"


@pytest.mark.parametrize(
    ("probability", "uncertain", "warned"),
    [
        (0.5, (0.2, 0.8), True),
        (0.2, (0.2, 0.8), False),
        (0.21, (0.2, 0.8), True),
        (0.8, (0.2, 0.8), False),
        (0.1, (0.0, 0.3), True),
        (0.5, (0.5, 0.5), False),
    ],
)
def test_between_the_two_probabilities_the_model_does_not_know(
    probability: float, uncertain: tuple[float, float], warned: bool
) -> None:
    found = warnings(KAGGLE, **{**ALIKE, "probability": probability, "uncertain": uncertain})
    assert found == ({"uncertain": "uncertain"} if warned else {})

"""Faces cut out of larger pictures."""

import math

import numpy as np
import pytest
from anteojos.face import cut_face
from PIL import Image

from anteojos import drawing
from anteojos.images import PictureError, crop_to_panel

SCENE = np.random.default_rng(0).integers(0, 256, (200, 300, 3), dtype=np.uint8)


def test_a_face_has_the_margin_of_the_training_pictures_around_it() -> None:
    face = cut_face(SCENE, (100, 60, 165, 125))
    # 65 px are 0.65 of the cut, which begins 0.25 of it above the box.
    assert face.shape == (100, 100, 3)
    assert np.array_equal(face, SCENE[35:135, 82:182])
    assert np.array_equal(cut_face(SCENE, (100, 60, 165, 125), margin=0), SCENE[60:125, 100:165])


def test_a_long_box_gives_a_square() -> None:
    face = cut_face(Image.fromarray(SCENE), [100.4, 60.2, 140.1, 125.2])
    assert isinstance(face, Image.Image)
    assert face.size == (100, 100)
    assert np.array_equal(np.asarray(face), SCENE[35:135, 70:170])


def test_what_lies_outside_of_the_picture_repeats_its_edge() -> None:
    face = cut_face(SCENE, (-10, 0, 55, 65))
    assert face.shape == (100, 100, 3)
    assert (face[:, 0] == face[:, 10]).all()
    assert (face[0] == face[10]).all()
    assert np.array_equal(face[25:, 28:], SCENE[:75, :72])
    # No paper to be cut off.
    assert crop_to_panel(cut_face(np.full((80, 80, 3), 90, np.uint8), (0, 0, 80, 80))).shape == (123, 123, 3)


def test_a_drawn_head_cut_by_its_box_is_framed_as_it_was_drawn() -> None:
    # From the hairline to the chin of a head that looks straight ahead.
    for scale in (0.27, 0.295, 0.32):
        pose = drawing.Pose(0, 0, 0, scale, (0.5, 0.475))
        (left, top), (right, bottom) = (pose.project(np.array([point]), 0.0)[0] for point in ((-1, -0.76), (1, 1.44)))
        side = (bottom - top) * (1 + 2 * 0.27)
        assert side == pytest.approx(1, abs=0.1)
        middle = (top + bottom) / 2 - 0.12 * (bottom - top)
        assert middle == pytest.approx(0.5, abs=0.03)
        assert (left + right) / 2 == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("box", "reason"),
    [
        ((10, 10, 10, 20), "left < right"),
        ((10, 20, 30, 10), "left < right"),
        ((10, 10, math.nan, 20), "left < right"),
        ((10, 10, 20), "four numbers"),
        (None, "four numbers"),
        ((300, 0, 350, 50), "outside of the picture, which is 300 × 200 px"),
        ((0, 0, 100_000, 100_000), "more than twice as large"),
    ],
)
def test_what_is_no_box_in_the_picture_is_refused(box: tuple[float, ...], reason: str) -> None:
    with pytest.raises(PictureError, match=reason):
        cut_face(SCENE, box)

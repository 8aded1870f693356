"""Faces aligned by their eyes and faces cropped by a box have the same framing."""

import math
from collections.abc import Sequence

import numpy as np
import pytest
from PIL import Image, ImageDraw

from anteojos.images import detector, faces
from anteojos.images.decoding import ImageError, resize
from anteojos.images.faces import EYES, Face, Point, align, cut_face, largest, prepare
from anteojos.sources import drawing
from tests.conftest import drawn_face

SCENE = np.random.default_rng(0).integers(0, 256, (200, 300, 3), dtype=np.uint8)
FACE = Face(box=(10.0, 20.0, 50.0, 60.5), eyes=((20.0, 30.0), (40.0, 31.0)), turn=-0.25, score=0.87)


def dotted(size: tuple[int, int], eyes: Sequence[Point], radius: float) -> Image.Image:
    """Return a blue image with a red dot at the first point and a green one at the second, in px from the corner."""
    image = Image.new("RGB", (size[0] * 4, size[1] * 4), (0, 0, 255))
    for (x, y), colour in zip(eyes, ((255, 0, 0), (0, 255, 0)), strict=True):
        box = [4 * value for value in (x - radius, y - radius, x + radius, y + radius)]
        ImageDraw.Draw(image).ellipse(box, colour)
    return image.reduce(4)


def centre_of(image: Image.Image, channel: int) -> tuple[float, float]:
    """Return the centre of mass of a channel, in px from the upper left corner."""
    weights = np.asarray(image)[..., channel].astype(float)
    rows, columns = np.mgrid[: weights.shape[0], : weights.shape[1]] + 0.5
    return float((columns * weights).sum() / weights.sum()), float((rows * weights).sum() / weights.sum())


@pytest.mark.parametrize("positions", [EYES, ((0.375, 0.47), (0.625, 0.47))])
@pytest.mark.parametrize("angle", [0, 30, -75, 180])
# In px; in the aligned face 54.4 or 40.
@pytest.mark.parametrize("apart", [20.0, 54.4, 130.3, 600.0, pytest.param(1300.0, marks=pytest.mark.slow)])
def test_align_moves_eyes_to_their_positions(apart: float, angle: int, positions: tuple[Point, Point]) -> None:
    direction = np.array([math.cos(math.radians(angle)), math.sin(math.radians(angle))])
    middle = np.array([apart * 1.3 + 7.3, apart * 1.2 + 3.8])
    eyes: tuple[Point, Point] = (tuple(middle - direction * apart / 2), tuple(middle + direction * apart / 2))
    image = dotted((round(apart * 2.7) + 20, round(apart * 2.6) + 20), eyes, max(1.5, apart / 12))
    aligned = align(image, eyes, 160, positions)
    assert (aligned.size, aligned.mode) == ((160, 160), "RGB")
    for channel, (x, y) in enumerate(positions):
        assert centre_of(aligned, channel) == pytest.approx((160 * x, 160 * y), abs=0.3)


def test_align_keeps_an_aligned_image() -> None:
    image = Image.fromarray(SCENE[:100, :100])
    eyes = tuple((100 * x, 100 * y) for x, y in EYES)
    np.testing.assert_allclose(np.asarray(align(image, eyes, 100)).astype(int), SCENE[:100, :100].astype(int), atol=1)


@pytest.mark.parametrize("factor", [1.5, 2, 3.3, 7.9, 8.2, 12, 17, 40])
@pytest.mark.parametrize("angle", [0, 27])
def test_align_reduces_a_checkerboard_to_grey(factor: float, angle: int) -> None:
    side = round(48 * factor * 1.6)
    board = ((np.indices((side, side)).sum(axis=0) % 2) * 255).astype(np.uint8)
    image = Image.fromarray(np.stack([board] * 3, axis=2))
    direction = np.array([math.cos(math.radians(angle)), math.sin(math.radians(angle))])
    half = direction * (EYES[1][0] - EYES[0][0]) * 48 * factor / 2
    middle = np.array([side / 2, side / 2 - 0.08 * 48 * factor])
    aligned = np.asarray(align(image, (tuple(middle - half), tuple(middle + half)), 48)).astype(int)
    assert np.abs(aligned - 127.5).max() <= (70 if factor < 2 else 24)
    assert aligned.mean() == pytest.approx(127.5, abs=2)


def test_single_samples_of_a_checkerboard_are_not_grey() -> None:
    # The same as above with one sample per pixel, which `align` must not do.
    board = ((np.indices((320, 320)).sum(axis=0) % 2) * 255).astype(np.uint8)
    sampled = Image.fromarray(board).transform((48, 48), Image.Transform.AFFINE, (5.3, 0, 30, 0, 5.3, 20))
    assert np.abs(np.asarray(sampled).astype(int) - 127).max() > 100


def test_enlarged_face_has_no_new_extremes() -> None:
    image = Image.fromarray(np.full((30, 30, 3), (10, 100, 200), np.uint8))
    aligned = np.asarray(align(image, ((12.0, 12.0), (18.0, 12.0)), 160))
    assert (aligned == (10, 100, 200)).all()


@pytest.mark.parametrize("scale", [1, 3, 30])
def test_align_repeats_edge_pixels_outside_the_image(scale: int) -> None:
    image = Image.new("RGB", (40 * scale, 40 * scale), (0, 0, 250))
    image.paste((250, 0, 0), (0, 0, 20 * scale, 40 * scale))
    # Much of the aligned face is outside of the image, beyond the upper left corner.
    aligned = np.asarray(align(image, ((2.0 * scale, 2.0 * scale), (22.0 * scale, 2.0 * scale)), 100))
    assert (aligned[:, :60] == (250, 0, 0)).all()
    assert (aligned[:, 70:] == (0, 0, 250)).all()


@pytest.mark.parametrize("place", [(-500.0, -300.0), (900.0, 40.0), (40.0, 4000.0)])
def test_face_outside_the_image_has_its_nearest_pixels(place: Point) -> None:
    image = Image.new("RGB", (60, 50), (9, 8, 7))
    aligned = np.asarray(align(image, (place, (place[0] + 12, place[1])), 32))
    assert (aligned == (9, 8, 7)).all()


def test_averaged_blocks_give_the_same_aligned_face() -> None:
    # A smooth image, reduced 20 times: averaging blocks first must not move anything.
    cells = np.random.default_rng(1).integers(0, 256, (12, 12, 3), dtype=np.uint8)
    large = Image.fromarray(cells).resize((1600, 1600), Image.Resampling.BICUBIC)
    small = large.reduce(20)
    eyes = ((300.0, 700.0), (900.0, 760.0))
    one = np.asarray(align(large, eyes, 64)).astype(int)
    other = np.asarray(align(small, tuple((x / 20, y / 20) for x, y in eyes), 64)).astype(int)
    assert np.abs(one - other).mean() < 1.5
    assert np.abs(one - other).max() < 16


def test_coinciding_eyes_are_rejected() -> None:
    with pytest.raises(ImageError, match="expected two different points"):
        align(Image.new("RGB", (9, 9)), ((4.0, 5.0), (4.0, 5.0)), 32)


def test_prepare_returns_the_face_or_the_whole_image() -> None:
    image = Image.fromarray(SCENE)
    face = Face((100, 60, 160, 120), ((115.0, 80.0), (145.0, 82.0)), 0.0, 0.9)
    np.testing.assert_array_equal(prepare(image, 48, face), np.asarray(align(image, face.eyes, 48, EYES)))
    np.testing.assert_array_equal(prepare(image, 48, None), resize(image, 48))
    for prepared in (prepare(image, 48, face), prepare(image, 48, None)):
        assert (prepared.shape, prepared.dtype) == ((48, 48, 3), np.uint8)


# --- Face


def test_face_is_restored_from_its_values() -> None:
    assert FACE.values == (10.0, 20.0, 50.0, 60.5, 20.0, 30.0, 40.0, 31.0, -0.25, 0.87)
    assert Face.of(FACE.values) == FACE
    assert Face.of([str(value) for value in FACE.values]) == FACE
    assert FACE.width == 40
    assert Face.of([math.nan] * 10) is None


def test_largest_is_the_widest_then_leftmost_face() -> None:
    def face(left: float, width: float, height: float = 10) -> Face:
        return Face((left, 0, left + width, height), FACE.eyes, 0, 0.9)

    assert largest([]) is None
    assert largest([face(0, 5), face(10, 9), face(20, 5, 50)]) == face(10, 9)
    assert largest([face(30, 9), face(10, 9), face(20, 9)]) == face(10, 9)


# --- cut_face


def test_cut_face_has_a_margin() -> None:
    cut = cut_face(SCENE, (100, 60, 180, 140))
    side = round(80 * (1 + 2 * faces.MARGIN))
    assert cut.shape == (side, side, 3)
    left, top = round(140 - side / 2), round(100 - side / 2 - 0.064 * 80)
    assert np.array_equal(cut, SCENE[top : top + side, left : left + side])
    assert np.array_equal(cut_face(SCENE, (100, 60, 180, 140), margin=0), SCENE[60:140, 100:180])
    assert cut_face(SCENE, (100, 60, 180, 140), margin=0.5).shape == (160, 160, 3)


def test_cut_face_of_a_long_box_is_square() -> None:
    cut = cut_face(Image.fromarray(SCENE), [100.4, 60.2, 140.1, 140.2])
    assert isinstance(cut, Image.Image)
    assert cut.size == (90, 90)
    assert np.array_equal(np.asarray(cut), cut_face(SCENE, (100.4, 60.2, 140.1, 140.2)))


def test_cut_face_of_a_grey_image_is_rgb() -> None:
    cut = cut_face(Image.fromarray(SCENE).convert("L"), (100, 60, 180, 140))
    assert cut.mode == "RGB"


def test_cut_face_repeats_edge_pixels_outside_the_image() -> None:
    cut = cut_face(SCENE, (-10, 0, 70, 80))
    assert cut.shape == (90, 90, 3)
    assert (cut[:, 0] == cut[:, 10]).all()
    assert (cut[0] == cut[5]).all()
    assert np.array_equal(cut[10:, 15:], SCENE[:80, :75])
    lower_right = cut_face(SCENE, (230, 130, 310, 210))
    assert np.array_equal(lower_right[:80, :75], SCENE[120:, 225:])
    assert (lower_right[79:] == lower_right[79]).all()
    assert (lower_right[:, 74:] == lower_right[:, 74:75]).all()


def test_cut_face_has_eyes_at_the_aligned_positions() -> None:
    # A box from the hairline to the chin of a frontal head.
    for scale in (0.27, 0.295, 0.32):
        pose = drawing.Pose(0, 0, 0, scale, (0.5, 0.475))
        (left, top), (right, bottom) = (pose.project(np.array([point]), 0.0)[0] for point in ((-1, -0.76), (1, 1.44)))
        eyes = pose.project(np.array([(-0.425, 0.0), (0.425, 0.0)]))
        side = (bottom - top) * (1 + 2 * faces.MARGIN)
        origin = (left + right - side) / 2, (top + bottom - side) / 2 - faces._RAISED * (bottom - top)
        assert (eyes - origin) / side == pytest.approx(np.array(EYES), abs=0.05)


@pytest.mark.parametrize("seed", [0, 1, 2, 5])
def test_cut_face_of_a_detected_face_is_framed_as_aligned(seed: int) -> None:
    image = drawn_face(seed, 400)
    (face,) = detector.default()(image)
    # Compute the box of other detectors, from the hairline to the chin, from the aligned face.
    (x0, y0), (x1, y1) = face.eyes
    side = math.hypot(x1 - x0, y1 - y0) / (EYES[1][0] - EYES[0][0])
    left, top = (x0 + x1) / 2 - side / 2, (y0 + y1) / 2 - EYES[0][1] * side
    long = side / (1 + 2 * faces.MARGIN)
    middle = left + side / 2, top + side / 2 + faces._RAISED * long
    cut = cut_face(image, (middle[0] - long / 2, middle[1] - long / 2, middle[0] + long / 2, middle[1] + long / 2))
    (found,) = detector.default()(cut)
    for position, expected in zip(np.array(found.eyes) / cut.width, EYES, strict=True):
        assert position == pytest.approx(np.array(expected), abs=0.05)


@pytest.mark.parametrize(
    ("box", "reason"),
    [
        ((10, 10, 10, 20), "left < right"),
        ((10, 20, 30, 10), "left < right"),
        ((10, 10, math.nan, 20), "left < right"),
        ((10, 10, math.inf, 20), "left < right"),
        ((10, 10, 20), "four numbers"),
        (("a", 0, 1, 2), "four numbers"),
        (None, "four numbers"),
        ((300, 0, 350, 50), "outside of the image, which is 300 × 200 px"),
        ((0, 0, 100_000, 100_000), "more than twice as large"),
    ],
)
def test_invalid_box_is_rejected(box: tuple[float, ...], reason: str) -> None:
    with pytest.raises(ImageError, match=reason):
        cut_face(SCENE, box)


@pytest.mark.parametrize("margin", [-0.1, math.nan, math.inf])
def test_margin_below_0_is_rejected(margin: float) -> None:
    with pytest.raises(ImageError, match="expected 0 or more"):
        cut_face(SCENE, (10, 10, 30, 30), margin)

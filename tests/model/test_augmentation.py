"""Augmentation."""

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest

from anteojos.model import augmentation
from anteojos.model.recipes import Augmentation
from anteojos.vocabulary import Pixels

SIZE = 64
STILL = Augmentation(shift=0, zoom=(1, 1), rotation=0)


def squares(count: int) -> Pixels:
    """Black, with a white square of 5 px, 10 px to the right of the middle and 5 px above it."""
    images = np.zeros((count, SIZE, SIZE, 3), np.uint8)
    images[:, 24:29, 39:44] = 255
    return images


def centres(images: Pixels) -> npt.NDArray[np.float64]:
    """Where the white square is, to the right of and below the middle: (N, 2) in px."""
    weight = np.where(images[..., 0] > 20, images[..., 0], 0).astype(float)
    places = np.arange(SIZE) - (SIZE - 1) / 2
    total = weight.sum(axis=(1, 2))
    return np.stack(
        ((weight.sum(axis=1) * places).sum(axis=1) / total, (weight.sum(axis=2) * places).sum(axis=1) / total), axis=1
    )


def varied(count: int, augmented: Augmentation, seed: int = 0) -> Pixels:
    return augmentation.vary(
        squares(count), augmentation.draw_transforms(count, SIZE, augmented, np.random.default_rng(seed))
    )


def test_images_keep_their_shape_and_type() -> None:
    moved = varied(3, Augmentation(shift=0.1, zoom=(0.8, 1.5), rotation=10))
    assert (moved.shape, moved.dtype) == ((3, SIZE, SIZE, 3), np.uint8)


def test_half_of_the_images_are_mirrored() -> None:
    moved, original = varied(200, STILL), squares(1)[0]
    mirrored = (moved == original[:, ::-1]).all(axis=(1, 2, 3))
    same = (moved == original).all(axis=(1, 2, 3))
    assert (mirrored ^ same).all()
    assert 70 < mirrored.sum() < 130


def test_shifts_cover_their_range_in_all_directions() -> None:
    moved = centres(varied(300, Augmentation(shift=0.1, zoom=(1, 1), rotation=0)))
    [original] = centres(squares(1))
    shifts = np.stack((np.abs(moved[:, 0]) - original[0], moved[:, 1] - original[1]))
    assert shifts.min() == pytest.approx(-0.1 * SIZE, abs=0.5)
    assert shifts.max() == pytest.approx(0.1 * SIZE, abs=0.5)
    assert np.abs(shifts.mean(axis=1)).max() < 0.6


def test_zoom_is_about_the_centre_and_covers_its_range() -> None:
    moved = centres(varied(300, Augmentation(shift=0, zoom=(0.8, 1.5), rotation=0)))
    [original] = centres(squares(1))
    factors = moved[:, 1] / original[1]
    assert np.allclose(np.abs(moved[:, 0]) / original[0], factors, atol=0.05)
    assert (factors.min(), factors.max()) == pytest.approx((0.8, 1.5), abs=0.05)
    # As many are made smaller by a factor as are made larger by it.
    assert np.log(factors).mean() == pytest.approx(np.log(0.8 * 1.5) / 2, abs=0.03)


def test_rotations_cover_their_range_in_both_directions() -> None:
    moved = centres(varied(300, Augmentation(shift=0, zoom=(1, 1), rotation=20)))
    [original] = centres(squares(1))
    distance = np.hypot(*original)
    assert np.allclose(np.hypot(*moved.T), distance, atol=0.2)
    upright = np.degrees(np.arctan2(moved[:, 1], np.abs(moved[:, 0]))) - np.degrees(
        np.arctan2(original[1], original[0])
    )
    assert (upright.min(), upright.max()) == pytest.approx((-20, 20), abs=1)


def test_half_of_the_images_lose_detail_down_to_the_limit() -> None:
    transforms = augmentation.draw_transforms(3000, SIZE, replace(STILL, detail=0.25), np.random.default_rng(0))
    assert transforms.shape == (3000, 7)
    side = transforms[:, 6]
    reduced = side[side < SIZE]
    assert 1400 < len(reduced) < 1600
    assert (reduced.min(), reduced.max()) == pytest.approx((0.25 * SIZE, SIZE), abs=1)
    assert reduced.mean() == pytest.approx(0.625 * SIZE, abs=1)


def test_less_detail_blurs_and_moves_nothing() -> None:
    images, as_it_is = squares(1), [1.0, 0, 0, 0, 1, 0]
    sharp, blurred = (augmentation.vary(images, np.array([[*as_it_is, side]])) for side in (SIZE, SIZE / 4))
    assert (sharp == images).all()
    assert blurred.max() < 180
    assert blurred.mean() == pytest.approx(images.mean(), rel=0.05)
    weight = blurred[0, ..., 0] / blurred[0, ..., 0].sum(dtype=float)
    assert [(weight.sum(axis=axis) * np.arange(SIZE)).sum() for axis in (0, 1)] == pytest.approx([41, 26], abs=0.5)


def test_same_seed_gives_the_same_images() -> None:
    how = Augmentation(shift=0.1, zoom=(0.8, 1.5), rotation=10)
    assert np.array_equal(varied(5, how, seed=1), varied(5, how, seed=1))
    assert not np.array_equal(varied(5, how, seed=1), varied(5, how, seed=2))


def test_pixels_beyond_the_border_have_the_mean_colour() -> None:
    bright = np.full((20, SIZE, SIZE, 3), (200, 100, 50), np.uint8)
    bright[:, : SIZE // 2] += 20
    smaller = Augmentation(shift=0, zoom=(0.5, 0.5), rotation=0)
    moved = augmentation.vary(bright, augmentation.draw_transforms(20, SIZE, smaller, np.random.default_rng(0)))
    assert (moved[:, :8] == (210, 110, 60)).all()
    assert (moved[:, 20:28, 24:40] == (220, 120, 70)).all()

"""Statistics of images, and their ranges over the training images."""

import numpy as np
import pytest
from PIL import Image, ImageFilter

from anteojos.model.statistics import ImageStatistics, TrainingRanges, measure_training
from tests.conftest import drawn_face


def measure(*greys: int) -> ImageStatistics:
    """Measure an image of 16 × 16 px with columns of these greys, repeated."""
    row = np.resize(np.array(greys, np.uint8), 16)
    return ImageStatistics.of(np.broadcast_to(row[np.newaxis, :, np.newaxis], (16, 16, 3)).copy())


def test_plain_image_has_no_contrast_and_no_sharpness() -> None:
    assert measure(0) == ImageStatistics(0, 0, 0)
    assert measure(255) == ImageStatistics(1, 0, 0)
    assert measure(51) == ImageStatistics(pytest.approx(0.2), 0, 0)


def test_contrast_of_stripes_is_half_their_difference() -> None:
    found = measure(0, 255)
    assert (found.brightness, found.contrast) == (pytest.approx(0.5), pytest.approx(0.5))
    # Each neighbour differs by twice the contrast.
    assert found.sharpness == pytest.approx(2)
    assert measure(50, 50, 150, 150).contrast == pytest.approx(50 / 255)
    # Now 7 of 15 do.
    assert measure(50, 50, 150, 150).sharpness == pytest.approx(2 * 7 / 15)


def test_colours_are_weighted_by_luminance() -> None:
    for colour, weight in (((255, 0, 0), 0.299), ((0, 255, 0), 0.587), ((0, 0, 255), 0.114)):
        assert ImageStatistics.of(np.full((8, 8, 3), colour, np.uint8)).brightness == pytest.approx(weight)


def test_colour_is_the_range_of_the_channels() -> None:
    pixels = np.zeros((2, 4, 4, 3), np.uint8)
    pixels[1, :, :2] = 255, 0, 102
    pixels[1, :, 2:] = 51, 102, 51
    assert measure_training(pixels, [4, 4], [4, 4])["colour"] == [0, pytest.approx((255 + 51) / 2 / 255)]


def test_only_blur_changes_sharpness() -> None:
    face = drawn_face(0, 96)
    sharp = ImageStatistics.of(np.asarray(face))
    darker = ImageStatistics.of(np.asarray(face.point(lambda value: value // 2)))
    assert darker.sharpness == pytest.approx(sharp.sharpness, rel=0.03)
    assert (darker.brightness, darker.contrast) == (
        pytest.approx(sharp.brightness / 2, rel=0.02),
        pytest.approx(sharp.contrast / 2, rel=0.02),
    )
    assert ImageStatistics.of(np.asarray(face.filter(ImageFilter.GaussianBlur(4)))).sharpness < 0.6 * sharp.sharpness


def test_statistics_of_a_view_are_those_of_the_array() -> None:
    pixels = np.asarray(Image.effect_noise((32, 32), 60).convert("RGB"))
    assert ImageStatistics.of(pixels[::1]) == ImageStatistics.of(pixels.copy())
    assert all(type(value) is float for value in vars(ImageStatistics.of(pixels)).values())


def test_ranges_are_minimum_and_maximum() -> None:
    images = np.stack([np.full((8, 8, 3), grey, np.uint8) for grey in (51, 204, 102)])
    assert TrainingRanges.of(measure_training(images, [80, 64, 90], [60, 64, 45])) == TrainingRanges(
        width=(64, 90),
        height=(45, 64),
        aspect=(1.0, 2.0),
        brightness=(pytest.approx(0.2), pytest.approx(0.8)),
        contrast=(0.0, 0.0),
        sharpness=(0.0, 0.0),
    )


def test_ranges_of_many_images_are_those_of_2000_at_equal_distances() -> None:
    images = np.zeros((3999, 4, 4, 3), np.uint8)
    images[1::2] = 255  # every second image, which is not measured
    assert TrainingRanges.of(measure_training(images, [4], [4])).brightness == (0, 0)
    images[-1] = 255
    assert TrainingRanges.of(measure_training(images, [4], [4])).brightness == (0, 1)

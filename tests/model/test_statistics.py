"""Brightness, contrast and sharpness are those of the grey image."""

import numpy as np
import pytest
from PIL import Image, ImageFilter

from anteojos.model.statistics import Look
from tests.conftest import drawn_face


def look(*greys: int) -> Look:
    """Look at columns of these greys, in turn, over 16 × 16 px."""
    row = np.resize(np.array(greys, np.uint8), 16)
    return Look.of(np.broadcast_to(row[np.newaxis, :, np.newaxis], (16, 16, 3)).copy())


def test_a_plain_image_has_no_contrast_and_no_sharpness() -> None:
    assert look(0) == Look(0, 0, 0)
    assert look(255) == Look(1, 0, 0)
    assert look(51) == Look(pytest.approx(0.2), 0, 0)


def test_stripes_have_half_their_difference_as_contrast() -> None:
    found = look(0, 255)
    assert (found.brightness, found.contrast) == (pytest.approx(0.5), pytest.approx(0.5))
    # Each neighbour differs by twice the contrast.
    assert found.sharpness == pytest.approx(2)
    assert look(50, 50, 150, 150).contrast == pytest.approx(50 / 255)
    # Now 7 of 15 do.
    assert look(50, 50, 150, 150).sharpness == pytest.approx(2 * 7 / 15)


def test_colours_have_the_weights_of_their_luminance() -> None:
    for colour, weight in (((255, 0, 0), 0.299), ((0, 255, 0), 0.587), ((0, 0, 255), 0.114)):
        assert Look.of(np.full((8, 8, 3), colour, np.uint8)).brightness == pytest.approx(weight)


def test_sharpness_does_not_depend_on_brightness_and_contrast_but_falls_with_blur() -> None:
    face = drawn_face(0, 96)
    sharp = Look.of(np.asarray(face))
    darker = Look.of(np.asarray(face.point(lambda value: value // 2)))
    assert darker.sharpness == pytest.approx(sharp.sharpness, rel=0.03)
    assert (darker.brightness, darker.contrast) == (
        pytest.approx(sharp.brightness / 2, rel=0.02),
        pytest.approx(sharp.contrast / 2, rel=0.02),
    )
    assert Look.of(np.asarray(face.filter(ImageFilter.GaussianBlur(4)))).sharpness < 0.6 * sharp.sharpness


def test_the_statistics_of_a_view_of_a_memory_map_are_those_of_the_array() -> None:
    pixels = np.asarray(Image.effect_noise((32, 32), 60).convert("RGB"))
    assert Look.of(pixels[::1]) == Look.of(pixels.copy())
    assert all(type(value) is float for value in vars(Look.of(pixels)).values())

"""The image of the audit shows where the border differs between the classes."""

import numpy as np
import numpy.typing as npt
import pytest

from anteojos.evaluation import leak, leak_sheet

pytestmark = pytest.mark.slow

FIRST = np.random.default_rng(0).permutation(40) < 20
SIZE = 64


def noise(darker: int = 0) -> npt.NDArray[np.uint8]:
    """Return noise whose upper border is `darker` on the left for the first class, on the right for the second."""
    images = np.random.default_rng(1).integers(100, 140, (40, SIZE, SIZE, 3)).astype(np.int16)
    images[FIRST, :6, 10:20] -= darker
    images[~FIRST, :6, 40:50] -= darker
    return images.astype(np.uint8)


def drawn(images: npt.NDArray[np.uint8]) -> npt.NDArray[np.int16]:
    probe = leak.probes(images, ~FIRST, {}, permutations=199)["border"]
    sheet = leak_sheet.draw(images, FIRST, ("con lentes", "sin lentes"), probe, 22)
    return np.asarray(sheet).astype(np.int16)


def width_of_note(sheet: npt.NDArray[np.int16]) -> int:
    """Return the right end of the note under the images, in px."""
    return int(np.flatnonzero((sheet[-36:] < 128).any(axis=(0, 2))).max())


def mean_colour(sheet: npt.NDArray[np.int16], row: int, column: int, place: tuple[slice, slice]) -> list[float]:
    """Return the mean colour of a place of an image, given in px of 64; the sheet shows it at 240 px."""
    top, left = 44 + row * (240 + 20 + 16), 16 + column * 256
    image = sheet[top : top + 240, left : left + 240]
    rows, columns = (slice(round(part.start * 3.75), round(part.stop * 3.75)) for part in place)
    return list(image[rows, columns].mean(axis=(0, 1)))


LEFT, RIGHT, MIDDLE = (slice(1, 5), slice(11, 19)), (slice(1, 5), slice(41, 49)), (slice(20, 44), slice(20, 44))


def test_marks_of_the_first_class_are_red_and_others_blue() -> None:
    sheet = drawn(noise(darker=80))
    for row in (0, 1):
        red, green, blue = mean_colour(sheet, row, 0, LEFT)
        assert red > max(green, blue) + 60
        red, green, blue = mean_colour(sheet, row, 0, RIGHT)
        assert blue > max(green + 40, red + 100)
        red, green, blue = mean_colour(sheet, row, 0, MIDDLE)
        assert red == green == blue


def test_examples_are_of_their_class_with_a_pale_middle() -> None:
    images = noise(darker=80)
    sheet = drawn(images)
    assert sheet.shape == (44 + 2 * 276 + 36, 16 + 4 * 256, 3)
    for row, dark, light in ((0, LEFT, RIGHT), (1, RIGHT, LEFT)):
        for column in (1, 2, 3):
            assert np.allclose(mean_colour(sheet, row, column, dark), 120 - 80, atol=8)
            assert np.allclose(mean_colour(sheet, row, column, light), 120, atol=8)
            assert np.allclose(mean_colour(sheet, row, column, MIDDLE), 255 - (255 - 120) / 4, atol=4)


def test_examples_have_the_highest_scores() -> None:
    images = noise(darker=30)
    clearest = {True: np.flatnonzero(FIRST)[[4, 9, 11]], False: np.flatnonzero(~FIRST)[[2, 7, 16]]}
    images[clearest[True], :6, 10:20] = 10
    images[clearest[False], :6, 40:50] = 10
    sheet = drawn(images)
    for row, dark in ((0, LEFT), (1, RIGHT)):
        for column in (1, 2, 3):
            assert np.allclose(mean_colour(sheet, row, column, dark), 10, atol=4)


def test_colour_is_proportional_to_the_accuracy() -> None:
    images = noise(darker=40)
    spread = []
    for accuracy in (0.5, 0.75, 1.0):
        probe = leak.Probe(accuracy, 0.5, 0.01, 40, "leak")
        sheet = np.asarray(leak_sheet.draw(images, FIRST, ("con lentes", "sin lentes"), probe, 22)).astype(np.int16)
        red, green, _ = mean_colour(sheet, 0, 0, LEFT)
        spread.append(red - green)
    assert spread[0] == 0
    assert spread[1] > 10
    assert spread[2] == pytest.approx(2 * spread[1], rel=0.05)


def test_scores_of_0_draw_only_the_means_without_colour() -> None:
    sheet = drawn(noise())
    assert sheet.shape == (44 + 276 + 36, 16 + 4 * 256, 3)
    assert (np.ptp(sheet[44:284], axis=2) == 0).all()
    assert np.allclose(mean_colour(sheet, 0, 0, LEFT), 255 - 0.6 * (255 - 120), atol=4)
    # The note does not explain colours.
    assert width_of_note(sheet) < width_of_note(drawn(noise(darker=30))) / 2


def test_pattern_is_the_difference_per_standard_deviation() -> None:
    images = np.full((40, SIZE, SIZE, 3), 200, np.uint8)
    images[FIRST, 2, 30] = 140  # 60 levels are two standard deviations
    images[FIRST, 30, 30] = 0  # in the middle
    pattern = leak_sheet.pattern(images, np.where(FIRST, 3.0, -3.0), 22)
    assert pattern[2, 30] == pytest.approx(30)
    pattern[2, 30] = 0
    assert np.abs(pattern).max() < 1e-9
    assert not leak_sheet.pattern(images, np.zeros(40), 22).any()


def test_class_of_two_images_has_two_examples() -> None:
    images = noise(darker=80)
    kept = np.concatenate((np.flatnonzero(FIRST)[:2], np.flatnonzero(~FIRST)))
    probe = leak.Probe(1.0, 0.5, 0.01, len(kept), "leak")
    sheet = leak_sheet.draw(images[kept], FIRST[kept], ("con lentes", "sin lentes"), probe, 22)
    assert sheet.size == (16 + 3 * 256, 44 + 2 * 276 + 36)

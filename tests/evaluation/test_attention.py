"""The map of where a network looks is the highest where it does look, and nothing where it does not."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from anteojos.evaluation.attention import GRID, colour, occlusion_map
from anteojos.model import training
from anteojos.model.classifier import Classifier
from anteojos.model.recipes import Recipe
from tests.conftest import METADATA

Pixels = npt.NDArray[np.uint8]


def striped(size: int = 90) -> Pixels:
    """Black and white stripes of a pixel, all over."""
    stripes = np.zeros((size, size, 3), np.uint8)
    stripes[:, ::2] = 255
    return stripes


def reader_of(row: int, column: int, strength: float = 4.0) -> Callable[[Pixels], npt.NDArray[np.float32]]:
    """A network that looks at one place of the grid alone: the more it is striped, the likelier the first class."""

    def probabilities(pictures: Pixels) -> npt.NDArray[np.float32]:
        cell = pictures.shape[1] // GRID
        place = pictures[:, row * cell : (row + 1) * cell, column * cell : (column + 1) * cell]
        contrast = place.std(axis=(1, 2, 3)) / 127.5  # 1 for stripes, 0 for their blur
        return (1 / (1 + np.exp(-strength * contrast))).astype(np.float32)

    return probabilities


@pytest.mark.parametrize(("row", "column"), [(0, 0), (0, 8), (8, 0), (4, 4), (3, 6)])
@pytest.mark.parametrize("size", [90, 180])
def test_the_highest_place_is_the_one_that_the_network_looks_at(row: int, column: int, size: int) -> None:
    drops = occlusion_map(reader_of(row, column), striped(size), first=True)
    assert drops.shape == (GRID, GRID)
    assert np.unravel_index(drops.argmax(), drops.shape) == (row, column)
    # Hidden whole, the stripes would be gone and the log-odds would fall by 4; at the rim of a piece they are not.
    assert 2 < drops[row, column] < 4
    rows, columns = np.ogrid[:GRID, :GRID]
    far = np.hypot(rows - row, columns - column) > 3.5
    assert np.abs(drops[far]).max() < 0.02


def test_what_speaks_for_one_label_speaks_against_the_other() -> None:
    for_it = occlusion_map(reader_of(2, 2), striped(), first=True)
    against_it = occlusion_map(reader_of(2, 2), striped(), first=False)
    np.testing.assert_array_equal(against_it, -for_it)
    assert for_it.max() > 2


@pytest.mark.parametrize("first", [True, False])
def test_a_network_that_is_certain_shows_where_it_looks_all_the_same(first: bool) -> None:
    # So certain that no piece alone would bring its probability away from 0 or 1.
    certain = reader_of(2, 6, strength=100.0 if first else -100.0)
    drops = occlusion_map(certain, striped(), first)
    assert np.unravel_index(drops.argmax(), drops.shape) == (2, 6)
    # It is asked about a paler image, where it is sure by 12 nats at most.
    assert 6 < drops[2, 6] < 12


@pytest.mark.parametrize("probability", [0.0, 0.5, 1.0])
def test_a_network_that_looks_nowhere_has_an_empty_map(probability: float) -> None:
    drops = occlusion_map(lambda pictures: np.full(len(pictures), probability, np.float32), striped(), first=True)
    np.testing.assert_array_equal(drops, np.zeros((GRID, GRID)))
    coloured = colour(striped(), drops)
    assert (coloured[..., 0] == coloured[..., 2]).all()


def test_a_place_is_hidden_by_the_blur_and_without_an_edge_that_a_network_could_see() -> None:
    cells = np.random.default_rng(0).integers(0, 256, (6, 6, 3), dtype=np.uint8)
    image = np.asarray(Image.fromarray(cells).resize((90, 90), Image.Resampling.BICUBIC))
    blurred = np.asarray(Image.fromarray(image).filter(ImageFilter.GaussianBlur(9)))
    asked: list[Pixels] = []

    def probabilities(pictures: Pixels) -> npt.NDArray[np.float32]:
        asked.append(pictures[0])
        return np.full(1, 0.5, np.float32)

    def steepest(pixels: Pixels) -> int:
        return max(int(np.abs(np.diff(pixels.astype(int), axis=axis)).max()) for axis in (0, 1))

    occlusion_map(probabilities, image, first=True)
    whole, *hidden = asked
    np.testing.assert_array_equal(whole, image)
    assert len(hidden) == GRID * GRID
    assert max(steepest(pixels) for pixels in hidden) <= steepest(image) + 1
    for number, pixels in enumerate(hidden):
        row, column = divmod(number, GRID)
        place = slice(row * 10 + 4, row * 10 + 6), slice(column * 10 + 4, column * 10 + 6)
        assert np.abs(pixels[place].astype(int) - blurred[place]).max() <= 2
        # Far from there it is as it was.
        np.testing.assert_array_equal(
            np.roll(pixels, (45 - row * 10, 45 - column * 10), (0, 1))[-5:, -5:],
            np.roll(image, (45 - row * 10, 45 - column * 10), (0, 1))[-5:, -5:],
        )


def test_the_colours_say_what_speaks_for_and_against_and_leave_the_face() -> None:
    image = np.random.default_rng(0).integers(0, 256, (90, 90, 3), dtype=np.uint8)
    drops = np.zeros((GRID, GRID))
    drops[1, 1], drops[7, 7] = 8.0, -4.0
    coloured = colour(image, drops)
    assert coloured.shape == image.shape
    assert coloured.dtype == np.uint8
    grey = np.asarray(Image.fromarray(image).convert("L")).astype(int)
    red, _, blue = np.moveaxis(coloured.astype(int), -1, 0)
    assert (red - blue)[13:17, 13:17].min() > 150
    # Half as strong as the strongest place is half as much colour.
    assert -130 < (red - blue)[73:77, 73:77].mean() < -70
    np.testing.assert_array_equal(coloured[40:50, 40:50], np.repeat(grey[40:50, 40:50, np.newaxis], 3, axis=2))
    # Even where the colour is full, light and dark places of the face can be told apart.
    assert np.corrcoef(grey[13:17, 13:17].ravel(), coloured[13:17, 13:17].sum(axis=2).ravel())[0, 1] > 0.9


def test_a_difference_that_is_next_to_none_is_not_blown_up() -> None:
    drops = np.zeros((GRID, GRID))
    drops[4, 4] = 0.001
    coloured = colour(np.full((90, 90, 3), 128, np.uint8), drops)
    assert np.abs(coloured.astype(int) - 128).max() <= 1


def test_a_network_that_reads_a_word_lights_the_word(tmp_path: Path) -> None:
    # What stands on the paper is all that tells the classes apart: the images below it are noise.
    rng = np.random.default_rng(0)
    font = ImageFont.load_default(9)
    first = np.arange(72) % 2 == 0
    pictures = []
    for label in first:
        sheet = Image.new("RGB", (72, 72), "white")
        cells = rng.integers(80, 180, (6, 6, 3), dtype=np.uint8)
        sheet.paste(Image.fromarray(cells).resize((56, 56), Image.Resampling.BICUBIC), (8, 14))
        ImageDraw.Draw(sheet).text((36, 8), "yes" if label else "no_no_no", "black", font, anchor="mm")
        pictures.append(np.asarray(sheet))
    images = np.stack(pictures)
    train, others = training.LabelledImages(images[:64], first[:64]), training.LabelledImages(images[64:], first[64:])
    recipe = Recipe(epochs=8, batch_size=8)
    network, history = training.train(train, others, "baseline", recipe, 1, lambda epoch: None)
    assert history[-1].validate.accuracy == 1
    training.save_tflite(network, tmp_path / "model.tflite")
    classifier = Classifier((tmp_path / "model.tflite").read_bytes(), METADATA)
    maps = [
        occlusion_map(classifier.probabilities, image, label)
        for image, label in zip(others.images, others.first.tolist(), strict=True)
    ]
    # The word is 8 px below the upper edge, and a row of the grid is 8 px high.
    by_row = np.mean(maps, axis=0).max(axis=1)
    # What hides the row below reaches softly into it.
    assert by_row[:2].max() > 2 * np.abs(by_row[2]), by_row
    assert by_row[:2].max() > 10 * np.abs(by_row[3:]).max(), by_row

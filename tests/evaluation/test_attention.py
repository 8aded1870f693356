"""An attention map is highest at the part that the network uses, and 0 elsewhere."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from anteojos.evaluation import attention
from anteojos.evaluation.attention import GRID, colour, occlusion_map
from anteojos.model import batches, training
from anteojos.model.classifier import Classifier
from anteojos.model.recipes import Recipe
from tests.conftest import METADATA

pytestmark = pytest.mark.slow

Pixels = npt.NDArray[np.uint8]


def striped(size: int = 90) -> Pixels:
    """Return black and white stripes, each 1 px wide."""
    stripes = np.zeros((size, size, 3), np.uint8)
    stripes[:, ::2] = 255
    return stripes


def reader_of(row: int, column: int, strength: float = 4.0) -> Callable[[Pixels], npt.NDArray[np.float32]]:
    """Return a network that uses one cell of the grid: stripes there make the first class likely."""

    def probabilities(images: Pixels) -> npt.NDArray[np.float32]:
        cell = images.shape[1] // GRID
        place = images[:, row * cell : (row + 1) * cell, column * cell : (column + 1) * cell]
        contrast = place.std(axis=(1, 2, 3)) / 127.5  # 1 for stripes, 0 for their blur
        return (1 / (1 + np.exp(-strength * contrast))).astype(np.float32)

    return probabilities


@pytest.mark.parametrize(("row", "column"), [(0, 0), (0, 8), (8, 0), (4, 4), (3, 6)])
@pytest.mark.parametrize("size", [90, 180])
def test_map_is_highest_at_the_part_that_the_network_uses(row: int, column: int, size: int) -> None:
    drops = occlusion_map(reader_of(row, column), striped(size), first=True)
    assert drops.shape == (GRID, GRID)
    assert np.unravel_index(drops.argmax(), drops.shape) == (row, column)
    # Without stripes, the log-odds would decrease by 4, but some remain at the edge of a part.
    assert 2 < drops[row, column] < 4
    rows, columns = np.ogrid[:GRID, :GRID]
    far = np.hypot(rows - row, columns - column) > 3.5
    assert np.abs(drops[far]).max() < 0.1 * drops[row, column]


@pytest.mark.parametrize("places", [[(1, 2), (4, 7)], [(0, 0), (1, 1)], [(3, 3), (5, 5)]])
def test_map_is_similar_to_one_in_which_each_cell_is_measured(
    places: list[tuple[int, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    readers = [reader_of(*place) for place in places]

    def probabilities(images: Pixels) -> npt.NDArray[np.float32]:
        return np.mean([reader(images) for reader in readers], axis=0)

    drops = occlusion_map(probabilities, striped(), first=True)
    monkeypatch.setattr(attention, "_REFINED", attention.BLOCKS**2)
    complete = occlusion_map(probabilities, striped(), first=True)
    assert np.corrcoef(drops.ravel(), complete.ravel())[0, 1] > 0.9
    assert drops.argmax() == complete.argmax()


def test_map_of_the_other_label_has_the_opposite_sign() -> None:
    map_for = occlusion_map(reader_of(2, 2), striped(), first=True)
    map_against = occlusion_map(reader_of(2, 2), striped(), first=False)
    np.testing.assert_array_equal(map_against, -map_for)
    assert map_for.max() > 2


@pytest.mark.parametrize("first", [True, False])
def test_map_of_a_certain_network_is_not_empty(first: bool) -> None:
    # So certain that hiding a single part leaves its probability at 0 or 1.
    certain = reader_of(2, 6, strength=100.0 if first else -100.0)
    drops = occlusion_map(certain, striped(), first)
    assert np.unravel_index(drops.argmax(), drops.shape) == (2, 6)
    # The image is blurred until the log-odds are at most 12 nats.
    assert 6 < drops[2, 6] < 12


@pytest.mark.parametrize("probability", [0.0, 0.5, 1.0])
def test_map_of_a_constant_network_is_0(probability: float) -> None:
    drops = occlusion_map(lambda images: np.full(len(images), probability, np.float32), striped(), first=True)
    np.testing.assert_array_equal(drops, np.zeros((GRID, GRID)))
    coloured = colour(striped(), drops)
    assert (coloured[..., 0] == coloured[..., 2]).all()


def test_hidden_part_is_blurred_without_edges() -> None:
    cells = np.random.default_rng(0).integers(0, 256, (6, 6, 3), dtype=np.uint8)
    image = np.asarray(Image.fromarray(cells).resize((90, 90), Image.Resampling.BICUBIC))
    blurred = np.asarray(Image.fromarray(image).filter(ImageFilter.GaussianBlur(9)))
    inputs: list[Pixels] = []

    def probabilities(images: Pixels) -> npt.NDArray[np.float32]:
        inputs.append(images[0])
        return np.full(1, 0.5, np.float32)

    def steepest(pixels: Pixels) -> int:
        return max(int(np.abs(np.diff(pixels.astype(int), axis=axis)).max()) for axis in (0, 1))

    occlusion_map(probabilities, image, first=True)
    unchanged, *hidden = inputs
    np.testing.assert_array_equal(unchanged, image)
    # All blocks, 30 px wide, then the cells, 10 px wide, of the first two, because no block has more effect.
    blocks = [(15 + 30 * row, 15 + 30 * column) for row, column in np.ndindex(3, 3)]
    cells = [(5 + 10 * row, 5 + 10 * column) for row, column in np.ndindex(3, 6)]
    assert len(hidden) == len(blocks + cells)
    assert max(steepest(pixels) for pixels in hidden) <= steepest(image) + 1
    for pixels, (y, x) in zip(hidden, blocks + cells, strict=True):
        place = slice(y - 1, y + 1), slice(x - 1, x + 1)
        assert np.abs(pixels[place].astype(int) - blurred[place]).max() <= 2
        # Far from the part nothing changes.
        np.testing.assert_array_equal(
            np.roll(pixels, (50 - y, 50 - x), (0, 1))[-5:, -5:],
            np.roll(image, (50 - y, 50 - x), (0, 1))[-5:, -5:],
        )


def test_colours_show_the_sign_and_keep_the_image_visible() -> None:
    image = np.random.default_rng(0).integers(0, 256, (90, 90, 3), dtype=np.uint8)
    drops = np.zeros((GRID, GRID))
    drops[1, 1], drops[7, 7] = 8.0, -4.0
    coloured = colour(image, drops)
    assert coloured.shape == image.shape
    assert coloured.dtype == np.uint8
    grey = np.asarray(Image.fromarray(image).convert("L")).astype(int)
    red, _, blue = np.moveaxis(coloured.astype(int), -1, 0)
    assert (red - blue)[13:17, 13:17].min() > 150
    # Half of the strongest value has half of the colour.
    assert -130 < (red - blue)[73:77, 73:77].mean() < -70
    np.testing.assert_array_equal(coloured[40:50, 40:50], np.repeat(grey[40:50, 40:50, np.newaxis], 3, axis=2))
    # Light and dark pixels still differ under the full colour.
    assert np.corrcoef(grey[13:17, 13:17].ravel(), coloured[13:17, 13:17].sum(axis=2).ravel())[0, 1] > 0.9


def test_tiny_differences_are_not_amplified() -> None:
    drops = np.zeros((GRID, GRID))
    drops[4, 4] = 0.001
    coloured = colour(np.full((90, 90, 3), 128, np.uint8), drops)
    assert np.abs(coloured.astype(int) - 128).max() <= 1


def test_map_of_a_network_that_reads_a_word_shows_the_word(tmp_path: Path) -> None:
    # Only the word above differs between the classes; the image below it is noise.
    rng = np.random.default_rng(0)
    font = ImageFont.load_default(9)
    first = np.arange(72) % 2 == 0
    sheets = []
    for label in first:
        sheet = Image.new("RGB", (72, 72), "white")
        cells = rng.integers(80, 180, (6, 6, 3), dtype=np.uint8)
        sheet.paste(Image.fromarray(cells).resize((56, 56), Image.Resampling.BICUBIC), (8, 14))
        ImageDraw.Draw(sheet).text((36, 8), "yes" if label else "no_no_no", "black", font, anchor="mm")
        sheets.append(np.asarray(sheet))
    images = np.stack(sheets)
    train, others = batches.LabelledImages(images[:64], first[:64]), batches.LabelledImages(images[64:], first[64:])
    recipe = Recipe(epochs=8, batch_size=8)
    network, history = training.train(train, others, "baseline", recipe, 1, lambda epoch: None)
    assert history[-1].validate.accuracy == 1
    training.save_tflite(network, tmp_path / "model.tflite")
    classifier = Classifier((tmp_path / "model.tflite").read_bytes(), METADATA)
    maps = [
        occlusion_map(classifier.probabilities, image, label)
        for image, label in zip(others.images, others.first.tolist(), strict=True)
    ]
    # The word is 8 px below the upper edge; a row of the grid is 8 px high.
    by_row = np.mean(maps, axis=0).max(axis=1)
    # Hiding the row below also hides a little of the word.
    assert by_row[:2].max() > 2 * np.abs(by_row[2]), by_row
    assert by_row[:2].max() > 10 * np.abs(by_row[3:]).max(), by_row

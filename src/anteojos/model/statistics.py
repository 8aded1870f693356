"""Statistics of the training images, to detect other images that are unlike them."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, Self

import numpy as np

from anteojos.vocabulary import Pixels

Range = tuple[float, float]
# Values of statistics, by name.
Values = Mapping[str, Sequence[float]]
_MOST_MEASURED = 2000  # training images
_MOST_KEPT = 200  # values of a statistic


@dataclass(frozen=True)
class ImageStatistics:
    """Statistics of the grey levels, 0 to 1, of an image as the network sees it.

    `brightness` is their mean, `contrast` their standard deviation, and `sharpness` the mean absolute difference of
    horizontal neighbours, divided by the contrast.
    """

    brightness: float
    contrast: float
    sharpness: float

    @classmethod
    def of(cls, image: Pixels) -> Self:
        """Measure uint8 (size, size, 3)."""
        red, green, blue = (image[..., channel].astype(np.int32) for channel in range(3))
        # Integers, so that sums are the same on all CPUs. The weights are those of ITU-R BT.601, times 1000.
        grey = 299 * red + 587 * green + 114 * blue
        contrast = float(grey.std())
        differences = float(np.abs(np.diff(grey, axis=1)).mean())
        return cls(float(grey.mean()) / 255e3, contrast / 255e3, differences / contrast if contrast else 0.0)


@dataclass(frozen=True)
class TrainingRanges:
    """Minimum and maximum over the training images.

    `width` and `height`, in px, and `aspect`, width divided by height, are those of the files. The others are the
    ImageStatistics of the images as the network sees them.
    """

    width: tuple[int, int]
    height: tuple[int, int]
    aspect: Range
    brightness: Range
    contrast: Range
    sharpness: Range

    @classmethod
    def of(cls, values: Values) -> Self:
        """Return the ranges of the values that `measure_training` returns."""
        width, height, *others = (values[field.name] for field in fields(cls))
        ends = [(float(min(other)), float(max(other))) for other in others]
        return cls((int(min(width)), int(max(width))), (int(min(height)), int(max(height))), *ends)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """Return the ranges from a JSON object made of `dataclasses.asdict`."""
        return cls(**{name: tuple(ends) for name, ends in values.items()})


def measure(image: Pixels) -> dict[str, float]:
    """Return the statistics of an image as the network sees it, uint8 (size, size, 3), by name.

    `colour` is the mean difference, 0 to 1, between the largest and the smallest of red, green and blue of the pixels.
    """
    channels = np.moveaxis(image, 2, 0).copy()  # NumPy is forty times as fast along the first axis
    return {**asdict(ImageStatistics.of(image)), "colour": float(np.ptp(channels, axis=0).mean()) / 255}


def measure_training(images: Pixels, width: Sequence[int], height: Sequence[int]) -> dict[str, Sequence[float]]:
    """Measure prepared images, uint8 (N, size, size, 3), of files with these sizes in px; return values by name.

    If there are more than 2,000 images, only the pixels of 2,000 of them, at equal distances, are measured.
    """
    measured = [measure(images[row]) for row in _evenly(len(images), _MOST_MEASURED)]
    return {
        "width": width,
        "height": height,
        "aspect": np.divide(width, height).tolist(),
        **{name: [values[name] for values in measured] for name in measured[0]},
    }


def sample(values: Values) -> Values:
    """Return the sorted values of each statistic; of more than 200, keep 200 at equal distances, with both ends."""
    kept = {}
    for name, unsorted in values.items():
        ordered = sorted(unsorted)
        kept[name] = [round(ordered[row], 6) for row in _evenly(len(ordered), _MOST_KEPT)]
    return kept


def _evenly(n: int, most: int) -> list[int]:
    """Return the indices of at most `most` of `n` values, at equal distances and with both ends."""
    rows: list[int] = np.linspace(0, n - 1, min(n, most)).round().astype(int).tolist()
    return rows

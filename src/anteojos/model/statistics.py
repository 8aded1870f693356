"""Statistics of the training images, to detect other images that are unlike them."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from anteojos.vocabulary import Pixels

Range = tuple[float, float]
_MOST_MEASURED = 2000  # training images


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
        # Integers, so that sums are the same on every processor. Weights: ITU-R BT.601, in 1/1000.
        grey = image @ np.array((299, 587, 114), dtype=np.int64)
        contrast = float(grey.std())
        differences = float(np.abs(np.diff(grey, axis=1)).mean())
        return cls(float(grey.mean()) / 255e3, contrast / 255e3, differences / contrast if contrast else 0.0)


@dataclass(frozen=True)
class TrainingRanges:
    """Minimum and maximum over the training images.

    `width` and `height`, in px, and `aspect`, width divided by height, are those of the files; the others are
    ImageStatistics of what the network sees.
    """

    width: tuple[int, int]
    height: tuple[int, int]
    aspect: Range
    brightness: Range
    contrast: Range
    sharpness: Range

    @classmethod
    def of(cls, images: Pixels, width: Sequence[int], height: Sequence[int]) -> Self:
        """Measure prepared images, uint8 (N, size, size, 3), of files with these sizes in px.

        Of more than 2,000 images, 2,000 at equal distances are measured.
        """
        rows = np.linspace(0, len(images) - 1, min(len(images), _MOST_MEASURED)).round().astype(int)
        measured = [asdict(ImageStatistics.of(images[row])) for row in rows]
        return cls(
            width=(min(width), max(width)),
            height=(min(height), max(height)),
            aspect=_range(np.divide(width, height)),
            **{name: _range([statistics[name] for statistics in measured]) for name in measured[0]},
        )

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """Return the ranges that `dataclasses.asdict` and JSON turned into `values`."""
        return cls(**{name: tuple(ends) for name, ends in values.items()})


def _range(values: npt.ArrayLike) -> Range:
    return float(np.min(values)), float(np.max(values))

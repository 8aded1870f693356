"""Statistics of images, by which those that are unlike the training images are recognised."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Range = tuple[float, float]


@dataclass(frozen=True)
class Look:
    """Statistics of what a network sees, from grey levels of 0 to 1.

    `brightness` is their mean, `contrast` their standard deviation, and `sharpness` the mean absolute difference of
    horizontal neighbours, divided by the contrast.
    """

    brightness: float
    contrast: float
    sharpness: float

    @classmethod
    def of(cls, pixels: npt.NDArray[np.uint8]) -> "Look":
        """Measure uint8 (size, size, 3)."""
        # Whole numbers, so that sums are the same on every processor. Weights: ITU-R BT.601, in 1/1000.
        grey = pixels @ np.array((299, 587, 114), dtype=np.int64)
        contrast = float(grey.std())
        differences = float(np.abs(np.diff(grey, axis=1)).mean())
        return cls(float(grey.mean()) / 255e3, contrast / 255e3, differences / contrast if contrast else 0.0)


@dataclass(frozen=True)
class Seen:
    """What the training images were like, each from the least to the most.

    `width` and `height`, in px, and `aspect`, width through height, are of the files; the rest is Look's, of what the
    network saw.
    """

    width: tuple[int, int]
    height: tuple[int, int]
    aspect: Range
    brightness: Range
    contrast: Range
    sharpness: Range

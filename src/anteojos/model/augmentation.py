"""Training images, varied each time that they are shown."""

import math

import numpy as np
import numpy.typing as npt
from PIL import Image

from anteojos.model.recipes import Augmentation


def vary(images: npt.NDArray[np.uint8], transforms: npt.NDArray[np.float64]) -> npt.NDArray[np.uint8]:
    """Move images, uint8 (B, size, size, 3), each by its row of `transforms`, (B, 7): an array of the same shape.

    What was beyond an image's border is of its mean colour.
    """
    varied = np.empty_like(images)
    size = images.shape[1]
    for number, (image, (*affine, side)) in enumerate(zip(images, transforms.tolist(), strict=True)):
        # As image.mean(axis=(0, 1)), which takes as long as the move itself, in a tenth of the time.
        sums = image.sum(axis=0, dtype=np.uint32).sum(axis=0, dtype=np.uint64)
        mean_colour = tuple((sums // np.uint64(size * size)).tolist())
        moved = Image.fromarray(image).transform(
            (size, size), Image.Transform.AFFINE, affine, Image.Resampling.BILINEAR, fillcolor=mean_colour
        )
        if side < size:
            moved = _resize(_resize(moved, round(side)), size)
        varied[number] = np.asarray(moved)
    return varied


def draw_transforms(
    count: int, size: int, augmentation: Augmentation, rng: np.random.Generator
) -> npt.NDArray[np.float64]:
    """Draw how `count` images of `size` px are varied, about their middle: float64 (count, 7).

    A row is (a0, a1, a2, b0, b1, b2, side): the new image shows at the point (x, y), in px from its upper left
    corner, what the old one shows at (a0 x + a1 y + a2, b0 x + b1 y + b2), with the detail of `side` px.
    """
    low, high = augmentation.zoom
    zoom = np.exp(rng.uniform(math.log(low), math.log(high), count))
    angle = np.radians(rng.uniform(-augmentation.rotation, augmentation.rotation, count))
    mirror = np.where(rng.random(count) < 0.5, -1, 1)
    shift = rng.uniform(-augmentation.shift, augmentation.shift, (2, count)) * size
    side = np.where(rng.random(count) < 0.5, rng.uniform(augmentation.detail, 1, count), 1) * size

    cos, sin, middle = np.cos(angle) / zoom, np.sin(angle) / zoom, size / 2
    across, down = np.stack((mirror * cos, -mirror * sin)), np.stack((sin, cos))
    start_across, start_down = (middle - (axis * (middle + shift)).sum(axis=0) for axis in (across, down))
    return np.stack((*across, start_across, *down, start_down, side), axis=1)


def _resize(image: Image.Image, side: int) -> Image.Image:
    return image.resize((side, side), Image.Resampling.BILINEAR)

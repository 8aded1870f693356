"""Augmentation: vary training images each time they are used."""

import math

import numpy as np
import numpy.typing as npt
from PIL import Image

from anteojos.model.recipes import Augmentation
from anteojos.vocabulary import Pixels


def vary(images: Pixels, transforms: npt.NDArray[np.float64]) -> Pixels:
    """Return images, uint8 (B, size, size, 3), each moved by its row of `transforms`, (B, 7).

    Pixels outside of the old image get its mean colour.
    """
    varied = np.empty_like(images)
    size = images.shape[1]
    for number, (image, (*affine, side)) in enumerate(zip(images, transforms.tolist(), strict=True)):
        # The same as image.mean(axis=(0, 1)), but ten times as fast.
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
    """Draw transforms about the centre for `count` images of `size` px: float64 (count, 7).

    A row is (a0, a1, a2, b0, b1, b2, side): the point (x, y) of the new image, in px from its upper left corner, shows
    the point (a0 x + a1 y + a2, b0 x + b1 y + b2) of the old one, with the detail of `side` px.
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

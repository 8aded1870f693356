"""Training pictures, varied each time that they are shown."""

import math

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from anteojos.recipes import Augmentation


def vary(images: npt.NDArray[np.uint8], augmentation: Augmentation, rng: np.random.Generator) -> tf.Tensor:
    """Mirror, shift, zoom and turn pictures, uint8 (B, size, size, 3), each by its own lot: a tensor of the same shape.

    Beyond its border a picture goes on as its own mirror image.
    """
    return tf.raw_ops.ImageProjectiveTransformV3(
        images=images,
        transforms=draw_transforms(len(images), images.shape[1], augmentation, rng),
        output_shape=images.shape[1:3],
        fill_value=0.0,
        interpolation="BILINEAR",
        fill_mode="REFLECT",
    )


def draw_transforms(
    count: int, size: int, augmentation: Augmentation, rng: np.random.Generator
) -> npt.NDArray[np.float32]:
    """Draw how `count` pictures of `size` px are moved, about their middle: float32 (count, 8).

    A row is (a0, a1, a2, b0, b1, b2, 0, 0): the new picture shows at the pixel (x, y) what the old one shows at
    (a0 x + a1 y + a2, b0 x + b1 y + b2).
    """
    low, high = augmentation.zoom
    zoom = np.exp(rng.uniform(math.log(low), math.log(high), count))
    angle = np.radians(rng.uniform(-augmentation.rotation, augmentation.rotation, count))
    mirror = np.where(rng.random(count) < 0.5, -1, 1)
    shift = rng.uniform(-augmentation.shift, augmentation.shift, (2, count)) * size

    cos, sin, middle = np.cos(angle) / zoom, np.sin(angle) / zoom, (size - 1) / 2
    across, down = np.stack((mirror * cos, -mirror * sin)), np.stack((sin, cos))
    start_across, start_down = (middle - (axis * (middle + shift)).sum(axis=0) for axis in (across, down))
    zero = np.zeros(count)
    return np.stack((*across, start_across, *down, start_down, zero, zero), axis=1).astype(np.float32)

"""Faces cut out of larger pictures, framed as those that a model was trained on."""

import math
from collections.abc import Sequence
from typing import TypeVar

import numpy as np
from PIL import Image

from anteojos.images import PictureError, Pixels

Either = TypeVar("Either", Pixels, Image.Image)

# In the pictures that are trained on, cut out as those of FFHQ are, the eyes are in the middle of the width and a
# little above that of the height, and a head from its hairline to its chin takes up 0.25 to 0.90 of the height. A box
# around that is 0.65 high: 0.27 of it are missing on each side, and its middle lies 0.12 of it too low. drawing.Pose
# draws faces so. Source: T. Karras et al., "A Style-Based Generator Architecture for GANs", 2019 (FFHQ's alignment).
MARGIN = 0.27
_RAISED = 0.12


def cut_face(picture: Either, box: Sequence[float], margin: float = MARGIN) -> Either:
    """Cut a face out of a picture, with as much around it as the pictures have that models are trained on.

    `picture` is Pillow's, or uint8 (H, W, 3), and so is the result, which is square. `box` is (left, top, right,
    bottom) in px, right and bottom exclusive, as a face detector gives it: about from the hairline to the chin.
    `margin` is the share of the box's longer side that is added on each side. What lies outside of the picture repeats
    its edge: white would look like the paper around a face, and be cut off.

    Raises PictureError where `box` is no box, has no area, or lies outside of the picture, or `margin` is below 0.
    """
    pixels = np.asarray(picture.convert("RGB") if isinstance(picture, Image.Image) else picture)
    height, width = pixels.shape[:2]
    left, top, right, bottom = _checked(box, width, height)
    if not 0 <= margin < math.inf:
        raise PictureError(f"margin {margin}: expected 0 or more")
    longer = max(right - left, bottom - top)
    side = max(1, round(longer * (1 + 2 * margin)))
    # Without a margin there is no room to look higher.
    raised = _RAISED * longer * min(1.0, margin / MARGIN)
    x0, y0 = round((left + right - side) / 2), round((top + bottom - side) / 2 - raised)
    columns = np.arange(x0, x0 + side).clip(0, width - 1)
    rows = np.arange(y0, y0 + side).clip(0, height - 1)
    face = np.ascontiguousarray(pixels[rows[:, np.newaxis], columns])
    return Image.fromarray(face) if isinstance(picture, Image.Image) else face


def _checked(box: Sequence[float], width: int, height: int) -> tuple[float, float, float, float]:
    try:
        left, top, right, bottom = (float(edge) for edge in box)
    except (TypeError, ValueError):
        raise PictureError(f"box {box!r}: expected four numbers, left, top, right, bottom") from None
    if not all(map(math.isfinite, (left, top, right, bottom))) or left >= right or top >= bottom:
        raise PictureError(f"box {tuple(box)}: expected left < right and top < bottom, in px")
    if right <= 0 or bottom <= 0 or left >= width or top >= height:
        raise PictureError(f"box {tuple(box)}: outside of the picture, which is {width} × {height} px")
    if max(right - left, bottom - top) > 2 * max(width, height):
        raise PictureError(f"box {tuple(box)}: more than twice as large as the picture, {width} × {height} px")
    return left, top, right, bottom

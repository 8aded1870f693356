"""Where a face is in an image, and the aligned face that networks see."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from PIL import Image

from anteojos.images.decoding import ImageError, resize
from anteojos.vocabulary import Pixels

Either = TypeVar("Either", Pixels, Image.Image)
Point = tuple[float, float]
Box = tuple[float, float, float, float]

# Positions of the two eyes in an aligned face, as fractions of its width and height. The face fills the image: the
# eyebrows, the frame of large glasses and the mouth are inside, most of the background is not.
EYES: tuple[Point, Point] = ((0.33, 0.42), (0.67, 0.42))

# A box from the hairline to the chin is 0.88 of an aligned face high, and its middle is 0.064 of its height too low.
# Source: T. Karras et al., "A Style-Based Generator Architecture for GANs", 2019: on average in FFHQ the eyes are 0.25
# of the width apart at 0.475 of the height, the hairline is at 0.25 and the chin at 0.90.
MARGIN = 0.065
_RAISED = 0.064


@dataclass(frozen=True)
class Face:
    """A face in an image, in px from the upper left corner of the image.

    `box` is (left, top, right, bottom), about from the eyebrows to the chin. `eyes` are the eye on the left and the
    eye on the right of the image. `turn` is the distance of the tip of the nose from the middle between the eyes,
    along the line through them and in units of their distance: about 0 for a frontal face, 0.5 and more in profile;
    positive if the nose points to the eye on the right. `score` is the detector's confidence, 0 to 1.
    """

    box: Box
    eyes: tuple[Point, Point]
    turn: float
    score: float

    @property
    def width(self) -> float:
        """The width of `box` in px."""
        return self.box[2] - self.box[0]

    @property
    def values(self) -> tuple[float, ...]:
        """Ten numbers: `box`, the coordinates of `eyes`, `turn` and `score`; manifest.FACE names them."""
        return (*self.box, *self.eyes[0], *self.eyes[1], self.turn, self.score)

    @classmethod
    def of(cls, values: Sequence[float]) -> "Face | None":
        """Return the face that has these `values`; None if the first is NaN, which stands for no face."""
        left, top, right, bottom, x0, y0, x1, y1, turn, score = map(float, values)
        return None if math.isnan(left) else cls((left, top, right, bottom), ((x0, y0), (x1, y1)), turn, score)


def largest(faces: Sequence[Face]) -> Face | None:
    """Return the face with the widest box, the leftmost of several; None if there is none."""
    return max(faces, key=lambda face: (face.width, -face.box[0]), default=None)


def prepare(image: Image.Image, size: int, face: Face | None) -> Pixels:
    """Return what a network sees of an RGB image, uint8 (size, size, 3): the face, or if it is None the whole."""
    return resize(image, size) if face is None else np.asarray(align(image, face.eyes, size))


def align(
    image: Image.Image, eyes: tuple[Point, Point], size: int, positions: tuple[Point, Point] = EYES
) -> Image.Image:
    """Rotate, scale and crop an RGB image so that both eyes are at `positions`: RGB, `size` × `size` px.

    `eyes` are the eye on the left and the eye on the right, in px of `image`. The original is resampled once: each
    pixel is the mean of n × n bilinear samples that are at most one pixel of the original apart, so that a face that is
    made smaller has no aliasing. (Where that needs n > 8, blocks of original pixels are averaged first and sampled in
    their place.) Outside of the image its edge pixels are repeated. Raises ImageError if the eyes coincide.
    """
    (left, right), (left_to, right_to) = ([complex(*point) for point in pair] for pair in (eyes, positions))
    if left == right:
        raise ImageError(f"eyes at {eyes}: expected two different points")
    # A step of one output pixel to the right is `step` in the original, x + yi.
    step = (right - left) / ((right_to - left_to) * size)
    origin = left - step * left_to * size
    corners = [origin + step * size * corner for corner in (0, 1, 1j, 1 + 1j)]
    # One pixel more on each side, for bilinear samples.
    x0, x1 = (math.floor(min(c.real for c in corners)) - 1, math.ceil(max(c.real for c in corners)) + 1)
    y0, y1 = (math.floor(min(c.imag for c in corners)) - 1, math.ceil(max(c.imag for c in corners)) + 1)
    part = _crop(image, (x0, y0, x1, y1))
    block = max(1, math.isqrt(_squared(step)) // 4)
    if block > 1:
        part, step = part.reduce(block), step / block
    # The smallest n with n² >= |step|².
    samples = math.isqrt(_squared(step) - 1) + 1
    along, start = step / samples, (origin - complex(x0, y0)) / block
    turned = part.transform(
        (size * samples, size * samples),
        Image.Transform.AFFINE,
        (along.real, -along.imag, start.real, along.imag, along.real, start.imag),
        Image.Resampling.BILINEAR,
    )
    return turned.reduce(samples) if samples > 1 else turned


def _squared(step: complex) -> int:
    """Return the squared length, rounded up: without a root, the same on every processor."""
    return math.ceil(step.real**2 + step.imag**2)


def cut_face(picture: Either, box: Sequence[float], margin: float = MARGIN) -> Either:
    """Cut a face out of an image by the box of any face detector, framed as the aligned faces that networks see.

    `image` is a Pillow image, or uint8 (H, W, 3), and so is the result, which is square. `box` is (left, top, right,
    bottom) in px, right and bottom exclusive, about from the hairline to the chin. `margin` is the fraction of the
    box's longer side that is added on each side. Outside of the image its edge pixels are repeated. The face is not
    rotated: use `Classifier.faces` if you do not need your own detector.

    Raises ImageError if `box` is not a box, has no area, or lies outside of the image, or if `margin` is below 0.
    """
    image = picture.convert("RGB") if isinstance(picture, Image.Image) else Image.fromarray(picture)
    left, top, right, bottom = _checked(box, *image.size)
    if not 0 <= margin < math.inf:
        raise ImageError(f"margin {margin}: expected 0 or more")
    longer = max(right - left, bottom - top)
    side = max(1, round(longer * (1 + 2 * margin)))
    # Without a margin there is no room to look higher.
    raised = _RAISED * longer * min(1.0, margin / MARGIN)
    x0, y0 = round((left + right - side) / 2), round((top + bottom - side) / 2 - raised)
    face = _crop(image, (x0, y0, x0 + side, y0 + side))
    return face if isinstance(picture, Image.Image) else np.array(face)


def _crop(image: Image.Image, box: tuple[int, int, int, int]) -> Image.Image:
    """Crop an RGB image to a box that may reach beyond it; there its edge pixels are repeated."""
    x0, y0, x1, y1 = box
    if x0 >= 0 and y0 >= 0 and x1 <= image.width and y1 <= image.height:
        return image.crop(box)
    # At least one pixel of the image, also where the box lies beside it.
    inside_x = min(max(x0, 0), image.width - 1), max(min(x1, image.width), 1)
    inside_y = min(max(y0, 0), image.height - 1), max(min(y1, image.height), 1)
    inside = np.asarray(image.crop((inside_x[0], inside_y[0], inside_x[1], inside_y[1])))
    columns = np.arange(x0, x1).clip(inside_x[0], inside_x[1] - 1) - inside_x[0]
    rows = np.arange(y0, y1).clip(inside_y[0], inside_y[1] - 1) - inside_y[0]
    return Image.fromarray(np.ascontiguousarray(inside[rows[:, np.newaxis], columns]))


def _checked(box: Sequence[float], width: int, height: int) -> Box:
    try:
        left, top, right, bottom = (float(edge) for edge in box)
    except (TypeError, ValueError):
        raise ImageError(f"box {box!r}: expected four numbers, left, top, right, bottom") from None
    if not all(map(math.isfinite, (left, top, right, bottom))) or left >= right or top >= bottom:
        raise ImageError(f"box {tuple(box)}: expected left < right and top < bottom, in px")
    if right <= 0 or bottom <= 0 or left >= width or top >= height:
        raise ImageError(f"box {tuple(box)}: outside of the image, which is {width} × {height} px")
    if max(right - left, bottom - top) > 2 * max(width, height):
        raise ImageError(f"box {tuple(box)}: more than twice as large as the image, {width} × {height} px")
    return left, top, right, bottom

"""The position of a face in an image, and the aligned face that networks see."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from PIL import Image

from anteojos.images.decoding import ImageError, resize
from anteojos.vocabulary import Pixels

ImageOrPixels = TypeVar("ImageOrPixels", Pixels, Image.Image)
Point = tuple[float, float]
Box = tuple[float, float, float, float]

# Positions of both eyes in an aligned face, as fractions of its width and height. So an aligned face contains eyebrows,
# mouth and the frame of large glasses, but little background.
EYES: tuple[Point, Point] = ((0.33, 0.42), (0.67, 0.42))

# Compared with an aligned face, a box from the hairline to the chin has 0.88 of the height, and its middle is lower by
# 0.064 of the box's height.
# Source: T. Karras et al., "A Style-Based Generator Architecture for GANs", 2019: on average in FFHQ the eyes are 0.25
# of the width apart at 0.475 of the height, the hairline is at 0.25 and the chin at 0.90.
MARGIN = 0.065
_RAISED = 0.064


@dataclass(frozen=True)
class Face:
    """A face in an image, in px from the upper left corner of the image.

    `box` is (left, top, right, bottom), about from the eyebrows to the chin. `eyes` are the eye on the left and the
    eye on the right of the image. `turn` is the distance of the tip of the nose from the middle between the eyes, along
    the line through the eyes and in units of their distance: about 0 for a frontal face, 0.5 and more in profile, and
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
        """The ten numbers of manifest.FACE: `box`, the coordinates of `eyes`, `turn` and `score`."""
        return (*self.box, *self.eyes[0], *self.eyes[1], self.turn, self.score)

    @classmethod
    def of(cls, values: Sequence[float]) -> "Face | None":
        """Return the face with these `values`, or None if they are NaN, which means no face."""
        left, top, right, bottom, x0, y0, x1, y1, turn, score = map(float, values)
        return None if math.isnan(left) else cls((left, top, right, bottom), ((x0, y0), (x1, y1)), turn, score)


def largest(faces: Sequence[Face]) -> Face | None:
    """Return the face with the widest box, the leftmost of equally wide ones; None if there are no faces."""
    return max(faces, key=lambda face: (face.width, -face.box[0]), default=None)


def prepare(image: Image.Image, size: int, face: Face | None) -> Pixels:
    """Return the input of a network, uint8 (size, size, 3): the aligned face, or the whole image if `face` is None."""
    return resize(image, size) if face is None else np.asarray(align(image, face.eyes, size))


def align(
    image: Image.Image, eyes: tuple[Point, Point], size: int, positions: tuple[Point, Point] = EYES
) -> Image.Image:
    """Rotate, scale and crop an RGB image so that both eyes are at `positions`: RGB, `size` × `size` px.

    `eyes` are the eye on the left and the eye on the right, in px of `image`. The original is resampled once: each
    pixel is the mean of n × n bilinear samples that are at most one pixel of the original apart, so that a reduced face
    has no aliasing. (If that needs n > 8, blocks of original pixels are averaged first, and the averages are sampled.)
    Outside of the image, the edge pixels are repeated. Raises ImageError if the eyes coincide.
    """
    (left, right), (left_to, right_to) = ([complex(*point) for point in pair] for pair in (eyes, positions))
    if left == right:
        raise ImageError(f"eyes at {eyes}: expected two different points")
    # One output pixel to the right is `step` in the original, x + yi.
    step = (right - left) / ((right_to - left_to) * size)
    origin = left - step * left_to * size
    corners = [origin + step * size * corner for corner in (0, 1, 1j, 1 + 1j)]
    # One more pixel on each side, for bilinear samples.
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
    """Return the squared length, rounded up to an integer, which is the same on all CPUs."""
    return math.ceil(step.real**2 + step.imag**2)


def cut_face(image: ImageOrPixels, box: Sequence[float], margin: float = MARGIN) -> ImageOrPixels:
    """Crop a face by the box of any face detector, with the framing of the aligned faces that networks see.

    `image` is a Pillow image or uint8 (H, W, 3), and so is the result, which is square and RGB. `box` is (left, top,
    right, bottom) in px, right and bottom exclusive, about from the hairline to the chin. `margin` is the fraction of
    the box's longer side that is added on each side. Outside of the image, the edge pixels are repeated. The face is
    not rotated: use `Classifier.faces` if you do not need your own detector.

    Raises ImageError if `box` is not a box, has no area, or is outside of the image, or if `margin` is below 0.
    """
    source = image.convert("RGB") if isinstance(image, Image.Image) else Image.fromarray(image)
    left, top, right, bottom = _checked(box, *source.size)
    if not 0 <= margin < math.inf:
        raise ImageError(f"margin {margin}: expected 0 or more")
    longer = max(right - left, bottom - top)
    side = max(1, round(longer * (1 + 2 * margin)))
    # With a smaller margin, there is less room to move the crop up.
    raised = _RAISED * longer * min(1.0, margin / MARGIN)
    x0, y0 = round((left + right - side) / 2), round((top + bottom - side) / 2 - raised)
    face = _crop(source, (x0, y0, x0 + side, y0 + side))
    return face if isinstance(image, Image.Image) else np.array(face)


def _crop(image: Image.Image, box: tuple[int, int, int, int]) -> Image.Image:
    """Crop an RGB image to a box; outside of the image, the edge pixels are repeated."""
    x0, y0, x1, y1 = box
    if x0 >= 0 and y0 >= 0 and x1 <= image.width and y1 <= image.height:
        return image.crop(box)
    columns, rows = np.arange(x0, x1).clip(0, image.width - 1), np.arange(y0, y1).clip(0, image.height - 1)
    left, top = int(columns[0]), int(rows[0])
    # Copy only the part of the image that is needed, because the image can be large.
    part = np.asarray(image.crop((left, top, int(columns[-1]) + 1, int(rows[-1]) + 1)))
    return Image.fromarray(np.ascontiguousarray(part[rows[:, np.newaxis] - top, columns - left]))


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

"""Detect faces in images of any size with MediaPipe's BlazeFace models, run by LiteRT.

Source: V. Bazarevsky et al., "BlazeFace: Sub-millisecond Neural Face Detection on Mobile GPUs", 2019.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial
from itertools import product
from typing import TypeVar

import numpy as np
import numpy.typing as npt
from PIL import Image

from anteojos.images.detector_models import FULL_RANGE, SHORT_RANGE, Models, installed
from anteojos.images.faces import Face
from anteojos.runtime import threads
from anteojos.runtime.litert import LiteModel

Floats = npt.NDArray[np.float64]
Square = tuple[float, float, float]  # left, top and side, in px of an image
Detections = tuple[Floats, Floats]  # points, (N, 8, 2) in px of an image, and scores, (N,)
Item = TypeVar("Item")

# Grids of anchors of each model: distance of anchors in px, and anchors at each point.
_ANCHORS = {SHORT_RANGE: ((8, 2), (16, 6)), FULL_RANGE: ((4, 1),)}
_LEFT_EYE, _RIGHT_EYE, _NOSE = 2, 3, 4  # rows of a detection, after the corners of its box
_GREY = (128, 128, 128)  # outside of the image

_CANDIDATE = 0.0  # logit, a score of 0.5: MediaPipe's threshold
_SCORE = 0.7  # lowest score of a clear face in the last pass, in which it has the size that the model is best at
_UNCLEAR = 0.5  # lowest score of a face in an image that is known to show one, if no face is clear
_SURE = 0.75  # if a face in the whole image has at least this score, no wider margin is tried
_MARGINS = (0.0, 0.5, 1.0)  # around the whole image, in units of its longer side
_SAME = 0.3  # intersection over union from which two boxes are the same face, as in MediaPipe
_ZOOM = 1.8  # side of the square of the last pass, in units of the box's longer side
_SMALL = 256  # px; images up to this size are searched in tiles only if no face is found otherwise
_TILES_ACROSS = 4  # tiles of the full-range model along the longer side, without overlap
_OVERLAP = 0.25  # of neighbouring tiles, in units of their side
_SAMPLE = 20  # images that are searched to decide whether a dataset shows faces
# Positions are rounded to multiples of a power of 2, in px: at most 1/64 of the distance between the eyes, and at most
# 1/32 of the side of a square.
_STEPS = 64
_STEPS_OF_SQUARE = 32


class Detector:
    """Detects faces. Threads may share it, and it can be pickled.

    >>> from PIL import Image
    >>> from anteojos.images.detector import Detector
    >>> from anteojos.images.detector_models import installed
    >>> detector = Detector(installed())
    >>> [round(face.score, 1) for face in detector(Image.new("RGB", (640, 480)))]
    []
    """

    def __init__(self, models: Models) -> None:
        """Take the bytes of the models SHORT_RANGE and FULL_RANGE, as `installed` returns them."""
        self._short, self._full = (_Network(models[name], _ANCHORS[name]) for name in (SHORT_RANGE, FULL_RANGE))

    def __call__(self, image: Image.Image, shows_face: bool = False) -> list[Face]:
        """Return the faces of an RGB image, upright, from left to right.

        Set `shows_face` for a dataset of faces: if there is no clear face, unclear ones are returned.

        Positions are rounded to 1/64 of the distance between the eyes or less, so that the last bits of the network's
        output, which differ between CPUs, do not change them.
        """
        small, longest = image, _TILES_ACROSS * self._full.size
        if max(image.size) > longest:
            width, height = (max(1, round(side * longest / max(image.size))) for side in image.size)
            small = image.resize((width, height), Image.Resampling.BILINEAR, reducing_gap=1.0)
        scale = np.array(image.size) / small.size
        # Detect each candidate again at the size that the model is best at: this makes the positions of the eyes as
        # precise in a large photograph as in a tight crop, and removes false candidates.
        candidates = [points for points, _ in _merged(self._candidates(small))]
        found = list(_merged(_in_threads(partial(self._closer, image, small, scale), candidates)))
        unclear = shows_face and max((score for _, score in found), default=0.0) < _SCORE
        lowest = _UNCLEAR if unclear else _SCORE
        return sorted((_face(points, score) for points, score in found if score >= lowest), key=lambda face: face.box)

    def _candidates(self, image: Image.Image) -> Iterator[Detections]:
        """Yield detections of all sizes."""
        width, height = image.size
        longer = max(width, height)
        best = 0.0
        for margin in _MARGINS:
            side = longer * (1 + margin)
            points, scores = self._short(image, ((width - side) / 2, (height - side) / 2, side))
            yield points, scores
            best = max(best, scores.max(initial=0.0))
            if best >= _SURE:
                break
        if longer > _SMALL or not best:
            yield from _in_threads(partial(self._full, image), list(_tiles(width, height, self._full.size)))

    def _closer(self, image: Image.Image, small: Image.Image, scale: Floats, points: Floats) -> Detections:
        """Detect again around `points` of the image `small`; `image` is `scale`, (2,), times as large."""
        square = _around(points)
        if square[2] < self._short.size:
            return self._short(image, _around(points * scale))
        found, scores = self._short(small, square)
        return found * scale, scores


class _Network:
    """One BlazeFace model with its anchors; its input is a square of an image."""

    def __init__(self, model: bytes, anchors: Sequence[tuple[int, int]]) -> None:
        self._run = LiteModel(model)
        self.size = self._run.shape[0]
        self._anchors = np.concatenate([_grid(self.size, stride, count) for stride, count in anchors])

    def __call__(self, image: Image.Image, square: Square) -> Detections:
        """Detect faces in a square of the image, which may be partly outside of it.

        Returns points, float64 (N, 8, 2) in px of the image, and scores, float64 (N,). The points are the upper left
        and lower right corner of the box, and six keypoints: the eyes, the left one of the image first, the tip of the
        nose, the middle of the mouth, and the ears.
        """
        left, top, side = square
        pixels = np.array(_view(image, square, self.size), dtype=np.float32)
        pixels /= 127.5
        pixels -= 1
        outputs = self._run(pixels)
        # The two models return their outputs in different order.
        boxes, logits = outputs if outputs[0].shape[1] > 1 else outputs[::-1]
        likely = logits[:, 0] >= _CANDIDATE
        scores = 1 / (1 + np.exp(-logits[likely, 0].astype(np.float64)))
        points = boxes[likely].astype(np.float64).reshape(-1, 8, 2)
        anchors = self._anchors[likely][:, np.newaxis]
        # The first two rows are centre and size of the box.
        centre, half = points[:, :1] + anchors, points[:, 1:2] / 2
        points = np.concatenate((centre - half, centre + half, points[:, 2:] + anchors), axis=1)
        return points * (side / self.size) + (left, top), scores


@cache
def default() -> Detector:
    """Return the detector with the installed models, the same one in the whole process."""
    return Detector(installed())


def show_faces(images: Sequence[npt.NDArray[np.uint8]]) -> bool:
    """Return whether most of `images`, uint8 (H, W, 3), show a face, by searching a sample spread evenly over them."""
    rows = np.linspace(0, len(images) - 1, min(len(images), _SAMPLE)).round().astype(int)
    return 2 * sum(bool(default()(Image.fromarray(images[row]))) for row in rows) > len(rows)


def _in_threads(function: Callable[[Item], Detections], items: Sequence[Item]) -> list[Detections]:
    """Return `function(item)` for each item, computed in threads if there are several items."""
    # threads.cores() reads files, so it is not called for each image with one face.
    if len(items) <= 1 or (workers := min(threads.cores(), len(items))) == 1:
        return list(map(function, items))
    with ThreadPoolExecutor(workers) as executor:
        return list(executor.map(function, items))


def _grid(size: int, stride: int, count: int) -> Floats:
    """Return the anchors of a grid, in px of the model's input: float64 (M, 2), x and y, row by row."""
    centres = (np.arange(size // stride) + 0.5) * stride
    points = np.stack(np.meshgrid(centres, centres), axis=-1).reshape(-1, 2)
    return np.repeat(points, count, axis=0)


def _tiles(width: int, height: int, size: int) -> Iterator[Square]:
    """Yield the whole image as one square, then overlapping squares of `size` px that cover it."""
    longer = max(width, height)
    yield (width - longer) / 2, (height - longer) / 2, longer
    if longer > size:
        yield from ((left, top, size) for top, left in product(_starts(height, size), _starts(width, size)))


def _starts(length: int, size: int) -> list[float]:
    """Return where tiles of `size` px start along `length` px: evenly spaced, overlapping by at least _OVERLAP."""
    if length <= size:
        return [(length - size) / 2]
    count = math.ceil((length - size) / (size * (1 - _OVERLAP))) + 1
    return [float(start) for start in np.linspace(0, length - size, count)]


def _view(image: Image.Image, square: Square, size: int) -> Image.Image:
    """Resize a square of an RGB image to `size` × `size` px; outside of the image it is grey."""
    left, top, side = square
    box = (max(0.0, left), max(0.0, top), min(image.width, left + side), min(image.height, top + side))
    # The same box in px of the view.
    starts = (left, top, left, top)
    x0, y0, x1, y1 = (round((edge - start) * size / side) for edge, start in zip(box, starts, strict=True))
    view = Image.new("RGB", (size, size), _GREY)
    if x1 > x0 and y1 > y0:
        part = image.resize((x1 - x0, y1 - y0), Image.Resampling.BILINEAR, box, reducing_gap=2.0)
        view.paste(part, (x0, y0))
    return view


def _around(points: Floats) -> Square:
    """Return the square around a detection for the last pass, rounded so that it is the same on all CPUs."""
    (left, top), (right, bottom) = points[:2].tolist()
    side = _ZOOM * max(right - left, bottom - top)
    step = _step(side / _STEPS_OF_SQUARE)
    values = ((left + right - side) / 2, (top + bottom - side) / 2, side)
    left, top, side = (round(value / step) * step for value in values)
    return left, top, side


def _step(length: float) -> float:
    """Return the largest power of 2 up to `length`; a tiny change of `length` rarely changes it."""
    return 2.0 ** math.floor(math.log2(length))


def _merged(detections: Iterable[Detections]) -> Iterator[tuple[Floats, float]]:
    """Merge detections of the same face: yield the mean of their points, (8, 2), weighted by score, and the best score.

    This is MediaPipe's weighted non-maximum suppression. The best come first.
    """
    parts = list(detections)
    if not parts:
        return
    points, scores = (np.concatenate(values) for values in zip(*parts, strict=True))
    order = np.argsort(-scores, kind="stable")
    points, scores = points[order], scores[order]
    while len(scores):
        same = _overlap(points[0], points) > _SAME
        same[0] = True
        weights = scores[same, np.newaxis, np.newaxis]  # np.average would take four times as long
        yield (points[same] * weights).sum(axis=0) / weights.sum(axis=0), float(scores[0])
        points, scores = points[~same], scores[~same]


def _overlap(one: Floats, others: Floats) -> Floats:
    """Return intersection over union of the box of one detection, (8, 2), and those of others, (N, 8, 2)."""
    sides = np.minimum(one[1], others[:, 1]) - np.maximum(one[0], others[:, 0])
    shared = np.maximum(sides, 0).prod(axis=1)
    areas = (others[:, 1] - others[:, 0]).prod(axis=1) + (one[1] - one[0]).prod()
    return np.asarray(shared / (areas - shared))


def _face(points: Floats, score: float) -> Face:
    left, right, nose = (complex(*points[row]) for row in (_LEFT_EYE, _RIGHT_EYE, _NOSE))
    line = right - left
    turn = ((nose - (left + right) / 2) / line).real
    step = _step(abs(line) / _STEPS)
    rounded = (np.round(points / step) * step).tolist()
    return Face(
        box=(*rounded[0], *rounded[1]),
        eyes=(tuple(rounded[_LEFT_EYE]), tuple(rounded[_RIGHT_EYE])),
        turn=round(turn, 2),
        score=round(score, 2),
    )

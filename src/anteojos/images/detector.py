"""Find faces in images of any size with MediaPipe's BlazeFace models, run by LiteRT.

Source: V. Bazarevsky et al., "BlazeFace: Sub-millisecond Neural Face Detection on Mobile GPUs", 2019.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
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

# Grids of anchors by model: pixels between anchors, and anchors at each point.
_ANCHORS = {SHORT_RANGE: ((8, 2), (16, 6)), FULL_RANGE: ((4, 1),)}
_LEFT_EYE, _RIGHT_EYE, _NOSE = 2, 3, 4  # rows of a detection, after the corners of its box
_GREY = (128, 128, 128)  # outside of the image

_CANDIDATE = 0.0  # logit, a score of 0.5: MediaPipe's own threshold
_SCORE = 0.7  # of a face in the last pass, where it has the size that the model is best at
_UNCLEAR = 0.5  # the same in an image that is known to show a face
_SURE = 0.75  # a face this clear in the whole image: no other margin is tried
_MARGINS = (0.0, 0.5, 1.0)  # around the whole image, in units of its longer side
_SAME = 0.3  # intersection over union from which two boxes are of one face, as in MediaPipe
_ZOOM = 1.8  # side of the square of the last pass, in units of the box's
_SMALL = 256  # px; in an image that is no larger, faces are too large for tiles
_TILES_ACROSS = 4  # tiles of the full-range model along the longer side, before overlap
_OVERLAP = 0.25  # of a tile's side
_SAMPLE = 20  # images of a data set by which it is told whether it shows faces
_STEPS_OF_SQUARE = 32  # the same for the square of the last pass, in units of its side
_STEPS = 64  # positions are rounded to a power of 2 of at most this fraction of the distance between the eyes


class Detector:
    """Finds faces. Threads may share it; pickled, it is the bytes of its models.

    >>> from PIL import Image
    >>> from anteojos.images.detector import Detector
    >>> from anteojos.images.detector_models import installed
    >>> detector = Detector(installed())
    >>> [round(face.score, 1) for face in detector(Image.new("RGB", (640, 480)))]
    []
    """

    def __init__(self, models: Models) -> None:
        """Take the bytes of the models SHORT_RANGE and FULL_RANGE, as `installed` returns them."""
        self._models = dict(models)
        self._short, self._full = (_Network(models[name], _ANCHORS[name]) for name in (SHORT_RANGE, FULL_RANGE))

    def __reduce__(self) -> tuple[type["Detector"], tuple[Models]]:
        """Pickle the bytes of the models."""
        return type(self), (self._models,)

    def __call__(self, image: Image.Image, shows_face: bool = False) -> list[Face]:
        """Return the faces of an RGB image, upright, from left to right.

        In an image that `shows_face`, as those of a data set of faces do, unclear ones are returned if none is clear.

        Positions are rounded to 1/64 of the distance between the eyes or less, so that the last bits of the network's
        arithmetic, which differ between processors, change nothing.
        """
        longest = _TILES_ACROSS * self._full.size
        small = image
        if max(image.size) > longest:
            width, height = (max(1, round(side * longest / max(image.size))) for side in image.size)
            small = image.resize((width, height), Image.Resampling.BILINEAR, reducing_gap=1.0)
        scale = np.array(image.size) / small.size
        # Each face is looked at once more at the size at which the model is best: the eyes are found as precisely in a
        # large photograph as in a tight crop, and what only looked like a face from afar is dropped.
        candidates = [points for points, _ in _merged(self._candidates(small))]
        found = _in_threads(lambda points: self._closer(image, small, scale, points), candidates)
        merged = list(_merged(found))
        kept = [(points, score) for points, score in merged if score >= _SCORE]
        if shows_face and not kept:
            kept = [(points, score) for points, score in merged if score >= _UNCLEAR]
        return sorted((_face(points, score) for points, score in kept), key=lambda face: face.box)

    def _candidates(self, image: Image.Image) -> Iterator[Detections]:
        """Yield detections at all sizes: points, float64 (N, 8, 2) in px, and scores, float64 (N,)."""
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
        if longer <= _SMALL and best:
            return
        squares = list(_tiles(width, height, self._full.size))
        yield from _in_threads(lambda square: self._full(image, square), squares)

    def _closer(self, image: Image.Image, small: Image.Image, scale: Floats, points: Floats) -> Detections:
        """Detect again around `points` of the `small` image, which is `scale`, (2,), times smaller than `image`."""
        square = _around(points)
        if square[2] < self._short.size:
            return self._short(image, _around(points * scale))
        found, scores = self._short(small, square)
        return found * scale, scores


class _Network:
    """One BlazeFace model with its anchors, on squares of an image."""

    def __init__(self, model: bytes, anchors: Sequence[tuple[int, int]]) -> None:
        self._run = LiteModel(model)
        self.size = self._run.shape[0]
        self._anchors = np.concatenate([_grid(self.size, stride, count) for stride, count in anchors])

    def __call__(self, image: Image.Image, square: Square) -> Detections:
        """Detect faces in a square of the image: points, float64 (N, 8, 2) in px of the image, and scores (N,).

        The points are the upper left and lower right corner of the box, and six keypoints: the eyes, the left one of
        the image first, the tip of the nose, the middle of the mouth, and the ears. `square` may reach beyond
        the image.
        """
        left, top, side = square
        pixels = np.asarray(_view(image, square, self.size), dtype=np.float32) / 127.5 - 1
        outputs = self._run(pixels)
        # The two models have their outputs in different order.
        (boxes, logits) = outputs if outputs[0].shape[1] > 1 else outputs[::-1]
        sure = logits[:, 0] >= _CANDIDATE
        scores = 1 / (1 + np.exp(-logits[sure, 0].astype(np.float64)))
        points = boxes[sure].astype(np.float64).reshape(-1, 8, 2)
        anchors = self._anchors[sure][:, np.newaxis]
        # The first two rows are centre and size of the box.
        centre, half = points[:, :1] + anchors, points[:, 1:2] / 2
        points = np.concatenate((centre - half, centre + half, points[:, 2:] + anchors), axis=1)
        return points * (side / self.size) + (left, top), scores


@cache
def default() -> Detector:
    """Return the detector of this process, with the installed models."""
    return Detector(installed())


def _in_threads(function: Callable[[Item], Detections], items: Sequence[Item]) -> list[Detections]:
    """Return `function(item)` of each item; of several, worked out by a thread for each core."""
    workers = min(threads.cores(), len(items))
    if workers <= 1:
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


def _starts(length: int, size: int) -> Iterable[float]:
    """Return where tiles of `size` px start along `length` px, evenly and with at least the overlap."""
    if length <= size:
        return [(length - size) / 2]
    count = math.ceil((length - size) / (size * (1 - _OVERLAP))) + 1
    return list(map(float, np.linspace(0, length - size, count)))


def _view(image: Image.Image, square: Square, size: int) -> Image.Image:
    """Resize a square of an RGB image to `size` × `size` px; what is outside of the image is grey."""
    left, top, side = square
    box = (max(0.0, left), max(0.0, top), min(image.width, left + side), min(image.height, top + side))
    # Where the image is in the view, in whole px.
    x0, x1, y0, y1 = (
        round((edge - origin) * size / side)
        for edge, origin in ((box[0], left), (box[2], left), (box[1], top), (box[3], top))
    )
    view = Image.new("RGB", (size, size), _GREY)
    if x1 > x0 and y1 > y0:
        seen = image.resize((x1 - x0, y1 - y0), Image.Resampling.BILINEAR, box, reducing_gap=2.0)
        view.paste(seen, (x0, y0))
    return view


def _around(points: Floats) -> Square:
    """Return the square around a detection in which it is looked at again, rounded as positions of faces are."""
    (left, top), (right, bottom) = points[:2].tolist()
    side = _ZOOM * max(right - left, bottom - top)
    step = _step(side / _STEPS_OF_SQUARE)
    left, top, side = (
        round(value / step) * step for value in ((left + right - side) / 2, (top + bottom - side) / 2, side)
    )
    return left, top, side


def _step(length: float) -> float:
    """Return the largest power of 2 up to `length`, which is the same for all lengths but those next to another."""
    return 2.0 ** math.floor(math.log2(length))


def _merged(detections: Iterable[Detections]) -> Iterator[tuple[Floats, float]]:
    """Merge detections of one face: yield the mean of their points, (8, 2), weighted by score, and the best score.

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
        yield np.average(points[same], axis=0, weights=scores[same]), float(scores[0])
        points, scores = points[~same], scores[~same]


def _overlap(one: Floats, others: Floats) -> Floats:
    """Return intersection over union of the box of one detection, (8, 2), with those of others, (N, 8, 2)."""
    corners = np.maximum(one[0], others[:, 0]), np.minimum(one[1], others[:, 1])
    shared = (corners[1] - corners[0]).clip(0).prod(axis=1)
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


def show_faces(images: Sequence[npt.NDArray[np.uint8]]) -> bool:
    """Return whether most of `images`, uint8 (H, W, 3), show a face, by a sample spread evenly over them."""
    rows = np.linspace(0, len(images) - 1, min(len(images), _SAMPLE)).round().astype(int)
    return 2 * sum(bool(default()(Image.fromarray(images[row]))) for row in rows) > len(rows)

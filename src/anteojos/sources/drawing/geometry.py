"""Pose of the head, and the curves that shapes are made of.

In the coordinates of the head, x is to the right, y down, and z towards the camera. The origin is between the eyes, in
the middle of the head, and the head is 2 units wide. `Pose.project` converts these coordinates to those of the image,
in fractions of its side. A curve is an array (N, 2) or (N, 3) of points in one of the two systems.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[Any]

# A circle with the radius 1, as a polygon (49, 2).
DISC = np.stack([np.cos(np.linspace(0, 2 * math.pi, 49)), np.sin(np.linspace(0, 2 * math.pi, 49))], axis=1)


@dataclass(frozen=True)
class Pose:
    """Position and rotation of the head: angles in radians, lengths in fractions of the side of the image."""

    turn: float
    nod: float
    tilt: float
    scale: float
    centre: tuple[float, float]

    @classmethod
    def draw(cls, rng: np.random.Generator) -> "Pose":
        """Draw a pose: mostly frontal, sometimes turned far to a side."""
        turn, nod, tilt = np.clip(rng.normal(0, (0.22, 0.1, 0.07)), -0.52, 0.52).tolist()
        scale = rng.uniform(0.265, 0.325)
        # Keep the eyes in the same place, as in cropped portraits, although turning the head moves them.
        x = 0.5 - 0.55 * scale * math.sin(turn) + rng.normal(0, 0.02)
        y = 0.475 + 0.5 * scale * math.sin(nod) + rng.normal(0, 0.018)
        return cls(turn, nod, tilt, scale, (x, y))

    def project(self, points: Array, depth: float | None = None) -> Array:
        """Convert points of the head, (N, 3), or (N, 2) at a depth z, to points of the image (N, 2).

        Without a depth, points (N, 2) are on the front of the head.
        """
        x, y = points[:, 0], points[:, 1]
        z: Array | float
        if points.shape[1] == 3:
            z = points[:, 2]
        elif depth is None:
            z = 0.95 * np.sqrt(np.maximum(0.04, 1 - (x / 1.08) ** 2 - (y / 1.85) ** 2))
        else:
            z = depth
        across = x * math.cos(self.turn) + z * math.sin(self.turn)
        down = y * math.cos(self.nod) - z * math.sin(self.nod)
        cos, sin = math.cos(self.tilt) * self.scale, math.sin(self.tilt) * self.scale
        middle_x, middle_y = self.centre
        return np.stack([middle_x + across * cos - down * sin, middle_y + across * sin + down * cos], axis=1)

    def untilted(self, points: Array) -> Array:
        """Convert points of the image (N, 2) to units of the head, across and down along its tilt."""
        x, y = ((points - self.centre) / self.scale).T
        cos, sin = math.cos(self.tilt), math.sin(self.tilt)
        return np.stack([x * cos + y * sin, y * cos - x * sin], axis=1)

    def grid(self, size: int) -> tuple[Array, Array]:
        """Return the position of each pixel across and down the tilted head, in its units: two arrays (size, size)."""
        pixels = (np.mgrid[0:size, 0:size] + 0.5) / size
        across, down = self.untilted(pixels[::-1].reshape(2, -1).T).T.reshape(2, size, size)
        return across, down


def curve(points: ArrayLike, closed: bool = False, steps: int = 6) -> Array:
    """Return a smooth curve through points (N, 2) or (N, 3), with `steps` points for each (Catmull-Rom spline)."""
    p1 = np.asarray(points, float)
    if closed:
        p0, p2, p3 = np.roll(p1, 1, axis=0), np.roll(p1, -1, axis=0), np.roll(p1, -2, axis=0)
    else:
        padded = np.vstack([p1[:1], p1, p1[-1:], p1[-1:]])
        p0, p2, p3 = padded[:-3], padded[2:-1], padded[3:]
    t = (np.arange(steps) / steps)[None, :, None]
    p0, p1, p2, p3 = p0[:, None], p1[:, None], p2[:, None], p3[:, None]
    spline: Array = p1 + t / 2 * (p2 - p0 + t * (2 * p0 - 5 * p1 + 4 * p2 - p3 + t * (3 * (p1 - p2) + p3 - p0)))
    spline = spline.reshape(-1, spline.shape[-1])
    return spline if closed else spline[: len(spline) - steps + 1]


def shape(points: ArrayLike) -> Array:
    """Return a smooth closed curve through points."""
    return curve(points, closed=True)


def mirrored(points: ArrayLike) -> Array:
    """Return the smooth closed symmetric curve whose right half, x > 0, goes through points from top to bottom."""
    right = np.asarray(points, float)
    return shape(np.vstack([right, right[::-1] * (-1, 1)]))


def both(*curves: Array) -> list[Array]:
    """Return curves (N, 2) or (N, 3) of the right half of the head, each followed by its mirror image."""
    return [side for line in curves for side in (line, line * (-1, 1, 1)[: line.shape[1]])]


def stroke(line: ArrayLike, width: float | Array) -> Array:
    """Return the outline of a line (N, 2) or (N, 3) of one width, or of a width for each point."""
    line = np.asarray(line, float)
    along = np.empty((len(line), 2))
    along[1:-1] = line[2:, :2] - line[:-2, :2]
    along[0], along[-1] = line[1, :2] - line[0, :2], line[-1, :2] - line[-2, :2]
    across = np.zeros_like(line)
    half = width / np.maximum(2 * np.hypot(along[:, 0], along[:, 1]), 1e-9)
    across[:, 0], across[:, 1] = -along[:, 1] * half, along[:, 0] * half
    return np.concatenate([line + across, (line - across)[::-1]])

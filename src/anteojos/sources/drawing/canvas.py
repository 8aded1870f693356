"""Colours, and a canvas on which shapes of the head are painted with smooth edges."""

import math
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageChops, ImageDraw, ImageFilter

from anteojos.sources.drawing.geometry import Array, Pose

Colour = tuple[float, float, float]  # red, green, blue, 0 to 255

SUPERSAMPLING = 4  # samples per pixel along each axis: an edge has 16 levels


def mixed(one: Colour, other: Colour, share: float) -> Colour:
    """Return a mix of two colours; `share` is the share of the other."""
    red, green, blue = (a + (b - a) * share for a, b in zip(one, other, strict=True))
    return red, green, blue


def lit(colour: Colour, factor: float) -> Colour:
    """Return a lighter (factor > 1) or darker colour."""
    red, green, blue = (min(255.0, channel * factor) for channel in colour)
    return red, green, blue


def as_image(pixels: Array) -> Image.Image:
    """Convert float values of 0 to 255, (H, W, 3), to an image."""
    return Image.fromarray(np.clip(pixels + 0.5, 0, 255).astype(np.uint8))


class Canvas:
    """A square image. Shapes are drawn `SUPERSAMPLING` times larger, then reduced to masks of its resolution."""

    def __init__(self, background: Image.Image, pose: Pose) -> None:
        """Start with a copy of the background."""
        self.size = background.width
        self.pose = pose
        self.image = background.copy()

    def mask(
        self, curves: Sequence[Array], opacity: float, blur: float, depth: float | None
    ) -> tuple[Image.Image, tuple[int, int]] | None:
        """Return a mask of the inside of closed curves of the head, and its upper left corner on the canvas.

        Returns None if the curves are outside the canvas.
        """
        points = self.pose.project(np.concatenate(curves), depth) * self.size
        margin = 3 * blur * self.size + 1
        left, top = (max(0, math.floor(low - margin)) for low in points.min(0).tolist())
        right, bottom = (min(self.size, math.ceil(high + margin)) for high in points.max(0).tolist())
        if right <= left or bottom <= top:
            return None
        # Blurred shapes need fewer samples.
        samples = SUPERSAMPLING if blur * self.size < 0.45 else 2 if blur * self.size < 1.4 else 1
        mask = Image.new("L", ((right - left) * samples, (bottom - top) * samples))
        pen = ImageDraw.Draw(mask)
        # Round to 1/64 px, so that last bits that differ between CPUs do not change Pillow's float32 coordinates.
        corners = (np.round((points - (left, top)) * (64 * samples)) / 64).ravel().tolist()
        start, fill = 0, round(255 * min(1.0, opacity))
        for line in curves:
            end = start + 2 * len(line)
            pen.polygon(corners[start:end], fill=fill)
            start = end
        if blur:
            mask = mask.filter(ImageFilter.GaussianBlur(round(blur * self.size * samples, 3)))
        return mask if samples == 1 else mask.reduce(samples), (left, top)

    def inside(self, curves: Sequence[Array], depth: float | None = None) -> Image.Image:
        """Return a mask of the inside of closed curves of the head, in the size of the canvas."""
        full = Image.new("L", (self.size, self.size))
        covered = self.mask(curves, 1, 0, depth)
        if covered is not None:
            full.paste(*covered)
        return full

    def paint(
        self,
        curves: Sequence[Array],
        paint: Colour | Image.Image,
        opacity: float = 1.0,
        blur: float = 0.0,
        depth: float | None = None,
        within: Image.Image | None = None,
    ) -> None:
        """Paint the inside of closed curves of the head, at a depth, or on its front if no depth is given.

        `paint` is a colour, or a texture of the size of the canvas. `blur` is a fraction of the side of the image.
        `within` is a mask of the size of the canvas; outside of it, nothing is painted.
        """
        covered = self.mask(curves, opacity, blur, depth) if opacity > 0 else None
        if covered is None:
            return
        mask, (left, top) = covered
        box = (left, top, left + mask.width, top + mask.height)
        if within is not None:
            mask = ImageChops.multiply(mask, within.crop(box))
        if isinstance(paint, Image.Image):
            self.image.paste(paint.crop(box), box, mask)
        else:
            red, green, blue = (round(min(255, max(0, channel))) for channel in paint)
            self.image.paste((red, green, blue), box, mask)

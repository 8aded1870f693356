"""Faces with and without glasses, drawn with Pillow from a seed: the default data, and the tests' data.

The images have the layout of the Kaggle archive and its flaws: each is a cell cut out of a contact sheet, with its
label printed above the face, and the cut runs away from the sheet, so that face and label drift from row to row.

A head has its own coordinates: x to the right, y down, z towards the camera; the origin is between the eyes, in the
middle of the head, and the head is 2 wide. `Pose` turns a point of the head into a point of the panel, in fractions of
the panel's side. A curve is an array (N, 2) or (N, 3) of points in one of the two.
"""

import csv
import io
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import repeat
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image, ImageChops, ImageDraw, ImageFilter, ImageFont

from anteojos.vocabulary import TEST_LABELS

Array = NDArray[Any]
Colour = tuple[float, float, float]  # red, green, blue, 0 to 255

SUPERSAMPLING = 4  # a side: a pixel of a mask is the mean of 16 samples
COLUMNS = 12  # of the contact sheet
CLASS_ROWS = 7  # rows of one class on a contact sheet; with more, the drift begins anew
JPEG_QUALITY = 86  # about 6 kB an image
DISC = np.stack([np.cos(np.linspace(0, 2 * math.pi, 49)), np.sin(np.linspace(0, 2 * math.pi, 49))], axis=1)

# fmt: off
HAIR_COLOURS: tuple[Colour, ...] = (
    (28, 22, 20), (38, 28, 24), (52, 35, 26), (74, 48, 32), (98, 66, 42), (128, 90, 56), (168, 128, 82),
    (206, 172, 120), (226, 202, 160), (150, 74, 38), (176, 92, 48), (120, 52, 34), (140, 138, 136), (196, 194, 190),
    (228, 226, 222), (96, 94, 94), (70, 40, 60), (60, 80, 110),
)
HAIR_WEIGHTS = (10, 10, 10, 10, 9, 8, 7, 6, 4, 3, 3, 3, 4, 2, 2, 3, 1, 1)
IRIS_COLOURS: tuple[Colour, ...] = (
    (58, 36, 24), (84, 54, 32), (112, 84, 50), (86, 104, 70), (96, 124, 150), (120, 136, 146),
)
CLOTH_COLOURS: tuple[Colour, ...] = (
    (36, 38, 46), (52, 62, 88), (224, 222, 218), (120, 40, 44), (70, 90, 76), (150, 146, 140), (60, 110, 150),
    (196, 150, 90), (96, 70, 110), (210, 120, 110), (30, 70, 72), (180, 190, 204),
)
PLASTICS: tuple[Colour, ...] = (
    (22, 20, 22), (26, 24, 28), (30, 28, 32), (40, 32, 30), (70, 40, 24), (104, 62, 34), (36, 46, 76), (116, 30, 36),
    (222, 216, 210), (190, 130, 130), (40, 86, 80),
)
PLASTICS_WEIGHTS = (6, 6, 5, 3, 2.5, 1.5, 1.5, 1, 0.7, 0.7, 0.7)
COATINGS: tuple[Colour, ...] = ((248, 250, 255), (170, 235, 190), (200, 180, 250), (160, 200, 255))
METALS: tuple[Colour, ...] = ((22, 20, 22), (40, 36, 36), (70, 40, 24), (150, 116, 70), (150, 150, 156), (96, 98, 104))
EYE_SHADOWS: tuple[Colour, ...] = (
    (60, 40, 34), (120, 70, 120), (60, 90, 150), (150, 60, 70), (70, 120, 100), (235, 225, 215),
)
TINTS: tuple[Colour, ...] = ((16, 18, 20), (24, 24, 28), (48, 30, 20), (30, 42, 34), (30, 40, 66), (80, 44, 54))
BACKGROUNDS = ("plain", "wall", "leaves", "lights", "bands", "street")
HATS = ("none", "headband", "beanie", "cap", "scarf")
HATS_WEIGHTS = {  # of those with soft features and of the others
    True: (18, 1.2, 0.7, 0.5, 1), False: (18, 0.4, 0.9, 1, 0),
}
HAIR_STYLES = ("bald", "buzz", "short", "swept", "fringe", "curly", "afro", "bob", "long", "wavy", "tied")
HAIR_STYLES_WEIGHTS = {
    True: (0, 0, 1, 1, 2, 2, 0.7, 3, 4, 3, 2.5), False: (1, 1.4, 4, 3.5, 1.2, 2, 0.8, 0.2, 0.4, 0.3, 0),
}
# fmt: on


@dataclass(frozen=True)
class Pose:
    """Where the head is and where it looks: angles in radians, lengths in fractions of the panel's side."""

    turn: float
    nod: float
    tilt: float
    scale: float
    centre: tuple[float, float]

    @classmethod
    def draw(cls, rng: np.random.Generator) -> "Pose":
        """Draw a pose: mostly frontal, some turned a good deal."""
        turn, nod, tilt = np.clip(rng.normal(0, (0.22, 0.1, 0.07)), -0.52, 0.52).tolist()
        scale = float(rng.uniform(0.265, 0.325))
        # Portraits are cut out by their eyes, which a turn carries along.
        x = 0.5 - 0.55 * scale * math.sin(turn) + float(rng.normal(0, 0.02))
        y = 0.475 + 0.5 * scale * math.sin(nod) + float(rng.normal(0, 0.018))
        return cls(turn, nod, tilt, scale, (x, y))

    def project(self, points: Array, depth: float | None = None) -> Array:
        """Turn points of the head (N, 3), or points (N, 2) at a depth, into points of the panel (N, 2).

        Without a depth, points (N, 2) lie on the front of the head.
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
        return np.stack(
            [self.centre[0] + across * cos - down * sin, self.centre[1] + across * sin + down * cos], axis=1
        )

    def untilted(self, points: Array) -> Array:
        """Turn points of the panel (N, 2) into units of the head, across and down along its tilt."""
        x, y = ((points - self.centre) / self.scale).T
        cos, sin = math.cos(self.tilt), math.sin(self.tilt)
        return np.stack([x * cos + y * sin, y * cos - x * sin], axis=1)

    def grid(self, size: int) -> tuple[Array, Array]:
        """Return the position of each pixel across and down the tilted head, in its units: two arrays (size, size)."""
        pixels = (np.mgrid[0:size, 0:size] + 0.5) / size
        across, down = self.untilted(pixels[::-1].reshape(2, -1).T).T.reshape(2, size, size)
        return across, down


@dataclass(frozen=True)
class Face:
    """Everything about a person and the photograph that is not a pair of glasses; lengths in units of the head."""

    pose: Pose
    skin: Colour
    age: float  # this and what else has no unit goes from 0 to 1 or thereabouts
    soft: bool  # finer features, on some make-up, no beard; the others may have one
    jaw: float
    chin: float
    hair: str
    hair_colour: Colour
    volume: float
    parting: float
    hairline: float
    hat: str
    cloth: Colour
    collar: str
    eye_apart: float
    eye_size: float
    eye_open: float
    eye_slant: float
    iris: Colour
    gaze: tuple[float, float]
    brow_thick: float
    brow_height: float
    brow_slant: float
    brow_arch: float
    nose_wide: float
    nose_long: float
    mouth_wide: float
    lips: float
    smile: float
    teeth: bool
    beard: str
    make_up: float
    eye_shadow: Colour
    eye_bags: float
    freckles: float
    child: bool
    socket: float  # how deep the eyes lie
    crease: float  # of the upper lid
    lashes: float
    brow_dark: float
    nose_high: float
    ridge: float  # half the nose's width between the eyes
    lines: float  # around the eyes, of age or of a laugh
    folds: float  # from the nose to the mouth
    curtain: float  # how far hair that hangs stays off the face
    locks: int  # of hair that fall over forehead and temples
    rough: float  # of the skin
    light: tuple[float, float, float]  # towards it
    contrast: float
    sun: float  # how dark the shadow is that hard light leaves on a side of the face; most have none
    background: str

    @classmethod
    def draw(cls, rng: np.random.Generator) -> "Face":
        """Draw a person: of any skin, age, hair and mood, in any light."""

        def uniform(low: float, high: float) -> float:
            return float(rng.uniform(low, high))

        child = bool(rng.random() < 0.13)
        soft = child or bool(rng.random() < 0.45)
        age = 0.0 if child else float(rng.beta(1.1, 1.9))
        dark = float(rng.beta(0.9, 1.9))
        skin = mixed(mixed((244, 204, 184), (204, 150, 114), min(1, dark * 2)), (98, 62, 46), max(0, dark * 2 - 1))
        hair_colour = choice(rng, HAIR_COLOURS, HAIR_WEIGHTS) if dark < 0.55 else choice(rng, HAIR_COLOURS[:5])
        if age > 0.6:
            hair_colour = mixed(hair_colour, (188, 186, 184), uniform(0, 1))
        angle, smile = uniform(-2.6, -0.5), uniform(0.0, 1.1)
        hard = uniform(0, 1) ** 2
        squint = max(0.0, uniform(-0.5, 1)) * (0.3 + 0.7 * smile)
        return cls(
            pose=Pose.draw(rng),
            skin=jittered(rng, skin, 7),
            age=age,
            soft=soft,
            jaw=uniform(0.58, 0.74) if soft else uniform(0.66, 0.86),
            chin=uniform(1.2, 1.34) if child else uniform(1.3, 1.48) if soft else uniform(1.38, 1.58),
            hair=choice(rng, HAIR_STYLES, HAIR_STYLES_WEIGHTS[soft]),
            hair_colour=jittered(rng, hair_colour, 6),
            volume=uniform(0.06, 0.24),
            parting=uniform(-0.5, 0.5),
            hairline=uniform(-1.02, -0.78) - (0 if soft else 0.14 * age),
            hat=choice(rng, HATS, HATS_WEIGHTS[soft]),
            cloth=jittered(rng, choice(rng, CLOTH_COLOURS), 14),
            collar=choice(rng, ("round", "shirt", "jacket", "neck")),
            eye_apart=uniform(0.39, 0.46),
            eye_size=uniform(0.19, 0.22) if child else uniform(0.17, 0.21),
            eye_open=(uniform(0.42, 0.56) if child else uniform(0.3, 0.5) - 0.06 * age) * (1 - 0.75 * squint),
            eye_slant=uniform(-0.09, 0.1),
            iris=jittered(rng, choice(rng, IRIS_COLOURS[: 2 if dark > 0.5 else 6]), 8),
            gaze=(uniform(-0.35, 0.35), uniform(-0.1, 0.15)),
            brow_thick=uniform(0.03, 0.07) if child else uniform(0.035, 0.09) if soft else uniform(0.06, 0.16),
            brow_height=uniform(0.22, 0.33) if soft else uniform(0.17, 0.28),
            brow_slant=uniform(-0.16, 0.05),
            brow_arch=uniform(0.0, 0.11),
            nose_wide=(uniform(0.16, 0.2) if child else uniform(0.16, 0.24)) + 0.05 * dark,
            nose_long=uniform(0.38, 0.48) if child else uniform(0.46, 0.6),
            mouth_wide=uniform(0.29, 0.39),
            lips=uniform(0.055, 0.1) + 0.03 * dark,
            smile=smile,
            teeth=smile > 0.3 and bool(rng.random() < 0.7),
            beard="none"
            if soft
            else choice(rng, ("none", "stubble", "full", "goatee", "moustache"), (6, 3, 2, 1, 0.6)),
            make_up=max(0.0, uniform(-0.7, 1)) if soft and not child else 0.0,
            eye_shadow=choice(rng, EYE_SHADOWS, (6, 1, 1, 1, 1, 1)),
            eye_bags=max(0.0, uniform(-0.3, 0.8)) + 0.3 * age,
            freckles=max(0.0, uniform(-2.5, 1)),
            child=child,
            socket=uniform(0, 0.35) if child else uniform(0, 0.6 if soft else 1),
            crease=uniform(0, 1),
            lashes=uniform(0, 1),
            brow_dark=uniform(0.1, 0.6) if child else uniform(0.3, 1),
            nose_high=uniform(0.4, 0.7) if child else uniform(0.6, 1.5),
            ridge=uniform(0.13, 0.18) if child else uniform(0.085, 0.16),
            lines=max(0.0, uniform(-0.5, 0.5) + 0.8 * age) + 0.6 * squint,
            folds=uniform(0, 0.4) if child else uniform(0.1, 0.7) + 0.3 * age,
            curtain=uniform(0.8, 1.05),
            locks=int(rng.integers(1, 9)) if rng.random() < 0.3 else 0,
            rough=uniform(0.003, 0.018),
            light=(math.cos(angle) * uniform(0.2, 0.75 + 0.7 * hard), math.sin(angle) * uniform(0.3, 0.8), 0.8),
            contrast=uniform(0.25, 0.6) + 0.35 * hard,
            sun=max(0.0, uniform(-4, 0.5)),
            background=choice(rng, BACKGROUNDS),
        )


@dataclass(frozen=True)
class Camera:
    """What the photograph does to a face, with glasses or without; lengths in pixels of a panel of 125 px."""

    detail: float  # share of the pixels, a side, that the photograph was once reduced to
    blur: float  # standard deviation
    noise: float  # standard deviation, of 255
    exposure: float
    contrast: float
    colour: float  # saturation: 1 leaves colours as they are
    warmth: float
    sharpening: float  # 1 doubles the difference from a blurred image
    quality: int  # of the JPEG

    @classmethod
    def draw(cls, rng: np.random.Generator) -> "Camera":
        """Draw a camera: most are good, and the images of most are sharpened."""

        def uniform(low: float, high: float) -> float:
            return float(rng.uniform(low, high))

        return cls(
            detail=1 - max(0.0, uniform(-0.6, 0.35)),
            blur=max(0.0, uniform(-0.4, 0.7)),
            noise=0.5 + 4 * uniform(0, 1) ** 4,
            exposure=uniform(0.85, 1.3),
            contrast=uniform(0.85, 1.25),
            colour=uniform(0.6, 1.2),
            warmth=uniform(-0.05, 0.11),
            sharpening=max(0.0, uniform(-0.5, 1.2)),
            quality=round(uniform(45, 96)),
        )


@dataclass(frozen=True)
class Glasses:
    """A pair of glasses; lengths in units of the head."""

    width: float  # half a lens
    height: float  # half a lens
    gap: float  # half the gap between the lenses
    end: float  # from a lens to the hinge
    square: float  # 2 is an ellipse, 6 nearly a rectangle
    lift: float  # of the outer corner: cat's eyes
    drop: float  # narrower below: pilots' glasses
    rim: str
    thick: float
    heavy: float  # how much thicker the upper half of the rim is
    colour: Colour
    clear: float  # how much of the face shows through the rim
    tint: Colour
    shade: float  # opacity of the tint
    fade: float  # how much clearer the tint is below
    power: float  # how much smaller what is behind the lenses looks
    veil: float  # opacity of the sky's reflection
    glare: float
    glare_at: float  # -1 to 1 across a lens
    coating: Colour  # of its reflection
    down: float  # how far they have slipped

    @classmethod
    def draw(cls, rng: np.random.Generator) -> "Glasses":
        """Draw a pair of glasses, one in six of them sunglasses."""

        def uniform(low: float, high: float) -> float:
            return float(rng.uniform(low, high))

        sun = bool(rng.random() < 0.16)
        rim = choice(rng, ("full", "half", "none"), (8, 1, 1) if sun else (4, 1.3, 1))
        metal = bool(rng.random() < 0.45) or rim == "none"
        rounded = bool(rng.random() < 0.3)
        width = uniform(0.29, 0.37) + (0.04 if sun else 0)
        return cls(
            width=width,
            height=width * (uniform(0.75, 0.98) if rounded else uniform(0.5, 0.78)) + (0.03 if sun else 0),
            gap=uniform(0.08, 0.15),
            end=uniform(0.04, 0.13),
            square=uniform(2, 2.5) if rounded else uniform(2.7, 5.5),
            lift=max(0.0, uniform(-0.5, 0.25)),
            drop=max(0.0, uniform(-0.2, 0.28)),
            rim=rim,
            thick=uniform(0.02, 0.042) if metal else uniform(0.038, 0.085),
            heavy=max(0.0, uniform(-0.3, 0.7)),
            colour=jittered(rng, choice(rng, METALS if metal else PLASTICS, None if metal else PLASTICS_WEIGHTS), 6),
            clear=max(0.0, uniform(-1.5, 0.5)),
            tint=jittered(rng, choice(rng, TINTS), 8),
            shade=uniform(0.66, 0.97) if sun else max(0.0, uniform(-0.3, 0.22)),
            fade=max(0.0, uniform(-0.5, 0.5)),
            power=uniform(-0.06, 0.12),
            veil=max(0.0, uniform(-0.1, 0.22)),
            glare=max(0.0, uniform(-0.5, 0.75)),
            glare_at=uniform(-0.8, 0.8),
            coating=choice(rng, COATINGS, (5, 1, 1, 1)),
            down=uniform(-0.02, 0.12),
        )


def choice(rng: np.random.Generator, options: Sequence[Any], weights: Sequence[float] | None = None) -> Any:
    """Draw one of the options, each as often as its weight says."""
    share = None if weights is None else np.array(weights) / sum(weights)
    return options[int(rng.choice(len(options), p=share))]


def mixed(one: Colour, other: Colour, share: float) -> Colour:
    """Mix two colours; `share` is that of the other."""
    red, green, blue = (a + (b - a) * share for a, b in zip(one, other, strict=True))
    return red, green, blue


def jittered(rng: np.random.Generator, colour: Colour, spread: float) -> Colour:
    """Move a colour a little, mostly in lightness."""
    moved = np.array(colour) + rng.normal(0, spread) + rng.normal(0, spread / 3, 3)
    red, green, blue = np.clip(moved, 4, 250).tolist()
    return red, green, blue


def lit(colour: Colour, factor: float) -> Colour:
    """Make a colour lighter or darker."""
    red, green, blue = (min(255.0, channel * factor) for channel in colour)
    return red, green, blue


def curve(points: ArrayLike, closed: bool = False, steps: int = 6) -> Array:
    """Lead a smooth curve through points (N, 2) or (N, 3), `steps` points for each of them (Catmull and Rom)."""
    p1 = np.asarray(points, float)
    if closed:
        p0, p2, p3 = np.roll(p1, 1, axis=0), np.roll(p1, -1, axis=0), np.roll(p1, -2, axis=0)
    else:
        padded = np.vstack([p1[:1], p1, p1[-1:], p1[-1:]])
        p0, p2, p3 = padded[:-3], padded[2:-1], padded[3:]
    t = (np.arange(steps) / steps)[None, :, None]
    p0, p1, p2, p3 = p0[:, None], p1[:, None], p2[:, None], p3[:, None]
    led: Array = p1 + t / 2 * (p2 - p0 + t * (2 * p0 - 5 * p1 + 4 * p2 - p3 + t * (3 * (p1 - p2) + p3 - p0)))
    led = led.reshape(-1, led.shape[-1])
    return led if closed else led[: len(led) - steps + 1]


def shape(points: ArrayLike) -> Array:
    """Lead a smooth closed curve through points."""
    return curve(points, closed=True)


def mirrored(points: ArrayLike) -> Array:
    """Complete a curve from the top down its right side, x > 0, to a smooth closed one."""
    right = np.asarray(points, float)
    return shape(np.vstack([right, right[::-1] * (-1, 1)]))


def both(line: Array) -> list[Array]:
    """Return a curve (N, 2) or (N, 3) of the head's right half and its mirror image."""
    return [line, line * (-1, 1, 1)[: line.shape[1]]]


def stroke(line: ArrayLike, width: float | Array) -> Array:
    """Outline a line (N, 2) or (N, 3) drawn with a brush `width` wide, at each of its points or everywhere."""
    line = np.asarray(line, float)
    along = np.empty((len(line), 2))
    along[1:-1] = line[2:, :2] - line[:-2, :2]
    along[0], along[-1] = line[1, :2] - line[0, :2], line[-1, :2] - line[-2, :2]
    across = np.zeros_like(line)
    half = width / np.maximum(2 * np.hypot(along[:, 0], along[:, 1]), 1e-9)
    across[:, 0], across[:, 1] = -along[:, 1] * half, along[:, 0] * half
    return np.concatenate([line + across, (line - across)[::-1]])


@cache
def taps(size: int, cells: int) -> tuple[Array, Array]:
    """Return what bicubic interpolation from `cells` + 1 knots to `size` pixels reads: knots and weights (4, size).

    Source of the weights: Keys' convolution with a = -0.5, which Pillow uses, too.
    """
    at = (np.arange(size) + 0.5) * (cells + 1) / size - 0.5
    first = np.floor(at)
    t = at - first
    weights = np.stack(
        [
            -0.5 * t + t**2 - 0.5 * t**3,
            1 - 2.5 * t**2 + 1.5 * t**3,
            0.5 * t + 2 * t**2 - 1.5 * t**3,
            -0.5 * t**2 + 0.5 * t**3,
        ]
    )
    knots = np.clip(first + np.arange(-1, 3)[:, None], 0, cells).astype(int)
    return knots, weights


def field(rng: np.random.Generator, size: tuple[int, int], cells: tuple[int, int]) -> Array:
    """Draw smooth noise, float64 (height, width) of about -1 to 1, with about so many cells down and across."""
    noise: Array = rng.normal(0, 0.5, (cells[0] + 1, cells[1] + 1))
    # Elementwise, not a matrix product: BLAS adds in an order that depends on the CPU.
    down, weights = taps(size[0], cells[0])
    rows: Array = (weights[:, :, None] * noise[down]).sum(axis=0)
    across, weights = taps(size[1], cells[1])
    return np.asarray((weights * rows[:, across]).sum(axis=1))


def as_image(pixels: Array) -> Image.Image:
    """Turn values of 0 to 255, (H, W, 3), into an image."""
    return Image.fromarray(np.clip(pixels + 0.5, 0, 255).astype(np.uint8))


class Canvas:
    """A panel in the making. Shapes are drawn `SUPERSAMPLING` times as large, and reduced to masks of its size."""

    def __init__(self, ground: Image.Image, pose: Pose) -> None:
        """Start from a copy of a background."""
        self.size = ground.width
        self.pose = pose
        self.image = ground.copy()

    def mask(
        self, curves: Sequence[Array], opacity: float, blur: float, depth: float | None
    ) -> tuple[Image.Image, tuple[int, int]] | None:
        """Cover the insides of closed curves of the head: return the mask and its upper left corner on the canvas.

        None where they are out of sight.
        """
        points = self.pose.project(np.concatenate(curves), depth) * self.size
        margin = 3 * blur * self.size + 1
        left, top = (max(0, math.floor(low - margin)) for low in points.min(0).tolist())
        right, bottom = (min(self.size, math.ceil(high + margin)) for high in points.max(0).tolist())
        if right <= left or bottom <= top:
            return None
        # The more a shape is blurred, the fewer samples it needs.
        samples = SUPERSAMPLING if blur * self.size < 0.45 else 2 if blur * self.size < 1.4 else 1
        mask = Image.new("L", ((right - left) * samples, (bottom - top) * samples))
        pen = ImageDraw.Draw(mask)
        # On a grid of 1/64 px, a last bit that differs between CPUs does not reach Pillow's float32.
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
        """Cover the insides of closed curves of the head with a mask of the canvas's size."""
        whole = Image.new("L", (self.size, self.size))
        covered = self.mask(curves, 1, 0, depth)
        if covered is not None:
            whole.paste(*covered)
        return whole

    def paint(
        self,
        curves: Sequence[Array],
        paint: Colour | Image.Image,
        opacity: float = 1.0,
        blur: float = 0.0,
        depth: float | None = None,
        within: Image.Image | None = None,
    ) -> None:
        """Paint the insides of closed curves of the head, at a depth or else on its front.

        `paint` is a colour, or a texture of the canvas's size; `blur` is a fraction of the panel's side; `within`, a
        mask of the canvas's size, keeps the paint inside it.
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


def draw_background(rng: np.random.Generator, kind: str, size: int) -> Image.Image:
    """Draw what is out of focus behind a person: one of `BACKGROUNDS`, an RGB image of `size` x `size` px."""
    base = rng.uniform(60, 225) + rng.normal(0, 13, 3)
    other = base * rng.choice((rng.uniform(0.35, 0.75), rng.uniform(1.1, 1.5))) + rng.normal(0, 16, 3)
    y, x = np.mgrid[0:size, 0:size] / size
    angle = rng.uniform(0, 2 * math.pi)
    whole = (size, size)
    share = 0.5 + (x - 0.5) * math.cos(angle) + (y - 0.5) * math.sin(angle) + 0.4 * field(rng, whole, (3, 3))
    if kind == "leaves":
        base, other = np.array((58, 84, 42)) * rng.uniform(0.5, 1.3), np.array((150, 170, 116)) * rng.uniform(0.6, 1.3)
        share = 0.45 + 0.3 * field(rng, whole, (13, 13)) + 0.45 * field(rng, whole, (5, 5))
    elif kind == "bands":
        share = share * 0.3 + 0.6 * np.clip(8 * field(rng, (1, size), (1, 7)), -1, 1)
    elif kind == "street":
        share = share * 0.4 + 0.5 * np.clip(8 * field(rng, whole, (3, 5)), -1, 1)
    pixels = base + np.clip(share, -0.3, 1.3)[..., None] * (other - base)
    if kind == "wall":
        pixels += (7 * field(rng, whole, (30, 30)) + 10 * field(rng, whole, (9, 12)))[..., None]
    image = as_image(np.minimum(pixels, 236))  # the panel stands out from the canvas
    if kind == "lights":
        pen = ImageDraw.Draw(image)
        for _ in range(int(rng.integers(6, 16))):
            centre, radius = rng.uniform(0, size, 2), rng.uniform(0.02, 0.09) * size
            red, green, blue = np.clip(other + rng.uniform(20, 90) + rng.normal(0, 14, 3), 0, 236).astype(int).tolist()
            pen.ellipse([*(centre - radius), *(centre + radius)], fill=(red, green, blue))
    return image.filter(ImageFilter.GaussianBlur(size * (0.004 if kind == "wall" else rng.uniform(0.012, 0.03))))


def draw_skin(rng: np.random.Generator, face: Face, size: int) -> Image.Image:
    """Paint the skin of a lit head over the whole panel: hills and hollows shaded, blushes, freckles, pores."""
    pose = face.pose
    across, down = pose.grid(size)

    def hill(x: float, y: float, wide: float, high: float) -> Array:
        """Raise a hill at a point of the face: 1 at its top; the other one too where x is not 0.

        It is nearly exp(-r^2), but 0 from r^2 = 6 on, so that only the pixels near it need to be computed.
        """
        total = np.zeros((size, size))
        centres = pose.project(np.array([(x, y), (-x, y)] if x else [(x, y)]))
        reach = math.sqrt(6) * max(wide, high) * pose.scale
        for (left, top), (u, v) in zip(centres - reach, pose.untilted(centres), strict=True):
            rows, columns = (
                slice(max(0, math.floor(low * size)), max(0, math.ceil((low + 2 * reach) * size)))
                for low in (top, left)
            )
            near = (rows, columns)
            raised = ((across[near] - u) * (1 / wide)) ** 2 + ((down[near] - v) * (1 / high)) ** 2
            raised = np.maximum(1 - raised / 6, 0) ** 2
            total[near] += raised * raised * raised
        return total

    [(u, v)] = pose.untilted(pose.project(np.array([(0, 0.2)]), 0.25))
    round_x, round_y = np.power(np.abs((across - u) / 1.12), 2.4), np.power(np.abs((down - v) / 1.75), 2.4)
    height = 0.95 * np.sqrt(np.maximum(0.03, 1 - round_x - round_y))
    long, wide, apart = face.nose_long, face.nose_wide, face.eye_apart
    tip, eyes, cheeks = hill(0, long, wide * 0.8, 0.12), hill(apart, 0.0, 0.24, 0.15), hill(0.56, 0.44, 0.24, 0.2)
    bags, lids = hill(apart, 0.17, 0.2, 0.07), hill(apart, -0.08, 0.24, 0.1)
    nose, corners = hill(0, 0.12, face.ridge, 0.28), hill(0.19, -0.06, 0.08, 0.1)
    height += face.nose_high * (0.1 * nose + 0.13 * hill(0, long * 0.7, face.ridge * 1.15, 0.22) + 0.16 * tip)
    height += 0.07 * hill(wide, long + 0.02, 0.075, 0.07) + 0.06 * hill(apart, -face.brow_height, 0.3, 0.08)
    height += 0.1 * hill(0, -0.75, 0.55, 0.35) + 0.09 * hill(0, face.chin - 0.2, 0.2, 0.14)
    height += 0.07 * hill(0, 0.92, 0.3, 0.2) - 0.05 * hill(0, 1.1, 0.2, 0.06)
    height += (0.07 + 0.05 * max(0.0, face.smile)) * cheeks - 0.03 * face.eye_bags * bags
    height += 0.05 * hill(apart, 0.02, 0.15, 0.09) - (0.1 + 0.14 * face.socket) * eyes - 0.1 * face.socket * corners
    height += 0.06 * face.socket * hill(0, -face.brow_height + 0.02, 0.3, 0.1) - 0.05 * face.socket * hill(
        0, -0.08, 0.14, 0.06
    )
    slope_down, slope_across = np.gradient(height, 1 / (size * pose.scale))
    x, y, z = np.array(face.light) / math.hypot(*face.light)
    facing = np.clip((z - x * slope_across - y * slope_down) / np.sqrt(slope_across**2 + slope_down**2 + 1), 0, 1)
    shade = 1.12 - face.contrast + face.contrast * facing
    # Lids and the hollows under the eyes are darker on most people, with glasses or without.
    shade = shade * (1 - (0.05 + 0.2 * face.eye_bags) * bags) * (1 - (0.05 + 0.3 * face.make_up) * lids)
    shade = shade * (1 - 0.3 * face.socket * corners)
    shade = shade + 0.03 * field(rng, (size, size), (9, 9)) + face.rough * rng.standard_normal((size, size))
    blush = 0.35 * tip + (0.35 + 0.4 * face.make_up) * cheeks
    spots = np.zeros((size, size))
    if face.freckles:
        spots = np.clip(8 * field(rng, (size, size), (size // 2, size // 2)) - 5, 0, 1)
        spots *= face.freckles * hill(0, 0.35, 0.7, 0.25)
    shine = 30 * facing**24 * (tip + 0.5 * hill(0, -0.6, 0.4, 0.25))
    # Shadows on skin are redder than the light: the exponents differ.
    shade = np.log(np.maximum(shade, 0.05))
    pixels = np.empty((size, size, 3))
    for channel, (tone, blushes, exponent) in enumerate(
        zip(face.skin, (0.02, 0.14, 0.12), (0.9, 1.03, 1.08), strict=True)
    ):
        pixels[..., channel] = tone * (1 - blushes * blush) * (1 - 0.22 * spots) * np.exp(exponent * shade) + shine
    return as_image(pixels)


def draw_strands(rng: np.random.Generator, face: Face, size: int) -> Image.Image:
    """Paint hair over the whole panel: strands that fall from the crown along meridians, or curls, with their shine."""
    across, down = face.pose.grid(size)
    start = face.parting * 0.5 + face.pose.turn
    wave = {"wavy": 0.13, "curly": 0.1, "afro": 0.05}.get(face.hair, 0.02)
    warped = across + wave * (np.sin(down * 7 + 2 * across) + field(rng, (size, size), (8, 8)))
    strand = (warped - start) / np.sqrt(np.maximum(0.05, 1 - (np.minimum(down, 0) / 1.8) ** 2))
    grain: Array = np.zeros((size, size))
    for frequency, strength in ((6, 0.5), (14, 0.5), (26, 0.42)):
        table = rng.normal(0, 1, frequency * 8 + 2)
        grain += strength * np.interp((strand + 4) * frequency, np.arange(len(table)), table)
    if face.hair in ("curly", "afro"):
        cells = 25 if face.hair == "curly" else 40
        grain = 0.35 * grain + 1.3 * field(rng, (size, size), (cells, cells))
    x, y, _ = face.light
    shine = np.exp(-(((down + 0.95 + 0.25 * (across - start) * x) / 0.3) ** 2)) * (0.55 + 0.35 * grain)
    light = np.clip((1 + 0.14 * np.clip(across * x + 0.5 * down * y, -1.6, 1.6)) * (0.84 + 0.16 * grain), 0.25, 1.6)
    colour = np.array(face.hair_colour)
    return as_image(colour * light[..., None] + (26 + 0.12 * colour) * shine[..., None])


def hair_edges(rng: np.random.Generator, face: Face) -> tuple[Array, Array]:
    """Return the outer edge of the hair and the hairline, both from the left ear over the head to the right (N, 2)."""
    line, part, hair = face.hairline, face.parting, face.hair
    volume = {"buzz": 0.02, "tied": 0.05, "afro": 0.3 + face.volume}.get(hair, face.volume)
    end = {"bob": 1.3, "long": 2.5, "wavy": 2.4, "afro": 0.45, "curly": 0.5, "fringe": 1.05 if face.soft else 0.3}
    low = end.get(hair, 0.2)
    hangs = low > 0.6
    wide = volume * (1.1 if hangs else 0.6)
    out = 0.6 if hair == "bob" else 1.25 if hangs else 0.2
    outer = [(0.98 + wide * out, low), (1 + wide * 1.1, low * 0.45), (1 + wide, -0.4),
             (0.86 + wide, -1.0), (0.5 + wide * 0.5, -1.4 - 0.7 * volume)]  # fmt: skip
    edge = curve([(-x, y) for x, y in outer] + [(part * 0.4, -1.51 - volume)] + outer[::-1])
    rough = {"curly": 0.06, "afro": 0.035, "wavy": 0.03, "buzz": 0.004}.get(hair, 0.01)
    edge = edge[:: 2 if hair in ("curly", "afro") else 1]  # curls are rounder than locks
    edge = curve(edge * (1 + rough * rng.uniform(-1, 1, (len(edge), 1))), steps=4)
    ear = [(0.82, low), (0.84, low * 0.6), (0.9, 0.2)] if hangs else [(0.98, low), (0.9, low - 0.12), (0.9, -0.1)]
    ear.append((0.84, -0.42))
    middle = [(-0.68, line + 0.2), (-0.34, line), (0.0, line - 0.03), (0.34, line), (0.68, line + 0.2)]
    if hair == "fringe":
        cut = -0.42 + 0.1 * part
        middle = [(-0.72, cut + 0.04), (-0.4, cut), (0, cut - 0.03), (0.4, cut), (0.72, cut + 0.04)]
    elif hair in ("swept", "bob", "long", "wavy"):
        middle = [(-0.74, line + 0.38), (part - 0.3, line + 0.09), (part, line - 0.1), (part + 0.3, line + 0.09),
                  (0.74, line + 0.38)]  # fmt: skip
    elif hair == "short":
        middle = [(-0.72, line + 0.26), (-0.55, line + 0.02), (0.1 * part, line + 0.03), (0.55, line + 0.02),
                  (0.72, line + 0.26)]  # fmt: skip
    if hangs:
        ear = [(x * face.curtain, y) for x, y in ear]
    hairline = curve([(-x, y) for x, y in ear] + middle + ear[::-1])
    hairline[:, 1] += rng.normal(0, 0.03 if hair in ("fringe", "curly", "afro", "short") else 0.012, len(hairline))
    return edge, hairline


def draw_hair_behind(canvas: Canvas, face: Face, edge: Array, strands: Image.Image) -> None:
    """Draw what hair or cloth there is behind neck and ears."""
    if face.hat == "scarf":
        cloth = mirrored([(0, -1.66), (0.7, -1.45), (1.12, -0.6), (1.15, 0.4), (0.95, 1.3), (1.5, 2.4)])
        canvas.paint([cloth], lit(face.cloth, 0.8), depth=-0.1)
    elif face.hair != "bald":
        if face.hair == "tied" and face.hat == "none" and face.parting > 0:
            canvas.paint([DISC * (0.34, 0.28) + (face.parting * 0.4, -1.62)], strands, depth=-0.2)
        canvas.paint([edge], strands, depth=-0.1)
        canvas.paint([edge * (0.9, 1)], lit(face.hair_colour, 0.4), 0.6, 0.03, depth=-0.1)


def draw_body(canvas: Canvas, face: Face) -> None:
    """Draw neck, shoulders and what they wear."""
    broad, low = 0.5 if face.soft else 0.62, 1.93
    dip = {"round": 0.2, "shirt": 0.12, "jacket": 0.42, "neck": -0.22}[face.collar]
    dark = lit(face.skin, 0.5)
    neck = mirrored([(0, 0.6), (broad, 0.6), (broad * 0.94, 1.3), (broad * 1.1, 1.75), (broad * 2.2, 2.2), (0, 2.4)])
    throat = canvas.inside([neck], -0.1)
    canvas.paint([neck], lit(face.skin, 0.88), depth=-0.1)
    chin = np.array([(-0.9, 0.4), (0.9, 0.4), (0.62, 1.6), (0, 1.76), (-0.62, 1.6)])
    canvas.paint([chin], dark, 0.6, 0.035, 0.15, throat)
    far = broad * (-0.75 if face.light[0] > 0 else 0.75)
    shade = np.array([(far * 0.5, 1), (far * 2, 1), (far * 2, 2.2), (far * 0.5, 2.2)])
    canvas.paint([shade], dark, 0.4, 0.05, -0.1, throat)
    if face.collar == "jacket":
        shirt = mirrored([(0, low + 0.02), (broad * 0.8, low - 0.36), (broad * 1.1, low - 0.3), (broad * 1.2, low + 1)])
        canvas.paint([shirt], (226, 226, 230), depth=-0.1)
    wide = 1.9 if face.soft else 2.15
    cloth = mirrored([(0, low - 0.2 + dip), (broad * 0.7, low - 0.3 + dip * 0.6), (broad * 1.08, low - 0.42),
                      (broad * 1.7, low - 0.22), (wide, low + 0.05), (wide + 0.2, low + 1)])  # fmt: skip
    canvas.paint([cloth - (0, 0.03)], dark, 0.5, 0.012, -0.1, throat)
    canvas.paint([cloth], face.cloth, depth=-0.1)
    folds = [stroke(curve([(x, low - 0.3), (x * 1.1, low), (x * 0.9, low + 0.5)]), 0.16) for x in (-1.5, -1, 0.9, 1.6)]
    canvas.paint(folds, lit(face.cloth, 0.7), 0.6, 0.02, -0.1, canvas.inside([cloth], -0.1))
    if face.collar in ("shirt", "jacket"):
        flap = np.array([(0.04, low - 0.05 + dip), (broad * 0.8, low - 0.5), (broad * 1.15, low - 0.42),
                         (broad * 0.9, low + 0.1)])  # fmt: skip
        canvas.paint(both(flap + (0, 0.04)), lit(face.cloth, 0.5), 0.5, 0.01, -0.1)
        canvas.paint(both(flap), lit(face.cloth, 1.12), depth=-0.1)


def draw_head(canvas: Canvas, face: Face, skin: Image.Image) -> Image.Image:
    """Draw ears and head, darker towards its edges; give the head's mask."""
    ear = shape([(0.92, -0.1), (1.05, -0.2), (1.14, -0.1), (1.1, 0.2), (1.02, 0.42), (0.92, 0.4)])
    canvas.paint(both(ear), lit(face.skin, 0.86), depth=-0.05)
    hollow = shape([(1.0, -0.06), (1.07, -0.08), (1.05, 0.12), (0.99, 0.24)])
    canvas.paint(both(hollow), lit(face.skin, 0.5), 0.5, 0.006, -0.05)
    jaw, chin = face.jaw, face.chin
    outline = mirrored([(0, -1.5), (0.45, -1.42), (0.8, -1.1), (0.95, -0.6), (0.97, -0.1), (0.93, 0.35),
                        (0.5 + 0.42 * jaw, 0.72), (jaw, 1.0), (jaw * 0.66, chin - 0.15), (jaw * 0.36, chin - 0.02),
                        (0, chin)])  # fmt: skip
    # The chin is nearer to the camera than the temples, so a turn carries it along.
    outline = np.column_stack([outline, 0.62 * np.power(np.clip((outline[:, 1] - 0.1) / 1.4, 0, 1), 1.3)])
    head = canvas.inside([outline])
    canvas.paint([outline], skin)
    canvas.paint([stroke(outline, 0.1)], lit(face.skin, 0.4), 0.4, 0.018, within=head)
    return head


def draw_beard(canvas: Canvas, face: Face, strands: Image.Image) -> None:
    """Draw stubble, a beard or a moustache; the mouth comes later."""
    jaw, chin = face.jaw, face.chin
    out = 1.09 if face.beard == "full" else 0.99
    cheek = [(0.0, 0.72), (0.3, 0.73), (0.5, 0.86), (0.68, 0.72), (0.84, 0.35), (0.9, 0.1)]
    edge = [(0.96, 0.1), (0.97, 0.45), (0.53 + 0.42 * jaw, 0.75), (jaw * out, 1.02), (jaw * 0.7 * out, chin - 0.1),
            (0, chin * (out + 1) / 2 + 0.02)]  # fmt: skip
    if face.beard == "goatee":
        cheek, edge = [(0, 0.7), (0.3, 0.74)], [(0.44, 0.82), (0.4, 1.15), (0.24, chin + 0.02), (0, chin + 0.05)]
    elif face.beard == "moustache":
        cheek, edge = [(0, 0.68), (0.2, 0.7), (0.36, 0.78)], [(0.42, 0.92), (0.3, 0.86), (0, 0.83)]
    line = mirrored(cheek + edge)
    x, y = line[:, 0] / 1.02, np.maximum(line[:, 1] - 0.35, 0) / 1.5
    line = np.column_stack([line, 0.95 * np.sqrt(np.maximum(0.03, 1 - x**2 - y**2))])
    opacity, blur = {"none": (0.0, 0.0), "stubble": (0.28, 0.02)}.get(face.beard, (0.88, 0.008))
    canvas.paint([line], lit(face.hair_colour, 0.75), opacity * 0.6, blur)
    canvas.paint([line], strands, opacity, blur)


def draw_eyes(canvas: Canvas, face: Face) -> None:
    """Draw the eyes in their sockets, lids, lashes and bags."""
    half, opened = face.eye_size, face.eye_size * face.eye_open
    dark = mixed(lit(face.skin, 0.3), (20, 12, 10), 0.5)

    def at(*lines: ArrayLike) -> list[Array]:
        """Place curves drawn for the right eye, its inner corner to the left, on both eyes."""
        placed = [np.asarray(line) for line in lines]
        placed = [line + np.stack([0 * line[:, 0], -face.eye_slant * line[:, 0]], axis=1) for line in placed]
        return [eye for line in placed for eye in both(line + (face.eye_apart, 0))]

    upper = curve([(-half, 0.035), (-half * 0.55, -opened * 0.72), (0, -opened * 1.08), (half * 0.6, -opened * 0.75),
                   (half, 0.0)])  # fmt: skip
    lower = curve([(half, 0.0), (half * 0.45, opened * 0.72), (-half * 0.3, opened * 0.78), (-half, 0.035)])
    almond = np.vstack([upper, lower])
    shade, brow = lit(face.skin, 0.45), -face.brow_height
    # Under a brow that stands out it is dark, darkest between the nose and the inner corner.
    socket = shape([(-half * 1.35, 0.06), (-half * 1.2, brow * 0.75), (0, brow * 0.8), (half * 0.9, brow * 0.5),
                    (half, 0), (0, 0.02)])  # fmt: skip
    canvas.paint(at(socket), shade, 0.4 * face.socket, 0.014)
    corner = shape([(-half * 1.4, 0.1), (-half * 1.3, brow * 0.7), (-half * 0.8, brow * 0.6), (-half * 0.85, 0.04)])
    canvas.paint(at(corner), shade, 0.5 * face.socket, 0.012)
    canvas.paint(at(almond * (1.25, 1.6)), dark, 0.1 + 0.3 * face.make_up, 0.012)
    lid = shape([(-half * 1.1, 0.02), (-half * 0.5, brow * 0.55), (half * 0.6, brow * 0.6), (half * 1.3, brow * 0.3),
                 (half, 0.02), (0, -opened)])  # fmt: skip
    canvas.paint(at(lid), face.eye_shadow, 0.75 * max(0.0, face.make_up - 0.35), 0.007)
    bag = curve([(-half * 1.05, 0.09), (-half * 0.4, 0.17), (half * 0.2, 0.2), (half * 0.85, 0.15)])
    canvas.paint(at(bag + (0, -0.05)), lit(face.skin, 1.15), 0.3 * face.eye_bags, 0.01)
    canvas.paint(at(stroke(bag, 0.045)), shade, 0.2 + 0.55 * face.eye_bags, 0.006)
    pouch = curve([(-half * 0.8, opened + 0.04), (0, opened + 0.07), (half * 0.9, opened + 0.03)])
    canvas.paint(at(stroke(pouch, 0.025)), shade, min(0.6, 0.5 * face.lines), 0.005)
    canvas.paint(at(almond), mixed((232, 226, 222), face.skin, 0.2 + 0.3 * face.socket))
    inside = canvas.inside(at(almond))
    for radius, colour, down in (
        (0.09, lit(face.iris, 0.5), 0),
        (0.07, lit(face.iris, 1.0), 0.01),
        (0.038, (12, 10, 10), 0),
    ):
        # Both eyes look the same way: they are no mirror images.
        look = np.array([face.gaze[0] * half, face.gaze[1] * 0.5 * half - opened * 0.12 + down])
        irises = [DISC * radius + look + (side * face.eye_apart, 0) for side in (-1, 1)]
        canvas.paint(irises, colour, blur=0.003 if down else 0, within=inside)
    look = look + (math.copysign(0.03, face.light[0]), -0.03)
    glints = [DISC * 0.02 + look + (side * face.eye_apart, 0) for side in (-1, 1)]
    canvas.paint(glints, (250, 250, 250), 0.9 * face.lashes, within=inside)
    canvas.paint(at(stroke(upper + (0, 0.02), 0.07)), dark, 0.6, 0.006, within=inside)
    lash = np.interp(np.linspace(0, 1, len(upper)), (0, 0.3, 0.85, 1), (0.012, 0.035, 0.05, 0.03))
    lash = lash * (0.5 + 0.5 * face.lashes + 0.8 * face.make_up)
    canvas.paint(at(stroke(upper, lash)), dark, 0.6 + 0.3 * face.lashes)
    wing = curve([(half * 0.7, -opened * 0.5), (half * 1.0, -0.01), (half * 1.22, -0.05)])
    canvas.paint(at(stroke(wing, 0.03)), dark, 0.8 * face.make_up * face.lashes)
    canvas.paint(at(stroke(lower, 0.016 + 0.02 * face.make_up)), dark, 0.25 + 0.35 * max(face.make_up, face.socket))
    # A fold, and in deep sockets the edge of the lid under it.
    crease = upper * (1.1, 1.0) - (0, 0.03 + 0.06 * face.crease)
    canvas.paint(at(stroke(crease, 0.028)), lit(face.skin, 0.42), 0.15 + 0.6 * face.lashes, 0.003)
    hood = curve([(-half * 0.5, brow * 0.6), (half * 0.5, brow * 0.55), (half * 1.25, 0.04)])
    canvas.paint(at(stroke(hood, 0.05)), shade, 0.5 * face.crease * max(0.0, face.age - 0.1), 0.008)


def draw_brows(canvas: Canvas, face: Face) -> None:
    """Draw the brows: a soft ground and hairs across it."""
    apart, y, arch, slant = face.eye_apart, -face.brow_height, face.brow_arch, face.brow_slant
    line = [(-0.27, y + slant * 0.3), (-0.05, y - arch * 0.7), (0.14, y - arch), (0.33, y + 0.03 - slant * 0.2)]
    brow = curve(line) + (apart, 0)
    taper = np.interp(np.linspace(0, 1, len(brow)), (0, 0.15, 0.55, 1), (0.55, 1, 0.9, 0.22)) * face.brow_thick
    fair = 0.45 if face.hair_colour[0] > 150 else 0.15
    colour = mixed(lit(face.hair_colour, 0.7), lit(face.skin, 0.45), fair)
    canvas.paint(both(stroke(brow, taper * 1.3)), colour, 0.5 * face.brow_dark, 0.007)
    canvas.paint(both(stroke(brow, taper)), colour, 0.9 * face.brow_dark, 0.0035)
    hairs = [
        stroke(brow[k] + taper[k] * np.array([(0, 0.4), (0.4, -0.1), (0.9, -0.5)]), 0.016) for k in range(0, 16, 2)
    ]
    canvas.paint([hair for line in hairs for hair in both(line)], lit(colour, 0.7), 0.6 * face.brow_dark)


def draw_nose(canvas: Canvas, face: Face) -> None:
    """Draw nostrils and the nose's shadows."""
    dark, long, wide = lit(face.skin, 0.36), face.nose_long, face.nose_wide
    under = [(-wide, long + 0.06), (wide, long + 0.06), (wide * 0.6, long + 0.2), (-wide * 0.6, long + 0.2)]
    canvas.paint([np.array(under)], dark, 0.2 + 0.25 * face.nose_high, 0.012, 0.95)
    wing = [
        (wide * 0.8, long - 0.12),
        (wide * 1.05, long - 0.02),
        (wide * 0.98, long + 0.07),
        (wide * 0.72, long + 0.1),
    ]
    canvas.paint(both(stroke(curve(wing), 0.035)), dark, 0.2 + 0.3 * face.nose_high, 0.007, 0.95)
    nostril = [
        (wide * 0.22, long + 0.08),
        (wide * 0.5, long + 0.04),
        (wide * 0.72, long + 0.085),
        (wide * 0.45, long + 0.11),
    ]
    canvas.paint(both(shape(nostril)), lit(dark, 0.5), 0.85, 0.003, 1.03)
    bridge = curve([(0.1, -0.2), (0.075, 0.05), (0.11, long - 0.15)]) * (-math.copysign(1, face.light[0]), 1)
    canvas.paint([stroke(bridge, 0.09)], dark, 0.16 * face.nose_high, 0.014, 0.97)
    sides = both(stroke(curve([(0.16, -0.22), (0.11, -0.02), (0.13, 0.15)]), 0.05))
    canvas.paint(sides, dark, 0.1 + 0.15 * face.socket, 0.009, 0.95)


def draw_mouth(canvas: Canvas, face: Face) -> None:
    """Draw lips, teeth and the lines beside them."""
    dark, smile, fat, y = lit(face.skin, 0.36), face.smile, face.lips, 0.93
    half, corner = face.mouth_wide * (1 + 0.16 * max(0.0, smile)), y - 0.02 - 0.085 * smile
    agape = 0.1 * smile + 0.02 if face.teeth else 0.0

    def arc(side: float, middle: float, bow: float = 0.0) -> Array:
        """Lead a line from the left corner of the mouth to the right one; `bow` is Cupid's."""
        right = [(half * 0.16, y + middle - bow), (half * 0.55, y + side), (half, corner)]
        return curve([(-u, v) for u, v in right[::-1]] + [(0, y + middle)] + right)

    top, bottom = arc(-0.005 - 0.025 * smile, 0), arc(agape * 0.75, agape)
    over, under = arc(-fat * 0.85, -fat * 0.9, fat * 0.25), arc(agape + fat, agape + fat * 1.4)
    lip = mixed(mixed(face.skin, (176, 70, 74), 0.42), (178, 28, 52), 0.75 * face.make_up)
    canvas.paint([under + (0, 0.06)], dark, 0.28, 0.014)
    canvas.paint([np.vstack([top, over[::-1]])], lit(lip, 0.84), 0.9, 0.002)
    canvas.paint([np.vstack([bottom, under[::-1]])], lit(lip, 1.04), 0.9, 0.002)
    gloss = np.array([(-half * 0.3, y + agape + fat * 0.75), (half * 0.3, y + agape + fat * 0.75)])
    canvas.paint([stroke(gloss, 0.03)], (255, 235, 230), 0.25, 0.005)
    if face.teeth:
        gap = [np.vstack([top, bottom[::-1]])]
        teeth = [np.vstack([top, (bottom * (0.9, 1) - (0, agape * 0.22))[::-1]])]
        canvas.paint(gap, (60, 22, 22))
        canvas.paint(teeth, (238, 232, 222), blur=0.002, within=canvas.inside(gap))
    else:
        canvas.paint([stroke(top, 0.032)], lit(lip, 0.42), 0.85, 0.002)
    canvas.paint(both(stroke([(half, corner - 0.02), (half + 0.04, corner + 0.03)], 0.05)), dark, 0.5, 0.006)
    fold = curve([(face.nose_wide * 1.25, face.nose_long), (half + 0.04, 0.72), (half + 0.1, corner - 0.02),
                  (half + 0.06, corner + 0.12 * face.age)])  # fmt: skip
    canvas.paint(both(stroke(fold, 0.045)), dark, face.folds * (0.3 + 0.5 * smile), 0.008)


def draw_wrinkles(canvas: Canvas, face: Face) -> None:
    """Draw the lines of age and laughter on the forehead and around the eyes, and the folds below them."""
    dark, far = lit(face.skin, 0.36), face.eye_apart + face.eye_size
    feet = [
        curve([(far + 0.05, slope * 0.3), (far + 0.16, slope * 0.8), (far + 0.2 + face.lines * 0.1, slope * 1.6)])
        for slope in (-0.07, 0.01, 0.08, 0.16)
    ]
    canvas.paint([line for foot in feet for line in both(stroke(foot, 0.022))], dark, min(0.6, 0.5 * face.lines), 0.004)
    frown = [stroke([(0.07, -0.34), (0.08, -0.16)], 0.025), stroke([(-0.09, -0.36), (-0.075, -0.2)], 0.02)]
    frown += [stroke(curve([(-0.15, y + 0.03), (0, y), (0.15, y + 0.03)]), 0.03) for y in (-0.14, -0.05)]
    canvas.paint(frown, dark, min(0.6, 0.8 * max(0.0, face.age - 0.25) + 0.4 * face.socket), 0.006)
    bunny = [stroke([(0.1, y), (0.19, y + 0.06)], 0.025) for y in (0.06, 0.13)]
    canvas.paint([line for crease in bunny for line in both(crease)], dark, min(0.4, 0.35 * face.lines), 0.005)
    lines = [stroke(curve([(-0.42, y + 0.03), (0, y), (0.42, y + 0.03)]), 0.022) for y in (-0.52, -0.64, -0.76)]
    canvas.paint(lines, dark, 0.5 * max(0.0, face.age - 0.4), 0.007)
    trough = curve([(0.2, 0.08), (0.27, 0.2), (0.42, 0.3), (0.6, 0.34)])
    canvas.paint(both(stroke(trough, 0.055)), dark, 0.1 + 0.35 * face.eye_bags, 0.009)
    apple = curve([(0.3, 0.34), (0.5, 0.27), (0.72, 0.24), (0.84, 0.12)])
    canvas.paint(both(stroke(apple, 0.05)), dark, 0.4 * max(0.0, face.smile - 0.2), 0.009)


def draw_sun(canvas: Canvas, face: Face, head: Image.Image) -> None:
    """Darken the side of the face that hard light leaves in shadow, up to the nose."""
    away = math.copysign(1, -face.light[0])
    edge = curve([(0.1, -1.5), (0.05, -0.5), (0.12, -0.2), (0.07, 0.05), (0.3, face.nose_long + 0.1), (0.22, 0.75),
                  (0.35, 1.1), (0.2, 1.6)])  # fmt: skip
    side = np.vstack([edge, [(1.2, 1.6), (1.2, -1.5)]]) * (away, 1)
    shadow = canvas.image.point([round(level * (1 - face.sun)) for level in range(256)] * 3)
    canvas.paint([side], shadow, 1 if face.sun else 0, 0.006, within=head)


def draw_hair(
    canvas: Canvas, face: Face, edge: Array, hairline: Array, strands: Image.Image, head: Image.Image
) -> None:
    """Draw the hair over forehead, temples and ears, with its shadow on the face."""
    if face.hair == "bald" or face.hat == "scarf":
        return
    x, y = hairline.T
    depth = 0.95 * np.sqrt(np.maximum(0.02, 1 - x**2 - (np.minimum(y, 0) / 1.85) ** 2))
    hair = np.vstack([np.column_stack([edge, np.full(len(edge), -0.1)]), np.column_stack([hairline, depth])[::-1]])
    opacity, blur = (0.72, 0.012) if face.hair == "buzz" else (1.0, 0.0)
    canvas.paint([hair + (0, 0.05, 0)], lit(face.skin, 0.28), 0.5 * opacity, 0.014, within=head)
    canvas.paint([hair], strands, opacity, blur)


def hair_locks(rng: np.random.Generator, face: Face, hairline: Array) -> list[tuple[Array, Array, float]]:
    """Return locks of hair that fall from the hairline over forehead and temples: line, widths along it, opacity."""
    if face.hair in ("bald", "buzz", "tied") or face.hat in ("scarf", "beanie", "cap"):
        return []
    locks = []
    for start in rng.choice(len(hairline), face.locks):
        x, y = hairline[start].tolist()
        length, drift = rng.uniform(0.2, 0.75), rng.uniform(-0.35, 0.35)
        bend = rng.uniform(-0.1, 0.1)
        line = curve([(x, y - 0.1), (x + drift * 0.4 + bend, y + length * 0.45), (x + drift, y + length)])
        locks.append((line, np.linspace(rng.uniform(0.02, 0.12), 0.01, len(line)), float(rng.uniform(0.5, 1))))
    return locks


def draw_hat(canvas: Canvas, face: Face, head: Image.Image) -> None:
    """Draw what is worn on the head: one of `HATS`."""
    cloth, dark = face.cloth, lit(face.skin, 0.25)
    if face.hat == "scarf":
        rim = mirrored([(0, -0.95), (0.55, -0.85), (0.8, -0.35), (0.84, 0.3), (0.72, 0.9), (0.4, face.chin - 0.05),
                        (0, face.chin + 0.04)])  # fmt: skip
        rim = np.column_stack([rim, 0.3 + 0.3 * np.clip(rim[:, 1], 0, 1)])
        out = mirrored([(0, -1.66), (0.7, -1.5), (1.1, -0.7), (1.14, 0.3), (1.0, 1.1), (1.2, 1.9), (0, 2.3)])
        cover = ImageChops.subtract(canvas.inside([out], 0), canvas.inside([rim]))
        canvas.paint([stroke(rim, 0.1)], dark, 0.4, 0.012)
        canvas.paint([out], cloth, depth=0, within=cover)
        folds = [stroke(rim * (scale, scale, 1) - (0, 0, 0.2), 0.04) for scale in (1.05, 1.12, 1.2)]
        canvas.paint(folds, lit(cloth, 0.6), 0.45, 0.006, within=cover)
        canvas.paint([stroke(rim * (1.26, 1.2, 1), 0.08)], lit(cloth, 1.3), 0.4, 0.014, within=cover)
    elif face.hat == "headband":
        band = curve(
            [(-1.07, -0.3), (-0.98, -0.7), (-0.62, -1.08), (0, -1.2), (0.62, -1.08), (0.98, -0.7), (1.07, -0.3)]
        )
        canvas.paint([stroke(band + (0, 0.04), 0.2)], dark, 0.4, 0.01)
        canvas.paint([stroke(band, 0.19)], cloth, 1, 0.002)
        canvas.paint([stroke(band - (0, 0.03), 0.06)], lit(cloth, 1.4), 0.4, 0.008)
    elif face.hat in ("beanie", "cap"):
        low = -0.55
        crown = curve([(-1.08, low), (-1.1, -0.9), (-0.8, -1.5), (0, -1.78), (0.8, -1.5), (1.1, -0.9), (1.08, low)])
        rim = curve([(1.08, low), (0.6, low - 0.16), (0, low - 0.22), (-0.6, low - 0.16), (-1.08, low)])
        rim = np.column_stack([rim, 0.75 * np.sqrt(np.maximum(0.0, 1 - (rim[:, 0] / 1.08) ** 2))])
        dome = np.vstack([np.column_stack([crown, np.zeros(len(crown))]), rim])
        cover = canvas.inside([dome])
        canvas.paint([dome + (0, 0.1, 0)], dark, 0.45, 0.02, within=head)
        canvas.paint([dome], cloth)
        canvas.paint([DISC * (0.35, 0.3) + (face.light[0], -1.3)], lit(cloth, 1.5), 0.4, 0.06, 0.5, cover)
        canvas.paint([stroke(crown, 0.16)], lit(cloth, 0.4), 0.5, 0.03, 0, cover)
        if face.hat == "beanie":
            canvas.paint([stroke(rim - (0, 0.13, 0), 0.3)], lit(cloth, 0.84), 1, 0.002, within=cover)
        else:
            visor = mirrored(
                [(0, low - 0.25), (0.5, low - 0.2), (0.95, low - 0.04), (0.55, low + 0.12), (0, low + 0.17)]
            )
            visor = np.column_stack([visor, 0.3 + 0.75 * np.sqrt(np.maximum(0, 1 - visor[:, 0] ** 2))])
            canvas.paint([visor + (0, 0.14, -0.1)], dark, 0.5, 0.02, within=head)
            canvas.paint([visor], lit(cloth, 0.72), 1, 0.002)


def draw_temples(canvas: Canvas, face: Face, glasses: Glasses) -> None:
    """Draw the arms of the glasses that lead to the ears, before the hair that may cover them."""
    start, thick = glasses.gap + 2 * glasses.width + glasses.end, max(0.03, glasses.thick * 0.8)
    y = glasses.down - glasses.height * (0.35 + glasses.lift)
    arm = np.array([(start * 0.98, y + 0.03, 0.95 - 0.14 * start**2), (1.0, -0.06, 0.25), (1.02, -0.04, -0.1)])
    canvas.paint(both(stroke(arm + (0, 0.04, 0), thick)), lit(face.skin, 0.3), 0.3, 0.006)
    canvas.paint(both(stroke(arm, thick)), glasses.colour)


def draw_glasses(canvas: Canvas, face: Face, glasses: Glasses) -> None:
    """Draw lenses, what they bend and mirror, their shadow and tint, the rim and the bridge."""
    width, height, thick, colour = glasses.width, glasses.height, glasses.thick, glasses.colour
    apart = glasses.gap + width
    power = 2 / glasses.square
    # Not np.sign, which last bits decide where the disc crosses its axes.
    unit = DISC * np.power(np.maximum(np.abs(DISC), 1e-9), power - 1)
    x, y = unit.T
    narrow = glasses.drop * np.clip(y, 0, 1)
    x = x * (1 - narrow) + 0.25 * narrow
    y = y - glasses.lift * np.clip(x, 0, 1) ** 2 * (0.7 - y * 0.5)
    ring = np.column_stack([x * width + apart, y * height + glasses.down + 0.03])
    rim = thick * (1 + glasses.heavy * np.clip(-unit[:, 1], 0, 1))

    def at(*lines: Array) -> list[Array]:
        """Place curves of the right lens in the plane of the glasses, and their mirror images."""
        return [lens for line in lines for lens in both(np.column_stack([line, 1.02 - 0.14 * line[:, 0] ** 2]))]

    inside = canvas.inside(at(ring))
    bright, dark = mixed(colour, (255, 255, 255), 0.45), lit(face.skin, 0.25)
    for lens in at(ring):
        canvas.paint([lens], bent(canvas, lens, glasses.power))
    canvas.paint(at(stroke(ring + (0, 0.075), np.maximum(0.05, rim))), dark, 0.3, 0.008)
    canvas.paint(at(ring), (255, 255, 255), 0.03)
    canvas.paint(at(ring), glasses.tint, glasses.shade * (1 - glasses.fade * 0.5))
    canvas.paint(at(ring * (1, 0.75) - (0, height * 0.45)), glasses.tint, glasses.shade * 0.6, 0.03, within=inside)
    canvas.paint(at(ring - (0, height * 0.6)), (225, 232, 240), glasses.veil, 0.02, within=inside)
    streak = np.array([(0.02, -0.5), (0.2, -0.5), (-0.04, 0.5), (-0.22, 0.5)]) * (0.6 + glasses.glare)
    # Both lenses mirror the same window, so their streaks are no mirror images.
    streaks = [streak + (side * apart + glasses.glare_at * width * 0.6, glasses.down) for side in (-1, 1)]
    canvas.paint(streaks, glasses.coating, 0.6 * glasses.glare, 0.008, 1.0, inside)
    if glasses.rim == "none":
        canvas.paint(at(stroke(ring, 0.022)), mixed(face.skin, (250, 252, 255), 0.7), 0.6, 0.0015)
        canvas.paint(at(stroke(ring + (0, 0.014), 0.016)), lit(face.skin, 0.35), 0.55, 0.002)
    elif glasses.rim == "half":
        canvas.paint(at(stroke(ring, 0.022)), colour, 0.5)
        canvas.paint(at(stroke(ring[24:], rim[24:])), colour, 1 - glasses.clear)
    else:
        canvas.paint(at(stroke(ring, rim)), colour, 1 - glasses.clear)
    if glasses.rim != "none":
        canvas.paint(at(stroke(ring[28:40] - (0, thick * 0.15), thick * 0.3)), bright, 0.7, 0.0015)
    outer = float(ring[:, 0].max())
    hinge = np.array([(outer - 0.02, glasses.down - height * (0.32 + glasses.lift))])
    hinge = np.vstack([hinge, hinge + (0.02 + glasses.end, 0.005)])
    canvas.paint(at(stroke(hinge + (0, 0.05), 0.04)), dark, 0.3, 0.006)
    canvas.paint(at(stroke(hinge, max(0.045, thick))), colour)
    end = apart - width * 0.93
    bridge = curve([(-end, glasses.down - 0.03), (0, glasses.down - 0.09), (end, glasses.down - 0.03)])
    canvas.paint([stroke(bridge + (0, 0.05), max(0.04, thick))], dark, 0.3, 0.006, 1.0)
    canvas.paint([stroke(bridge, max(0.03, thick * 0.8))], colour, depth=1.02)
    canvas.paint([stroke(bridge - (0, thick * 0.15), max(0.01, thick * 0.25))], bright, 0.6, 0.0015, 1.02)
    pads = [stroke([(end * 0.95, glasses.down + 0.02), (end * 0.8, glasses.down + 0.12)], 0.035)]
    canvas.paint(at(*pads), mixed(face.skin, (255, 255, 255), 0.4), 0.6 if thick < 0.042 else 0)


def bent(canvas: Canvas, lens: Array, power: float) -> Image.Image:
    """Return the image as a lens shows it: smaller by `power` about its middle."""
    x, y = (canvas.pose.project(lens).mean(0) * canvas.size).tolist()
    scale = 1 / (1 - power)
    coefficients = (scale, 0.0, x * (1 - scale), 0.0, scale, y * (1 - scale))
    rounded = [round(coefficient * 4096) / 4096 for coefficient in coefficients]
    return canvas.image.transform(canvas.image.size, Image.Transform.AFFINE, rounded, Image.Resampling.BILINEAR)


def draw_face(rng: np.random.Generator, glasses: bool, size: int) -> Image.Image:
    """Draw a photograph of a face, with glasses or without, as an RGB image of `size` x `size` px.

    The same `rng` gives the same person, light and camera either way. All arithmetic is in float64 before values are
    rounded to uint8: CPUs differ in the last bits of sums and of functions such as exp, and in float32 these
    differences would change pixels.
    """
    portrait = draw_portrait(rng, glasses, size)
    return photographed(rng, Camera.draw(rng), portrait)


def draw_portrait(rng: np.random.Generator, glasses: bool, size: int) -> Image.Image:
    """Draw a person in front of a background as a perfect camera would show them."""
    face, pair = Face.draw(rng), Glasses.draw(rng)
    edge, hairline = hair_edges(rng, face)
    locks = hair_locks(rng, face, hairline)
    canvas = Canvas(draw_background(rng, face.background, size), face.pose)
    strands = draw_strands(rng, face, size)
    draw_hair_behind(canvas, face, edge, strands)
    draw_body(canvas, face)
    head = draw_head(canvas, face, draw_skin(rng, face, size))
    draw_beard(canvas, face, strands)
    draw_wrinkles(canvas, face)
    draw_eyes(canvas, face)
    draw_brows(canvas, face)
    draw_nose(canvas, face)
    draw_mouth(canvas, face)
    draw_sun(canvas, face, head)
    if glasses:
        draw_temples(canvas, face, pair)
    draw_hair(canvas, face, edge, hairline, strands, head)
    for line, width, opacity in locks:
        canvas.paint([stroke(line + (0.02, 0.02), width)], lit(face.skin, 0.35), 0.3, 0.006)
        canvas.paint([stroke(line, width)], strands, opacity)
    draw_hat(canvas, face, head)
    if glasses:
        draw_glasses(canvas, face, pair)
    return canvas.image


def photographed(rng: np.random.Generator, camera: Camera, image: Image.Image) -> Image.Image:
    """Take a photograph of a drawn face: blur, tones, noise, sharpening, compression."""
    size, unit = image.width, image.width / 125
    image = image.filter(ImageFilter.GaussianBlur(round(camera.blur * unit, 3)))
    side = round(size * camera.detail)
    if side < size:
        image = image.resize((side, side), Image.Resampling.BILINEAR).resize((size, size), Image.Resampling.BICUBIC)
    levels = np.arange(256) / 255
    tones = 0.5 + camera.contrast * (np.power(levels, 1 / camera.exposure) - 0.5)
    # A shoulder and a toe, as film has them, where contrast would cut light and shadow off.
    tones = np.where(tones > 0.8, 1 - 0.2 * np.exp(np.minimum(0.8 - tones, 0) / 0.2), tones)
    tones = np.where(tones < 0.1, 0.1 * np.exp(np.minimum(tones - 0.1, 0) / 0.1), tones)
    gains = (1 + camera.warmth, 1, 1 - camera.warmth)
    table = np.concatenate([np.clip(np.round(255 * gain * tones), 0, 255) for gain in gains])
    pixels = np.asarray(image).astype(float)
    grey = (299 * pixels[..., :1] + 587 * pixels[..., 1:2] + 114 * pixels[..., 2:]) / 1000
    image = as_image(grey + camera.colour * (pixels - grey)).point(table.astype(int).tolist())
    grain = rng.standard_normal((size, size, 1)) + 0.4 * rng.standard_normal((size, size, 3))
    image = as_image(np.asarray(image) + camera.noise * grain)
    if camera.sharpening:
        image = image.filter(ImageFilter.UnsharpMask(round(unit, 3), round(100 * camera.sharpening), 0))
    compressed = io.BytesIO()
    image.save(compressed, "JPEG", quality=camera.quality)
    return Image.open(compressed).convert("RGB")


def draw_cell(
    panel: Image.Image,
    neighbours: tuple[Image.Image | None, Image.Image | None],
    titles: tuple[str, str],
    second: bool,
    row: int,
    column: int,
    width: int = 160,
) -> Image.Image:
    """Cut the cell of a face out of a contact sheet: about `width` px wide and 31/32 of that high, RGB.

    `panel` is the face, its side 125/160 of `width`; `neighbours` the faces to its left and right; `titles`
    what stands above it and above the next row. `row` counts from 0 within the class, `column` from 0. The cut drifts:
    the faces of the first class sit low and to the left, those of the second ever higher and further to the right.
    """
    unit = width / 160
    # The sheet was cut at a pitch that is no whole number.
    wide, high = (
        math.floor((k + 1) * pitch * unit) - math.floor(k * pitch * unit)
        for k, pitch in ((column, 159.5), (row, 155.4))
    )
    phase, row = column * 7 % 5, row % CLASS_ROWS
    x = (3 + 4.2 * row + phase) if second else (3 + 0.3 * row + phase)
    y = (8 - 1.35 * row) if second else (16 - 1.3 * row)
    cell = Image.new("RGB", (wide, high), "white")
    pen = ImageDraw.Draw(cell)
    font = ImageFont.load_default(9.5 * unit)
    for k, title in enumerate(titles):
        pen.text(((x + 62.5) * unit, (y - 4.5 + 155 * k) * unit), title, fill=(20, 20, 20), font=font, anchor="ms")
    left, right = neighbours
    for face, across in ((left, x - 154), (panel, x), (right, x + 154)):
        if face is not None:
            cell.paste(face, (round(across * unit), round(y * unit)))
    return cell


def draw_row(seed: int, second: bool, row: int, count: int, titles: tuple[str, str], width: int) -> list[bytes]:
    """Draw the first `count` cells of a row of a class, as JPEG files; `row` counts from 0 within the class."""
    # One face more than there are cells, for the last cell to show a sliver of.
    keys = [(0, int(second), row * COLUMNS + column) for column in range(min(COLUMNS, count + 1))]
    rngs = [np.random.default_rng(np.random.SeedSequence(seed, spawn_key=key)) for key in keys]
    faces = [draw_face(rng, not second, round(width * 125 / 160)) for rng in rngs]
    around = [None, *faces, None]
    below = titles[1] if row % CLASS_ROWS == CLASS_ROWS - 1 else titles[second]
    files = []
    for column, face in enumerate(faces[:count]):
        file = io.BytesIO()
        neighbours = (around[column], around[column + 2])
        cell = draw_cell(face, neighbours, (titles[second], below), second, row, column, width)
        cell.save(file, "JPEG", quality=JPEG_QUALITY)
        files.append(file.getvalue())
    return files


@dataclass(frozen=True)
class Row:
    """A row of the contact sheets: its class, its number within the class from 0, and the split of each cell."""

    second: bool
    number: int
    splits: tuple[str, ...]


def lay_out(seed: int, expected: Mapping[str, Mapping[str, int]], drawn: int | None) -> list[Row]:
    """Arrange the cells in rows, all of a class together, and deal them to the splits at random.

    Training images beyond `expected` stand in rows of their own after the others, which they leave as they are.
    """
    classes = list(next(iter(expected.values())))
    train = expected.get("train", {})
    more = {"train": {label: max(0, (drawn or 0) - train.get(label, 0)) for label in classes}}
    rows: list[Row] = []
    for counts in (expected, more):
        for second, label in enumerate(classes):
            splits = [split for split, of_split in counts.items() for _ in range(of_split[label])]
            rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(1, second)))
            splits = [splits[place] for place in rng.permutation(len(splits))]
            first = sum(row.second == bool(second) for row in rows)
            for number, start in enumerate(range(0, len(splits), COLUMNS), first):
                rows.append(Row(bool(second), number, tuple(splits[start : start + COLUMNS])))
    return rows


def draw_dataset(
    folder: Path,
    seed: int,
    expected: Mapping[str, Mapping[str, int]],
    titles: Mapping[str, str] | None = None,
    width: int = 160,
    map_rows: Callable[..., Iterable[list[bytes]]] = map,
    drawn: int | None = None,
) -> None:
    """Draw a data set in the layout of the Kaggle archive into `folder`, with its `test_labels.csv`.

    `expected` gives the number of images per split and class. The first of its two classes wears glasses. The split
    `test` is flat, the others have a folder for each class. `titles` gives the text above the faces of a class; the
    default is the name of the class. `drawn` is the number of training images per class, if more than `expected`: it
    changes neither the other splits nor the training images that are there without it. An image depends only on the
    seed, its class, its place in the class, the titles and the width. `map_rows` calls `draw_row` as the built-in `map`
    does: with an executor's `map`, several rows are drawn at once.
    """
    classes = list(next(iter(expected.values())))
    printed = [(titles or {}).get(label, label) for label in classes]
    for split in expected:
        for label in classes:
            Path(folder, split, "" if split == "test" else label).mkdir(parents=True, exist_ok=True)
    rows = lay_out(seed, expected, drawn)
    drawn_rows = map_rows(
        draw_row,
        repeat(seed),
        [row.second for row in rows],
        [row.number for row in rows],
        [len(row.splits) for row in rows],
        repeat((printed[0], printed[1])),
        repeat(width),
    )
    labels: dict[str, str] = {}
    for number, (row, files) in enumerate(zip(rows, drawn_rows, strict=True), start=1):
        label = classes[row.second]
        for column, (split, file) in enumerate(zip(row.splits, files, strict=True), start=1):
            name = f"row-{number}-column-{column}.jpg"
            Path(folder, split, "" if split == "test" else label, name).write_bytes(file)
            if split == "test":
                labels[name] = label
    with Path(folder, TEST_LABELS).open("w", encoding="utf-8", newline="") as csv_file:
        csv.writer(csv_file, lineterminator="\n").writerows([("file", "label"), *sorted(labels.items())])

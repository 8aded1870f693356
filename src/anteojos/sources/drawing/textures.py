"""Textures of the size of the image: background, skin and hair."""

import math
from functools import cache

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from anteojos.sources.drawing.canvas import as_image
from anteojos.sources.drawing.face import Face
from anteojos.sources.drawing.geometry import Array, Pose


@cache
def bicubic_weights(size: int, cells: int) -> tuple[Array, Array]:
    """Return knots and weights, (4, size) each, of the bicubic interpolation from `cells` + 1 knots to `size` pixels.

    Source: the convolution kernel of Keys with a = -0.5, which Pillow uses too.
    """
    at = (np.arange(size) + 0.5) * (cells + 1) / size - 0.5
    first = np.floor(at)
    t = at - first
    inner = [1 - 2.5 * t**2 + 1.5 * t**3, 0.5 * t + 2 * t**2 - 1.5 * t**3]
    weights = np.stack([-0.5 * t + t**2 - 0.5 * t**3, *inner, -0.5 * t**2 + 0.5 * t**3])
    knots = np.clip(first + np.arange(-1, 3)[:, None], 0, cells).astype(int)
    return knots, weights


def smooth_noise(rng: np.random.Generator, size: tuple[int, int], cells: tuple[int, int]) -> Array:
    """Return smooth noise, float64 (height, width) of about -1 to 1; `cells` is the number of cells down and across."""
    noise: Array = rng.normal(0, 0.5, (cells[0] + 1, cells[1] + 1))
    # Not a matrix product, because the order of additions in BLAS depends on the CPU.
    down, weights = bicubic_weights(size[0], cells[0])
    rows: Array = (weights[:, :, None] * noise[down]).sum(axis=0)
    across, weights = bicubic_weights(size[1], cells[1])
    return np.asarray((weights * rows[:, across]).sum(axis=1))


def draw_background(rng: np.random.Generator, kind: str, size: int) -> Image.Image:
    """Return a blurred background, one of `BACKGROUNDS`, as an RGB image of `size` x `size` px."""
    base = rng.uniform(60, 225) + rng.normal(0, 13, 3)
    other = base * rng.choice((rng.uniform(0.35, 0.75), rng.uniform(1.1, 1.5))) + rng.normal(0, 16, 3)
    y, x = np.mgrid[0:size, 0:size] / size
    angle = rng.uniform(0, 2 * math.pi)
    full = (size, size)
    share = 0.5 + (x - 0.5) * math.cos(angle) + (y - 0.5) * math.sin(angle) + 0.4 * smooth_noise(rng, full, (3, 3))
    if kind == "leaves":
        base, other = np.array((58, 84, 42)) * rng.uniform(0.5, 1.3), np.array((150, 170, 116)) * rng.uniform(0.6, 1.3)
        share = 0.45 + 0.3 * smooth_noise(rng, full, (13, 13)) + 0.45 * smooth_noise(rng, full, (5, 5))
    elif kind == "bands":
        share = share * 0.3 + 0.6 * np.clip(8 * smooth_noise(rng, (1, size), (1, 7)), -1, 1)
    elif kind == "street":
        share = share * 0.4 + 0.5 * np.clip(8 * smooth_noise(rng, full, (3, 5)), -1, 1)
    pixels = base + np.clip(share, -0.3, 1.3)[..., None] * (other - base)
    if kind == "wall":
        pixels += (7 * smooth_noise(rng, full, (30, 30)) + 10 * smooth_noise(rng, full, (9, 12)))[..., None]
    image = as_image(np.minimum(pixels, 236))  # darker than the white paper around the image
    if kind == "lights":
        pen = ImageDraw.Draw(image)
        for _ in range(int(rng.integers(6, 16))):
            centre, radius = rng.uniform(0, size, 2), rng.uniform(0.02, 0.09) * size
            red, green, blue = np.clip(other + rng.uniform(20, 90) + rng.normal(0, 14, 3), 0, 236).astype(int).tolist()
            pen.ellipse([*(centre - radius), *(centre + radius)], fill=(red, green, blue))
    return image.filter(ImageFilter.GaussianBlur(size * (0.004 if kind == "wall" else rng.uniform(0.012, 0.03))))


class Hills:
    """Smooth hills on the surface of the face, which add up to a height map. Each is an array (size, size)."""

    def __init__(self, pose: Pose, size: int) -> None:
        """Compute the position of each pixel on the head."""
        self.pose, self.size = pose, size
        self.across, self.down = pose.grid(size)

    def __call__(self, x: float, y: float, wide: float, high: float) -> Array:
        """Return a hill at a point of the face, 1 at its top; if x is not 0, also the hill at its mirror image.

        It is nearly exp(-r^2), but 0 from r^2 = 6, so that only the pixels near it are computed.
        """
        total = np.zeros((self.size, self.size))
        centres = self.pose.project(np.array([(x, y), (-x, y)] if x else [(x, y)]))
        reach = math.sqrt(6) * max(wide, high) * self.pose.scale
        for (left, top), (u, v) in zip(centres - reach, self.pose.untilted(centres), strict=True):
            rows, columns = (
                slice(max(0, math.floor(low * self.size)), max(0, math.ceil((low + 2 * reach) * self.size)))
                for low in (top, left)
            )
            near = (rows, columns)
            raised = ((self.across[near] - u) * (1 / wide)) ** 2 + ((self.down[near] - v) * (1 / high)) ** 2
            raised = np.maximum(1 - raised / 6, 0) ** 2
            total[near] += raised * raised * raised
        return total


def brightness(face: Face, height: Array) -> Array:
    """Return how much a surface of the given height (size, size) faces the light, 0 to 1."""
    slope_down, slope_across = np.gradient(height, 1 / (len(height) * face.pose.scale))
    x, y, z = np.array(face.light) / math.hypot(*face.light)
    slanted = np.sqrt(slope_across**2 + slope_down**2 + 1)
    return np.asarray(np.clip((z - x * slope_across - y * slope_down) / slanted, 0, 1))


def draw_skin(rng: np.random.Generator, face: Face, size: int) -> Image.Image:
    """Return the skin of a lit head, for the whole image: shading of a height map, blush, freckles and pores."""
    hill, socket = Hills(face.pose, size), face.socket
    [(u, v)] = face.pose.untilted(face.pose.project(np.array([(0, 0.2)]), 0.25))
    round_x, round_y = np.power(np.abs((hill.across - u) / 1.12), 2.4), np.power(np.abs((hill.down - v) / 1.75), 2.4)
    height = 0.95 * np.sqrt(np.maximum(0.03, 1 - round_x - round_y))
    long, wide, apart, brow = face.nose_long, face.nose_wide, face.eye_apart, -face.brow_height
    tip, eyes, cheeks = hill(0, long, wide * 0.8, 0.12), hill(apart, 0.0, 0.24, 0.15), hill(0.56, 0.44, 0.24, 0.2)
    bags, lids = hill(apart, 0.17, 0.2, 0.07), hill(apart, -0.08, 0.24, 0.1)
    nose, corners = hill(0, 0.12, face.ridge, 0.28), hill(0.19, -0.06, 0.08, 0.1)
    height += face.nose_high * (0.1 * nose + 0.13 * hill(0, long * 0.7, face.ridge * 1.15, 0.22) + 0.16 * tip)
    height += 0.07 * hill(wide, long + 0.02, 0.075, 0.07) + 0.06 * hill(apart, brow, 0.3, 0.08)
    height += 0.1 * hill(0, -0.75, 0.55, 0.35) + 0.09 * hill(0, face.chin - 0.2, 0.2, 0.14)
    height += 0.07 * hill(0, 0.92, 0.3, 0.2) - 0.05 * hill(0, 1.1, 0.2, 0.06)
    height += (0.07 + 0.05 * max(0.0, face.smile)) * cheeks - 0.03 * face.eye_bags * bags
    height += 0.05 * hill(apart, 0.02, 0.15, 0.09) - (0.1 + 0.14 * socket) * eyes - 0.1 * socket * corners
    height += 0.06 * socket * hill(0, brow + 0.02, 0.3, 0.1) - 0.05 * socket * hill(0, -0.08, 0.14, 0.06)
    facing = brightness(face, height)
    shade = 1.12 - face.contrast + face.contrast * facing
    # Most people have darker lids and darker skin below the eyes, with glasses or without.
    shade = shade * (1 - (0.05 + 0.2 * face.eye_bags) * bags) * (1 - (0.05 + 0.3 * face.make_up) * lids)
    shade = shade * (1 - 0.3 * socket * corners)
    shade = shade + 0.03 * smooth_noise(rng, (size, size), (9, 9)) + face.rough * rng.standard_normal((size, size))
    blush = 0.35 * tip + (0.35 + 0.4 * face.make_up) * cheeks
    spots = np.zeros((size, size))
    if face.freckles:
        spots = np.clip(8 * smooth_noise(rng, (size, size), (size // 2, size // 2)) - 5, 0, 1)
        spots *= face.freckles * hill(0, 0.35, 0.7, 0.25)
    shine = 30 * facing**24 * (tip + 0.5 * hill(0, -0.6, 0.4, 0.25))
    # Shadows on skin are redder than the light, so each channel has its own exponent.
    shade = np.log(np.maximum(shade, 0.05))
    tones = np.array(face.skin) * (1 - np.array((0.02, 0.14, 0.12)) * blush[..., None])
    shadows = np.exp(np.array((0.9, 1.03, 1.08)) * shade[..., None])
    return as_image(tones * (1 - 0.22 * spots[..., None]) * shadows + shine[..., None])


def draw_strands(rng: np.random.Generator, face: Face, size: int) -> Image.Image:
    """Return hair for the whole image: strands that run down from the crown, or curls, with highlights."""
    across, down = face.pose.grid(size)
    start = face.parting * 0.5 + face.pose.turn
    wave = {"wavy": 0.13, "curly": 0.1, "afro": 0.05}.get(face.hair, 0.02)
    warped = across + wave * (np.sin(down * 7 + 2 * across) + smooth_noise(rng, (size, size), (8, 8)))
    strand = (warped - start) / np.sqrt(np.maximum(0.05, 1 - (np.minimum(down, 0) / 1.8) ** 2))
    grain: Array = np.zeros((size, size))
    for frequency, strength in ((6, 0.5), (14, 0.5), (26, 0.42)):
        table = rng.normal(0, 1, frequency * 8 + 2)
        grain += strength * np.interp((strand + 4) * frequency, np.arange(len(table)), table)
    if face.hair in ("curly", "afro"):
        cells = 25 if face.hair == "curly" else 40
        grain = 0.35 * grain + 1.3 * smooth_noise(rng, (size, size), (cells, cells))
    x, y, _ = face.light
    shine = np.exp(-(((down + 0.95 + 0.25 * (across - start) * x) / 0.3) ** 2)) * (0.55 + 0.35 * grain)
    light = np.clip((1 + 0.14 * np.clip(across * x + 0.5 * down * y, -1.6, 1.6)) * (0.84 + 0.16 * grain), 0.25, 1.6)
    colour = np.array(face.hair_colour)
    return as_image(colour * light[..., None] + (26 + 0.12 * colour) * shine[..., None])

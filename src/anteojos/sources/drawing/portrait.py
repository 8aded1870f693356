"""Portraits, and photographs of them."""

import io

import numpy as np
from PIL import Image, ImageFilter

from anteojos.sources.drawing import features
from anteojos.sources.drawing.canvas import Canvas, as_image
from anteojos.sources.drawing.face import Face
from anteojos.sources.drawing.glasses import Glasses, draw_glasses, draw_temples
from anteojos.sources.drawing.hair import Hair, draw_beard, draw_hair, draw_hair_behind, draw_hat
from anteojos.sources.drawing.textures import draw_background, draw_skin, draw_strands


class Camera:
    """The properties of a camera; lengths in pixels of an image of 125 px. The order matters, see `Face`."""

    def __init__(self, rng: np.random.Generator) -> None:
        """Draw a camera. Most are good, and most sharpen their images."""
        uniform = rng.uniform
        self.detail = 1 - max(0.0, uniform(-0.6, 0.35))  # scale that the image was once reduced to
        self.blur = max(0.0, uniform(-0.4, 0.7))  # standard deviation
        self.noise = 0.5 + 4 * uniform(0, 1) ** 4  # standard deviation; the brightest value is 255
        self.exposure = uniform(0.85, 1.3)
        self.contrast = uniform(0.85, 1.25)
        self.colour = uniform(0.6, 1.2)  # saturation; 1 keeps the colours
        self.warmth = uniform(-0.05, 0.11)
        self.sharpening = max(0.0, uniform(-0.5, 1.2))  # 1 doubles the difference to a blurred image
        self.quality = round(uniform(45, 96))  # JPEG


def draw_face(rng: np.random.Generator, glasses: bool, size: int) -> Image.Image:
    """Return a photograph of a face, with or without glasses, as an RGB image of `size` x `size` px.

    The same `rng` gives the same person, light and camera with and without glasses. All calculations are in float64
    before values are rounded to uint8. CPUs differ in the last bits of sums and of functions such as exp; in float32,
    these differences would change pixels.
    """
    portrait = draw_portrait(rng, glasses, size)
    return photograph(rng, Camera(rng), portrait)


def draw_portrait(rng: np.random.Generator, glasses: bool, size: int) -> Image.Image:
    """Return a person in front of a background, as a perfect camera would show them."""
    face, pair = Face(rng), Glasses(rng)
    hair = Hair(rng, face)
    canvas = Canvas(draw_background(rng, face.background, size), face.pose)
    strands = draw_strands(rng, face, size)
    draw_hair_behind(canvas, face, hair, strands)
    features.draw_body(canvas, face)
    head = features.draw_head(canvas, face, draw_skin(rng, face, size))
    draw_beard(canvas, face, strands)
    features.draw_wrinkles(canvas, face)
    features.draw_eyes(canvas, face)
    features.draw_brows(canvas, face)
    features.draw_nose(canvas, face)
    features.draw_mouth(canvas, face)
    features.draw_sun(canvas, face, head)
    if glasses:
        draw_temples(canvas, face, pair)
    draw_hair(canvas, face, hair, strands, head)
    draw_hat(canvas, face, head)
    if glasses:
        draw_glasses(canvas, face, pair)
    return canvas.image


def photograph(rng: np.random.Generator, camera: Camera, image: Image.Image) -> Image.Image:
    """Return a photograph of an image: blurred, with other tones, noise, sharpening and JPEG compression."""
    size, unit = image.width, image.width / 125
    image = image.filter(ImageFilter.GaussianBlur(round(camera.blur * unit, 3)))
    side = round(size * camera.detail)
    if side < size:
        image = image.resize((side, side), Image.Resampling.BILINEAR).resize((size, size), Image.Resampling.BICUBIC)
    levels = np.arange(256) / 255
    tones = 0.5 + camera.contrast * (np.power(levels, 1 / camera.exposure) - 0.5)
    # The tone curve of film: very bright and very dark tones are compressed, not clipped.
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

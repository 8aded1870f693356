"""Random glasses, and how they are drawn."""

import numpy as np
from PIL import Image

from anteojos.sources.drawing.canvas import Canvas, Colour, lit, mixed
from anteojos.sources.drawing.face import Face, choice, jittered
from anteojos.sources.drawing.geometry import DISC, Array, both, curve, stroke

# fmt: off
PLASTICS: tuple[Colour, ...] = (
    (22, 20, 22), (26, 24, 28), (30, 28, 32), (40, 32, 30), (70, 40, 24), (104, 62, 34), (36, 46, 76), (116, 30, 36),
    (222, 216, 210), (190, 130, 130), (40, 86, 80),
)
PLASTICS_WEIGHTS = (6, 6, 5, 3, 2.5, 1.5, 1.5, 1, 0.7, 0.7, 0.7)
COATINGS: tuple[Colour, ...] = ((248, 250, 255), (170, 235, 190), (200, 180, 250), (160, 200, 255))
METALS: tuple[Colour, ...] = ((22, 20, 22), (40, 36, 36), (70, 40, 24), (150, 116, 70), (150, 150, 156), (96, 98, 104))
TINTS: tuple[Colour, ...] = ((16, 18, 20), (24, 24, 28), (48, 30, 20), (30, 42, 34), (30, 40, 66), (80, 44, 54))
# fmt: on


class Glasses:
    """A pair of glasses; lengths in units of the head. The order of the attributes matters, see `Face`."""

    def __init__(self, rng: np.random.Generator) -> None:
        """Draw a pair of glasses, one in six of them sunglasses."""
        uniform = rng.uniform
        sun = rng.random() < 0.16
        self.rim: str = choice(rng, ("full", "half", "none"), (8, 1, 1) if sun else (4, 1.3, 1))
        metal = rng.random() < 0.45 or self.rim == "none"
        rounded = rng.random() < 0.3
        self.width = uniform(0.29, 0.37) + (0.04 if sun else 0)  # half the width of a lens
        height = self.width * (uniform(0.75, 0.98) if rounded else uniform(0.5, 0.78))
        self.height = height + (0.03 if sun else 0)  # half the height of a lens
        self.gap = uniform(0.08, 0.15)  # half the gap between the lenses
        self.end = uniform(0.04, 0.13)  # from a lens to the hinge
        self.square = uniform(2, 2.5) if rounded else uniform(2.7, 5.5)  # 2 is an ellipse, 6 nearly a rectangle
        self.lift = max(0.0, uniform(-0.5, 0.25))  # height of the outer corners: cat-eye glasses
        self.drop = max(0.0, uniform(-0.2, 0.28))  # how much narrower the lower half is: aviator glasses
        self.thick = uniform(0.02, 0.042) if metal else uniform(0.038, 0.085)
        self.heavy = max(0.0, uniform(-0.3, 0.7))  # how much thicker the upper half of the rim is
        colour = choice(rng, METALS) if metal else choice(rng, PLASTICS, PLASTICS_WEIGHTS)
        self.colour = jittered(rng, colour, 6)
        self.clear = max(0.0, uniform(-1.5, 0.5))  # transparency of the rim
        self.tint = jittered(rng, choice(rng, TINTS), 8)
        self.shade = uniform(0.66, 0.97) if sun else max(0.0, uniform(-0.3, 0.22))  # opacity of the tint
        self.fade = max(0.0, uniform(-0.5, 0.5))  # how much more transparent the tint is in the lower half
        self.power = uniform(-0.06, 0.12)  # how much smaller things look through the lenses
        self.veil = max(0.0, uniform(-0.1, 0.22))  # opacity of the reflection of the sky
        self.glare = max(0.0, uniform(-0.5, 0.75))
        self.glare_at = uniform(-0.8, 0.8)  # -1 to 1 across a lens
        self.coating: Colour = choice(rng, COATINGS, (5, 1, 1, 1))  # colour of the glare
        self.down = uniform(-0.02, 0.12)  # how far they have slipped down

    def outline(self) -> tuple[Array, Array]:
        """Return the outline of the right lens (49, 2), clockwise from its outer end, and the widths of the rim."""
        # Not np.sign: the last bits of DISC would decide where it crosses its axes.
        unit = DISC * np.power(np.maximum(np.abs(DISC), 1e-9), 2 / self.square - 1)
        x, y = unit.T
        narrow = self.drop * np.clip(y, 0, 1)
        x = x * (1 - narrow) + 0.25 * narrow
        y = y - self.lift * np.clip(x, 0, 1) ** 2 * (0.7 - y * 0.5)
        ring = np.column_stack([x * self.width + self.gap + self.width, y * self.height + self.down + 0.03])
        return ring, self.thick * (1 + self.heavy * np.clip(-unit[:, 1], 0, 1))


def draw_temples(canvas: Canvas, face: Face, glasses: Glasses) -> None:
    """Draw the temples, which lead to the ears. Hair may cover them, so they are drawn before it."""
    start, thick = glasses.gap + 2 * glasses.width + glasses.end, max(0.03, glasses.thick * 0.8)
    y = glasses.down - glasses.height * (0.35 + glasses.lift)
    arm = np.array([(start * 0.98, y + 0.03, 0.95 - 0.14 * start**2), (1.0, -0.06, 0.25), (1.02, -0.04, -0.1)])
    canvas.paint(both(stroke(arm + (0, 0.04, 0), thick)), lit(face.skin, 0.3), 0.3, 0.006)
    canvas.paint(both(stroke(arm, thick)), glasses.colour)


def draw_glasses(canvas: Canvas, face: Face, glasses: Glasses) -> None:
    """Draw the lenses, the rims, the hinges, the bridge and the nose pads."""
    ring, rim = glasses.outline()
    draw_lenses(canvas, face, glasses, ring, rim)
    draw_rims(canvas, face, glasses, ring, rim)
    dark, bright = lit(face.skin, 0.25), mixed(glasses.colour, (255, 255, 255), 0.45)
    thick, down = glasses.thick, glasses.down
    hinge = np.array([(ring[:, 0].max() - 0.02, down - glasses.height * (0.32 + glasses.lift))])
    hinge = np.vstack([hinge, hinge + (0.02 + glasses.end, 0.005)])
    canvas.paint(on_both(stroke(hinge + (0, 0.05), 0.04)), dark, 0.3, 0.006)
    canvas.paint(on_both(stroke(hinge, max(0.045, thick))), glasses.colour)
    end = glasses.gap + glasses.width - glasses.width * 0.93
    bridge = curve([(-end, down - 0.03), (0, down - 0.09), (end, down - 0.03)])
    canvas.paint([stroke(bridge + (0, 0.05), max(0.04, thick))], dark, 0.3, 0.006, 1.0)
    canvas.paint([stroke(bridge, max(0.03, thick * 0.8))], glasses.colour, depth=1.02)
    canvas.paint([stroke(bridge - (0, thick * 0.15), max(0.01, thick * 0.25))], bright, 0.6, 0.0015, 1.02)
    pad = stroke([(end * 0.95, down + 0.02), (end * 0.8, down + 0.12)], 0.035)
    canvas.paint(on_both(pad), mixed(face.skin, (255, 255, 255), 0.4), 0.6 if thick < 0.042 else 0)


def on_both(line: Array) -> list[Array]:
    """Return a curve (N, 2) of the right lens in the plane of the glasses, and its mirror image."""
    return both(np.column_stack([line, 1.02 - 0.14 * line[:, 0] ** 2]))


def draw_lenses(canvas: Canvas, face: Face, glasses: Glasses, ring: Array, rim: Array) -> None:
    """Draw the refraction, tint and reflections of the lenses, and their shadow on the face."""
    inside = canvas.inside(on_both(ring))
    for lens in on_both(ring):
        canvas.paint([lens], refracted(canvas, lens, glasses.power))
    canvas.paint(on_both(stroke(ring + (0, 0.075), np.maximum(0.05, rim))), lit(face.skin, 0.25), 0.3, 0.008)
    canvas.paint(on_both(ring), (255, 255, 255), 0.03)
    canvas.paint(on_both(ring), glasses.tint, glasses.shade * (1 - glasses.fade * 0.5))
    upper, sky = ring * (1, 0.75) - (0, glasses.height * 0.45), ring - (0, glasses.height * 0.6)
    canvas.paint(on_both(upper), glasses.tint, glasses.shade * 0.6, 0.03, within=inside)
    canvas.paint(on_both(sky), (225, 232, 240), glasses.veil, 0.02, within=inside)
    streak = np.array([(0.02, -0.5), (0.2, -0.5), (-0.04, 0.5), (-0.22, 0.5)]) * (0.6 + glasses.glare)
    # Both lenses reflect the same window, so the streaks are not mirrored.
    apart, shift = glasses.gap + glasses.width, glasses.glare_at * glasses.width * 0.6
    streaks = [streak + (side * apart + shift, glasses.down) for side in (-1, 1)]
    canvas.paint(streaks, glasses.coating, 0.6 * glasses.glare, 0.008, 1.0, inside)


def refracted(canvas: Canvas, lens: Array, power: float) -> Image.Image:
    """Return the image as it looks through a lens: smaller by `power` around the middle of the lens."""
    x, y = (canvas.pose.project(lens).mean(0) * canvas.size).tolist()
    scale = 1 / (1 - power)
    coefficients = (scale, 0.0, x * (1 - scale), 0.0, scale, y * (1 - scale))
    rounded = [round(coefficient * 4096) / 4096 for coefficient in coefficients]
    return canvas.image.transform(canvas.image.size, Image.Transform.AFFINE, rounded, Image.Resampling.BILINEAR)


def draw_rims(canvas: Canvas, face: Face, glasses: Glasses, ring: Array, rim: Array) -> None:
    """Draw the rims, or the edges of lenses without rims."""
    thick, colour, opacity = glasses.thick, glasses.colour, 1 - glasses.clear
    if glasses.rim == "none":
        canvas.paint(on_both(stroke(ring, 0.022)), mixed(face.skin, (250, 252, 255), 0.7), 0.6, 0.0015)
        canvas.paint(on_both(stroke(ring + (0, 0.014), 0.016)), lit(face.skin, 0.35), 0.55, 0.002)
        return
    if glasses.rim == "half":
        canvas.paint(on_both(stroke(ring, 0.022)), colour, 0.5)
        canvas.paint(on_both(stroke(ring[24:], rim[24:])), colour, opacity)
    else:
        canvas.paint(on_both(stroke(ring, rim)), colour, opacity)
    bright = mixed(colour, (255, 255, 255), 0.45)
    canvas.paint(on_both(stroke(ring[28:40] - (0, thick * 0.15), thick * 0.3)), bright, 0.7, 0.0015)

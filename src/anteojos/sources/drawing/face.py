"""A random person: everything that the drawing functions need to know, except glasses."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from anteojos.sources.drawing.canvas import Colour, mixed
from anteojos.sources.drawing.geometry import Pose

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
EYE_SHADOWS: tuple[Colour, ...] = (
    (60, 40, 34), (120, 70, 120), (60, 90, 150), (150, 60, 70), (70, 120, 100), (235, 225, 215),
)
BACKGROUNDS = ("plain", "wall", "leaves", "lights", "bands", "street")
# Weights of hats and hair styles for faces with soft features (True) and for other faces.
HATS = ("none", "headband", "beanie", "cap", "scarf")
HATS_WEIGHTS = {True: (18, 1.2, 0.7, 0.5, 1), False: (18, 0.4, 0.9, 1, 0)}
HAIR_STYLES = ("bald", "buzz", "short", "swept", "fringe", "curly", "afro", "bob", "long", "wavy", "tied")
HAIR_STYLES_WEIGHTS = {
    True: (0, 0, 1, 1, 2, 2, 0.7, 3, 4, 3, 2.5), False: (1, 1.4, 4, 3.5, 1.2, 2, 0.8, 0.2, 0.4, 0.3, 0),
}
# fmt: on


def jittered(rng: np.random.Generator, colour: Colour, spread: float) -> Colour:
    """Return a colour with random noise, mostly in its lightness."""
    moved = np.array(colour) + rng.normal(0, spread) + rng.normal(0, spread / 3, 3)
    red, green, blue = np.clip(moved, 4, 250).tolist()
    return red, green, blue


def choice(rng: np.random.Generator, options: Sequence[Any], weights: Sequence[float] | None = None) -> Any:
    """Return a random option; without weights, all are equally likely."""
    share = None if weights is None else np.array(weights) / sum(weights)
    return options[int(rng.choice(len(options), p=share))]


class Face:
    """A person and the light of the photograph; lengths in units of the head, other numbers are about 0 to 1.

    The order in which the attributes are set is the order of the random numbers: another order gives other faces.
    """

    def __init__(self, rng: np.random.Generator) -> None:
        """Draw a person of any skin, age and hair, with any expression, in any light."""
        uniform = rng.uniform
        self.child = rng.random() < 0.13
        self.soft = self.child or rng.random() < 0.45  # finer features, possibly make-up, no beard
        self.age = 0.0 if self.child else rng.beta(1.1, 1.9)
        self.dark = rng.beta(0.9, 1.9)  # skin
        dark_hair = self.dark >= 0.55
        self.hair_colour: Colour = (
            choice(rng, HAIR_COLOURS[:5]) if dark_hair else choice(rng, HAIR_COLOURS, HAIR_WEIGHTS)
        )
        if self.age > 0.6:
            self.hair_colour = mixed(self.hair_colour, (188, 186, 184), uniform(0, 1))
        angle, self.smile = uniform(-2.6, -0.5), uniform(0.0, 1.1)
        hard = uniform(0, 1) ** 2
        self.squint = max(0.0, uniform(-0.5, 1)) * (0.3 + 0.7 * self.smile)
        self.pose = Pose.draw(rng)
        fair = mixed((244, 204, 184), (204, 150, 114), min(1, self.dark * 2))
        self.skin = jittered(rng, mixed(fair, (98, 62, 46), max(0, self.dark * 2 - 1)), 7)
        self._draw_head(rng)
        self._draw_features(rng)
        self._draw_details(rng)
        self.light = (math.cos(angle) * uniform(0.2, 0.75 + 0.7 * hard), math.sin(angle) * uniform(0.3, 0.8), 0.8)
        self.contrast = uniform(0.25, 0.6) + 0.35 * hard
        self.sun = max(0.0, uniform(-4, 0.5))  # darkness of the shadow of hard light on a side of the face; mostly 0
        self.background: str = choice(rng, BACKGROUNDS)

    def _draw_head(self, rng: np.random.Generator) -> None:
        uniform, child, soft = rng.uniform, self.child, self.soft
        self.jaw = uniform(0.58, 0.74) if soft else uniform(0.66, 0.86)
        self.chin = uniform(1.2, 1.34) if child else uniform(1.3, 1.48) if soft else uniform(1.38, 1.58)
        self.hair: str = choice(rng, HAIR_STYLES, HAIR_STYLES_WEIGHTS[soft])
        self.hair_colour = jittered(rng, self.hair_colour, 6)
        self.volume = uniform(0.06, 0.24)
        self.parting = uniform(-0.5, 0.5)
        self.hairline = uniform(-1.02, -0.78) - (0 if soft else 0.14 * self.age)
        self.hat: str = choice(rng, HATS, HATS_WEIGHTS[soft])
        self.cloth = jittered(rng, choice(rng, CLOTH_COLOURS), 14)
        self.collar: str = choice(rng, ("round", "shirt", "jacket", "neck"))

    def _draw_features(self, rng: np.random.Generator) -> None:
        uniform, child, soft, dark, age = rng.uniform, self.child, self.soft, self.dark, self.age
        self.eye_apart = uniform(0.39, 0.46)
        self.eye_size = uniform(0.19, 0.22) if child else uniform(0.17, 0.21)
        eye_open = uniform(0.42, 0.56) if child else uniform(0.3, 0.5) - 0.06 * age
        self.eye_open = eye_open * (1 - 0.75 * self.squint)
        self.eye_slant = uniform(-0.09, 0.1)
        self.iris = jittered(rng, choice(rng, IRIS_COLOURS[: 2 if dark > 0.5 else 6]), 8)
        self.gaze = (uniform(-0.35, 0.35), uniform(-0.1, 0.15))
        self.brow_thick = uniform(0.03, 0.07) if child else uniform(0.035, 0.09) if soft else uniform(0.06, 0.16)
        self.brow_height = uniform(0.22, 0.33) if soft else uniform(0.17, 0.28)
        self.brow_slant = uniform(-0.16, 0.05)
        self.brow_arch = uniform(0.0, 0.11)
        self.nose_wide = (uniform(0.16, 0.2) if child else uniform(0.16, 0.24)) + 0.05 * dark
        self.nose_long = uniform(0.38, 0.48) if child else uniform(0.46, 0.6)
        self.mouth_wide = uniform(0.29, 0.39)
        self.lips = uniform(0.055, 0.1) + 0.03 * dark
        self.teeth = self.smile > 0.3 and rng.random() < 0.7
        beards = ("none", "stubble", "full", "goatee", "moustache")
        self.beard: str = "none" if soft else choice(rng, beards, (6, 3, 2, 1, 0.6))
        self.make_up = max(0.0, uniform(-0.7, 1)) if soft and not child else 0.0

    def _draw_details(self, rng: np.random.Generator) -> None:
        uniform, child = rng.uniform, self.child
        self.eye_shadow: Colour = choice(rng, EYE_SHADOWS, (6, 1, 1, 1, 1, 1))
        self.eye_bags = max(0.0, uniform(-0.3, 0.8)) + 0.3 * self.age
        self.freckles = max(0.0, uniform(-2.5, 1))
        self.socket = uniform(0, 0.35) if child else uniform(0, 0.6 if self.soft else 1)  # depth of the eye sockets
        self.crease = uniform(0, 1)  # of the upper lid
        self.lashes = uniform(0, 1)
        self.brow_dark = uniform(0.1, 0.6) if child else uniform(0.3, 1)
        self.nose_high = uniform(0.4, 0.7) if child else uniform(0.6, 1.5)
        self.ridge = uniform(0.13, 0.18) if child else uniform(0.085, 0.16)  # half the width of the nose at the eyes
        self.lines = max(0.0, uniform(-0.5, 0.5) + 0.8 * self.age) + 0.6 * self.squint  # wrinkles around the eyes
        self.folds = uniform(0, 0.4) if child else uniform(0.1, 0.7) + 0.3 * self.age  # from the nose to the mouth
        self.curtain = uniform(0.8, 1.05)  # how far long hair hangs from the middle of the face
        self.locks = int(rng.integers(1, 9)) if rng.random() < 0.3 else 0  # locks of hair over forehead and temples
        self.rough = uniform(0.003, 0.018)  # skin

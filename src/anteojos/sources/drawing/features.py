"""Body, head and the features of the face."""

import math
from collections.abc import Callable

import numpy as np
from PIL import Image

from anteojos.sources.drawing.canvas import Canvas, Colour, lit, mixed
from anteojos.sources.drawing.face import Face
from anteojos.sources.drawing.geometry import DISC, Array, both, curve, mirrored, shape, stroke


def draw_body(canvas: Canvas, face: Face) -> None:
    """Draw neck, shoulders and clothes."""
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
    """Draw the ears, and the head with darker edges; return the mask of the head."""
    ear = shape([(0.92, -0.1), (1.05, -0.2), (1.14, -0.1), (1.1, 0.2), (1.02, 0.42), (0.92, 0.4)])
    canvas.paint(both(ear), lit(face.skin, 0.86), depth=-0.05)
    hollow = shape([(1.0, -0.06), (1.07, -0.08), (1.05, 0.12), (0.99, 0.24)])
    canvas.paint(both(hollow), lit(face.skin, 0.5), 0.5, 0.006, -0.05)
    jaw, chin = face.jaw, face.chin
    outline = mirrored([(0, -1.5), (0.45, -1.42), (0.8, -1.1), (0.95, -0.6), (0.97, -0.1), (0.93, 0.35),
                        (0.5 + 0.42 * jaw, 0.72), (jaw, 1.0), (jaw * 0.66, chin - 0.15), (jaw * 0.36, chin - 0.02),
                        (0, chin)])  # fmt: skip
    # The chin is nearer to the camera than the temples, so it moves when the head turns.
    outline = np.column_stack([outline, 0.62 * np.power(np.clip((outline[:, 1] - 0.1) / 1.4, 0, 1), 1.3)])
    head = canvas.inside([outline])
    canvas.paint([outline], skin)
    canvas.paint([stroke(outline, 0.1)], lit(face.skin, 0.4), 0.4, 0.018, within=head)
    return head


def at_eyes(face: Face, line: Array) -> list[Array]:
    """Move a curve drawn for the right eye, its inner corner to the left, to both eyes."""
    slanted = line + np.stack([0 * line[:, 0], -face.eye_slant * line[:, 0]], axis=1)
    return both(slanted + (face.eye_apart, 0))


def draw_eyes(canvas: Canvas, face: Face) -> None:
    """Draw the eyes, with sockets, lids and lashes."""
    half, opened, brow = face.eye_size, face.eye_size * face.eye_open, -face.brow_height
    upper = curve([(-half, 0.035), (-half * 0.55, -opened * 0.72), (0, -opened * 1.08), (half * 0.6, -opened * 0.75),
                   (half, 0.0)])  # fmt: skip
    lower = curve([(half, 0.0), (half * 0.45, opened * 0.72), (-half * 0.3, opened * 0.78), (-half, 0.035)])
    almond = np.vstack([upper, lower])
    dark, shade = mixed(lit(face.skin, 0.3), (20, 12, 10), 0.5), lit(face.skin, 0.45)

    def paint(line: Array, colour: Colour, opacity: float, blur: float = 0.0) -> None:
        canvas.paint(at_eyes(face, line), colour, opacity, blur)

    draw_sockets(paint, face, almond, dark, shade)
    draw_eyeballs(canvas, face, upper, almond, dark)
    lash = np.interp(np.linspace(0, 1, len(upper)), (0, 0.3, 0.85, 1), (0.012, 0.035, 0.05, 0.03))
    lash = lash * (0.5 + 0.5 * face.lashes + 0.8 * face.make_up)
    paint(stroke(upper, lash), dark, 0.6 + 0.3 * face.lashes)
    wing = curve([(half * 0.7, -opened * 0.5), (half * 1.0, -0.01), (half * 1.22, -0.05)])
    paint(stroke(wing, 0.03), dark, 0.8 * face.make_up * face.lashes)
    paint(stroke(lower, 0.016 + 0.02 * face.make_up), dark, 0.25 + 0.35 * max(face.make_up, face.socket))
    crease = upper * (1.1, 1.0) - (0, 0.03 + 0.06 * face.crease)
    paint(stroke(crease, 0.028), lit(face.skin, 0.42), 0.15 + 0.6 * face.lashes, 0.003)
    hood = curve([(-half * 0.5, brow * 0.6), (half * 0.5, brow * 0.55), (half * 1.25, 0.04)])
    paint(stroke(hood, 0.05), shade, 0.5 * face.crease * max(0.0, face.age - 0.1), 0.008)


def draw_sockets(paint: Callable[..., None], face: Face, almond: Array, dark: Colour, shade: Colour) -> None:
    """Draw shadows, eye shadow and bags around both eyes; `almond` is the outline of the open eye."""
    half, opened, brow = face.eye_size, face.eye_size * face.eye_open, -face.brow_height
    # Dark below a prominent brow, darkest between the nose and the inner corner of the eye.
    socket = shape([(-half * 1.35, 0.06), (-half * 1.2, brow * 0.75), (0, brow * 0.8), (half * 0.9, brow * 0.5),
                    (half, 0), (0, 0.02)])  # fmt: skip
    paint(socket, shade, 0.4 * face.socket, 0.014)
    corner = shape([(-half * 1.4, 0.1), (-half * 1.3, brow * 0.7), (-half * 0.8, brow * 0.6), (-half * 0.85, 0.04)])
    paint(corner, shade, 0.5 * face.socket, 0.012)
    paint(almond * (1.25, 1.6), dark, 0.1 + 0.3 * face.make_up, 0.012)
    lid = shape([(-half * 1.1, 0.02), (-half * 0.5, brow * 0.55), (half * 0.6, brow * 0.6), (half * 1.3, brow * 0.3),
                 (half, 0.02), (0, -opened)])  # fmt: skip
    paint(lid, face.eye_shadow, 0.75 * max(0.0, face.make_up - 0.35), 0.007)
    bag = curve([(-half * 1.05, 0.09), (-half * 0.4, 0.17), (half * 0.2, 0.2), (half * 0.85, 0.15)])
    paint(bag + (0, -0.05), lit(face.skin, 1.15), 0.3 * face.eye_bags, 0.01)
    paint(stroke(bag, 0.045), shade, 0.2 + 0.55 * face.eye_bags, 0.006)
    pouch = curve([(-half * 0.8, opened + 0.04), (0, opened + 0.07), (half * 0.9, opened + 0.03)])
    paint(stroke(pouch, 0.025), shade, min(0.6, 0.5 * face.lines), 0.005)


def draw_eyeballs(canvas: Canvas, face: Face, upper: Array, almond: Array, dark: Colour) -> None:
    """Draw the whites, irises, pupils and reflections of the eyes, and the shadow of the upper lid."""
    canvas.paint(at_eyes(face, almond), mixed((232, 226, 222), face.skin, 0.2 + 0.3 * face.socket))
    inside = canvas.inside(at_eyes(face, almond))
    x, y = face.gaze[0] * face.eye_size, face.gaze[1] * 0.5 * face.eye_size - face.eye_size * face.eye_open * 0.12
    rings = ((0.09, lit(face.iris, 0.5), 0), (0.07, lit(face.iris, 1.0), 0.01), (0.038, (12, 10, 10), 0))
    # Both eyes look in the same direction, so one is not the mirror image of the other.
    for radius, colour, down in rings:
        irises = [DISC * radius + (x, y + down) + (side * face.eye_apart, 0) for side in (-1, 1)]
        canvas.paint(irises, colour, blur=0.003 if down else 0, within=inside)
    glint = DISC * 0.02 + (x + math.copysign(0.03, face.light[0]), y - 0.03)
    glints = [glint + (side * face.eye_apart, 0) for side in (-1, 1)]
    canvas.paint(glints, (250, 250, 250), 0.9 * face.lashes, within=inside)
    canvas.paint(at_eyes(face, stroke(upper + (0, 0.02), 0.07)), dark, 0.6, 0.006, within=inside)


def draw_brows(canvas: Canvas, face: Face) -> None:
    """Draw the brows: soft shapes with hairs across."""
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
    canvas.paint(both(*hairs), lit(colour, 0.7), 0.6 * face.brow_dark)


def draw_nose(canvas: Canvas, face: Face) -> None:
    """Draw the nostrils and the shadows of the nose."""
    dark, long, wide = lit(face.skin, 0.36), face.nose_long, face.nose_wide
    under = [(-wide, long + 0.06), (wide, long + 0.06), (wide * 0.6, long + 0.2), (-wide * 0.6, long + 0.2)]
    canvas.paint([np.array(under)], dark, 0.2 + 0.25 * face.nose_high, 0.012, 0.95)
    wing = [(wide * 0.8, long - 0.12), (wide * 1.05, long - 0.02), (wide * 0.98, long + 0.07),
            (wide * 0.72, long + 0.1)]  # fmt: skip
    canvas.paint(both(stroke(curve(wing), 0.035)), dark, 0.2 + 0.3 * face.nose_high, 0.007, 0.95)
    nostril = [(wide * 0.22, long + 0.08), (wide * 0.5, long + 0.04), (wide * 0.72, long + 0.085),
               (wide * 0.45, long + 0.11)]  # fmt: skip
    canvas.paint(both(shape(nostril)), lit(dark, 0.5), 0.85, 0.003, 1.03)
    bridge = curve([(0.1, -0.2), (0.075, 0.05), (0.11, long - 0.15)]) * (-math.copysign(1, face.light[0]), 1)
    canvas.paint([stroke(bridge, 0.09)], dark, 0.16 * face.nose_high, 0.014, 0.97)
    sides = both(stroke(curve([(0.16, -0.22), (0.11, -0.02), (0.13, 0.15)]), 0.05))
    canvas.paint(sides, dark, 0.1 + 0.15 * face.socket, 0.009, 0.95)


def draw_mouth(canvas: Canvas, face: Face) -> None:
    """Draw the lips, the teeth and the lines next to them."""
    dark, smile, fat, y = lit(face.skin, 0.36), face.smile, face.lips, 0.93
    half, corner = face.mouth_wide * (1 + 0.16 * max(0.0, smile)), y - 0.02 - 0.085 * smile
    agape = 0.1 * smile + 0.02 if face.teeth else 0.0

    def arc(side: float, middle: float, bow: float = 0.0) -> Array:
        """Return a line from the left corner of the mouth to the right one; `bow` is the depth of the Cupid's bow."""
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
    """Draw the lines of age and laughter: forehead, around and below the eyes."""
    dark, far = lit(face.skin, 0.36), face.eye_apart + face.eye_size
    feet = [
        stroke(curve([(far + 0.05, y * 0.3), (far + 0.16, y * 0.8), (far + 0.2 + face.lines * 0.1, y * 1.6)]), 0.022)
        for y in (-0.07, 0.01, 0.08, 0.16)
    ]
    canvas.paint(both(*feet), dark, min(0.6, 0.5 * face.lines), 0.004)
    frown = [stroke([(0.07, -0.34), (0.08, -0.16)], 0.025), stroke([(-0.09, -0.36), (-0.075, -0.2)], 0.02)]
    frown += [stroke(curve([(-0.15, y + 0.03), (0, y), (0.15, y + 0.03)]), 0.03) for y in (-0.14, -0.05)]
    canvas.paint(frown, dark, min(0.6, 0.8 * max(0.0, face.age - 0.25) + 0.4 * face.socket), 0.006)
    bunny = [stroke([(0.1, y), (0.19, y + 0.06)], 0.025) for y in (0.06, 0.13)]
    canvas.paint(both(*bunny), dark, min(0.4, 0.35 * face.lines), 0.005)
    lines = [stroke(curve([(-0.42, y + 0.03), (0, y), (0.42, y + 0.03)]), 0.022) for y in (-0.52, -0.64, -0.76)]
    canvas.paint(lines, dark, 0.5 * max(0.0, face.age - 0.4), 0.007)
    trough = curve([(0.2, 0.08), (0.27, 0.2), (0.42, 0.3), (0.6, 0.34)])
    canvas.paint(both(stroke(trough, 0.055)), dark, 0.1 + 0.35 * face.eye_bags, 0.009)
    apple = curve([(0.3, 0.34), (0.5, 0.27), (0.72, 0.24), (0.84, 0.12)])
    canvas.paint(both(stroke(apple, 0.05)), dark, 0.4 * max(0.0, face.smile - 0.2), 0.009)


def draw_sun(canvas: Canvas, face: Face, head: Image.Image) -> None:
    """Draw the shadow of hard light on one side of the face, up to the nose."""
    away = math.copysign(1, -face.light[0])
    edge = curve([(0.1, -1.5), (0.05, -0.5), (0.12, -0.2), (0.07, 0.05), (0.3, face.nose_long + 0.1), (0.22, 0.75),
                  (0.35, 1.1), (0.2, 1.6)])  # fmt: skip
    side = np.vstack([edge, [(1.2, 1.6), (1.2, -1.5)]]) * (away, 1)
    shadow = canvas.image.point([round(level * (1 - face.sun)) for level in range(256)] * 3)
    canvas.paint([side], shadow, 1 if face.sun else 0, 0.006, within=head)

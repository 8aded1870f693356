"""Hair, beard and hats."""

import numpy as np
from PIL import Image, ImageChops

from anteojos.sources.drawing.canvas import Canvas, lit
from anteojos.sources.drawing.face import Face
from anteojos.sources.drawing.geometry import DISC, Array, curve, mirrored, stroke


class Hair:
    """Shapes of the hair: lines (N, 2) from the left ear over the head to the right ear, and locks over the face."""

    def __init__(self, rng: np.random.Generator, face: Face) -> None:
        """Draw the shapes for the hair style of a face."""
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
        edge = edge[:: 2 if hair in ("curly", "afro") else 1]  # fewer points: rounder curls
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
        self.edge, self.hairline = edge, hairline
        covered = hair in ("bald", "buzz", "tied") or face.hat in ("scarf", "beanie", "cap")
        starts = () if covered else rng.choice(len(hairline), face.locks)
        self.locks = [draw_lock(rng, *hairline[start].tolist()) for start in starts]


def draw_lock(rng: np.random.Generator, x: float, y: float) -> tuple[Array, Array, float]:
    """Return a lock that hangs from a point of the hairline: line (N, 2), widths along it (N,), opacity."""
    length, drift = rng.uniform(0.2, 0.75), rng.uniform(-0.35, 0.35)
    bend = rng.uniform(-0.1, 0.1)
    line = curve([(x, y - 0.1), (x + drift * 0.4 + bend, y + length * 0.45), (x + drift, y + length)])
    return line, np.linspace(rng.uniform(0.02, 0.12), 0.01, len(line)), rng.uniform(0.5, 1)


def draw_hair_behind(canvas: Canvas, face: Face, hair: Hair, strands: Image.Image) -> None:
    """Draw the hair or the scarf behind neck and ears."""
    if face.hat == "scarf":
        cloth = mirrored([(0, -1.66), (0.7, -1.45), (1.12, -0.6), (1.15, 0.4), (0.95, 1.3), (1.5, 2.4)])
        canvas.paint([cloth], lit(face.cloth, 0.8), depth=-0.1)
    elif face.hair != "bald":
        if face.hair == "tied" and face.hat == "none" and face.parting > 0:
            canvas.paint([DISC * (0.34, 0.28) + (face.parting * 0.4, -1.62)], strands, depth=-0.2)
        canvas.paint([hair.edge], strands, depth=-0.1)
        canvas.paint([hair.edge * (0.9, 1)], lit(face.hair_colour, 0.4), 0.6, 0.03, depth=-0.1)


def draw_hair(canvas: Canvas, face: Face, hair: Hair, strands: Image.Image, head: Image.Image) -> None:
    """Draw the hair over forehead, temples and ears, and its shadow on the face."""
    if face.hair == "bald" or face.hat == "scarf":
        return
    x, y = hair.hairline.T
    depth = 0.95 * np.sqrt(np.maximum(0.02, 1 - x**2 - (np.minimum(y, 0) / 1.85) ** 2))
    outer = np.column_stack([hair.edge, np.full(len(hair.edge), -0.1)])
    outline = np.vstack([outer, np.column_stack([hair.hairline, depth])[::-1]])
    opacity, blur = (0.72, 0.012) if face.hair == "buzz" else (1.0, 0.0)
    canvas.paint([outline + (0, 0.05, 0)], lit(face.skin, 0.28), 0.5 * opacity, 0.014, within=head)
    canvas.paint([outline], strands, opacity, blur)
    for line, width, opacity in hair.locks:
        canvas.paint([stroke(line + (0.02, 0.02), width)], lit(face.skin, 0.35), 0.3, 0.006)
        canvas.paint([stroke(line, width)], strands, opacity)


def draw_hat(canvas: Canvas, face: Face, head: Image.Image) -> None:
    """Draw the hat, if there is one."""
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
        band = curve([(-1.07, -0.3), (-0.98, -0.7), (-0.62, -1.08), (0, -1.2), (0.62, -1.08), (0.98, -0.7),
                      (1.07, -0.3)])  # fmt: skip
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
            visor = mirrored([(0, low - 0.25), (0.5, low - 0.2), (0.95, low - 0.04), (0.55, low + 0.12),
                              (0, low + 0.17)])  # fmt: skip
            visor = np.column_stack([visor, 0.3 + 0.75 * np.sqrt(np.maximum(0, 1 - visor[:, 0] ** 2))])
            canvas.paint([visor + (0, 0.14, -0.1)], dark, 0.5, 0.02, within=head)
            canvas.paint([visor], lit(cloth, 0.72), 1, 0.002)


def draw_beard(canvas: Canvas, face: Face, strands: Image.Image) -> None:
    """Draw stubble, a beard or a moustache."""
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

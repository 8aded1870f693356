"""Attention maps: which parts of an image make its label more likely."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFilter

from anteojos.vocabulary import Pixels

Floats = npt.NDArray[np.floating]

# Rows and columns of a map, and of its blocks. The network runs for each block, and for cells of the strongest:
# 27 times instead of 81.
GRID, BLOCKS = 9, 3
_REFINED = 2
# Standard deviations, as shares of the image width: of a hidden cell, about as large as an eye with its rim, of a
# hidden block, and of the blur, which removes letters and frames.
_CELL, _BLOCK, _BLUR = 0.08, 0.12, 0.1
# Log-odds in nats (a probability of 0.999994). Closer to 1, small changes are lost in float32.
_TOO_CERTAIN = 12.0
# Probabilities are clipped to this distance from 0 and 1: half of float32's step below 1.
_EPSILON = 2.0**-25
_NO_EFFECT = 1e-9  # nats
# Smaller differences of log-odds are invisible, so they do not get the full colour.
_SMALLEST_FULL = 0.1
# Orange and blue, which colour-blind people can distinguish.
_FOR, _AGAINST = np.array([255.0, 100.0, 0.0]), np.array([0.0, 110.0, 255.0])
_OPACITY = 0.75


def occlusion_map(probabilities: Callable[[Pixels], Floats], image: Pixels, first: bool) -> npt.NDArray[np.float64]:
    """Return how much each part of an image supports its label: float64 (GRID, GRID), in nats of log-odds.

    `image` is uint8 (size, size, 3). `probabilities` returns those of the first class, (N,), for uint8
    (N, size, size, 3). `first` is whether the label is the first class. Each value is the decrease of the label's
    log-odds if that part is hidden, negative if they increase. A part is hidden by blending it softly with the blurred
    image, which adds no edges. If the network is too certain, the whole image is blended with its blur first, as little
    as necessary. First each of BLOCKS × BLOCKS parts is hidden, then each cell of the two strongest of them. The other
    cells get the value of their block, scaled by the ratio between cells and blocks in these two.

    Source: M. D. Zeiler and R. Fergus, "Visualizing and Understanding Convolutional Networks", 2014; the blur is from
    R. C. Fong and A. Vedaldi, "Interpretable Explanations of Black Boxes by Meaningful Perturbation", 2017.
    """
    size = len(image)
    blurred = Image.fromarray(image).filter(ImageFilter.GaussianBlur(_BLUR * size))
    to_blurred = np.asarray(blurred, dtype=np.float32) - image

    def log_odds(blur: Floats | np.floating) -> float:
        """Return the label's log-odds if the blurred image has the share `blur`: a number or (size, size, 1)."""
        hidden = np.round(image + blur * to_blurred).astype(np.uint8)
        probability = np.clip(float(probabilities(hidden[np.newaxis])[0]), _EPSILON, 1 - _EPSILON)
        return float(np.log(probability) - np.log1p(-probability)) * (1 if first else -1)

    for base in np.arange(0, 1, 0.1, dtype=np.float32):
        reference = log_odds(base)
        if abs(reference) <= _TOO_CERTAIN:
            break

    def drop(row: int, column: int, rows: int, width: float) -> float:
        """Return the decrease of the log-odds if a place in a grid with this many rows is hidden."""
        centres = (np.array([row, column], dtype=np.float32) + 0.5) / rows
        pixels = (np.arange(size, dtype=np.float32) + 0.5) / size
        profiles = np.exp(-(((pixels - centres[:, np.newaxis]) / width) ** 2) / 2)
        return reference - log_odds(base + (1 - base) * np.outer(*profiles)[..., np.newaxis])

    blocks = np.array([[drop(row, column, BLOCKS, _BLOCK) for column in range(BLOCKS)] for row in range(BLOCKS)])
    each = GRID // BLOCKS
    strongest = np.argsort(-np.abs(blocks), axis=None, kind="stable")[:_REFINED]
    refined = np.kron(np.isin(np.arange(BLOCKS**2), strongest).reshape(blocks.shape), np.ones((each, each), bool))
    cells = np.array([drop(row, column, GRID, _CELL) for row, column in np.argwhere(refined).tolist()])
    drops = np.kron(blocks, np.ones((each, each)))
    # A block is larger than a cell, so hiding it has more effect.
    drops /= max(1.0, float(np.abs(drops[refined]).mean() / max(np.abs(cells).mean(), _NO_EFFECT)))
    drops[refined] = cells
    return drops


def colour(image: Pixels, drops: Floats) -> Pixels:
    """Draw an occlusion_map over its image in grey: orange parts support the label, blue parts the other class.

    `image` and the result are uint8 (size, size, 3). The strongest part of each image has the full colour.
    """
    shares = Image.fromarray((drops / max(_SMALLEST_FULL, float(np.abs(drops).max()))).astype(np.float32))
    tint = np.asarray(shares.resize(image.shape[1::-1], Image.Resampling.BICUBIC)).clip(-1, 1)[..., np.newaxis]
    grey = np.asarray(Image.fromarray(image).convert("L"), dtype=np.float32)[..., np.newaxis]
    coloured = grey + _OPACITY * np.abs(tint) * (np.where(tint > 0, _FOR, _AGAINST) - grey)
    return np.asarray(np.round(coloured).astype(np.uint8))

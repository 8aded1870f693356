"""Where a classifier looks: an image is hidden piece by piece, and each time it says how sure it still is."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFilter

from anteojos.vocabulary import Pixels

Floats = npt.NDArray[np.floating]

# Places a row and a column. Each costs a run of the network: 81 of them are 0.3 s for the report's on one core.
GRID = 9
# As shares of the image's width: a piece, by its standard deviation, is about an eye with its rim; the blur leaves
# no letter and no frame.
_PIECE, _BLUR = 0.08, 0.1
# A network that is surer than this, in nats of log-odds (p of 0.999994), is asked about a paler image: close to 1,
# float32 has no numbers left to say how much less sure it is.
_TOO_SURE = 12.0
# Probabilities are kept this far from 0 and 1, half of float32's step below 1.
_EPSILON = 2.0**-25
# Log-odds that nobody could tell from none get no full colour, however little the rest of the image matters.
_LEAST = 0.1
# Orange and blue can be told apart by the colour-blind.
_FOR, _AGAINST = np.array([255.0, 100.0, 0.0]), np.array([0.0, 110.0, 255.0])
_OPACITY = 0.75


def occlusion_map(probabilities: Callable[[Pixels], Floats], picture: Pixels, first: bool) -> npt.NDArray[np.float64]:
    """Return how much each part of an image speaks for its label: float64 (GRID, GRID), in nats of log-odds.

    `image` is uint8 (size, size, 3), `probabilities` gives those of the first class, (N,), for uint8
    (N, size, size, 3), and `first` is whether the label is the first class. A value is how far the label's log-odds
    fall when that place is hidden, below 0 where they rise. What hides it is the blurred image, softly blended in:
    it takes letters and frames away and puts no edge in their place. An image that the network is too sure of is
    first blended with its blur as a whole, until the network is less sure.

    Source: M. D. Zeiler and R. Fergus, "Visualizing and Understanding Convolutional Networks", 2014; the blur is that
    of R. C. Fong and A. Vedaldi, "Interpretable Explanations of Black Boxes by Meaningful Perturbation", 2017.
    """
    size = len(picture)
    image = Image.fromarray(picture)
    to_blurred = np.asarray(image.filter(ImageFilter.GaussianBlur(_BLUR * size)), dtype=np.float32) - picture

    def log_odds(hidden: Floats | np.floating) -> float:
        """Ask about the image, hidden by a share from 0 to 1 at each pixel: float32, (size, size, 1) or a scalar."""
        shown = np.round(picture + hidden * to_blurred).astype(np.uint8)
        probability = float(probabilities(shown[np.newaxis])[0])
        probability = min(max(probability, _EPSILON), 1 - _EPSILON)
        return float(np.log(probability) - np.log1p(-probability)) * (1 if first else -1)

    for pale in np.arange(0, 1, 0.1, dtype=np.float32):
        whole = log_odds(pale)
        if abs(whole) <= _TOO_SURE:
            break
    middles = (np.arange(GRID) + 0.5) / GRID
    pixels = (np.arange(size, dtype=np.float32) + 0.5) / size
    profiles = np.exp(-(((pixels - middles[:, np.newaxis]) / _PIECE) ** 2) / 2).astype(np.float32)
    drops = np.empty((GRID, GRID))
    for row, column in np.ndindex(GRID, GRID):
        piece = np.outer(profiles[row], profiles[column])[..., np.newaxis]
        drops[row, column] = whole - log_odds(pale + (1 - pale) * piece)
    return drops


def colour(picture: Pixels, drops: Floats) -> Pixels:
    """Lay an occlusion_map over its image, in grey: orange speaks for the label, blue against it.

    `image` and the result are uint8 (size, size, 3). The strongest place of an image has the full colour, whatever
    that of another has.
    """
    shares = Image.fromarray((drops / max(_LEAST, float(np.abs(drops).max()))).astype(np.float32))
    spread = np.asarray(shares.resize(picture.shape[1::-1], Image.Resampling.BICUBIC)).clip(-1, 1)[..., np.newaxis]
    grey = np.asarray(Image.fromarray(picture).convert("L"), dtype=np.float32)[..., np.newaxis]
    opacity = _OPACITY * np.abs(spread)
    coloured: Pixels = np.round(grey + opacity * (np.where(spread > 0, _FOR, _AGAINST) - grey)).astype(np.uint8)
    return coloured

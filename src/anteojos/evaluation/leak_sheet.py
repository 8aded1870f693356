"""An image of the audit: where the border differs between the classes, and the images with the highest scores."""

import numpy as np

from anteojos.evaluation import figures, leak
from anteojos.vocabulary import Pixels

_EXAMPLES = 3  # images of each class, next to its mean
_SIDE = 240  # px, large enough to read a printed word
_FULL = 50.0  # grey levels of 255: differences of at least this much have the full colour
_FIRST, _SECOND = (0xCF, 0x22, 0x2E), (0x09, 0x69, 0xDA)  # red and blue
_GREY = (0.299, 0.587, 0.114)  # ITU-R BT.601, as in Pillow


def draw(
    images: leak.Images, first: leak.Booleans, names: tuple[str, str], probe: leak.Probe, border: int
) -> figures.Figure:
    """Draw a row for each class: its mean image, coloured by `pattern`, and the images with the highest scores.

    `images` is uint8 (N, H, W, 3), `first` is bool (N,), `names` are those of the two classes, and `probe` is the
    result for the border. If all scores are 0, only the mean images are drawn.
    """
    labels = np.where(first, 1.0, -1.0)
    scores = leak.scores(leak.border_values(images, border), labels[:, np.newaxis])[:, 0]
    tint = pattern(images, scores, border) * (2 * probe.accuracy - 1)
    examples = min(_EXAMPLES, int(first.sum()), int((~first).sum())) if scores.any() else 0
    cells = []
    for name, inside in zip(names, (first, ~first), strict=True):
        mean = _weighted_sum(images, inside / inside.sum())
        cells.append(figures.Cell(_tinted(mean, tint), (f"{name}: mean of {inside.sum():,}",)))
        rows = np.flatnonzero(inside)
        highest = rows[np.argsort(-(labels * scores)[rows], kind="stable")][:examples]
        cells += [figures.Cell(_middle_veiled(images[row], border), (f"{name}: highest score",)) for row in highest]
    meaning = f"Red: darker for {names[0]}; blue: darker for {names[1]}. " if tint.any() else ""
    return figures.contact_sheet(
        f"From the border alone: accuracy {probe.accuracy:.3f} (chance {probe.chance}, p = {probe.p_value:.3f}), "
        + {"leak": "the label leaks", "none": "no leak"}[probe.verdict],
        cells,
        1 + (examples or _EXAMPLES),
        f"{meaning}The middle is not used.",
        side=_SIDE,
    )


def pattern(images: leak.Images, scores: leak.Floats, border: int) -> leak.Floats:
    """Return how much darker each pixel is if the score is one standard deviation higher: (H, W), in grey levels.

    It is 0 inside of the border, and everywhere if all `scores`, (N,), are the same. This is the forward pattern of the
    ridge regression, the covariance of each pixel with the score. Its weights would look like noise, because those of
    neighbouring cells cancel each other.
    Source: S. Haufe et al., "On the interpretation of weight vectors of linear models in multivariate neuroimaging",
    NeuroImage 87, 2014.
    """
    spread = scores.std()
    if not spread:
        return np.zeros(images[0].shape[:2])
    darker = -_weighted_sum(images, (scores - scores.mean()) / (spread * len(scores))) @ _GREY
    darker[_middle(darker.shape, border)] = 0
    return np.asarray(darker)


def _weighted_sum(images: leak.Images, weights: leak.Floats) -> leak.Floats:
    """Return the weighted sum of images, (H, W, 3), reading one image at a time from a memory map."""
    total = np.zeros(images[0].shape)
    for image, weight in zip(images, weights, strict=True):
        total += weight * image
    return total


def _tinted(image: leak.Floats, tint: leak.Floats) -> Pixels:
    """Draw `tint`, (H, W) from -_FULL to _FULL, over a paler grey of `image`, (H, W, 3) from 0 to 255."""
    pale = 255 - 0.6 * (255 - image @ _GREY)[..., np.newaxis]
    colour = np.where((tint > 0)[..., np.newaxis], _FIRST, _SECOND)
    share = np.clip(np.abs(tint) / _FULL, 0, 0.9)[..., np.newaxis]
    # Round, because white is 254.999… on some CPUs and 255 on others.
    return np.asarray(np.rint((1 - share) * pale + share * colour)).astype(np.uint8)


def _middle_veiled(image: Pixels, border: int) -> Pixels:
    veiled = image.copy()
    middle = _middle(image.shape[:2], border)
    veiled[middle] = 255 - (255 - veiled[middle]) // 4
    return veiled


def _middle(shape: tuple[int, ...], border: int) -> tuple[slice, slice]:
    height, width = (leak.border_width(side, border) for side in shape)
    return slice(height, -height), slice(width, -width)

"""Warnings for images that are unlike the training images, and for faces that are hard to label."""

from typing import Literal, get_args

from anteojos.images.faces import Face
from anteojos.model.metadata import Metadata
from anteojos.model.statistics import ImageStatistics, Range
from anteojos.vocabulary import Pixels

Kind = Literal["small_face", "turned", "unlike", "size", "uncertain"]
KINDS: tuple[Kind, ...] = get_args(Kind)
Warnings = dict[Kind, str]

_SMALL_FACE = 40  # px, width of a face's box; glasses on smaller faces have only a few pixels
_TURNED = 0.5  # Face.turn; if it is larger, one eye and one lens are partly hidden
# An image is unlike the training images if one of its statistics is outside of their range by more than this fraction
# of the range. A few per cent of similar images are outside of the range, but hardly any by that much.
_TOLERANCE = 0.25
# Factors for whole images. Resizing by more than 2 loses most of the detail, or adds detail that is not real. Networks
# are commonly trained on aspect ratios up to 4:3 (C. Szegedy et al., "Going Deeper with Convolutions", 2015).
_SIZE_FACTOR, _ASPECT_FACTOR = 2.0, 4 / 3

# What the warning says if a statistic is too low, and if it is too high. A sharper image needs no warning.
_COMPARATIVES = {
    "brightness": ("darker", "brighter"),
    "contrast": ("less contrast", "more contrast"),
    "sharpness": ("more blurred", ""),
}


def warnings(
    metadata: Metadata,
    image: Pixels,
    size: tuple[int, int],
    face: Face | None,
    probability: float,
    uncertain: tuple[float, float],
) -> Warnings:
    """Return short texts, by kind, that say why the label of an image may be wrong.

    `image` is what the network sees, uint8 (size, size, 3). `size`, (width, height) of the file in px, matters only if
    the model was trained on whole images. `face` is the position of the face in the file, or None if the whole image is
    labelled. The label is uncertain if `probability`, that of the first class, is strictly between the two of
    `uncertain`.
    """
    ranges, (width, height) = metadata.ranges, size
    found: Warnings = {}
    if metadata.crop == "none" and not (
        _is_within(width, ranges.width, _SIZE_FACTOR)
        and _is_within(height, ranges.height, _SIZE_FACTOR)
        and _is_within(width / height, ranges.aspect, _ASPECT_FACTOR)
    ):
        found["size"] = f"{width} × {height} px, trained on {_text(ranges.width)} × {_text(ranges.height)} px"
    if face and face.width < _SMALL_FACE:
        found["small_face"] = f"small face ({face.width:.0f} px)"
    if face and abs(face.turn) > _TURNED:
        found["turned"] = "turned"
    statistics = ImageStatistics.of(image)
    comparisons = [
        _comparison(getattr(statistics, name), getattr(ranges, name), *comparatives)
        for name, comparatives in _COMPARATIVES.items()
    ]
    if unlike := " and ".join(filter(None, comparisons)):
        found["unlike"] = f"{unlike} than the training images"
    if uncertain[0] < probability < uncertain[1]:
        found["uncertain"] = "uncertain"
    return found


def join(found: Warnings) -> str:
    """Return warnings as one line, or "" if there are none."""
    return "; ".join(found.values())


def _comparison(value: float, trained: Range, if_low: str, if_high: str) -> str:
    low, high = trained
    tolerance = _TOLERANCE * (high - low)
    return if_low if value < low - tolerance else if_high if value > high + tolerance else ""


def _is_within(value: float, trained: Range, factor: float) -> bool:
    return trained[0] / factor <= value <= trained[1] * factor


def _text(trained: tuple[int, int]) -> str:
    return str(trained[0]) if trained[0] == trained[1] else f"{trained[0]} to {trained[1]}"

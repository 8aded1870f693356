"""Is an image like those that a model was trained on, and its face one that can be labelled? If not, a warning."""

from typing import Literal, get_args

from anteojos.images.faces import Face
from anteojos.model.statistics import Look, Range, Seen
from anteojos.vocabulary import Crop, Pixels

Kind = Literal["small_face", "turned", "unlike", "size", "uncertain"]
KINDS: tuple[Kind, ...] = get_args(Kind)

_SMALL_FACE = 40  # px, width of a face's box: of glasses little more than a few pixels is left
_TURNED = 0.5  # of Face.turn: one eye and one lens are partly hidden
# An image is unlike the training images if one of its statistics is outside of their range by more than this fraction
# of the range. Of similar images, a few in a hundred are outside of the range, and hardly any as far as that.
_FAR = 0.25
# For whole images, in factors. Over twice as small or large: the resizing invents, or loses, most of the detail. Aspect
# ratios: networks are commonly trained up to 4:3 (C. Szegedy et al., "Going Deeper with Convolutions", 2015).
_FAR_SIZE, _FAR_ASPECT = 2.0, 4 / 3

# What is said if a statistic is too low, and if it is too high. A sharper image is no problem.
_WORDS = {
    "brightness": ("darker", "brighter"),
    "contrast": ("less contrast", "more contrast"),
    "sharpness": ("more blurred", ""),
}


def warnings(
    seen: Seen,
    prepared: Pixels,
    *,
    width: int,
    height: int,
    crop: Crop,
    face: Face | None,
    probability: float,
    uncertain: tuple[float, float],
) -> dict[Kind, str]:
    """Return, by kind and in a few words, why the label of an image should not be relied on; nothing if it may be.

    `prepared` is what the network sees, uint8 (size, size, 3); `width` and `height`, in px, are those of the file.
    `crop` is that of the training images: their size matters only if they were whole images. `face` is where the face
    is in the file, None if the whole image is labelled. `probability` is that of the first class; between the two of
    `uncertain`, and not at them, the label is uncertain.
    """
    found: dict[Kind, str] = {}
    if crop == "none":
        aspect = width / height
        if not (
            _within(width, seen.width, _FAR_SIZE)
            and _within(height, seen.height, _FAR_SIZE)
            and _within(aspect, seen.aspect, _FAR_ASPECT)
        ):
            found["size"] = f"{width} × {height} px, trained on {_range(seen.width)} × {_range(seen.height)} px"
    if face:
        if face.width < _SMALL_FACE:
            found["small_face"] = f"small face ({face.width:.0f} px)"
        if abs(face.turn) > _TURNED:
            found["turned"] = "turned"
    look = Look.of(prepared)
    unlike = [
        words[value > low]
        for name, words in _WORDS.items()
        for value, (low, high) in [(getattr(look, name), getattr(seen, name))]
        if not low - _FAR * (high - low) <= value <= high + _FAR * (high - low) and words[value > low]
    ]
    if unlike:
        found["unlike"] = f"{' and '.join(unlike)} than the training images"
    if uncertain[0] < probability < uncertain[1]:
        found["uncertain"] = "uncertain"
    return found


def in_words(found: dict[Kind, str]) -> str:
    """Put warnings into one line, "" if there are none."""
    return "; ".join(found.values())


def _within(value: float, trained: Range, factor: float) -> bool:
    return trained[0] / factor <= value <= trained[1] * factor


def _range(ends: tuple[int, int]) -> str:
    return str(ends[0]) if ends[0] == ends[1] else f"{ends[0]} to {ends[1]}"

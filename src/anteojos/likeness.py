"""Is a picture like those that a model was trained on? Where it is not, its label is worth less."""

from typing import Literal, get_args

from anteojos.card import Seen

Kind = Literal["no_canvas", "size", "uncertain"]
KINDS: tuple[Kind, ...] = get_args(Kind)

# Over twice as small, and what the network sees is mostly made up by the resizing; over twice as large, and most of
# the picture's detail is gone.
_FAR_SIZE = 2.0
# Every picture is squeezed into a square. Networks that are trained to bear it are trained up to 4:3 (C. Szegedy et
# al., "Going Deeper with Convolutions", 2015).
_FAR_ASPECT = 4 / 3


def warnings(
    seen: Seen, *, width: int, height: int, canvas: bool, probability: float, uncertain: tuple[float, float]
) -> dict[Kind, str]:
    """Say, by kind and in a few words, why the label of a picture should not be relied on; nothing where it may be.

    `width` and `height`, in px, are those of the picture as it came, and `canvas` is whether a face panel stood out of
    a white canvas in it. A canvas is expected where more than half of the training pictures had one. `probability` is
    that of the first class; between the two of `uncertain`, and not at them, the model does not know.
    """
    found: dict[Kind, str] = {}
    if seen.canvas > 0.5 and not canvas:
        found["no_canvas"] = "no canvas"
    if (
        _is_far(width, seen.width, _FAR_SIZE)
        or _is_far(height, seen.height, _FAR_SIZE)
        or _is_far(width / height, seen.aspect, _FAR_ASPECT)
    ):
        trained = f"{_range(seen.width)} × {_range(seen.height)} px"
        found["size"] = f"{width} × {height} px, trained on {trained}"
    if uncertain[0] < probability < uncertain[1]:
        found["uncertain"] = "uncertain"
    return found


def in_words(found: dict[Kind, str]) -> str:
    """Put warnings into one line, "" where there are none."""
    return "; ".join(found.values())


def _is_far(value: float, trained: tuple[float, float], factor: float) -> bool:
    return value * factor < trained[0] or value > trained[1] * factor


def _range(ends: tuple[int, int]) -> str:
    return str(ends[0]) if ends[0] == ends[1] else f"{ends[0]} to {ends[1]}"

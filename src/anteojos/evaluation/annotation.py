"""Copies of images with a box and a label for each face."""

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING

from PIL import Image, ImageDraw

from anteojos.evaluation.captions import Text
from anteojos.images import decoding
from anteojos.model.probability import as_text

if TYPE_CHECKING:
    from anteojos.model.classifier import Prediction

# The colours of the first and of the second class, which colour-blind people can distinguish. Source: M. Okabe and
# K. Ito, "Color Universal Design", 2008.
_COLOURS = ("#0072b2", "#d55e00")
_TEXT = "white"


def suffix_of(suffix: str) -> str:
    """Return what is added to the file name of a copy: nothing for JPEG and PNG, ".png" for other formats."""
    return "" if decoding.FORMATS.get(suffix.lower()) in ("JPEG", "PNG") else ".png"


def annotate(image: Image.Image, predictions: Sequence["Prediction"], first_label: str, suffix: str) -> bytes:
    """Draw a box around each face with its label and probability; return the encoded copy of the image.

    `image` is RGB and upright, from a file with that `suffix`. Boxes of the class `first_label` have another colour.
    The copy has no metadata. The label of a whole image is in its upper left corner.
    """
    image = image.copy()
    draw = ImageDraw.Draw(image)
    for prediction in predictions:
        colour = _COLOURS[0 if prediction.label == first_label else 1]
        left, top, right, bottom = prediction.face.box if prediction.face else (0, 0, *image.size)
        size = min(max(12, (right - left) / 8, min(image.size) / 50), max(12, image.width / 12))
        text, line = Text(f"{prediction.name} {as_text(prediction.probability, 2)}", size), max(2, round(size / 8))
        draw.rectangle((left, top, right, bottom), outline=colour, width=line)
        # The label is above the box if there is room, or else in its upper part, and never beyond the right edge.
        x0, y0, x1, y1 = text.box
        width, height = x1 - x0 + 2 * line, y1 - y0 + 2 * line
        x, y = max(0, min(left, image.width - width)), top - height if top >= height else max(0, top)
        draw.rectangle((x, y, x + width, y + height), fill=colour)
        text.draw(draw, (x + line - x0, y + line - y0), _TEXT)
    encoded = io.BytesIO()
    if decoding.FORMATS.get(suffix.lower()) == "JPEG":
        image.save(encoded, "JPEG", quality=92)
    else:
        image.save(encoded, "PNG")
    return encoded.getvalue()

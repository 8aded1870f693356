"""Label an image in a process of the service's pool.

Processes, because threads would wait for the GIL, and because a decoder that crashes ends one process and not the
service.
"""

import io
import os
import signal
import traceback
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from anteojos.images.decoding import FORMATS
from anteojos.labelling import inference, writing
from anteojos.labelling.writing import Row
from anteojos.model.classifier import Classifier
from anteojos.runtime.processes import end_with_parent
from anteojos.runtime.quiet import quiet_libraries

_OPTIONS = inference.Options(threshold=None, uncertain=None, whole=False, annotate=False)
_classifier: Classifier
_max_pixels: int


@dataclass(frozen=True)
class Answer:
    """The rows of an image. `traceback` is that of an unexpected error, for the log."""

    rows: list[Row]
    traceback: str = ""


def begin(classifier: Classifier, max_pixels: int) -> None:
    """Set up this process."""
    global _classifier, _max_pixels
    # Ctrl-C reaches all processes. The parent finishes the running requests first.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    end_with_parent()
    # Libraries write about damaged images to stderr, where the log of the service is.
    quiet_libraries()
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    _classifier, _max_pixels = classifier, max_pixels


def label(name: str, data: bytes) -> Answer:
    """Return the rows of `anteojos predict --format jsonl` for an image file; damaged input never raises."""
    found, trace = inference.Labelled(Path(), error=_too_large(data)), ""
    if not found.error:
        try:
            found = inference.label_data(_classifier, _OPTIONS, (Path(), data))
        except Exception:
            found, trace = inference.Labelled(Path(), error="this image cannot be processed"), traceback.format_exc()
    return Answer([row | {"file": name} for row in writing.rows(found)], trace)


def _too_large(data: bytes) -> str:
    """Return the reason if an image has too many pixels, before they are decoded; "" if not."""
    try:
        with Image.open(io.BytesIO(data), formats=sorted(set(FORMATS.values()))) as image:
            width, height = image.size
    except Exception:
        return ""  # decoding reports it
    if width * height <= _max_pixels:
        return ""
    return f"too large: {width} × {height} px, at most {_max_pixels:,} pixels"


def probe(size: int) -> str:
    """Return an error if this process cannot label an image of `size` px, which it thereby prepares for the first."""
    blank = io.BytesIO()
    Image.new("RGB", (size, size), "grey").save(blank, "PNG")
    return label("", blank.getvalue()).rows[0]["error"] or ""

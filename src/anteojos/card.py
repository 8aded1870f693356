"""What a model must be told with its pictures, kept inside its file."""

import json
import zipfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

from anteojos.outputs import ZIP_EPOCH

if TYPE_CHECKING:
    # Checking params.yaml takes pydantic, which takes longer to import than a picture to label.
    from anteojos.params import Crop

_ENTRY = "anteojos.json"


@dataclass(frozen=True)
class Seen:
    """What the training pictures were like before they were cropped and resized.

    `canvas` is the share of them in which a face panel stood out of a white canvas. `width` and `height`, in px, and
    `aspect`, width through height, are from the least to the most.
    """

    canvas: float
    width: tuple[int, int]
    height: tuple[int, int]
    aspect: tuple[float, float]


@dataclass(frozen=True)
class Card:
    """The class folders, `labels`, and what people are shown for them, `names`, the first class first; the `crop`.

    `seen` is what a picture can be compared with.

    It stands in the .tflite file as TensorFlow Lite's metadata keeps its files: in a zip behind the model, which
    interpreters pass over. Source: TensorFlow Lite metadata, "Associated files".
    """

    labels: tuple[str, str]
    names: tuple[str, str]
    crop: "Crop"
    seen: Seen

    def attach(self, model: Path) -> None:
        """Put the card into a .tflite file."""
        with zipfile.ZipFile(model, "a") as attached:
            entry = zipfile.ZipInfo(_ENTRY, ZIP_EPOCH)
            attached.writestr(entry, json.dumps(asdict(self), ensure_ascii=False, indent=2))

    @classmethod
    def read(cls, model: Path) -> Self:
        """Read the card of a .tflite file.

        Raises ValueError where there is none or it is of an older anteojos, OSError where there is no file.
        """
        try:
            with zipfile.ZipFile(model) as attached:
                card = json.loads(attached.read(_ENTRY))
        except (zipfile.BadZipFile, KeyError) as error:
            raise ValueError(f"no card is attached: {error}") from error
        try:
            seen = card["seen"]
            return cls(
                tuple(card["labels"]),
                tuple(card["names"]),
                card["crop"],
                Seen(seen["canvas"], tuple(seen["width"]), tuple(seen["height"]), tuple(seen["aspect"])),
            )
        except (KeyError, TypeError) as error:
            raise ValueError(f"its card is of another version of anteojos: {error}") from error

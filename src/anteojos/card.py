"""What a model must be told with its pictures, kept inside its file."""

import json
import zipfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

from anteojos.outputs import ZIP_EPOCH
from anteojos.params import Crop

_ENTRY = "anteojos.json"


@dataclass(frozen=True)
class Card:
    """The class folders, `labels`, and what people are shown for them, `names`, the first class first; the `crop`.

    It stands in the .tflite file as TensorFlow Lite's metadata keeps its files: in a zip behind the model, which
    interpreters pass over. Source: TensorFlow Lite metadata, "Associated files".
    """

    labels: tuple[str, str]
    names: tuple[str, str]
    crop: Crop

    def attach(self, model: Path) -> None:
        """Put the card into a .tflite file."""
        with zipfile.ZipFile(model, "a") as attached:
            entry = zipfile.ZipInfo(_ENTRY, ZIP_EPOCH)
            attached.writestr(entry, json.dumps(asdict(self), ensure_ascii=False, indent=2))

    @classmethod
    def read(cls, model: Path) -> Self:
        """Read the card of a .tflite file. Raises ValueError where there is none, OSError where there is no file."""
        try:
            with zipfile.ZipFile(model) as attached:
                card = json.loads(attached.read(_ENTRY))
            return cls(tuple(card["labels"]), tuple(card["names"]), card["crop"])
        except (zipfile.BadZipFile, KeyError, TypeError) as error:
            raise ValueError(f"no card is attached: {error}") from error

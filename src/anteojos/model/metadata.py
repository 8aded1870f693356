"""What inference needs beside the network: class names, crop, training statistics and detector, in the model's file."""

import json
import zipfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Self

from anteojos.model.statistics import Seen
from anteojos.runtime.outputs import ZIP_EPOCH
from anteojos.vocabulary import Crop

_ENTRY = "anteojos.json"
_DETECTOR = "face_detection/"  # folder of the detector's models, and of their licence notice
_NOTICE = f"{_DETECTOR}NOTICE"


@dataclass(frozen=True)
class Card:
    """The class folders, `labels`, and what people are shown for them, `names`, the first class first; the `crop`.

    `seen` is what the training images were like. `detector` has the models that find faces, by file name, and `notice`
    their licence notice; both are empty if `crop` is "none".

    All of it is in the .tflite file as TensorFlow Lite's metadata keeps its files: in a zip behind the network, which
    interpreters ignore. Source: TensorFlow Lite metadata, "Associated files".
    """

    labels: tuple[str, str]
    names: tuple[str, str]
    crop: Crop
    seen: Seen
    detector: Mapping[str, bytes] = field(default_factory=dict)
    notice: str = ""

    def attach(self, model: Path) -> None:
        """Put the card into a .tflite file."""
        facts = {"labels": self.labels, "names": self.names, "crop": self.crop, "seen": asdict(self.seen)}
        with zipfile.ZipFile(model, "a") as attached:

            def write(name: str, data: str | bytes) -> None:
                attached.writestr(zipfile.ZipInfo(name, ZIP_EPOCH), data)

            write(_ENTRY, json.dumps(facts, ensure_ascii=False, indent=2))
            for name, data in self.detector.items():
                write(_DETECTOR + name, data)
            if self.notice:
                write(_NOTICE, self.notice + "\n")

    @classmethod
    def read(cls, model: Path) -> Self:
        """Read the card of a .tflite file.

        Raises ValueError where there is none or it is of an older anteojos, OSError where there is no file.
        """
        try:
            with zipfile.ZipFile(model) as attached:
                facts = json.loads(attached.read(_ENTRY))
                files = {name: attached.read(name) for name in attached.namelist() if name.startswith(_DETECTOR)}
        except (zipfile.BadZipFile, KeyError) as error:
            raise ValueError(f"no card is attached: {error}") from error
        notice = files.pop(_NOTICE, b"").decode().rstrip("\n")
        try:
            return cls(
                tuple(facts["labels"]),
                tuple(facts["names"]),
                facts["crop"],
                Seen(**{name: tuple(ends) for name, ends in facts["seen"].items()}),
                {name.removeprefix(_DETECTOR): data for name, data in files.items()},
                notice,
            )
        except (KeyError, TypeError) as error:
            raise ValueError(f"its card is of another version of anteojos: {error}") from error

"""The metadata of a model, stored inside its file."""

import json
import zipfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import BinaryIO, Self

from anteojos.model.statistics import TrainingRanges, Values
from anteojos.runtime.outputs import ZIP_EPOCH
from anteojos.vocabulary import Crop

_ENTRY = "anteojos.json"
_DETECTOR = "face_detection/"  # folder of the face detection models and their licence notice
_NOTICE = f"{_DETECTOR}NOTICE"


@dataclass(frozen=True, kw_only=True)
class Metadata:
    """What inference needs besides the network.

    `labels` are the class folders and `names` their display names, the first class first. An image gets the label of
    the first class if its probability is at least `threshold`, and a warning if it is between the two of `uncertain`.
    `ranges` describes the training images, and `samples` has values of the same statistics and of others, for
    evaluation.drift. `detector` has the face detection models by file name, and `notice` their licence notice; both are
    empty if `crop` is "none".

    It is stored as TensorFlow Lite stores its metadata: as a zip at the end of the .tflite file, which interpreters
    ignore. Source: TensorFlow Lite metadata, "Associated files".
    """

    labels: tuple[str, str]
    names: tuple[str, str]
    crop: Crop
    threshold: float
    uncertain: tuple[float, float]
    ranges: TrainingRanges
    samples: Values = field(default_factory=dict)
    detector: Mapping[str, bytes] = field(default_factory=dict)
    notice: str = ""

    def attach(self, model: Path) -> None:
        """Add the metadata to a .tflite file that has none."""
        values = {name: value for name, value in asdict(self).items() if name not in ("detector", "notice")}
        files = {_ENTRY: json.dumps(values, ensure_ascii=False).encode()}
        files |= {_DETECTOR + name: data for name, data in self.detector.items()}
        if self.notice:
            files[_NOTICE] = f"{self.notice}\n".encode()
        with zipfile.ZipFile(model, "a") as attached:
            for name, data in files.items():
                attached.writestr(zipfile.ZipInfo(name, ZIP_EPOCH), data)

    @classmethod
    def read(cls, model: Path | BinaryIO) -> Self:
        """Read the metadata of a .tflite file.

        Raises ValueError if it has none, or that of another version of anteojos; OSError if there is no file.
        """
        try:
            with zipfile.ZipFile(model) as attached:
                values = json.loads(attached.read(_ENTRY))
                files = {name: attached.read(name) for name in attached.namelist() if name.startswith(_DETECTOR)}
        except (zipfile.BadZipFile, KeyError) as error:
            raise ValueError(f"it has no metadata: {error}") from error
        notice = files.pop(_NOTICE, b"").decode().rstrip("\n")
        try:
            return cls(
                labels=tuple(values["labels"]),
                names=tuple(values["names"]),
                crop=values["crop"],
                threshold=values["threshold"],
                uncertain=tuple(values["uncertain"]),
                ranges=TrainingRanges.from_json(values["ranges"]),
                samples=values["samples"],
                detector={name.removeprefix(_DETECTOR): data for name, data in files.items()},
                notice=notice,
            )
        except (KeyError, TypeError) as error:
            raise ValueError(f"its metadata is of another version of anteojos: {error}") from error

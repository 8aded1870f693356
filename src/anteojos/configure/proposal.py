"""Choose parameters for a dataset, and write them to params.yaml."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from anteojos.configure import params_file
from anteojos.configure.inspection import Inspection
from anteojos.params import ELSEWHERE, Params
from anteojos.runtime import checkout
from anteojos.runtime.errors import InputError
from anteojos.runtime.names import comparable
from anteojos.runtime.outputs import replacing
from anteojos.sources.http import is_url
from anteojos.vocabulary import Crop, Network

SPLIT = {"validate": 0.2, "test": 0.1, "seed": 2024}  # if params.yaml has none
# For whole images, FOR_WHOLE_IMAGES replaces ONLY_FACES, which sees only the band around the eyes.
FOR_WHOLE_IMAGES: Network = "deep"
ONLY_FACES: Network = "edge"
# Faces are aligned if they are found in at least this share of the images of each class.
MOST = 0.9
# Or in at least HALF of the images, if the shares of both classes differ by at most ALIKE. With a larger difference,
# the label could be predicted from whether an image is cropped.
HALF, ALIKE = 0.5, 0.1


@dataclass(frozen=True)
class Proposal:
    """New parameters: `text` is the new text of params.yaml, `before` the old one."""

    before: str
    text: str
    path: Path

    @property
    def has_changes(self) -> bool:
        """Whether the new text differs from the old one."""
        return self.text != self.before

    def write(self) -> None:
        """Replace params.yaml."""
        with replacing(self.path) as path:
            path.write_text(self.text, encoding="utf-8")


def find_checkout(here: Path) -> Path:
    """Return the folder that contains params.yaml and dvc.yaml: `here` or the nearest folder above it."""
    if found := checkout.find(here):
        return found
    raise InputError(f"{checkout.PARAMS}: No such file or directory", advice=ELSEWHERE)


def stored_location(location: str, root: Path) -> str:
    """Return a location for stages, which run in the checkout `root`: a URL, an absolute path, or one relative to it.

    Raises InputError if it contains the checkout or is in its folder data/.
    """
    if is_url(location):
        return location
    given = Path(location).expanduser()
    path = Path(os.path.abspath(given))  # noqa: PTH100, does not resolve links
    real, root = path.resolve(), root.resolve()
    if root.is_relative_to(real) or real.is_relative_to(root / "data"):
        raise InputError(
            f"{location}: contains the checkout, or is written by the pipeline",
            advice="Name a folder that contains only your images.",
        )
    if given.is_absolute() and not real.is_relative_to(root):
        return path.as_posix()
    return Path(os.path.relpath(real if real.is_relative_to(root) else path, root)).as_posix()


def crop_for(shares: Mapping[str, float]) -> tuple[Crop, Literal["fail", "whole"] | None]:
    """Return `preprocess.crop` and `no_face` for the shares of images with a face. None: do not change `no_face`."""
    low, high = min(shares.values()), max(shares.values())
    if low == 1:
        return "face", "fail"
    if low >= MOST or (low >= HALF and high - low <= ALIKE):
        return "face", "whole"
    return "none", None


def propose(inspection: Inspection, location: str, root: Path) -> Proposal:
    """Return the parameters for a dataset. Raises InputError for a wrong params.yaml or a forbidden class name."""
    path = root / checkout.PARAMS
    params = Params.load(path)
    known = {comparable(each.folder): each.name for each in params.dataset.classes}
    crop, no_face = crop_for(inspection.face_shares)
    changes: dict[str, Any] = {
        "dataset.source": "archive",
        "dataset.archive": stored_location(location, root),
        "dataset.sha256": inspection.sha256,
        "dataset.test_labels": None,
        "dataset.classes": [
            {"folder": label, "name": known.get(comparable(label), label)} for label in inspection.labels
        ],
        "dataset.ignored": list(inspection.ignored),
        "dataset.expected": None,
        "preprocess.crop": crop,
    }
    if params.dataset.split is None and not inspection.is_split:
        changes["dataset.split"] = SPLIT
    if no_face:
        changes["preprocess.no_face"] = no_face
    if crop == "none" and params.train.network == ONLY_FACES:
        changes["train.network"] = FOR_WHOLE_IMAGES
    before = path.read_text(encoding="utf-8")
    text = params_file.changed(before, changes)
    try:
        Params.parse(text, path)
    except InputError as error:
        advice = "Rename these folders, or choose two others with --classes."
        raise InputError(f"{location}: cannot be configured", error.problems, advice) from error
    return Proposal(before, text, path)

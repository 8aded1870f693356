"""Write many images for benchmarks: drawn faces, and copies with the same pixels and other bytes."""

import io
import itertools
from pathlib import Path

import numpy as np
import yaml
from PIL import Image

from anteojos.params import Params
from anteojos.sources import drawing
from anteojos.vocabulary import SPLITS

DRAWN, PHOTOGRAPHS = 400, 16  # different images
LARGE = (4000, 3000)  # px, as a phone takes it


def make(folder: Path, count: int, photographs: bool = False) -> None:
    """Write `count` images of 160 px to `folder`/data/raw, and `folder`/params.yaml, which expects them.

    Most are in `test`, which `predict` labels. Copies of a face are in the same split, because duplicates in other
    splits are errors. With `photographs`, the images are photographs of LARGE px.
    """
    params = yaml.safe_load(Path("params.yaml").read_text(encoding="utf-8"))
    first, second = Params.load().dataset.labels
    raw = folder / "data/raw"
    raw.mkdir(parents=True)
    drawn = min(PHOTOGRAPHS if photographs else DRAWN, count)
    shares = {"train": drawn // 8, "validate": drawn // 8, "test": drawn - 2 * (drawn // 8)}
    of_class = {split: {first: share - share // 2, second: share // 2} for split, share in shares.items()}
    drawing.draw_dataset(raw, seed=1, expected=of_class)
    (raw / "test_labels.csv").unlink()
    faces = sorted(raw.rglob("*.jpg"))
    if photographs:
        for face in faces:
            with Image.open(face) as image:
                face.write_bytes(photograph([image.resize((1500, 1500), Image.Resampling.BICUBIC)]))
    data = [face.read_bytes() for face in faces]
    for number, (face, jpeg) in zip(range(count - drawn), itertools.cycle(zip(faces, data, strict=True))):
        face.with_name(f"{face.stem}-copy-{number}.jpg").write_bytes(changed(jpeg, number))
    # Test images are not in class folders, so only their total is checked.
    params["dataset"]["expected"] = {
        split: {
            first: len(list((raw / split / (first if split != "test" else "")).glob("*.jpg"))),
            second: len(list((raw / split / second).glob("*.jpg"))),
        }
        for split in SPLITS
    }
    params["dataset"]["drawn"] = None
    params["dataset"]["near_duplicate_bits"] = 0  # many drawn faces are similar
    params["preprocess"] |= {"crop": "face", "no_face": "whole"}
    (folder / "params.yaml").write_text(yaml.safe_dump(params), encoding="utf-8")


def photograph(faces: list[Image.Image]) -> bytes:
    """Return a JPEG of LARGE px that shows up to 12 `faces` in front of a blurred background."""
    background = np.random.default_rng(0).integers(40, 220, (30, 40, 3), dtype=np.uint8)
    large = Image.fromarray(background).resize(LARGE, Image.Resampling.BICUBIC)
    for number, face in enumerate(faces):
        large.paste(face, (120 + number % 4 * 950, 60 + number // 4 * 950))
    file = io.BytesIO()
    large.save(file, "JPEG", quality=90)
    return file.getvalue()


def changed(jpeg: bytes, number: int) -> bytes:
    """Return a JPEG with a comment: other bytes, same pixels."""
    comment = str(number).encode()
    return jpeg[:2] + b"\xff\xfe" + (len(comment) + 2).to_bytes(2, "big") + comment + jpeg[2:]

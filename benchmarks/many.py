"""Write many images for benchmarks: drawn faces, and copies with the same pixels and other bytes."""

import itertools
from pathlib import Path

import yaml

from anteojos.params import Params
from anteojos.sources import drawing
from anteojos.vocabulary import SPLITS

DRAWN = 400  # different faces


def make(folder: Path, count: int) -> None:
    """Write `count` images of 160 px to `folder`/data/raw, and `folder`/params.yaml, which expects them.

    Most are in `train`. Copies of a face are in the same split, because duplicates in other splits are errors.
    """
    params = yaml.safe_load(Path("params.yaml").read_text(encoding="utf-8"))
    first, second = Params.load().dataset.labels
    raw = folder / "data/raw"
    raw.mkdir(parents=True)
    drawn = min(DRAWN, count)
    shares = {"train": drawn - 2 * (drawn // 8), "validate": drawn // 8, "test": drawn // 8}
    of_class = {split: {first: share - share // 2, second: share // 2} for split, share in shares.items()}
    drawing.draw_dataset(raw, seed=1, expected=of_class)
    (raw / "test_labels.csv").unlink()
    faces = sorted(raw.rglob("*.jpg"))
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
    # The programs that ours is compared with do not detect faces.
    params["preprocess"]["crop"] = "none"
    params["dataset"]["near_duplicate_bits"] = 0  # many drawn faces are similar
    (folder / "params.yaml").write_text(yaml.safe_dump(params), encoding="utf-8")


def changed(jpeg: bytes, number: int) -> bytes:
    """Return a JPEG with a comment: other bytes, same pixels."""
    comment = str(number).encode()
    return jpeg[:2] + b"\xff\xfe" + (len(comment) + 2).to_bytes(2, "big") + comment + jpeg[2:]

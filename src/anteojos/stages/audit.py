"""Check whether the label can be predicted without the face, on the arrays that the network will see."""

import sys
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pandas as pd

from anteojos.evaluation import leak, leak_sheet
from anteojos.images import decoding, detector, manifest
from anteojos.params import Params
from anteojos.runtime.errors import InputError
from anteojos.runtime.outputs import replacing, write_json
from anteojos.runtime.runner import run
from anteojos.vocabulary import Pixels

RAW, PROCESSED = Path("data/raw"), Path("data/processed")
IMAGE = Path("metrics/plots/leak.png")


def main() -> None:
    """Run the stage."""
    params = Params.load()
    audit, dataset = params.audit, params.dataset
    rows, images = load()
    found = leak.probes(
        images,
        rows["label"],
        file_facts(rows["file"]),
        border=audit.border,
        accuracy=audit.accuracy,
        p_value=audit.p_value,
    )
    stops = audit.on_leak == "fail" and found["border"].verdict == "leak"
    image = "" if stops else str(IMAGE)
    crop = params.preprocess.crop
    shows_faces = found["border"].verdict == "leak" and crop == "none" and detector.show_faces(images)
    paragraphs = leak.explain(found, dataset.names, audit.border, crop, shows_faces, image)
    if stops:
        raise InputError(
            paragraphs[0],
            paragraphs[1:],
            f"`anteojos audit {RAW} --crop {crop} --border {audit.border} --image leak.png` "
            "draws it; `audit.on_leak: warn` in params.yaml trains all the same.",
        )
    for paragraph in paragraphs:
        print(f"warning (leak): {paragraph}", file=sys.stderr)
    with replacing(IMAGE) as path:
        first = (rows["label"] == dataset.labels[0]).to_numpy()
        leak_sheet.draw(images, first, dataset.names, found["border"], audit.border).save(path)
    write_json(Path("metrics/audit.json"), {name: asdict(probe) for name, probe in found.items()})
    with replacing(Path("data/audited.txt")) as path:
        path.write_text("What the audit found is in metrics/audit.json.\n", encoding="utf-8")


def load() -> tuple[pd.DataFrame, list[Pixels]]:
    """Map the images of train and validate, or a sample of very many, with file and label of each."""
    rows = pd.concat([manifest.read(PROCESSED / split / "index.csv") for split in ("train", "validate")])
    train, validate = (np.load(PROCESSED / split / "images.npy", mmap_mode="r") for split in ("train", "validate"))
    chosen = leak.sample(len(rows))
    # Each a view of the memory map: read when it is looked at, not held.
    images = [train[row] if row < len(train) else validate[row - len(train)] for row in chosen]
    return rows.iloc[chosen], images


def file_facts(files: pd.Series) -> dict[str, pd.Series]:
    """Return properties of the files by name, with a value for each of `files`."""
    table = manifest.read(Path("data/manifest.csv")).set_index("file").loc[files.to_list()]
    quantisation = [decoding.encoding((RAW / file).read_bytes()) for file in files]
    return {**{name: table[name] for name in ("width", "height", "bytes")}, "quantisation": pd.Series(quantisation)}


if __name__ == "__main__":
    run(main)

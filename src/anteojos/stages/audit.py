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
    rows, images = load()
    found = leak.probes(
        images,
        rows["label"],
        file_facts(rows["file"]),
        border=params.audit.border,
        accuracy=params.audit.accuracy,
        p_value=params.audit.p_value,
    )
    report(found, images, params)
    with replacing(IMAGE) as path:
        first = (rows["label"] == params.dataset.labels[0]).to_numpy()
        leak_sheet.draw(images, first, params.dataset.names, found["border"], params.audit.border).save(path)
    write_json(Path("metrics/details/audit.json"), {name: asdict(probe) for name, probe in found.items()})
    border = {name: getattr(found["border"], name) for name in ("accuracy", "p_value", "verdict")}
    others = [name for name, probe in found.items() if name != "border" and probe.verdict == "leak"]
    write_json(Path("metrics/audit.json"), {"border": border, "other_leaks": ", ".join(others) or "none"})
    with replacing(Path("data/audited.txt")) as path:
        path.write_text("What the audit found is in metrics/details/audit.json.\n", encoding="utf-8")


def load() -> tuple[pd.DataFrame, list[Pixels]]:
    """Return the index rows and the images of train and validate, or of a sample if there are very many.

    Each image is a view of a memory map, so it is only read when it is used.
    """
    rows = pd.concat([manifest.read(PROCESSED / split / "index.csv") for split in ("train", "validate")])
    train, validate = (np.load(PROCESSED / split / "images.npy", mmap_mode="r") for split in ("train", "validate"))
    chosen = leak.sample(len(rows))
    images = [train[row] if row < len(train) else validate[row - len(train)] for row in chosen]
    return rows.iloc[chosen], images


def file_facts(files: pd.Series) -> dict[str, pd.Series]:
    """Return properties of files by name, such as "width", with a value for each file."""
    table = manifest.read(Path("data/manifest.csv")).set_index("file").loc[files.to_list()]
    quantisation = [decoding.encoding((RAW / file).read_bytes()) for file in files]
    return {**{name: table[name] for name in ("width", "height", "bytes")}, "quantisation": pd.Series(quantisation)}


def report(found: dict[str, leak.Probe], images: list[Pixels], params: Params) -> None:
    """Print a warning for each leak; raise InputError if the border leaks and audit.on_leak is `fail`."""
    crop, border = params.preprocess.crop, params.audit.border
    leaks = found["border"].verdict == "leak"
    stops = leaks and params.audit.on_leak == "fail"
    faces = leaks and crop == "none" and detector.show_faces(images)
    paragraphs = leak.explain(found, params.dataset.names, border, crop, faces, "" if stops else str(IMAGE))
    if stops:
        raise InputError(
            paragraphs[0],
            paragraphs[1:],
            f"To see it, run `anteojos audit {RAW} --crop {crop} --border {border} --image leak.png`. "
            "To train anyway, set `audit.on_leak: warn` in params.yaml.",
        )
    for paragraph in paragraphs:
        print(f"warning (leak): {paragraph}", file=sys.stderr)


if __name__ == "__main__":
    run(main)

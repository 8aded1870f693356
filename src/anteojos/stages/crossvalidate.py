"""Label the images of train and validate with networks that were trained without them, for `evaluate`."""

import os
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt

from anteojos.params import Params
from anteojos.runtime.outputs import replacing
from anteojos.runtime.runner import run
from anteojos.vocabulary import Split

PROCESSED, CHECKPOINTS = Path("data/processed"), Path("models/.checkpoints")
SPLITS: tuple[Split, ...] = ("train", "validate")
COLUMNS = ("split", "row", "file", "label", "fold", "probability")


def main() -> None:
    """Run the stage. If evaluate.folds is 0, write a table without rows, and import neither pandas nor TensorFlow."""
    params = Params.load()
    with replacing(Path("data/crossvalidation.csv")) as path:
        if params.evaluate.folds:
            write_crossvalidation(params, path)
        else:
            path.write_text(",".join(COLUMNS) + "\n", encoding="utf-8")


def write_crossvalidation(params: Params, path: Path) -> None:
    """Write a row for each image of train and validate, with `row`, its row in the arrays of its split."""
    import pandas as pd

    from anteojos.images import manifest

    tables = {split: manifest.read(PROCESSED / split / "index.csv", ("file", "label")) for split in SPLITS}
    index = pd.concat([table.assign(split=split, row=table.index) for split, table in tables.items()])
    fold, probability = crossvalidate(index["file"].tolist(), params)
    manifest.write(index.assign(fold=fold, probability=probability)[list(COLUMNS)], path)


def crossvalidate(files: list[str], params: Params) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.float32]]:
    """Return the fold and the probability of the first class, each (N,), for the images of train and validate."""
    # Train the networks on this machine alone.
    os.environ.pop("TF_CONFIG", None)
    from anteojos.images import manifest
    from anteojos.model import batches, checkpoints, crossvalidation
    from anteojos.model.recipes import recipe_for

    parts = [batches.load(PROCESSED / split, params.dataset.labels[0]) for split in SPLITS]
    images, first = (np.concatenate([getattr(part, name) for part in parts]) for name in ("images", "first"))
    both = batches.LabelledImages(images, first)
    table = manifest.read(Path("data/manifest.csv"), ("file", "dhash")).set_index("file")["dhash"]
    hashes = np.array([int(dhash, 16) for dhash in table.loc[files]], dtype=np.uint64)
    count, seed = params.evaluate.folds, params.train.seed
    folds = crossvalidation.assign_folds(both.first, hashes, params.dataset.near_duplicate_bits, count, seed)

    folders = [PROCESSED / split for split in SPLITS]
    key = checkpoints.key(folders, params.train, recipe_for(params.train, both.counts))
    checkpoint_of = [CHECKPOINTS / f"{key}-{number + 1}-of-{count}.npz" for number in range(count)]
    on_fold = partial(print_fold, both.first, folds)
    probability = crossvalidation.label(both, folds, params.train, checkpoint_of.__getitem__, on_fold)
    for path in checkpoint_of:
        path.unlink()
    return folds, probability


def print_fold(
    first: npt.NDArray[np.bool_], folds: npt.NDArray[np.intp], number: int, probability: npt.NDArray[np.float32]
) -> None:
    """Print the accuracy of a fold at the threshold 0.5."""
    correct = (probability >= 0.5) == first[folds == number]
    print(f"fold {number + 1}/{folds.max() + 1}: {correct.sum()} of {len(correct)} labels are correct", flush=True)


if __name__ == "__main__":
    run(main)

"""Train the network and write it as people use it and as Keras keeps it."""

import hashlib
import json
import math
import os
import sys
from collections.abc import Iterable
from dataclasses import asdict
from functools import partial
from pathlib import Path

import numpy as np
from dvclive import Live

from anteojos.images import detector_models, manifest
from anteojos.model import tf_config, training
from anteojos.model.metadata import Card
from anteojos.model.recipes import Recipe, recipe_for
from anteojos.model.statistics import Look, Seen
from anteojos.params import Params, Train
from anteojos.runtime import environment
from anteojos.runtime.errors import InputError
from anteojos.runtime.outputs import replacing, write_json
from anteojos.runtime.runner import run
from anteojos.vocabulary import GLASSES, Pixels

# Beside the outputs and none of them: DVC removes a stage's outputs before it runs.
CHECKPOINTS = Path("models/.checkpoints")
MOST_MEASURED = 2000  # images for the statistics in the card


def main() -> None:
    """Run the stage; on several machines, in each of them, of which the chief alone writes."""
    params = Params.load()
    dataset = params.dataset
    folders = Path("data/processed/train"), Path("data/processed/validate")
    train, validate = (load(folder, dataset.labels[0]) for folder in folders)
    recipe = recipe_for(params.train, len(train.images))
    for line in doubts(params):
        print(f"warning: {line}", file=sys.stderr)
    checkpoint = CHECKPOINTS / f"{checkpoint_key(folders, params.train, recipe)}.npz"

    train_by = partial(
        training.train,
        train,
        validate,
        params.train.network,
        recipe,
        params.train.seed,
        checkpoint=checkpoint,
        timeout=params.train.timeout,
    )
    if not writes():
        train_by(on_epoch=lambda epoch: tell(epoch, recipe))
        return
    with (
        replacing(Path("metrics/history")) as folder,
        Live(str(folder), dvcyaml=None, report=None, save_dvc_exp=False) as live,
    ):
        network, history = train_by(on_epoch=lambda epoch: log(epoch, recipe, live))
    with replacing(Path("models/model.keras")) as path:
        training.save_keras(network, path)
    with replacing(Path("models/model.tflite")) as path:
        training.save_tflite(network, path)
        card_of(params, train.images).attach(path)
    best = max(history, key=lambda epoch: (epoch.validate.accuracy, -epoch.validate.loss))
    write_json(
        Path("metrics/train.json"),
        {"parameters": network.count_params(), "last": summary(history[-1]), "best": summary(best)},
    )
    checkpoint.unlink()


def doubts(params: Params) -> list[str]:
    """Return why the chosen network may not fit the data set, a line each."""
    if params.train.network != "edge":
        return []
    found = []
    if params.dataset.labels != GLASSES:
        found.append(
            f"train.network is edge, which is made for glasses and sees only the eyes and the nose; for "
            f"{' and '.join(params.dataset.labels)} it may not be suitable: try baseline or deep"
        )
    if params.preprocess.crop == "none":
        found.append(
            "train.network is edge, which expects aligned faces, but preprocess.crop is none; set preprocess.crop: "
            "face, or try baseline or deep"
        )
    return found


def writes() -> bool:
    """Return whether this machine writes outputs: of several machines, only the chief does.

    Raises InputError where DVC runs the stage on another, for it would take away the outputs and wait for them.
    """
    task = tf_config.read()
    if task is None or task.is_chief:
        return True
    if os.environ.get("DVC_STAGE"):
        raise InputError(
            f"machine {task.number + 1} of {len(task.machines)} writes no outputs: DVC can't run the stage here",
            advice="Run `PYTHONPATH=src python -m anteojos.stages.train` on it, and `dvc repro` on the chief.",
        )
    return False


def checkpoint_key(folders: Iterable[Path], params: Train, recipe: Recipe) -> str:
    """Return a name for the training with these images, parameters, code and versions, 64 hex digits.

    Training that goes on from another's checkpoint would come to weights that nobody can reproduce.
    """
    told = {
        "network": params.network,
        "seed": params.seed,
        "recipe": asdict(recipe),
        "environment": environment.describe(),
    }
    key = hashlib.sha256(json.dumps(told, sort_keys=True).encode())
    modules = (module.__file__ for name, module in sys.modules.items() if name.partition(".")[0] == "anteojos")
    code = sorted({Path(file) for file in modules if file} | {Path(__file__)})
    for file in (*code, *(folder / name for folder in folders for name in ("images.npy", "index.csv"))):
        with file.open("rb") as content:
            key.update(hashlib.file_digest(content, "sha256").digest())
    return key.hexdigest()


def load(folder: Path, first_label: str) -> training.LabelledImages:
    """Map the images of a split, with their labels."""
    index = manifest.read(folder / "index.csv")
    return training.LabelledImages(
        np.load(folder / "images.npy", mmap_mode="r"), (index["label"] == first_label).to_numpy()
    )


def card_of(params: Params, images: Pixels) -> Card:
    """Return the card of a model that was trained on the training `images`, uint8 (N, size, size, 3)."""
    crop = params.preprocess.crop
    models, notice = (detector_models.installed(), detector_models.NOTICE) if crop == "face" else ({}, "")
    return Card(params.dataset.labels, params.dataset.names, crop, seen(images), models, notice)


def seen(images: Pixels) -> Seen:
    """Measure what the training images were like; of very many, a sample spread evenly over them."""
    index = manifest.read(Path("data/processed/train/index.csv"))
    width, height = index["width"], index["height"]
    aspect = width / height
    rows = np.linspace(0, len(images) - 1, min(len(images), MOST_MEASURED)).round().astype(int)
    looks = [asdict(Look.of(images[row])) for row in rows]
    return Seen(
        width=(int(width.min()), int(width.max())),
        height=(int(height.min()), int(height.max())),
        aspect=(float(aspect.min()), float(aspect.max())),
        **{name: (min(of := [look[name] for look in looks]), max(of)) for name in looks[0]},
    )


def summary(epoch: training.Epoch) -> dict[str, float]:
    """Return the metrics of an epoch under the names that Keras uses."""
    return {
        "epoch": epoch.number,
        "loss": epoch.train.loss,
        "accuracy": epoch.train.accuracy,
        "val_loss": epoch.validate.loss,
        "val_accuracy": epoch.validate.accuracy,
    }


def log(epoch: training.Epoch, recipe: Recipe, live: Live) -> None:
    """Add an epoch to the history, and tell of it."""
    live.step = epoch.number
    for split, scores in (("train", epoch.train), ("validate", epoch.validate)):
        live.log_metric(f"{split}/loss", scores.loss)
        live.log_metric(f"{split}/accuracy", scores.accuracy)
    tell(epoch, recipe)


def tell(epoch: training.Epoch, recipe: Recipe) -> None:
    """Print an epoch in a line, or of many epochs about 20 of them."""
    every = math.ceil(recipe.epochs / 20)
    if epoch.number % every and epoch.number not in (1, recipe.epochs):
        return
    print(
        f"epoch {epoch.number:>{len(str(recipe.epochs))}}/{recipe.epochs}"
        f"  train: loss {epoch.train.loss:.4f}, accuracy {epoch.train.accuracy:.4f}"
        f"  validate: loss {epoch.validate.loss:.4f}, accuracy {epoch.validate.accuracy:.4f}",
        flush=True,
    )


if __name__ == "__main__":
    run(main, writes)

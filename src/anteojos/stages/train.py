"""Train the network, and write it for inference and for further training."""

import itertools
import json
import math
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path

from anteojos.images import manifest
from anteojos.model import batches, checkpoints, statistics, tf_config, training
from anteojos.model.inference import LiteNetwork
from anteojos.model.recipes import recipe_for
from anteojos.params import Params
from anteojos.runtime.errors import InputError
from anteojos.runtime.outputs import replacing, write_json
from anteojos.runtime.runner import run
from anteojos.vocabulary import GLASSES, Pixels

TRAIN, VALIDATE = Path("data/processed/train"), Path("data/processed/validate")
# Not an output of the stage, because DVC removes outputs before it runs a stage.
CHECKPOINTS = Path("models/.checkpoints")


def main() -> None:
    """Run the stage. To train on several machines, run it on each of them; only the chief writes outputs."""
    params = Params.load()
    train, validate = (batches.load(folder, params.dataset.labels[0]) for folder in (TRAIN, VALIDATE))
    recipe = recipe_for(params.train, train.counts)
    for warning in warnings(params):
        print(f"warning: {warning}", file=sys.stderr)
    checkpoint = CHECKPOINTS / f"{checkpoints.key((TRAIN, VALIDATE), params.train, recipe)}.npz"
    network, seed, timeout = params.train.network, params.train.seed, params.train.timeout
    fit = partial(training.train, train, validate, network, recipe, seed, checkpoint=checkpoint, timeout=timeout)
    if not writes():
        fit(on_epoch=partial(print_epoch, recipe.epochs))
        return
    trained, history = fit(on_epoch=partial(print_epoch, recipe.epochs))
    write_history(history)
    with replacing(Path("models/model.keras")) as path:
        training.save_keras(trained, path)
    with replacing(Path("models/network.tflite")) as path:
        training.save_tflite(trained, path)
        # For validate, because the probabilities of the training images are too certain.
        probability = LiteNetwork(path.read_bytes()).probabilities(validate.images)
    write_statistics(train.images, probability.tolist())
    best = max(history, key=lambda epoch: (epoch.validate.accuracy, -epoch.validate.loss))
    parameters, last = trained.count_params(), summary(history[-1])
    write_json(
        Path("metrics/details/train.json"),
        {
            "parameters": parameters,
            "class_weights": dict(zip(params.dataset.labels, recipe.class_weights, strict=True)),
            "last": last,
            "best": summary(best),
        },
    )
    compared = {"accuracy": last["accuracy"], "loss": last["loss"]}
    write_json(Path("metrics/train.json"), {"parameters": parameters, "train": compared})
    checkpoint.unlink()


def write_history(history: Sequence[training.Epoch]) -> None:
    """Write the scores of each epoch: for `dvc plots`, each curve has its own file."""
    with replacing(Path("metrics/history")) as folder:
        for split, metric in itertools.product(("train", "validate"), ("loss", "accuracy")):
            rows = (f"{epoch.number}\t{getattr(getattr(epoch, split), metric)}" for epoch in history)
            path = folder / split / f"{metric}.tsv"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("\n".join((f"epoch\t{metric}", *rows, "")), encoding="utf-8")


def write_statistics(images: Pixels, probability: list[float]) -> None:
    """Write the statistics of the training images; `probability` are the probabilities of the validation images."""
    index = manifest.read(TRAIN / "index.csv")
    values = statistics.measure_training(images, index["width"].tolist(), index["height"].tolist())
    others = {"faces": index["faces"].tolist(), "probability": probability}
    found = {
        "ranges": asdict(statistics.TrainingRanges.of(values)),
        "samples": statistics.sample({**values, **others}),
    }
    with replacing(Path("models/training_statistics.json")) as path:
        path.write_text(json.dumps(found) + "\n", encoding="utf-8")


def warnings(params: Params) -> list[str]:
    """Return a line for each reason why the network may not fit the dataset."""
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

    Raises InputError if DVC runs the stage on another machine, because DVC would expect outputs there.
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


def summary(epoch: training.Epoch) -> dict[str, float]:
    """Return the metrics of an epoch under the names that Keras uses."""
    return {
        "epoch": epoch.number,
        "loss": epoch.train.loss,
        "accuracy": epoch.train.accuracy,
        "val_loss": epoch.validate.loss,
        "val_accuracy": epoch.validate.accuracy,
    }


def print_epoch(epochs: int, epoch: training.Epoch) -> None:
    """Print an epoch on one line. If there are many epochs, print only about 20 of them."""
    if epoch.number % math.ceil(epochs / 20) and epoch.number not in (1, epochs):
        return
    print(
        f"epoch {epoch.number:>{len(str(epochs))}}/{epochs}"
        f"  train: loss {epoch.train.loss:.4f}, accuracy {epoch.train.accuracy:.4f}"
        f"  validate: loss {epoch.validate.loss:.4f}, accuracy {epoch.validate.accuracy:.4f}",
        flush=True,
    )


if __name__ == "__main__":
    run(main, writes)

"""Train on a GPU: whether it comes to what the processor comes to, twice to the same, and how much sooner.

`python benchmarks/gpu.py` trains networks on images of noise, on the processor, on the first GPU, and on that GPU as
two halves that share each batch, and writes the table in benchmarks/README.md. It needs a GPU that TensorFlow sees.
"""

import argparse
import json
import os
import platform
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import measure
from anteojos.vocabulary import Network, Precision
from readme import BENCHMARKS, write_part
from train_many import read_images, write_images

IMAGES = 2048
VALIDATE = 256
EPOCHS = 3  # in the first, TensorFlow traces the network and chooses among the GPU's algorithms
BATCH_SIZE = 256
NETWORKS: tuple[Network, ...] = ("baseline", "edge")
# The way and the precision; "halves" share each batch as two GPUs would.
RUNS: tuple[tuple[str, Precision], ...] = (
    ("processor", "float32"),
    ("GPU", "float32"),
    ("GPU", "mixed_float16"),
    ("halves", "float32"),
)


def main() -> None:
    """Train each network each way, each in a process of its own, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--train", nargs=4, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.train:
        folder, network, way, precision = options.train
        train(Path(folder), network, way, precision)
        return

    rows = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_images(folder / "images.npy", IMAGES)
        for network in NETWORKS:
            on_processor: dict[str, Any] = {}
            for way, precision in RUNS:
                measure.run([sys.executable, __file__, "--train", folder, network, way, precision])
                found = json.loads((folder / "found.json").read_text())
                on_processor = on_processor or found
                off = abs(found["loss"] - on_processor["loss"])
                rows.append(
                    (
                        f"`{network}`",
                        {"halves": "two halves of the GPU"}.get(way, f"the {way}"),
                        f"`{precision}`",
                        f"{found['images_per_second']:,.0f}",
                        f"{found['images_per_second'] / on_processor['images_per_second']:.1f}",
                        f"{off:.1e}" if way != "processor" else "",
                        f"{found['accuracy']:.3f}",
                        "yes" if found["same"] else "no",
                    )
                )
                print(rows[-1], file=sys.stderr, flush=True)
    head = (
        "network",
        "on",
        "`train.precision`",
        "images/s",
        "times the processor's",
        "first epoch's loss: off by",
        "accuracy",
        "same bytes twice",
    )
    caption = (
        f"{found['gpu']}, {platform.machine()} with {len(os.sched_getaffinity(0))} cores. {IMAGES:,} images of "
        f"noise, brighter where they are of the first class, in batches of {BATCH_SIZE}; {EPOCHS} epochs, the last one "
        "timed, with its validation; accuracy on the images that validate."
    )
    write_part("gpu", "python benchmarks/gpu.py", f"{measure.table(head, rows)}\n\n{caption}", BENCHMARKS)


def train(folder: Path, network: str, way: str, precision: str) -> None:
    """Train in this process, and leave in `folder` what came of it."""
    import tensorflow as tf

    from anteojos.model import training
    from anteojos.model.recipes import RECIPES

    config = tf.config
    gpus = config.list_physical_devices("GPU")
    if not gpus:
        raise SystemExit("TensorFlow sees no GPU here: see README.md, Good to know")
    config.set_visible_devices([] if way == "processor" else gpus[:1], "GPU")
    if way == "halves":
        half = config.LogicalDeviceConfiguration(memory_limit=8192)
        config.set_logical_device_configuration(gpus[0], [half, half])

    [name] = [known for known in get_args(Network) if known == network]
    [chosen] = [known for known in get_args(Precision) if known == precision]
    # Rescaled, for on pixels up to 255 the loss of `baseline` is in the hundreds, and so is what rounding does to it.
    recipe = replace(RECIPES[name], epochs=EPOCHS, batch_size=BATCH_SIZE, precision=chosen, rescale=True)
    images, validate = read_images(folder / "images.npy", VALIDATE)
    ends: list[float] = []
    came_to = [
        training.train(images, validate, name, recipe, 1, lambda _: ends.append(time.perf_counter())) for _ in range(2)
    ]
    history = came_to[0][1]
    found = {
        "images_per_second": len(images.images) / (ends[-1] - ends[-2]),
        "loss": history[0].train.loss,
        "accuracy": history[-1].validate.accuracy,
        "same": len({b"".join(weights.tobytes() for weights in trained.get_weights()) for trained, _ in came_to}) == 1,
        "gpu": config.experimental.get_device_details(gpus[0]).get("device_name", "a GPU"),
    }
    (folder / "found.json").write_text(json.dumps(found))


if __name__ == "__main__":
    main()

"""Compare training on a GPU with training on the CPU: speed, losses, and whether two runs give the same bytes.

`python benchmarks/gpu.py` trains networks on images of noise, on the CPU, on the first GPU, and on two halves of this
GPU that share each batch, and writes the table in benchmarks/README.md. It needs a GPU that TensorFlow can use.
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
from typing import Any

import measure
from anteojos.vocabulary import Network, Precision
from readme import BENCHMARKS, write_part
from train_many import read_images, write_images

IMAGES = 2048
VALIDATE = 256
EPOCHS = 3  # the first is slower: TensorFlow traces the network and selects algorithms for the GPU
BATCH_SIZE = 256
NETWORKS: tuple[Network, ...] = ("baseline", "edge")
# Device and precision; "halves" share each batch like two GPUs.
RUNS: tuple[tuple[str, Precision], ...] = (
    ("CPU", "float32"),
    ("GPU", "float32"),
    ("GPU", "mixed_float16"),
    ("halves", "float32"),
)


def main() -> None:
    """Train each network on each device, each in a new process, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--train", nargs=4, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.train:
        folder, network, device, precision = options.train
        train(Path(folder), network, device, precision)
        return

    rows = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_images(folder / "images.npy", IMAGES)
        for network in NETWORKS:
            on_cpu: dict[str, Any] = {}
            for device, precision in RUNS:
                measure.run([sys.executable, __file__, "--train", folder, network, device, precision])
                found = json.loads((folder / "found.json").read_text())
                on_cpu = on_cpu or found
                difference = abs(found["loss"] - on_cpu["loss"])
                rows.append(
                    (
                        f"`{network}`",
                        {"halves": "two halves of the GPU"}.get(device, f"the {device}"),
                        f"`{precision}`",
                        f"{found['images_per_second']:,.0f}",
                        f"{found['images_per_second'] / on_cpu['images_per_second']:.1f}",
                        f"{difference:.1e}" if device != "CPU" else "",
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
        "times the CPU's",
        "difference of the first loss",
        "accuracy",
        "same bytes twice",
    )
    caption = (
        f"{found['gpu']}, {platform.machine()} with {len(os.sched_getaffinity(0))} cores. {IMAGES:,} images of "
        f"noise, brighter in the first class, in batches of {BATCH_SIZE}; {EPOCHS} epochs, of which the last is timed, "
        "with validation. The difference is that of the loss of the first epoch from the loss on the CPU. The accuracy "
        "is that of the last epoch on the validation images."
    )
    write_part("gpu", "python benchmarks/gpu.py", f"{measure.table(head, rows)}\n\n{caption}", BENCHMARKS)


def train(folder: Path, network: Network, device: str, precision: Precision) -> None:
    """Train in this process, and write the results to `folder`/found.json."""
    import tensorflow as tf

    from anteojos.model import training
    from anteojos.model.recipes import RECIPES

    config = tf.config
    gpus = config.list_physical_devices("GPU")
    if not gpus:
        raise SystemExit("TensorFlow finds no GPU: see docs/how-to/cluster.md, Train on a GPU")
    config.set_visible_devices([] if device == "CPU" else gpus[:1], "GPU")
    if device == "halves":
        half = config.LogicalDeviceConfiguration(memory_limit=8192)
        config.set_logical_device_configuration(gpus[0], [half, half])

    # With pixels up to 255, the loss of `baseline` is in the hundreds, and its rounding errors are large.
    recipe = replace(RECIPES[network], epochs=EPOCHS, batch_size=BATCH_SIZE, precision=precision, rescale=True)
    images, validate = read_images(folder / "images.npy", VALIDATE)
    ends: list[float] = []
    runs = [
        training.train(images, validate, network, recipe, 1, lambda _: ends.append(time.perf_counter()))
        for _ in range(2)
    ]
    history = runs[0][1]
    found = {
        "images_per_second": len(images.images) / (ends[-1] - ends[-2]),
        "loss": history[0].train.loss,
        "accuracy": history[-1].validate.accuracy,
        "same": len({b"".join(weights.tobytes() for weights in trained.get_weights()) for trained, _ in runs}) == 1,
        "gpu": config.experimental.get_device_details(gpus[0]).get("device_name", "a GPU"),
    }
    (folder / "found.json").write_text(json.dumps(found))


if __name__ == "__main__":
    main()

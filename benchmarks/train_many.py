"""Measure memory and waiting time of training on 1,000 and on 100,000 images.

`python benchmarks/train_many.py` trains each network for one epoch on images of noise, from an array on disk like that
of the stage `preprocess`, and writes the table in benchmarks/README.md. `--images 500 1000` sets other numbers.
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, get_args

import numpy as np

import measure
from anteojos.vocabulary import Network
from readme import BENCHMARKS, record, write_part

if TYPE_CHECKING:
    from anteojos.model import batches

SIZE = 160
VALIDATE = 40
# Fractions of the images. `baseline` is slow (11 GFLOP a batch).
NETWORKS: dict[Network, float] = {"edge": 1.0, "baseline": 0.1}


def main() -> None:
    """Train on both numbers of images, each in a new process, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--images", type=int, nargs=2, default=[1000, 100_000], help="a smaller and a larger number")
    parser.add_argument("--train", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.train:
        train(Path(options.train[0]), options.train[1])
        return

    rows, per_second = [], {}
    for network, share in NETWORKS.items():
        costs = {}
        for images in (options.images[0], round(options.images[1] * share)):
            with tempfile.TemporaryDirectory() as name:
                folder = Path(name)
                write_images(folder / "images.npy", images)
                cost = measure.run([sys.executable, __file__, "--train", folder, network])
                found = json.loads((folder / "found.json").read_text())
            costs[images] = cost.mebibytes
            per_second[network] = found["images_per_second"]
            more = cost.mebibytes - next(iter(costs.values()))
            rows.append(
                (
                    f"`{network}`",
                    f"{images:,}",
                    f"{images * SIZE * SIZE * 3 / measure.MIB:,.0f}",
                    f"{cost.mebibytes:,.0f}" + (f" (+{max(more, 0):,.0f})" if len(costs) > 1 else ""),
                    f"{found['images_per_second']:,.0f}",
                    f"{found['waited']:.2%}",
                )
            )
            print(rows[-1], file=sys.stderr, flush=True)
    head = ("network", "images", "images.npy, MiB", "peak memory, MiB (goal: at most +200)", "images/s", "waiting")
    caption = (
        "One epoch in shuffled batches of 32, read from a memory map, with augmentation for `edge`. The last column is "
        "the share of the time in which a step waits for its batch, without the first step; the goal is 0. One run "
        "each. The memory is that of the whole process; TensorFlow alone takes about 1 GB."
    )
    write_part("train_many", "python benchmarks/train_many.py", f"{measure.table(head, rows)}\n\n{caption}", BENCHMARKS)
    record("train_many", {"train_per_second": per_second["baseline"]})


def write_images(path: Path, count: int) -> None:
    """Write `count` images of noise one after the other, as `preprocess` does; those of even rows are brighter."""
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 200, (64, SIZE, SIZE, 3), dtype=np.uint8)
    noise[::2] += 50
    with path.open("wb") as array:
        shape = (count, SIZE, SIZE, 3)
        np.lib.format.write_array_header_1_0(array, {"descr": "|u1", "fortran_order": False, "shape": shape})
        for row in range(count):
            array.write(noise[row % len(noise)].tobytes())


def read_images(path: Path, validate: int) -> "tuple[batches.LabelledImages, batches.LabelledImages]":
    """Return the images of `write_images` as a memory map, and the first `validate` of them in memory."""
    from anteojos.model import batches

    images = np.load(path, mmap_mode="r")
    first = np.arange(len(images)) % 2 == 0
    return batches.LabelledImages(images, first), batches.LabelledImages(np.array(images[:validate]), first[:validate])


def train(folder: Path, network: str) -> None:
    """Train for an epoch, and leave in `folder` what came of it."""
    from anteojos.model import batches, training
    from anteojos.model.recipes import RECIPES

    [name] = [known for known in get_args(Network) if known == network]
    pictures, validate = read_images(folder / "images.npy", VALIDATE)
    waited, started = 0.0, 0.0
    ahead = batches.prefetch

    def watched(tasks: Iterable[Callable[[], batches.Batch]]) -> Iterator[batches.Batch]:
        nonlocal waited, started
        batches.prefetch = ahead  # those of validate come after
        coming = ahead(tasks)
        yield next(coming)
        started = time.perf_counter()
        while True:
            asked = time.perf_counter()
            batch = next(coming, None)
            waited += time.perf_counter() - asked
            if batch is None:
                return
            yield batch

    batches.prefetch = watched
    seconds: list[float] = []
    recipe = replace(RECIPES[name], epochs=1)
    training.train(pictures, validate, name, recipe, 1, lambda _: seconds.append(time.perf_counter() - started))
    found = {
        "images_per_second": (len(pictures.images) - recipe.batch_size) / seconds[0],
        "waited": waited / seconds[0],
    }
    (folder / "found.json").write_text(json.dumps(found))


if __name__ == "__main__":
    main()

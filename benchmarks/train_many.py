"""Train on a thousand and on a hundred thousand images: how much memory it takes, and how long a step waits for them.

`python benchmarks/train_many.py` trains an epoch of each network on images of noise, in an array on disk as the stage
`preprocess` writes it, and writes the table in benchmarks/README.md. `--images 500 1000` sets other numbers.
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
    from anteojos.model import training

SIZE = 160
VALIDATE = 40
# The report's network takes so long for its 11 GFLOP a batch that a tenth of the images has to do.
NETWORKS: dict[Network, float] = {"edge": 1.0, "baseline": 0.1}


def main() -> None:
    """Train on the fewest and on the most images, each in a process of its own, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--images", type=int, nargs=2, default=[1000, 100_000], help="the fewer, the more")
    parser.add_argument("--train", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.train:
        train(Path(options.train[0]), options.train[1])
        return

    rows, per_second = [], {}
    for network, share in NETWORKS.items():
        costs = {}
        for pictures in (options.pictures[0], round(options.pictures[1] * share)):
            with tempfile.TemporaryDirectory() as name:
                folder = Path(name)
                write_images(folder / "images.npy", pictures)
                cost = measure.run([sys.executable, __file__, "--train", folder, network])
                found = json.loads((folder / "found.json").read_text())
            costs[pictures] = cost.mebibytes
            per_second[network] = found["images_per_second"]
            more = cost.mebibytes - next(iter(costs.values()))
            rows.append(
                (
                    f"`{network}`",
                    f"{pictures:,}",
                    f"{pictures * SIZE * SIZE * 3 / measure.MIB:,.0f}",
                    f"{cost.mebibytes:,.0f}" + (f" (+{max(more, 0):,.0f})" if len(costs) > 1 else ""),
                    f"{found['images_per_second']:,.0f}",
                    f"{found['waited']:.2%}",
                )
            )
            print(rows[-1], file=sys.stderr, flush=True)
    head = ("network", "images", "images.npy, MiB", "peak memory, MiB (goal: at most +200)", "images/s", "waiting")
    caption = (
        "An epoch in shuffled batches of 32, read from the memory map, and for `edge` varied on the way; the goal is "
        "that a step never waits for them. The last column is the share of all steps' time in which one did, the first "
        "of all left out. One run each; the memory is that of the whole process, TensorFlow's 1 GB and all."
    )
    write_part("train_many", "python benchmarks/train_many.py", f"{measure.table(head, rows)}\n\n{caption}", BENCHMARKS)
    record("train_many", {"train_per_second": per_second["baseline"]})


def write_images(path: Path, count: int) -> None:
    """Write `count` images of noise, brighter where their row is even, as `preprocess` does: one after the other."""
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 200, (64, SIZE, SIZE, 3), dtype=np.uint8)
    noise[::2] += 50
    with path.open("wb") as array:
        shape = (count, SIZE, SIZE, 3)
        np.lib.format.write_array_header_1_0(array, {"descr": "|u1", "fortran_order": False, "shape": shape})
        for row in range(count):
            array.write(noise[row % len(noise)].tobytes())


def read_images(path: Path, validate: int) -> "tuple[training.LabelledImages, training.LabelledImages]":
    """Return the images that `write_images` wrote, by memory map, and the first `validate` of them in memory."""
    from anteojos.model import training

    images = np.load(path, mmap_mode="r")
    first = np.arange(len(images)) % 2 == 0
    return training.LabelledImages(images, first), training.LabelledImages(
        np.array(images[:validate]), first[:validate]
    )


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

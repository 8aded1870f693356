"""Time `verify` and `preprocess` on many images against plain loops, Keras's reader and decoding alone.

`python benchmarks/prepare.py` takes turns on 1,000, 10,000 and 100,000 images, on one core and on two, and writes the
tables in benchmarks/README.md. `--images 1000 2000` sets other numbers, `--rounds` how often the turns go round (of
100,000 images and more, once).
"""

import argparse
import io
import itertools
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

import many
from anteojos.images import decoding, duplicates
from measure import Cost, in_turns, median, run, table
from readme import BENCHMARKS, record, write_part

ONCE = 100_000  # images from which one round has to do
LARGE = (4000, 3000)  # px, a photograph as a telephone takes it
SIZE, BITS = 160, 4

WAYS = Path(__file__).with_name("ways.py")
# Ours, and what it is compared with.
VERIFY = {"ours": "verify", "a": "plain_verify", "c": "decode"}
PREPROCESS = {"ours": "preprocess", "a": "plain_preprocess", "b": "keras", "c": "decode"}
STAGES = (VERIFY["ours"], PREPROCESS["ours"])
NAMES = {
    "verify": "`verify`",
    "preprocess": "`preprocess`",
    "plain_verify": "a plain Pillow loop (a): the same table",
    "plain_preprocess": "a plain Pillow loop (a): resize, into an array",
    "keras": "`image_dataset_from_directory` (b)",
    "decode": "decoding alone (c)",
}


def main() -> None:
    """Make the images, take turns, and write the tables."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--images", type=int, nargs="+", default=[1000, 10_000, 100_000])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--photographs", type=int, default=20, help="large JPEGs to decode, default: %(default)s")
    parser.add_argument("--hashes", type=int, default=100_000, help="hashes to compare, default: %(default)s")
    options = parser.parse_args()

    cores = sorted(os.sched_getaffinity(0))[:2]
    results: dict[int, dict[tuple[str, int], list[Cost]]] = {}
    for count in sorted(options.images):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            many.make(folder, count)
            jobs = {
                (way, number): partial(ran, way, folder, cores[:number])
                for number in sorted({1, len(cores)})
                for way in NAMES
            }
            results[count] = in_turns(jobs, options.rounds if count < ONCE else 1)
    parts = [
        rates(results, len(cores)),
        goals(results, len(cores)),
        memory(results, len(cores)),
        photographs(options.photographs, options.rounds),
        near_pairs(options.hashes, options.rounds),
    ]
    largest = results[max(results)]
    rates_of = {f"{way}_per_second": max(results) / median(largest[way, len(cores)]).seconds for way in STAGES}
    record("prepare", rates_of)
    write_part("prepare", "python benchmarks/prepare.py", "\n\n".join(parts), page=BENCHMARKS)


def ran(way: str, folder: Path, cores: Sequence[int]) -> Cost:
    """Go a way in `folder`, bound to `cores`; the seconds are without imports."""
    bound = ["taskset", "--cpu-list", ",".join(map(str, cores)), sys.executable]
    seconds = folder / "seconds"
    cost = run([*bound, WAYS, way, folder, seconds], TF_CPP_MIN_LOG_LEVEL="3")
    return Cost(float(seconds.read_text(encoding="utf-8")), cost.mebibytes)


def rates(results: dict[int, dict[tuple[str, int], list[Cost]]], cores: int) -> str:
    """Write how many images a second each way does."""
    counts = [count for count in results if count >= 10_000] or list(results)
    head = ["images a second", *(f"{count:,}, {on(number)}" for count in counts for number in sorted({1, cores}))]
    rows = [
        [
            words,
            *(
                f"{count / median(results[count][way, number]).seconds:,.0f}"
                for count in counts
                for number in sorted({1, cores})
            ),
        ]
        for way, words in NAMES.items()
    ]
    caption = (
        "Drawn images of 160 px and copies with a changed byte, `crop: none`. Each way in a process of its own, "
        "imports not counted (TensorFlow's takes seconds). The plain loops know one core only."
    )
    return f"{table(head, rows)}\n\n{caption}"


def goals(results: dict[int, dict[tuple[str, int], list[Cost]]], cores: int) -> str:
    """Write the ratios of the rates, with what they should be."""
    largest = max(results)
    counts = [count for count in results if count >= 10_000] or [largest]

    def ratio(ours: str, other: str, count: int) -> str:
        mine, theirs = results[count][ours, cores], results[count][other, cores]
        return f"{median(theirs).seconds / median(mine).seconds:.2f}"

    rows = [
        [
            f"{NAMES[way['ours']]} through ({peer}), {on(cores)}",
            goal,
            *(ratio(way["ours"], way[peer], c) for c in counts),
        ]
        for way in (VERIFY, PREPROCESS)
        for peer, goal in (("a", "1.8"), ("b", "1.0"), ("c", "0.8"))
        if peer in way
    ]
    return table(["times as many images a second", "goal, at least", *(f"{count:,}" for count in counts)], rows)


def memory(results: dict[int, dict[tuple[str, int], list[Cost]]], cores: int) -> str:
    """Write the memory for each number of images, and whether the time grows with their number."""
    head = [f"on {cores} cores", *(f"{count:,}: MiB" for count in results), "goal, at most", "time for each more"]
    rows = []
    for way in STAGES:
        costs = {count: median(runs[way, cores]) for count, runs in results.items()}
        counts = list(costs)
        # Each step from a number to the next: what each image more takes, so that the start does not count.
        steps = [(costs[b].seconds - costs[a].seconds) / (b - a) for a, b in itertools.pairwise(counts)]
        growth = f"{steps[-1] / steps[0]:.2f} (goal: 0.9 to 1.1)" if len(steps) > 1 else ""
        rows.append([NAMES[way], *(f"{cost.mebibytes:.0f}" for cost in costs.values()), "300", growth])
    caption = (
        "The memory of all processes together; a page that several share counts once. The last column is what "
        "each image more takes in the last step from a number to the next, through what it takes in the first."
    )
    return f"{table(head, rows)}\n\n{caption}"


def photographs(count: int, rounds: int) -> str:
    """Time large JPEGs being brought to what the network sees, with and without decoding all of their pixels."""
    chance = np.random.default_rng(0)
    data = []
    for _ in range(count):
        cells = chance.integers(0, 256, (60, 80, 3), dtype=np.uint8)
        file = io.BytesIO()
        Image.fromarray(cells).resize(LARGE, Image.Resampling.BICUBIC).save(file, "JPEG", quality=90)
        data.append(file.getvalue())

    def brought(size: int | None) -> float:
        return timed(lambda: [decoding.resize(decoding.decode(each, size).image, SIZE) for each in data])

    found = in_turns({"whole": partial(brought, None), "smaller": partial(brought, SIZE)}, rounds)
    whole, smaller = (1000 * statistics.median(found[way]) / count for way in ("whole", "smaller"))
    return (
        f"A JPEG of {LARGE[0]} × {LARGE[1]} px is brought to {SIZE} px in {smaller:.0f} ms where its decoder makes it "
        f"smaller, in {whole:.0f} ms where all of its pixels are decoded: {whole / smaller:.1f} times as fast (median "
        f"of {rounds} rounds of {count} images)."
    )


def near_pairs(count: int, rounds: int) -> str:
    """Time the search for near-duplicates among hashes that are all different."""
    hashes = np.random.default_rng(0).integers(0, 2**64, count, dtype=np.uint64)
    whole = hashes
    found = in_turns(
        {
            "half": lambda: timed(lambda: duplicates.near_pairs(whole[: count // 2], BITS)),
            "whole": lambda: timed(lambda: duplicates.near_pairs(whole, BITS)),
        },
        rounds,
    )
    half, all_of_them = (statistics.median(found[way]) for way in ("half", "whole"))
    return (
        f"Near-duplicates (up to {BITS} of 64 bits) among {count:,} different hashes are found in {all_of_them:.2f} s "
        f"(goal: 10 s), {all_of_them / half:.1f} times what half of them take (comparing each with each: 4.0)."
    )


def timed(work: Callable[[], object]) -> float:
    """Return the seconds that something takes."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def on(cores: int) -> str:
    """Name a number of cores."""
    return "1 core" if cores == 1 else f"{cores} cores"


if __name__ == "__main__":
    main()

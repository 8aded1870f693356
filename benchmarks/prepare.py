"""Time `verify` and `preprocess` on many images, compared with simple loops, Keras's reader and decoding alone.

`python benchmarks/prepare.py` measures on 1,000, 10,000 and 100,000 images, on one core and on two, and writes the
tables in benchmarks/README.md. `--images 1000 2000` sets other numbers, `--rounds` the number of rounds (100,000 images
and more are measured once).
"""

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
import measure
from anteojos.images import decoding, duplicates
from measure import Cost, in_turns, median, run, table
from readme import BENCHMARKS, record, write_part

ONCE = 100_000  # from this number of images on, measure one round
LARGE = (4000, 3000)  # px, as a phone takes it
SIZE, BITS = 160, 4

WAYS = Path(__file__).with_name("ways.py")
# Our stage, and the programs that it is compared with.
VERIFY = {"ours": "verify", "a": "plain_verify", "c": "decode"}
PREPROCESS = {"ours": "preprocess", "a": "plain_preprocess", "b": "keras", "c": "decode"}
STAGES = (VERIFY["ours"], PREPROCESS["ours"])
NAMES = {
    "verify": "`verify`",
    "preprocess": "`preprocess`",
    "plain_verify": "a simple Pillow loop (a): the same table",
    "plain_preprocess": "a simple Pillow loop (a): resize, write an array",
    "keras": "`image_dataset_from_directory` (b)",
    "decode": "decoding alone (c)",
}


def main() -> None:
    """Write the images, measure, and write the tables."""
    numbers = {"photographs": 20, "hashes": 100_000}
    options = measure.options(__doc__, images=[1000, 10_000, 100_000], rounds=3, **numbers)
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
    """Run one of ways.py in `folder` on `cores`. The seconds do not include imports."""
    bound = ["taskset", "--cpu-list", ",".join(map(str, cores)), sys.executable]
    seconds = folder / "seconds"
    cost = run([*bound, WAYS, way, folder, seconds], TF_CPP_MIN_LOG_LEVEL="3")
    return Cost(float(seconds.read_text(encoding="utf-8")), cost.mebibytes)


def rates(results: dict[int, dict[tuple[str, int], list[Cost]]], cores: int) -> str:
    """Return the table of images per second."""
    counts = [count for count in results if count >= 10_000] or list(results)
    columns = [(count, number) for count in counts for number in sorted({1, cores})]
    head = ["images per second", *(f"{count:,}, {on(number)}" for count, number in columns)]
    rows = [
        [words, *(f"{count / median(results[count][way, number]).seconds:,.0f}" for count, number in columns)]
        for way, words in NAMES.items()
    ]
    caption = (
        "Drawn images of 160 px, and copies with other bytes, with `crop: none`. Each row is measured in a new "
        "process, without the time of imports (that of TensorFlow takes seconds). The simple loops use only one core."
    )
    return f"{table(head, rows)}\n\n{caption}"


def goals(results: dict[int, dict[tuple[str, int], list[Cost]]], cores: int) -> str:
    """Return the table of ratios, with their goals."""
    largest = max(results)
    counts = [count for count in results if count >= 10_000] or [largest]

    def ratio(ours: str, other: str, count: int) -> str:
        mine, theirs = results[count][ours, cores], results[count][other, cores]
        return f"{median(theirs).seconds / median(mine).seconds:.2f}"

    rows = [
        [
            f"{NAMES[way['ours']]} / ({peer}), {on(cores)}",
            goal,
            *(ratio(way["ours"], way[peer], c) for c in counts),
        ]
        for way in (VERIFY, PREPROCESS)
        for peer, goal in (("a", "1.8"), ("b", "1.0"), ("c", "0.8"))
        if peer in way
    ]
    return table(["ratio of images per second", "goal, at least", *(f"{count:,}" for count in counts)], rows)


def memory(results: dict[int, dict[tuple[str, int], list[Cost]]], cores: int) -> str:
    """Return the table of memory, and of the growth of the time with the number of images."""
    head = [f"on {cores} cores", *(f"{count:,}: MiB" for count in results), "goal, at most", "growth of the time"]
    rows = []
    for way in STAGES:
        costs = {count: median(runs[way, cores]) for count, runs in results.items()}
        counts = list(costs)
        # Seconds for each further image, without the start of the process.
        steps = [(costs[b].seconds - costs[a].seconds) / (b - a) for a, b in itertools.pairwise(counts)]
        growth = f"{steps[-1] / steps[0]:.2f} (goal: 0.9 to 1.1)" if len(steps) > 1 else ""
        rows.append([NAMES[way], *(f"{cost.mebibytes:.0f}" for cost in costs.values()), "300", growth])
    caption = (
        "The memory is that of all processes; shared pages count once. The last column is the time for each further "
        "image in the last step from a number of images to the next, divided by that in the first step. It is 1 if the "
        "time grows in proportion to the number of images."
    )
    return f"{table(head, rows)}\n\n{caption}"


def photographs(count: int, rounds: int) -> str:
    """Time the resizing of large JPEGs with and without decoding all of their pixels."""
    rng = np.random.default_rng(0)
    data = []
    for _ in range(count):
        cells = rng.integers(0, 256, (60, 80, 3), dtype=np.uint8)
        file = io.BytesIO()
        Image.fromarray(cells).resize(LARGE, Image.Resampling.BICUBIC).save(file, "JPEG", quality=90)
        data.append(file.getvalue())

    def resized(size: int | None) -> float:
        return timed(lambda: [decoding.resize(decoding.decode(each, size).image, SIZE) for each in data])

    found = in_turns({"all": partial(resized, None), "reduced": partial(resized, SIZE)}, rounds)
    every, reduced = (1000 * statistics.median(found[way]) / count for way in ("all", "reduced"))
    return (
        f"A JPEG of {LARGE[0]} × {LARGE[1]} px is resized to {SIZE} px in {reduced:.0f} ms if the decoder reduces it, "
        f"and in {every:.0f} ms if all pixels are decoded: {every / reduced:.1f} times as fast (median of "
        f"{rounds} rounds of {count} images)."
    )


def near_pairs(count: int, rounds: int) -> str:
    """Time the search for near-duplicates among hashes that are all different."""
    hashes = np.random.default_rng(0).integers(0, 2**64, count, dtype=np.uint64)
    jobs = {n: partial(timed, partial(duplicates.near_pairs, hashes[:n], BITS)) for n in (count // 2, count)}
    half, every = (statistics.median(seconds) for seconds in in_turns(jobs, rounds).values())
    return (
        f"Near-duplicates (up to {BITS} of 64 bits) among {count:,} different hashes are found in {every:.2f} s "
        f"(goal: 10 s). This is {every / half:.1f} times the time for half of them (if each is compared with each, it "
        "would be 4.0 times)."
    )


def timed(work: Callable[[], object]) -> float:
    """Return the seconds that `work` takes."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def on(cores: int) -> str:
    """Return the number of cores in words."""
    return "1 core" if cores == 1 else f"{cores} cores"


if __name__ == "__main__":
    main()

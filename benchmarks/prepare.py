"""Time `verify`, `preprocess` and `predict` on many images, compared with simple loops and the face detector alone.

`python benchmarks/prepare.py` writes the tables in benchmarks/README.md. `--images 1000 10000 100000` sets the numbers
of images of 160 px, `--photographs 10 40 1000` those of photographs of 12 megapixels. The middle number is measured in
all ways, on one core and on two, in `--rounds` rounds; the others once, on two cores, for memory and growth.
"""

import multiprocessing
import os
import statistics
import sys
import tempfile
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np

import label
import many
import measure
from anteojos.images import decoding, detector, duplicates
from anteojos.sources import drawing
from measure import Cost, in_turns, median, run, table, timed
from readme import BENCHMARKS, record, write_part

WAYS = Path(__file__).with_name("ways.py")
STAGES = ("verify", "preprocess", "predict")
DETECTOR = "detect"
NAMES = {
    **{stage: f"`{stage}`" for stage in STAGES},
    "plain_verify": "(a) a simple loop that decodes, finds the face and hashes",
    "plain_preprocess": "(a) a simple loop that decodes, aligns and writes an array",
    "plain_predict": "(a) a simple loop that labels the arrays",
    DETECTOR: "(b) the face detector alone, on decoded images",
}
KINDS = {"images": "images of 160 px", "photographs": "photographs of 12 megapixels"}
GOALS = ("goal, at least", "", "`preprocess`: 300", "`preprocess`: 300", "1.9", "0.75", "at most 300", "0.90 to 1.10")
BITS, FACES = 4, 12

Results = Mapping[int, Mapping[tuple[str, int], Sequence[Cost]]]  # by number of images, way and number of cores


def main() -> None:
    """Write the images, measure, and write the tables."""
    numbers = {"images": [1000, 10_000, 100_000], "photographs": [10, 40, 1000]}
    options = measure.options(__doc__, **numbers, rounds=2, hashes=100_000)
    counts = {kind: sorted(set(getattr(options, kind))) for kind in KINDS}
    for kind, of in counts.items():
        if len(of) != 3:
            sys.exit(f"--{kind}: expected three different numbers, such as {' '.join(map(str, numbers[kind]))}")
    cores = sorted(os.sched_getaffinity(0))[:2]
    with tempfile.TemporaryDirectory() as name:
        # Import TensorFlow in another process, so that its threads and memory are gone afterwards.
        with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as other:
            other.submit(label.build, "edge", Path(name)).result()
        model = (Path(name) / "edge.tflite").read_bytes()
    results = {kind: measured(kind, of, model, cores, options.rounds) for kind, of in counts.items()}
    largest = results["images"][counts["images"][-1]]
    record("prepare", {f"{stage}_per_second": 1 / median(largest[stage, len(cores)]).seconds for stage in STAGES})
    caption = (
        "Drawn faces, and copies with other bytes, with `crop: face`. Each program runs in a new process; its time "
        "does not include imports. The simple loops use one process on one core, with the same detector and alignment. "
        "`predict` reads the arrays of `preprocess`. The memory is that of all processes; shared pages count once. The "
        "growth is the time for each further image from the middle number to the largest, divided by that from the "
        f"smallest to the middle one. Rounds with the middle number: {options.rounds}, of which the medians are shown; "
        "with the others: 1."
    )
    parts = [
        *(table_of(kind, of, len(cores)) for kind, of in results.items()),
        caption,
        one_photograph(options.rounds),
        near_pairs(options.hashes, options.rounds),
    ]
    write_part("prepare", "python benchmarks/prepare.py", "\n\n".join(parts), page=BENCHMARKS)


def measured(kind: str, counts: Sequence[int], model: bytes, cores: Sequence[int], rounds: int) -> Results:
    """Measure the middle one of three `counts` in all ways, the others only with our stages on all cores."""
    results = {}
    for count in counts:
        compared = count == counts[1]
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            many.make(folder, count, photographs=kind == "photographs")
            (folder / "models").mkdir()
            (folder / "models/model.tflite").write_bytes(model)
            ways = [(way, len(cores)) for way in STAGES]
            if compared:
                ways += [*((way, 1) for way in NAMES), (DETECTOR, len(cores))]
            jobs = {(way, number): partial(ran, way, folder, cores[:number]) for way, number in ways}
            results[count] = in_turns(jobs, rounds if compared else 1)
    return results


def ran(way: str, folder: Path, cores: Sequence[int]) -> Cost:
    """Run one of ways.py in `folder` on `cores`. The seconds are those for each image, without imports."""
    bound = ["taskset", "--cpu-list", ",".join(map(str, cores)), sys.executable]
    seconds = folder / "seconds"
    cost = run([*bound, WAYS, way, folder, seconds])
    return Cost(float(seconds.read_text(encoding="utf-8")), cost.mebibytes)


def table_of(kind: str, results: Results, cores: int) -> str:
    """Return the table of one kind of images, with a row for each way."""
    first, middle, last = sorted(results)
    costs = {key: median(found) for key, found in results[middle].items()}

    def rate(count: int, way: str, number: int) -> str:
        if (way, number) not in results[count]:
            return ""
        per_second = 1 / median(results[count][way, number]).seconds
        return f"{per_second:,.0f}" if per_second >= 20 else f"{per_second:.2f}"

    rows = []
    for way, words in NAMES.items():
        row = [words, rate(middle, way, 1), rate(middle, way, cores), rate(last, way, cores), "", "", "", ""]
        if way in STAGES:
            ours = [median(results[count][way, cores]) for count in (first, middle, last)]
            row[4:] = [
                *(f"{costs[peer].seconds / ours[1].seconds:.2f}" for peer in ((f"plain_{way}", 1), (DETECTOR, cores))),
                " / ".join(f"{cost.mebibytes:.0f}" for cost in ours),
                f"{growth((first, middle, last), [cost.seconds for cost in ours]):.2f}",
            ]
        rows.append(row)
    goal = [cell if kind == "images" else cell.replace("`preprocess`: 300", "") for cell in GOALS]
    head = [
        f"{KINDS[kind]} per second",
        *(f"{count:,}, {on(number)}" for count, number in ((middle, 1), (middle, cores), (last, cores))),
        f"times (a), {on(cores)}",
        f"times (b), {on(cores)}",
        f"MiB: {first:,} / {middle:,} / {last:,}",
        "growth of the time",
    ]
    return table(head, [*rows, goal])


def growth(counts: Sequence[int], seconds: Sequence[float]) -> float:
    """Return the seconds for each further image in the second step, divided by those in the first step.

    `seconds` are those for each image. The start of the processes has no influence.
    """
    totals = [count * each for count, each in zip(counts, seconds, strict=True)]
    steps = np.diff(totals) / np.diff(counts)
    return float(steps[1] / steps[0])


def one_photograph(rounds: int) -> str:
    """Time the search for the faces of one photograph in this process."""
    drawn = [drawing.draw_face(np.random.default_rng(seed), seed % 2 == 0, 160) for seed in range(FACES)]
    photograph = many.photograph([face.resize((300 + 40 * n,) * 2) for n, face in enumerate(drawn)])
    image = decoding.decode(photograph).image
    found = len(detector.default()(image))
    jobs = {
        "decode": partial(timed, partial(decoding.decode, photograph)),
        "detect": partial(timed, partial(detector.default(), image)),
    }
    decode, detect = (statistics.median(seconds) for seconds in in_turns(jobs, 5 * rounds).values())
    return (
        f"One photograph of {image.width} × {image.height} px is decoded in {decode:.2f} s, and its faces ({found} of "
        f"{FACES}) are found in {detect:.2f} s: {decode + detect:.2f} s together (goal: at most 0.2 s)."
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


def on(cores: int) -> str:
    """Return the number of cores in words."""
    return "1 core" if cores == 1 else f"{cores} cores"


if __name__ == "__main__":
    main()

"""Reckon what a million and a hundred million images would need, from what the other benchmarks have measured.

Nothing is measured here: the figures come from benchmarks/results.json, and the sums stand in the table.
"""

import json
import math
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import measure
from readme import BENCHMARKS, RESULTS, write_part

NUMBERS = (1_000_000, 100_000_000)
ARRAY_BYTES = 160 * 160 * 3  # an image in images.npy
EPOCHS = 10  # of the report's network
NIGHT = 8.0  # hours in which a stage is to be done
Results = Mapping[str, Mapping[str, float]]
# What has to be in results.json: seconds of DVC for so many images, and images a second of the stages.
NEEDED = {
    "versioning": (
        "bytes_per_image",
        *(f"{operation}_{what}" for operation in ("add", "status", "push") for what in ("files", "archive", "images")),
    ),
    "prepare": ("verify_per_second", "preprocess_per_second"),
    "train_many": ("train_per_second",),
    "label": ("label_per_second",),
}


@dataclass(frozen=True)
class Row:
    """A line of the table: what is needed, how it is reckoned, and its value for a number of images."""

    what: str
    sum: str
    value: Callable[[int], str]


def main() -> None:
    """Write the section."""
    results = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else {}
    absent = missing(results)
    if absent:
        sys.exit(f"{RESULTS} lacks {', '.join(absent)}: run `python benchmarks/NAME.py` of each name before the dot")
    write_part("on_paper", "python benchmarks/on_paper.py", text_of(results, os.cpu_count() or 1), BENCHMARKS)


def missing(results: Results) -> list[str]:
    """Return the figures, as script.figure, that are needed and not there."""
    return [
        f"{script}.{figure}"
        for script, figures in NEEDED.items()
        for figure in figures
        if figure not in results.get(script, {})
    ]


def text_of(results: Results, cores: int) -> str:
    """Write the table, and what follows from it for each of NUMBERS, on machines of so many cores."""
    rows = [*storage(results), *of_dvc(results), *of_stages(results)]
    lines = [[row.what, row.sum, *map(row.value, NUMBERS)] for row in rows]
    head = ["", "reckoned as", *(f"{number:,} images" for number in NUMBERS)]
    return "\n\n".join(
        (
            "In a straight line from the measured figures of this page (benchmarks/results.json), N images, on "
            f"machines of {cores} cores like the one above. In brackets, how many such machines do it in {NIGHT:.0f} "
            "hours where the work can be divided.",
            measure.table(head, lines),
            conclusions(results),
        )
    )


def storage(results: Results) -> list[Row]:
    """Reckon bytes."""
    raw = results["versioning"]["bytes_per_image"]
    both = raw + ARRAY_BYTES
    return [
        Row("images as they came", f"N × {raw:,.0f} bytes", lambda n: in_bytes(n * raw)),
        Row("`images.npy`", f"N × {ARRAY_BYTES:,} bytes", lambda n: in_bytes(n * ARRAY_BYTES)),
        Row("DVC's cache; as much again in the remote", "the two together", lambda n: in_bytes(n * both)),
        Row(
            "disk of one machine that holds all", "cache and working files (half of it with links)",
            lambda n: in_bytes(2 * n * both),
        ),
    ]  # fmt: skip


def of_dvc(results: Results) -> list[Row]:
    """Reckon what DVC takes for the images as they came, which one machine does alone."""
    rows = []
    for operation in ("add", "status", "push"):
        for form, words in (("files", "as files"), ("archive", "as one archive")):
            each = results["versioning"][f"{operation}_{form}"] / results["versioning"][f"{operation}_images"]
            rows.append(
                Row(
                    f"`dvc {operation}` of the images {words}",
                    f"N × {each * 1000:.3g} ms",
                    lambda n, each=each: in_time(n * each),
                )
            )
    return rows


def of_stages(results: Results) -> list[Row]:
    """Reckon what the stages take, which can be divided among machines."""
    stages = (
        ("`verify`", results["prepare"]["verify_per_second"], 1),
        ("`preprocess`", results["prepare"]["preprocess_per_second"], 1),
        (f"`train`, {EPOCHS} epochs of the report's network", results["train_many"]["train_per_second"], EPOCHS),
        ("`predict`", results["label"]["label_per_second"], 1),
    )

    def row(what: str, rate: float, times: int) -> Row:
        def value(n: int) -> str:
            seconds = n * times / rate
            machines = math.ceil(seconds / 3600 / NIGHT)
            return in_time(seconds) + (f" ({machines:,})" if machines > 1 else "")

        return Row(what, f"N{f' × {times}' if times > 1 else ''} / {rate:,.0f} a second", value)

    return [row(*stage) for stage in stages]


def in_bytes(count: float) -> str:
    """Write a number of bytes in decimal units."""
    for unit in ("MB", "GB", "TB"):
        count /= 1000
        if unit == "MB":
            count /= 1000
        if count < 1000:
            return f"{count:,.3g} {unit}"
    return f"{count / 1000:,.3g} PB"


def in_time(seconds: float) -> str:
    """Write a duration in a unit that suits it."""
    for unit, length, most in (("s", 1, 120), ("min", 60, 120), ("h", 3600, 96)):
        if seconds < most * length:
            return f"{seconds / length:,.3g} {unit}"
    return f"{seconds / 86400:,.3g} days"


def conclusions(results: Results) -> str:
    """Say where it becomes too much first, and what to change then."""
    versioning = results["versioning"]
    million, many = NUMBERS

    def hours(operation: str, form: str, n: int) -> str:
        return in_time(n * versioning[f"{operation}_{form}"] / versioning[f"{operation}_images"])

    share = ARRAY_BYTES / (ARRAY_BYTES + versioning["bytes_per_image"])
    epoch = in_time(million / results["train_many"]["train_per_second"])
    return f"""\
- **First, the number of files.** `dvc push` of {million:,} files takes {hours("push", "files", million)}, of an archive
  {hours("push", "archive", million)}. So give images to DVC in archives, and let a stage unpack them to a place that
  DVC does not keep, or read them where they are: today's `fetch` takes an archive (`dataset.source: archive`), but
  DVC hashes what it unpacks. Of {many:,} files, each `dvc status` takes {hours("status", "files", many)}.
- **Then, the disk.** {share:.0%} of what is kept is `images.npy`, which holds pixels that JPEG packs
  {ARRAY_BYTES / versioning["bytes_per_image"]:.0f} times smaller. One file of {in_bytes(million * ARRAY_BYTES)} is
  hashed and pushed whole after each change. Beyond a few million images: shards of some 10,000 images, each made
  from one archive, so that a new delivery makes new shards and leaves the others; of {many:,}, keep shards of JPEG
  instead and decode while training, on workers beside the GPU.
- **Then, training.** An epoch of {million:,} images takes {epoch} here. It is the one part that a GPU changes by more
  than the number of machines does; `verify`, `preprocess` and `predict` do each image by itself, and divide among as
  many machines as there are.
- **What it costs** is mostly storage, paid by the month and twice (cache and remote), and machines for training, paid
  once a run. DVC's run cache saves the second: a stage that has run anywhere with these inputs is not run again
  (`make push` shares it). It does nothing for the first: old versions stay until `dvc gc`."""


if __name__ == "__main__":
    main()

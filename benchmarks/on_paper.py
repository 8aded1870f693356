"""Estimate what a million and a hundred million images need, from the results of the other benchmarks.

Nothing is measured here: the figures come from benchmarks/results.json, and the table shows the formulas.
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
EPOCHS = 10  # of `baseline`
NIGHT = 8.0  # hours for a stage
Results = Mapping[str, Mapping[str, float]]
# Required in results.json: seconds of DVC, with the number of images, and images per second of the stages.
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
    """A row of the table: label, formula, and value for a number of images."""

    label: str
    formula: str
    value: Callable[[int], str]


def main() -> None:
    """Write the section."""
    results = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else {}
    absent = missing(results)
    if absent:
        sys.exit(
            f"{RESULTS}: missing {', '.join(absent)}; run `python benchmarks/NAME.py` for each name before the dot"
        )
    write_part("on_paper", "python benchmarks/on_paper.py", text_of(results, os.cpu_count() or 1), BENCHMARKS)


def missing(results: Results) -> list[str]:
    """Return the required figures that are missing, as script.figure."""
    return [
        f"{script}.{figure}"
        for script, figures in NEEDED.items()
        for figure in figures
        if figure not in results.get(script, {})
    ]


def text_of(results: Results, cores: int) -> str:
    """Return the table for NUMBERS and the conclusions, for machines with this number of cores."""
    rows = [*storage(results), *of_dvc(results), *of_stages(results)]
    lines = [[row.label, row.formula, *map(row.value, NUMBERS)] for row in rows]
    head = ["", "formula", *(f"{number:,} images" for number in NUMBERS)]
    return "\n\n".join(
        (
            "Linear extrapolation to N images from the measured figures of this page (benchmarks/results.json), on "
            f"machines like the one above, with {cores} cores. In brackets: the number of such machines that finish in "
            f"{NIGHT:.0f} hours, if the work can be divided.",
            measure.table(head, lines),
            conclusions(results),
        )
    )


def storage(results: Results) -> list[Row]:
    """Return the rows about bytes."""
    raw = results["versioning"]["bytes_per_image"]
    both = raw + ARRAY_BYTES
    return [
        Row("images", f"N × {raw:,.0f} bytes", lambda n: in_bytes(n * raw)),
        Row("`images.npy`", f"N × {ARRAY_BYTES:,} bytes", lambda n: in_bytes(n * ARRAY_BYTES)),
        Row("DVC's cache, and the same in the remote", "both together", lambda n: in_bytes(n * both)),
        Row(
            "disk of one machine", "cache and working files (half of it with links)",
            lambda n: in_bytes(2 * n * both),
        ),
    ]  # fmt: skip


def of_dvc(results: Results) -> list[Row]:
    """Return the rows about DVC, which runs on one machine."""
    rows = []
    for operation in ("add", "status", "push"):
        for form, words in (("files", "as files"), ("archive", "as one archive")):
            seconds = each(results, operation, form)
            label, formula = f"`dvc {operation}` of the images {words}", f"N × {seconds * 1000:.3g} ms"
            rows.append(Row(label, formula, lambda n, seconds=seconds: in_time(n * seconds)))
    return rows


def each(results: Results, operation: str, form: str) -> float:
    """Return the seconds of a DVC operation for each image."""
    return results["versioning"][f"{operation}_{form}"] / results["versioning"][f"{operation}_images"]


def of_stages(results: Results) -> list[Row]:
    """Return the rows about the stages, which can be divided among machines."""
    stages = (
        ("`verify`", results["prepare"]["verify_per_second"], 1),
        ("`preprocess`", results["prepare"]["preprocess_per_second"], 1),
        (f"`train`, {EPOCHS} epochs of `baseline`", results["train_many"]["train_per_second"], EPOCHS),
        ("`predict`", results["label"]["label_per_second"], 1),
    )

    def row(label: str, rate: float, times: int) -> Row:
        def value(n: int) -> str:
            seconds = n * times / rate
            machines = math.ceil(seconds / 3600 / NIGHT)
            return in_time(seconds) + (f" ({machines:,})" if machines > 1 else "")

        return Row(label, f"N{f' × {times}' if times > 1 else ''} / {rate:,.0f} per second", value)

    return [row(*stage) for stage in stages]


def in_bytes(count: float) -> str:
    """Return a number of bytes in decimal units."""
    for unit in ("MB", "GB", "TB"):
        count /= 1000
        if unit == "MB":
            count /= 1000
        if count < 1000:
            return f"{count:,.3g} {unit}"
    return f"{count / 1000:,.3g} PB"


def in_time(seconds: float) -> str:
    """Return a duration in a suitable unit."""
    for unit, length, maximum in (("s", 1, 120), ("min", 60, 120), ("h", 3600, 96)):
        if seconds < maximum * length:
            return f"{seconds / length:,.3g} {unit}"
    return f"{seconds / 86400:,.3g} days"


def conclusions(results: Results) -> str:
    """Return what becomes too slow or too large first, and what to change."""
    million, many = NUMBERS

    def seconds(operation: str, form: str, n: int) -> str:
        return in_time(n * each(results, operation, form))

    raw = results["versioning"]["bytes_per_image"]
    epoch = in_time(million / results["train_many"]["train_per_second"])
    return f"""\
- **First: the number of files.** `dvc push` of {million:,} files takes {seconds("push", "files", million)}, of an
  archive {seconds("push", "archive", million)}. So give images to DVC in archives (`dataset.source: archive`). But
  `fetch` unpacks them to `data/raw`, and DVC hashes these files: with {many:,} files, each `dvc status` takes
  {seconds("status", "files", many)}. For this number of images, unpack them to a place that DVC does not track, or
  read them from the archives.
- **Second: the disk.** {ARRAY_BYTES / (ARRAY_BYTES + raw):.0%} of the bytes are in `images.npy`. The same pixels
  are {ARRAY_BYTES / raw:.0f} times smaller as JPEG. One file of {in_bytes(million * ARRAY_BYTES)} is hashed and
  pushed as a whole after each change. With more than a few million images, write one array for each archive of
  about 10,000 images, so that a new archive does not change the others. With {many:,} images, keep JPEG files and
  decode them during training, on workers next to the GPU.
- **Third: training.** An epoch of {million:,} images takes {epoch} here. A GPU helps most with this part. `verify`,
  `preprocess` and `predict` handle each image separately, and can be divided among any number of machines.
- **Costs.** Most of the costs are for storage, which is paid by the month and twice (cache and remote). Machines
  for training are paid for each run. DVC's run cache saves runs: a stage that has run anywhere with the same inputs
  is not run again (`make push` shares it). It does not save storage: old versions stay until `dvc gc`."""


if __name__ == "__main__":
    main()

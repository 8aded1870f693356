"""Measure the time that DVC itself takes for many images: as files, and as one archive of the same images.

The images are copies of drawn faces, each with other bytes at its end. The script adds them to DVC, checks their
status, checks them out and pushes them to an S3 store (SeaweedFS) that it starts on loopback. `--pushed` is the largest
number of images that it pushes, `--rounds` the number of rounds for up to 10,000 images.
"""

import io
import os
import shutil
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

# The tests can start an S3 store.
sys.path.append(str(Path(__file__).parents[1]))

from tests.team.remote.servers import S3

import measure
from anteojos.sources import drawing
from measure import Cost
from readme import BENCHMARKS, record, write_part

DRAWN = 200
FORMS = {"files": "images", "archive": "images.zip"}
OPERATIONS = {
    "add": "`dvc add`: hash and copy to the cache",
    "status": "`dvc status`, nothing changed",
    "checkout": "`dvc checkout` of all",
    "push": "`dvc push` of all",
    "add_changed": "`dvc add` after one image changed",
    "push_changed": "`dvc push` after one image changed",
}
Measured = dict[str, dict[str, Cost]]  # by operation, then by form


@dataclass(frozen=True)
class Size:
    """Median costs of `n` images, by operation and form."""

    n: int
    costs: Measured


def main() -> None:
    """Measure, and write the table."""
    options = measure.options(__doc__, images=[1_000, 10_000, 100_000], pushed=10_000, rounds=3)
    sizes = sorted(options.images)
    with tempfile.TemporaryDirectory(prefix="anteojos-") as folder, serving(Path(folder)) as store:
        results = [
            Size(n, measure_size(n, options.rounds if n <= 10_000 else 1, n <= options.pushed, store, Path(folder)))
            for n in sizes
        ]
    drawn = draw(DRAWN)
    each = sum(len(content(drawn, number)) for number in range(DRAWN)) / DRAWN
    record("versioning", {"bytes_per_image": each, **figures_of(results)})
    write_part("versioning", "python benchmarks/versioning.py", text_of(results, options.rounds), BENCHMARKS)


@contextmanager
def serving(folder: Path) -> Iterator[S3]:
    """Start an S3 store in a folder, and stop it at the end."""
    path = folder / "store"
    path.mkdir()
    store = S3(path)
    store.start()
    try:
        yield store
    finally:
        store.stop()


def measure_size(n: int, rounds: int, pushed: bool, store: S3, folder: Path) -> Measured:
    """Measure `n` images in both forms, which take turns. Return the medians."""
    found: dict[str, dict[str, list[Cost]]] = {}
    for number in range(rounds):
        with tempfile.TemporaryDirectory(dir=folder) as name:
            for operation, form, cost in one_round(n, pushed, store, f"{n}-{number}", Path(name)):
                found.setdefault(operation, {}).setdefault(form, []).append(cost)
                print(f"{n} images, round {number + 1} of {rounds}, {operation}, {form}: {cost}", file=sys.stderr)
    return {
        operation: {form: measure.median(costs) for form, costs in forms.items()} for operation, forms in found.items()
    }


def one_round(n: int, pushed: bool, store: S3, name: str, folder: Path) -> Iterator[tuple[str, str, Cost]]:
    """Measure each operation once. Yield operation, form and cost."""
    environment = {
        **store.environment,
        "PATH": os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"])),
        "DVC_SITE_CACHE_DIR": str(folder / "site"),
        "DVC_NO_ANALYTICS": "1",
    }

    def dvc(form: str, *arguments: str) -> Cost:
        return measure.run(["dvc", *arguments], folder / form, **environment)

    images = draw(min(n, DRAWN))
    for form in FORMS:
        (folder / form).mkdir()
        measure.run(["git", "init", "--quiet"], folder / form)
        dvc(form, "init", "--quiet")
        dvc(form, "remote", "add", "--default", "store", store.url(f"{name}-{form}"))
        dvc(form, "remote", "modify", "store", "endpointurl", store.endpoint)
    write_files(images, n, folder / "files" / FORMS["files"])
    write_archive(images, n, folder / "archive" / FORMS["archive"])

    def in_both(operation: str, work: Callable[[str], Cost]) -> Iterator[tuple[str, str, Cost]]:
        for form in FORMS:
            yield operation, form, work(form)

    yield from in_both("add", lambda form: dvc(form, "add", "--quiet", FORMS[form]))
    yield from in_both("status", lambda form: dvc(form, "status", "--quiet"))
    shutil.rmtree(folder / "files" / FORMS["files"])
    (folder / "archive" / FORMS["archive"]).unlink()
    yield from in_both("checkout", lambda form: dvc(form, "checkout", "--quiet"))
    if pushed:
        yield from in_both("push", lambda form: dvc(form, "push", "--quiet"))
    changed = [images[0] + b"changed", *images[1:]]
    (folder / "files" / FORMS["files"] / name_of(0)).write_bytes(content(changed, 0))
    write_archive(images, n, folder / "archive" / FORMS["archive"], first=content(changed, 0))
    yield from in_both("add_changed", lambda form: dvc(form, "add", "--quiet", FORMS[form]))
    if pushed:
        yield from in_both("push_changed", lambda form: dvc(form, "push", "--quiet"))


def draw(count: int) -> list[bytes]:
    """Return drawn faces of 160 × 160 px as JPEG of about 5 kB."""
    drawn = []
    for seed in range(count):
        data = io.BytesIO()
        drawing.draw_face(np.random.default_rng(seed), bool(seed % 2), 160).save(
            data, "JPEG", quality=drawing.JPEG_QUALITY
        )
        drawn.append(data.getvalue())
    return drawn


def name_of(number: int) -> str:
    """Return the file name of an image."""
    return f"{number:07}.jpg"


def content(images: Sequence[bytes], number: int) -> bytes:
    """Return the bytes of a drawn face and its number, so that all files differ."""
    return images[number % len(images)] + number.to_bytes(8, "big")


def write_files(images: Sequence[bytes], n: int, folder: Path) -> None:
    """Write `n` images as files."""
    folder.mkdir()
    for number in range(n):
        (folder / name_of(number)).write_bytes(content(images, number))


def write_archive(images: Sequence[bytes], n: int, path: Path, first: bytes | None = None) -> None:
    """Write the same images into one zip without compression; `first` replaces the first one, if given."""
    path.unlink(missing_ok=True)  # may be a link into DVC's cache
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for number in range(n):
            data = first if first is not None and number == 0 else content(images, number)
            archive.writestr(zipfile.ZipInfo(name_of(number)), data)


def figures_of(results: Sequence[Size]) -> dict[str, float]:
    """Return, by name, the seconds of each operation on the largest measured number of images, and this number."""
    figures: dict[str, float] = {}
    for size in results:
        for operation, forms in size.costs.items():
            figures[f"{operation}_images"] = size.n
            figures |= {f"{operation}_{form}": cost.seconds for form, cost in forms.items()}
    return figures


def text_of(results: Sequence[Size], rounds: int) -> str:
    """Return the table and the advice."""
    rows = []
    for operation, words in OPERATIONS.items():
        row = [words]
        for size in results:
            if operation in size.costs:
                files, archive = (size.costs[operation][form] for form in FORMS)
                ratio = files.seconds / archive.seconds
                row.append(f"{files.seconds:,.1f} s / {archive.seconds:,.1f} s = {ratio:.1f}")
            else:
                row.append(extrapolated(operation, size.n, results))
        rows.append(row)
    head = ["as files / as one archive", *(f"{size.n:,} images" for size in results)]
    single = [f"{size.n:,}" for size in results if size.n > 10_000]
    counted = f"Medians of {rounds} round{'s' * (rounds > 1)}"
    if single:
        counted += f"; one round with {' and '.join(single)} images"
    return "\n\n".join((measure.table(head, rows), counted + ".", ADVICE))


def extrapolated(operation: str, n: int, results: Sequence[Size]) -> str:
    """Return the linear extrapolation to `n` files from the two largest measured numbers."""
    known = [(size.n, size.costs[operation]["files"].seconds) for size in results if operation in size.costs]
    if len(known) < 2:
        return "not measured"
    (less, short), (more, long) = known[-2:]
    seconds = max(long, long + (long - short) / (more - less) * (n - more))
    return f"not measured; extrapolated: {seconds:,.0f} s as files"


ADVICE = """\
Where a cell has two times and their ratio, the time as files comes first. DVC takes time for each file; for an
archive, it takes time only for its bytes. The maintainers of DVC also recommend an archive for very many files
(treeverse/dvc#7681). But an archive is one object: if one image changes, the whole archive is hashed, stored in the
cache and pushed again. With files, only the changed file is.

- Up to about 10,000 images: use files.
- For more images, if they do not change: use one archive for each delivery of images. `dvc add` it, and set
  `dataset.archive` and `dataset.sha256`.
- For more images, if single images change: use archives of about 10,000 images each. Then only the archives with a
  change are written again.

`fetch` unpacks an archive to `data/raw`. These are many files again, and `dvc repro` hashes them. Set `push: false`
for `data/raw` in dvc.yaml to keep them out of the remote; `fetch` can unpack them again."""


if __name__ == "__main__":
    main()

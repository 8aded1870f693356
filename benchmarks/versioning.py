"""Measure what DVC itself takes for many images: as many files, and as one archive of the same images.

The images are copies of drawn ones, each with other bytes at its end. They are added, looked at again, checked out
and pushed to an S3 store (SeaweedFS) that is started for it on loopback.
"""

import argparse
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

# The tests know how to start an S3 store.
sys.path.append(str(Path(__file__).parents[1]))

from tests.team.remote.servers import S3

import measure
from anteojos.sources import drawing
from measure import Cost
from readme import BENCHMARKS, record, write_part

DRAWN = 200
FORMS = {"files": "images", "archive": "images.zip"}
OPERATIONS = {
    "add": "`dvc add`: hash, and copy to the cache",
    "status": "`dvc status`, nothing changed",
    "checkout": "`dvc checkout` of all",
    "push": "`dvc push` of all",
    "add_changed": "`dvc add` after one image changed",
    "push_changed": "`dvc push` after one image changed",
}
Measured = dict[str, dict[str, Cost]]  # by operation, then by form


@dataclass(frozen=True)
class Size:
    """What `n` images took: medians, by operation and form."""

    n: int
    costs: Measured


def main() -> None:
    """Measure, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument(
        "--images", type=int, nargs="+", default=[1_000, 10_000, 100_000], help="how many, default: %(default)s"
    )
    parser.add_argument(
        "--pushed", type=int, default=10_000, help="no more than so many are pushed, default: %(default)s"
    )
    parser.add_argument("--rounds", type=int, default=3, help="of up to 10,000 images, default: %(default)s")
    options = parser.parse_args()
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
    """Start an S3 store below a folder, and stop it."""
    path = folder / "store"
    path.mkdir()
    store = S3(path)
    store.start()
    try:
        yield store
    finally:
        store.stop()


def measure_size(n: int, rounds: int, pushed: bool, store: S3, folder: Path) -> Measured:
    """Measure `n` images in both forms, which take turns at each operation; give the medians."""
    found: dict[str, dict[str, list[Cost]]] = {}
    for number in range(rounds):
        with tempfile.TemporaryDirectory(dir=folder) as place:
            for operation, form, cost in one_round(n, pushed, store, f"{n}-{number}", Path(place)):
                found.setdefault(operation, {}).setdefault(form, []).append(cost)
                print(f"{n} images, round {number + 1} of {rounds}, {operation}, {form}: {cost}", file=sys.stderr)
    return {
        operation: {form: measure.median(costs) for form, costs in forms.items()} for operation, forms in found.items()
    }


def one_round(n: int, pushed: bool, store: S3, name: str, folder: Path) -> Iterator[tuple[str, str, Cost]]:
    """Yield operation, form and cost, as they come."""
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
    """Draw faces of 160 × 160 px as JPEG, of about 5 kB each."""
    drawn = []
    for seed in range(count):
        data = io.BytesIO()
        drawing.draw_face(np.random.default_rng(seed), bool(seed % 2), 160).save(
            data, "JPEG", quality=drawing.JPEG_QUALITY
        )
        drawn.append(data.getvalue())
    return drawn


def name_of(number: int) -> str:
    """Return the file's name of an image."""
    return f"{number:07}.jpg"


def content(images: Sequence[bytes], number: int) -> bytes:
    """Return the bytes of an image: a drawn one, and its number, so that no two files are the same."""
    return images[number % len(images)] + number.to_bytes(8, "big")


def write_files(images: Sequence[bytes], n: int, folder: Path) -> None:
    """Write `n` images as files."""
    folder.mkdir()
    for number in range(n):
        (folder / name_of(number)).write_bytes(content(images, number))


def write_archive(images: Sequence[bytes], n: int, path: Path, first: bytes | None = None) -> None:
    """Write the same images into one zip, stored as they are; `first` in place of the first one, if given."""
    path.unlink(missing_ok=True)  # what DVC has checked out is not written over
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for number in range(n):
            data = first if first is not None and number == 0 else content(images, number)
            archive.writestr(zipfile.ZipInfo(name_of(number)), data)


def figures_of(results: Sequence[Size]) -> dict[str, float]:
    """Return the seconds of each operation on the most images it was measured on, and their number, by name."""
    figures: dict[str, float] = {}
    for size in results:
        for operation, forms in size.costs.items():
            figures[f"{operation}_images"] = size.n
            figures |= {f"{operation}_{form}": cost.seconds for form, cost in forms.items()}
    return figures


def text_of(results: Sequence[Size], rounds: int) -> str:
    """Write the table, and what follows from it."""
    rows = []
    for operation, words in OPERATIONS.items():
        row = [words]
        for size in results:
            if operation in size.costs:
                files, archive = (size.costs[operation][form] for form in FORMS)
                ratio = files.seconds / archive.seconds
                row.append(f"{files.seconds:,.1f} s / {archive.seconds:,.1f} s = {ratio:.1f}")
            else:
                row.append(reckoned(operation, size.n, results))
        rows.append(row)
    head = ["files / one archive", *(f"{size.n:,} images" for size in results)]
    single = [f"{size.n:,}" for size in results if size.n > 10_000]
    counted = f"Medians of {rounds} round{'s' * (rounds > 1)}"
    if single:
        counted += f", of {' and '.join(single)} images one round"
    return "\n\n".join((measure.table(head, rows), counted + ".", ADVICE))


def reckoned(operation: str, n: int, results: Sequence[Size]) -> str:
    """Say what an operation on `n` files should take, in a straight line from the two largest that were measured."""
    known = [(size.n, size.costs[operation]["files"].seconds) for size in results if operation in size.costs]
    if len(known) < 2:
        return "not measured"
    (less, short), (more, long) = known[-2:]
    seconds = max(long, long + (long - short) / (more - less) * (n - more))
    return f"not measured; in a straight line {seconds:,.0f} s as files"


ADVICE = """\
Where a cell has two times and their ratio, files come first. What is given to DVC as many files costs it something for
each of them; an archive costs what its bytes cost. DVC's maintainers advise an archive for very many files as well
(treeverse/dvc#7681). But it is one object: after a change of one image all of it is hashed, kept in the cache and
pushed again, where of files only the changed one is. So, up to some 10,000 images: files. From there on, one archive
for each delivery of images that stay as they are (`dvc add` it, and name it in `dataset.archive` with its `sha256`);
where single images of a very large set change, archives of some 10,000 images each, of which only those with a
change are written anew. What `fetch` unpacks to `data/raw` are many files again, which `dvc repro` hashes; with
`push: false` on `data/raw` in dvc.yaml they stay out of the remote, for `fetch` makes them from the archive."""


if __name__ == "__main__":
    main()

"""Unpack archives for the command `anteojos`, which reads their images like those of a folder."""

import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from anteojos.runtime.errors import InputError
from anteojos.runtime.files import is_image
from anteojos.sources import entries, layout, tars
from anteojos.sources.entries import Entries

MAX_BYTES = 2_000_000_000  # of an archive, and separately of its images


@dataclass(frozen=True)
class Unpacked:
    """The images of an archive: `shown` maps their files below `folder` to their paths for people, in the archive.

    `skipped` counts the other files.
    """

    folder: Path
    shown: dict[Path, Path]
    skipped: int


def is_archive(path: Path) -> bool:
    """Return whether a path is a zip or a tar, by its content."""
    if is_image(path) or not path.is_file():
        return False
    try:
        with path.open("rb") as file:
            head = file.read(tars.HEAD)
    except OSError:
        return False  # whoever reads it reports why
    return head.startswith(b"PK") or tars.compression(head) is not None


def images(found: Entries) -> Mapping[str, str]:
    """Return all images of an archive, with their paths there."""
    return {name: name for name in found.names if is_image(name)}


def images_of_two_classes(found: Entries) -> Mapping[str, str]:
    """Return the images of an archive for training, with their paths below data/raw.

    Raises InputError if it has not two classes.
    """
    arrangement = layout.find(found.where, found.names)
    counts = layout.count(arrangement, found.names)
    if len(counts) != 2:
        advice = layout.how_to_choose(counts, found.where)
        raise InputError(f"{found.where}: {layout.classes_found(counts)}", layout.class_lines(counts), advice)
    targets = layout.arrange(found.where, arrangement, found.names, tuple(counts))
    return {name: path for name, path in targets.items() if is_image(name) and not path.startswith("test/")}


@contextmanager
def unpacked(path: Path, chosen: Callable[[Entries], Mapping[str, str]] = images) -> Iterator[Unpacked]:
    """Unpack the `chosen` images of an archive until the end of the `with` block.

    Raises InputError if the archive cannot be read, is not safe or is too large.
    """
    from anteojos.sources import archive  # slow: it imports the client of web servers

    with tempfile.TemporaryDirectory(prefix="anteojos-") as name:
        folder = Path(name)
        try:
            with archive.opened(str(path), sha256=None, max_bytes=MAX_BYTES, scratch=folder) as found:
                targets = chosen(found)
                entries.write(found, targets, folder, MAX_BYTES)
                skipped = sum(not file.endswith("/") and not is_image(file) for file in found.names)
        except InputError as error:
            problems = [problem.replace(" (dataset.max_bytes)", "") for problem in error.problems]
            advice = "Name another archive, or extract it and name the folder."
            raise InputError(error.headline, problems, advice) from error
        yield Unpacked(folder, {folder / target: path / entry for entry, target in targets.items()}, skipped)

"""Inspect a dataset before it is imported: its classes and splits, and a sample of its images."""

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from anteojos.images import checks
from anteojos.runtime.errors import InputError, printable
from anteojos.runtime.files import is_image
from anteojos.runtime.names import comparable
from anteojos.sources import archive, entries, layout
from anteojos.sources.entries import Entries
from anteojos.sources.http import is_url
from anteojos.sources.layout import Counts
from anteojos.vocabulary import SPLITS, UNSPLIT, SourceSplit

SAMPLE = 200  # images of each class that are decoded and searched for faces
FEWEST = 4  # minimum number of images of a class for training and validation together


@dataclass(frozen=True)
class Inspection:
    """A dataset: `counts` is the number of images by class and split, `table` the manifest of a sample of both classes.

    `unlabelled` counts test images outside of class folders, and `outside` all others, which are not used. `unreadable`
    and `duplicates` have a line for each such image in the sample.
    """

    labels: tuple[str, str]
    ignored: tuple[str, ...]
    counts: Counts
    unlabelled: int
    outside: int
    table: pd.DataFrame
    unreadable: Sequence[str]
    duplicates: Sequence[str]
    sha256: str | None

    @property
    def is_split(self) -> bool:
        """Whether the source has divided its images into splits."""
        return not any(self.counts[label].get(UNSPLIT) for label in self.labels)

    @property
    def face_shares(self) -> dict[str, float]:
        """The share of the images of each class that show a face."""
        shows = self.table["faces"] > 0
        return {label: float(shows[self.table["label"] == label].mean()) for label in self.labels}


def inspect(location: str, classes: Sequence[str], *, max_bytes: int, bits: int) -> Inspection:
    """Inspect a folder, a zip or a tar, or the URL of one; `classes` are the two class folders to use, or empty.

    Raises InputError if it cannot be read or is not a usable dataset of two classes.
    """
    with tempfile.TemporaryDirectory(prefix="anteojos-") as name:
        scratch = Path(name)
        with archive.opened(location, sha256=None, max_bytes=max_bytes, scratch=scratch) as found:
            files = found.names
            arrangement = layout.find(found.where, files, classes)
            counts = layout.count(arrangement, files)
            labels = choose(found.where, location, counts, classes)
            ignored = tuple(sorted(set(counts) - set(labels), key=comparable))
            check_counts(found.where, counts, labels)
            targets = layout.arrange(found.where, arrangement, files, labels, ignored)
            base, sample = _sample(location, found, targets, labels, scratch, max_bytes)
            findings = checks.Findings()
            table = checks.examine(base, sample, "face", findings, description="init")
            unreadable = list(findings.problems)
            _check_readable(found.where, table, unreadable, labels)
            checks.find_duplicates(table, bits, findings)
            images = sum(map(is_image, files))
            used = sum(map(is_image, targets))
            return Inspection(
                labels=labels,
                ignored=ignored,
                counts=counts,
                unlabelled=sum(is_image(target) and target.count("/") == 1 for target in targets.values()),
                outside=images - used - sum(sum(counts[name].values()) for name in ignored),
                table=table,
                unreadable=unreadable,
                duplicates=findings.problems[len(unreadable) :] + findings.warnings["duplicates_within_split"],
                sha256=found.sha256,
            )


def choose(where: str, location: str, counts: Counts, classes: Sequence[str]) -> tuple[str, str]:
    """Return the two class folders: `classes`, or the only two, sorted. Raises InputError if there are not two."""
    spelling = {comparable(name): name for name in counts}
    if classes:
        missing = [name for name in classes if comparable(name) not in spelling]
        if missing:
            raise InputError(
                f"{where}: no images in a class folder {' or '.join(missing)}",
                [f"found {line}" for line in layout.class_lines(counts)],
                "Name two of these with --classes.",
            )
        first, second = (spelling[comparable(name)] for name in classes)
        if first == second:
            raise InputError(f"--classes: {first} twice", advice="Name two class folders.")
        return first, second
    if len(counts) != 2:
        raise InputError(
            f"{where}: {layout.classes_found(counts)}", layout.class_lines(counts), layout.example(counts, location)
        )
    first, second = sorted(counts, key=comparable)
    return first, second


def check_counts(where: str, counts: Counts, labels: Sequence[str]) -> None:
    """Raise InputError if a class has too few images, or none in a split that the source has."""
    problems = []
    is_split = any(counts[label].get("validate") for label in labels)
    for label in labels:
        of_class = counts[label]
        usable = sum(of_class.get(split, 0) for split in ("train", "validate", UNSPLIT))
        if usable < FEWEST:
            found = f"{usable} image{'' if usable == 1 else 's'}"
            problems.append(f"{printable(label)}: {found}, expected at least {FEWEST} besides those for testing")
        elif is_split and not (of_class.get("train") and of_class.get("validate")):
            problems.append(f"{printable(label)}: no images in train or validate, expected some in each")
    if problems:
        raise InputError(f"{where}: too few images", problems, "Add images. A useful model needs dozens of each class.")


def _check_readable(where: str, table: pd.DataFrame, unreadable: Sequence[str], labels: Sequence[str]) -> None:
    for label in labels:
        readable = int((table["label"] == label).sum())
        if unreadable and readable < FEWEST:
            raise InputError(
                f"{where}: too few images of {printable(label)} can be read",
                [f"{readable} of those examined, expected at least {FEWEST}", *unreadable],
                "Replace these files. AVIF, BMP, GIF, JPEG, PNG, TIFF and WebP can be read.",
            )


def _sample(
    location: str,
    found: Entries,
    targets: Mapping[str, str],
    labels: Sequence[str],
    scratch: Path,
    max_bytes: int,
) -> tuple[Path, list[checks.ImageFile]]:
    """Return at most SAMPLE images of each class, evenly spread, and the folder that contains them."""
    by_class: dict[str, list[tuple[str, SourceSplit]]] = {label: [] for label in labels}
    for name, target in targets.items():
        if not is_image(name):
            continue
        split, label, *below = target.split("/")
        if below and label in by_class:
            by_class[label].append((name, next(known for known in (*SPLITS, UNSPLIT) if known == split)))
    chosen: list[tuple[str, SourceSplit, str]] = []
    for label, images in by_class.items():
        images.sort()
        rows = np.linspace(0, len(images) - 1, min(SAMPLE, len(images))).round().astype(int)
        chosen += [(*images[row], label) for row in rows]
    if not is_url(location) and (folder := Path(location).expanduser()).is_dir():
        return folder, [checks.ImageFile(name, split, label) for name, split, label in chosen]
    into = scratch / "sample"
    entries.write(found, {name: targets[name] for name, _, _ in chosen}, into, max_bytes)
    return into, [checks.ImageFile(targets[name], split, label) for name, split, label in chosen]

"""What a set of images must pass before anyone trains on it: layout, labels, wholeness, counts, independence."""

import hashlib
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from anteojos.images import decoding, detector, duplicates, faces, manifest
from anteojos.params import Dataset, Preprocess
from anteojos.runtime import parallel
from anteojos.runtime.errors import InputError
from anteojos.vocabulary import SPLITS, Crop, Split

# How much an image's width or height may differ from the median before it is called odd.
_ODD_SIZE = 0.1
# px to which a whole image or a face is resized before its hash is made from 9 × 8 of it.
_HASHED = 72
# Suffixes of images that no decoder here takes, of telephones, cameras and scanners.
_NOT_READ = {".arw", ".cr2", ".cr3", ".dng", ".heic", ".heif", ".jp2", ".jxl", ".nef", ".pdf", ".svg"}
MOST_SHOWN = 20  # findings of a kind
# Where images of unknown label are counted; no class's folder can be named so.
NOT_KNOWN = "not known"


@dataclass(frozen=True, slots=True)
class Found:
    """An image file: `file` is its path below the data folder with slashes, `label` is "" where it is not known."""

    file: str
    split: Split
    label: str


@dataclass
class Findings:
    """What is wrong, a line each, with `problems` that stop the pipeline and `warnings` that do not, by kind."""

    problems: list[str] = field(default_factory=list)
    warnings: dict[str, list[str]] = field(
        default_factory=lambda: {
            "not_images": [],
            "not_rgb": [],
            "odd_sizes": [],
            "no_face": [],
            "several_faces": [],
            "duplicates_within_split": [],
        }
    )


def find_images(folder: Path, labels: Sequence[str], findings: Findings) -> list[Found]:
    """List the images of `folder`, sorted by split and file; what should not be there goes to `findings`.

    Expects `train/<label>/`, `validate/<label>/`, and `test/` with images in it or in `test/<label>/`. Hidden files
    are passed over.
    """
    found = []
    for split in SPLITS:
        for parts in _files_below(folder, split):
            file = "/".join(parts)
            if not decoding.is_image(parts[-1]):
                findings.warnings["not_images"].append(f"{file}: {_why_no_image(file)}")
                continue
            match parts[1:-1]:
                case (label,) if label in labels:
                    found.append(Found(file, split, label))
                case () if split == "test":
                    found.append(Found(file, split, ""))
                case _:
                    findings.problems.append(
                        f"{file}: in no class's folder, expected {' or '.join(f'{split}/{label}/' for label in labels)}"
                    )
    return found


def _why_no_image(file: str) -> str:
    suffix = os.path.splitext(file)[1].lower()  # noqa: PTH122
    if suffix in _NOT_READ:
        return f"{suffix[1:].upper()} is not read, passed over; convert it to JPEG or PNG"
    return "no image, passed over"


def _files_below(folder: Path, split: str) -> list[tuple[str, ...]]:
    """List what is no folder and not hidden below a split's folder, by the parts of its path from `folder`, sorted."""
    # Of text, for a Path takes as long as a third of all that is asked of an image.
    files = []
    for place, folders, names in os.walk(folder / split):
        folders[:] = [name for name in folders if not name.startswith(".")]
        inside = Path(place).relative_to(folder).parts
        files += [(*inside, name) for name in names if not name.startswith(".")]
    return sorted(files)


def add_test_labels(found: Sequence[Found], table: Path, labels: Sequence[str], findings: Findings) -> list[Found]:
    """Return `found` with the labels that `table`, a CSV with `file,label`, has for test images without one.

    `file` is the image's name, with or without `test/`. Raises InputError where `table` is no such CSV; rows that do
    not fit the images go to `findings`.
    """
    try:
        rows = pd.read_csv(table, dtype=str, keep_default_na=False, encoding="utf-8-sig")
    except (ValueError, UnicodeDecodeError) as error:
        raise InputError(f"{table.name}: no CSV table", [str(error)], "Expected the columns file,label.") from error
    if not {"file", "label"} <= set(rows.columns):
        raise InputError(f"{table.name}: has the columns {', '.join(rows.columns)}; expected file,label")
    rows["file"] = "test/" + rows["file"].str.strip().str.removeprefix("test/")
    rows["label"] = rows["label"].str.strip()

    known: dict[str, str] = {}
    test_files = {image.file for image in found if image.split == "test"}
    for line, (file, label) in enumerate(rows[["file", "label"]].itertuples(index=False), start=2):
        where = f"{table.name}, line {line}"
        if label not in labels:
            findings.problems.append(f"{where}: label {label!r}, expected {' or '.join(labels)}")
        elif file not in test_files:
            findings.problems.append(f"{where}: {file} is not among the test images")
        elif known.setdefault(file, label) != label:
            findings.problems.append(f"{where}: {file} is {label} here and {known[file]} above")
    labelled = []
    for image in found:
        label = known.get(image.file, image.label)
        if image.label and label != image.label:
            findings.problems.append(f"{image.file}: in the folder of {image.label}, but {label} in {table.name}")
        elif image.split == "test" and not label:
            findings.problems.append(f"{image.file}: has no row in {table.name}")
        labelled.append(Found(image.file, image.split, label))
    return labelled


def examine(folder: Path, found: Sequence[Found], crop: Crop, findings: Findings) -> pd.DataFrame:
    """Read each image once and give the manifest; images that can't be decoded go to `findings`.

    With the crop "face", faces are searched for. Raises InputError where the cluster that was to do it can't: see
    parallel.spread.
    """
    # As short as can be: of each of very many images, this is all that is held in memory.
    rows: list[tuple[str | int | float, ...]] = []
    facts_of = partial(_facts, crop)
    facts = parallel.spread(partial(_read, folder), facts_of, found, total=len(found), description="verify")
    for image, known in zip(found, facts, strict=True):
        if isinstance(known, str):
            findings.problems.append(f"{image.file}: {known}")
        else:
            rows.append((image.file, image.split, image.label, *known))
    return pd.DataFrame(rows, columns=list(manifest.COLUMNS))


def _read(folder: Path, image: Found) -> bytes | str:
    """Return the bytes of an image, or as text why it cannot be read."""
    try:
        return (folder / image.file).read_bytes()
    except OSError as error:
        return error.strerror or str(error)


def _facts(crop: Crop, data: bytes | str) -> tuple[str | int | float, ...] | str:
    """Return the columns of the manifest after the label, or as text why the image cannot be decoded."""
    if isinstance(data, str):
        return data
    try:
        decoded = decoding.decode(data, _HASHED if crop == "none" else None)
    except decoding.ImageError as error:
        return str(error)
    found = detector.default()(decoded.image, shows_face=True) if crop == "face" else []
    face = faces.largest(found)
    hashed = faces.align(decoded.image, face.eyes, _HASHED) if face else decoded.image
    return (
        decoded.width,
        decoded.height,
        decoded.mode,
        len(data),
        hashlib.sha256(data).hexdigest(),
        f"{decoding.difference_hash(hashed):016x}",
        len(found),
        *(face.values if face else (math.nan,) * len(manifest.FACE)),
    )


def compare(
    table: pd.DataFrame, found: Sequence[Found], dataset: Dataset, preprocess: Preprocess, findings: Findings
) -> None:
    """Add to `findings` where the images are not what params.yaml expects, or not independent of each other."""
    findings.problems += _wrong_counts(found, dataset)
    for row in table[table["mode"] != "RGB"].itertuples():
        findings.warnings["not_rgb"].append(f"{row.file}: {row.mode}, not RGB")
    if preprocess.crop == "none":
        sizes = table[["width", "height"]]
        odd = ((sizes - sizes.median()).abs() > _ODD_SIZE * sizes.median()).any(axis=1)
        for row in table[odd].itertuples():
            findings.warnings["odd_sizes"].append(f"{row.file}: {row.width} × {row.height} px, unlike the rest")
    else:
        no_face = [f"{file}: no face found" for file in table["file"][table["faces"] == 0]]
        if preprocess.no_face == "whole":
            findings.warnings["no_face"] += no_face
        else:
            more = len(no_face) - MOST_SHOWN
            findings.problems += no_face[:MOST_SHOWN] + [f"and {more:,} more images without a face"] * (more > 0)
        for row in table[table["faces"] > 1].itertuples():
            findings.warnings["several_faces"].append(f"{row.file}: {row.faces} faces, the largest is used")

    hashes = np.array([int(dhash, 16) for dhash in table["dhash"]], dtype=np.uint64)
    pairs = duplicates.near_pairs(hashes, dataset.near_duplicate_bits)
    distances = np.bitwise_count(hashes[pairs[:, 0]] ^ hashes[pairs[:, 1]])
    columns = ["file", "split", "sha256"]
    ones, others = (table[columns].iloc[side].itertuples(index=False) for side in pairs.T)
    for one, other, distance in zip(ones, others, distances, strict=True):
        likeness = "the same image as" if one.sha256 == other.sha256 else "nearly the same image as"
        line = f"{other.file}: {likeness} {one.file} ({distance} of 64 hash bits differ)"
        if one.split == other.split:
            findings.warnings["duplicates_within_split"].append(line)
        else:
            findings.problems.append(line)


def counts(found: Sequence[Found], dataset: Dataset) -> dict[Split, dict[str, int]]:
    """Count the images by split and class; those of unknown label under NOT_KNOWN, where there are any."""
    counted = {split: dict.fromkeys(dataset.labels, 0) for split in SPLITS}
    for image in found:
        label = image.label or NOT_KNOWN
        counted[image.split][label] = counted[image.split].get(label, 0) + 1
    return counted


def _wrong_counts(found: Sequence[Found], dataset: Dataset) -> list[str]:
    problems = []
    for split, counted in counts(found, dataset).items():
        expected = dataset.counts[split]
        if NOT_KNOWN in counted:
            counted, expected = {"": sum(counted.values())}, {"": sum(expected.values())}
        for label, count in counted.items():
            if count != expected[label]:
                place = f"{split}/{label}".rstrip("/")
                problems.append(f"{place}: {count} image{'' if count == 1 else 's'}, expected {expected[label]}")
    return problems

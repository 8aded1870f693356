"""Checks of a dataset before training: layout, labels, damaged images, counts, faces, duplicates."""

import hashlib
import math
from array import array
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path, PurePath

import numpy as np
import pandas as pd

from anteojos.images import decoding, detector, duplicates, faces, labels_table, manifest, splitting
from anteojos.params import Dataset, Preprocess
from anteojos.runtime import parallel
from anteojos.runtime.errors import InputError
from anteojos.runtime.files import read, visible_files
from anteojos.runtime.names import comparable, nfc
from anteojos.sources import layout
from anteojos.vocabulary import NOT_KNOWN, SPLITS, UNSPLIT, Crop, SourceSplit, Split

WARNINGS = ("not_images", "not_rgb", "odd_sizes", "no_face", "several_faces", "duplicates_within_split")
# An image is odd if its width or height differs from the median by more than this share, unless more than the second
# share of the images do: photographs usually have many sizes.
_ODD_SIZE, _MOST_ODD = 0.1, 0.25
_HASHED = 72  # px, of the image or face that is hashed
# Images of phones, cameras and scanners that cannot be decoded here.
_NOT_SUPPORTED = {".arw", ".cr2", ".cr3", ".dng", ".heic", ".heif", ".jp2", ".jxl", ".nef", ".pdf", ".svg"}


@dataclass(frozen=True, slots=True)
class ImageFile:
    """An image file: `file` is its path below the data folder, with slashes; `label` is "" if it is not known."""

    file: str
    split: SourceSplit
    label: str


@dataclass
class Findings:
    """Messages of one line: `problems` stop the pipeline, `warnings`, by kind, do not. `advice` is what to do first."""

    problems: list[str] = field(default_factory=list)
    warnings: dict[str, list[str]] = field(default_factory=lambda: {kind: [] for kind in WARNINGS})
    advice: str = ""


def find_images(folder: Path, labels: Sequence[str], findings: Findings) -> list[ImageFile]:
    """List the images of `folder`, sorted by split and path; add files in the wrong place to `findings`.

    Images are expected below `train/<label>/`, `validate/<label>/`, `test/<label>/` and `unsplit/<label>/`, or directly
    in `test/`. Hidden files are skipped.
    """
    found = []
    spelling = {comparable(label): label for label in labels}
    classes: dict[str, Counter[str]] = defaultdict(Counter)
    for split in (*SPLITS, UNSPLIT):
        for name in visible_files(folder / split):
            file, (top, slash, _) = f"{split}/{name}", name.partition("/")
            label = spelling.get(comparable(top), nfc(top)) if slash else ""
            if not decoding.is_image(file):
                findings.warnings["not_images"].append(f"{file}: {_reason_to_skip(file)}")
            elif label or split == "test":
                found.append(ImageFile(file, split, label))
                classes[label][split] += 1
            else:
                expected = " or ".join(f"{split}/{label}/" for label in labels)
                findings.problems.append(f"{file}: not in a class folder, expected {expected}")
    classes.pop("", None)
    if classes.keys() - set(labels):
        findings.problems += [layout.classes_found(classes, labels), *layout.class_lines(classes)]
        findings.advice = layout.how_to_choose(classes, "SOURCE") + "\n"
    return [image for image in found if image.label in ("", *labels)]


def _reason_to_skip(file: str) -> str:
    suffix = PurePath(file).suffix.lower()
    if suffix in _NOT_SUPPORTED:
        return f"{suffix[1:].upper()} is not supported, skipped; convert it to JPEG or PNG"
    return "not an image, skipped"


def add_test_labels(
    found: Sequence[ImageFile], table: Path, labels: Sequence[str], findings: Findings
) -> list[ImageFile]:
    """Return `found` with the labels of test images from `table`; see labels_table.

    `file` is the path of an image, with or without `test/`. Rows that do not match the images are added to `findings`.
    Raises InputError if `table` cannot be read.
    """
    read_table = labels_table.read(table)
    known: dict[str, str] = {}
    test_files = {nfc(image.file) for image in found if image.split == "test"}
    spelling = {comparable(label): label for label in labels}
    problems = []
    for row in read_table.rows:
        where = f"{table.name}, line {row.line}"
        file = "test/" + row.file.replace("\\", "/").removeprefix("test/")
        label = spelling.get(comparable(row.label))
        if label is None:
            problems.append(f"{where}: label {row.label!r}, expected {' or '.join(labels)}")
        elif file not in test_files:
            problems.append(f"{where}: {file}: not one of the test images")
        elif known.setdefault(file, label) != label:
            problems.append(f"{where}: {file}: {label} here and {known[file]} above")
    if problems and not read_table.is_utf:
        raise InputError(f"{table.name}: not UTF-8, and wrong if it is Windows-1252", problems, labels_table.SAVE)
    findings.problems += problems
    labelled = []
    for image in found:
        label = known.get(nfc(image.file), image.label)
        if image.label and label != image.label:
            findings.problems.append(f"{image.file}: in the folder of {image.label}, but {label} in {table.name}")
        elif image.split == "test" and not label:
            findings.problems.append(f"{image.file}: has no row in {table.name}")
        labelled.append(ImageFile(image.file, image.split, label))
    return labelled


def examine(
    folder: Path, found: Sequence[ImageFile], crop: Crop, findings: Findings, description: str = "verify"
) -> pd.DataFrame:
    """Decode each image, detect faces if `crop` is "face", and return the manifest.

    Images that cannot be decoded are added to `findings`. `description` is shown at the progress bar. Raises InputError
    if a cluster is used and fails: see parallel.spread.
    """
    # Tuples and an array, because with very large datasets these rows use most of the memory.
    rows: list[tuple[str | int, ...]] = []
    positions = array("d")  # of faces, a row after the other
    work = partial(_examine, crop)
    results = parallel.spread(partial(_read, folder), work, found, total=len(found), description=description)
    for image, result in zip(found, results, strict=True):
        if isinstance(result, str):
            findings.problems.append(f"{image.file}: {result}")
        else:
            properties, face = result
            rows.append((image.file, image.split, image.label, *properties))
            positions.extend(face)
    table = pd.DataFrame(rows, columns=[name for name in manifest.COLUMNS if name not in manifest.FACE])
    table[list(manifest.FACE)] = np.array(positions).reshape(len(rows), len(manifest.FACE))
    return table


def _read(folder: Path, image: ImageFile) -> bytes | str:
    """Return the bytes of an image, or why it cannot be read."""
    try:
        return read(folder / image.file)
    except OSError as error:
        return error.strerror or str(error)


def _examine(crop: Crop, data: bytes | str) -> tuple[tuple[str | int, ...], tuple[float, ...]] | str:
    """Return the columns of the manifest after the label, those of the face apart, or why it cannot be decoded."""
    if isinstance(data, str):
        return data
    try:
        decoded = decoding.decode(data, _HASHED if crop == "none" else None)
    except decoding.ImageError as error:
        return str(error)
    found = detector.default()(decoded.image, shows_face=True) if crop == "face" else []
    face = faces.largest(found)
    hashed = faces.align(decoded.image, face.eyes, _HASHED) if face else decoded.image
    properties = (
        decoded.width,
        decoded.height,
        decoded.mode,
        len(data),
        hashlib.sha256(data).hexdigest(),
        f"{decoding.difference_hash(hashed):016x}",
        len(found),
    )
    return properties, face.values if face else (math.nan,) * len(manifest.FACE)


def split(
    table: pd.DataFrame, found: Sequence[ImageFile], dataset: Dataset, findings: Findings
) -> tuple[pd.DataFrame, list[ImageFile]]:
    """Return `table` and `found` with a split for each image, in the order of the splits; see `splitting.assign`.

    Images that cannot be decoded are left out. If the images cannot be split, nothing changes, and the reason is added
    to `findings`.
    """
    if not any(image.split == UNSPLIT for image in found):
        return table, list(found)
    unsplit = table["split"] == UNSPLIT
    if dataset.split is None:
        findings.problems.append(
            f"{UNSPLIT}: {unsplit.sum():,} images have no split, and dataset.split is empty; expected shares there"
        )
        return table, list(found)
    has_test = any(image.split == "test" for image in found)
    rows = table[unsplit].reset_index(drop=True)
    try:
        splits = splitting.assign(rows, dataset.split, dataset.near_duplicate_bits, dataset.labels, has_test=has_test)
    except ValueError as error:
        findings.problems.append(str(error))
        return table, list(found)
    table = table.copy()
    table.loc[unsplit, "split"] = splits
    table = pd.concat([table[table["split"] == name] for name in SPLITS], ignore_index=True)
    columns = (table[name] for name in ("file", "split", "label"))
    return table, [ImageFile(*row) for row in zip(*columns, strict=True)]


def compare(
    table: pd.DataFrame, found: Sequence[ImageFile], dataset: Dataset, preprocess: Preprocess, findings: Findings
) -> None:
    """Compare the images with params.yaml and with each other; add differences and duplicates to `findings`."""
    findings.problems += _wrong_counts(found, dataset)
    not_rgb = table[table["mode"] != "RGB"]
    findings.warnings["not_rgb"] += [f"{row.file}: {row.mode}, not RGB" for row in not_rgb.itertuples()]
    if preprocess.crop == "face":
        _compare_faces(table, preprocess, findings)
    else:
        sizes = table[["width", "height"]]
        odd = table[((sizes - sizes.median()).abs() > _ODD_SIZE * sizes.median()).any(axis=1)]
        if len(odd) <= _MOST_ODD * len(table):
            findings.warnings["odd_sizes"] += [
                f"{row.file}: {row.width} × {row.height} px, unlike the rest" for row in odd.itertuples()
            ]
    find_duplicates(table, dataset.near_duplicate_bits, findings)


def _wrong_counts(found: Sequence[ImageFile], dataset: Dataset) -> list[str]:
    problems: list[str] = []
    if any(image.split == UNSPLIT for image in found):
        return problems
    all_expected = dataset.counts
    if all_expected is None:
        return _empty_classes(found, dataset)
    for split, counted in counts(found, dataset).items():
        expected = all_expected[split]
        # If labels are unknown, only the number of all images can be compared.
        if NOT_KNOWN in counted:
            counted, expected = {"": sum(counted.values())}, {"": sum(expected.values())}
        for label, count in counted.items():
            if count != expected[label]:
                place = f"{split}/{label}".rstrip("/")
                problems.append(f"{place}: {count} image{'' if count == 1 else 's'}, expected {expected[label]}")
    return problems


def _empty_classes(found: Sequence[ImageFile], dataset: Dataset) -> list[str]:
    """Return a line for each class without images for training or validation."""
    counted = counts(found, dataset)
    return [
        f"{split}/{label}: no images, expected at least 1"
        for split in ("train", "validate")
        for label in dataset.labels
        if not counted[split][label]
    ]


def _compare_faces(table: pd.DataFrame, preprocess: Preprocess, findings: Findings) -> None:
    no_face = [f"{file}: no face found" for file in table["file"][table["faces"] == 0]]
    if preprocess.no_face == "whole":
        findings.warnings["no_face"] += no_face
    else:
        findings.problems += no_face
    several = table[table["faces"] > 1]
    findings.warnings["several_faces"] += [
        f"{row.file}: {row.faces} faces, the largest is used" for row in several.itertuples()
    ]


def find_duplicates(table: pd.DataFrame, bits: int, findings: Findings) -> None:
    """Add duplicates to `findings`: as problems if they are in two splits, as warnings if they are in one."""
    hashes = np.array([int(dhash, 16) for dhash in table["dhash"]], dtype=np.uint64)
    pairs = duplicates.near_pairs(hashes, bits)
    distances = np.bitwise_count(hashes[pairs[:, 0]] ^ hashes[pairs[:, 1]])
    ones, others = (table[["file", "split", "sha256"]].iloc[side].itertuples(index=False) for side in pairs.T)
    for one, other, distance in zip(ones, others, distances, strict=True):
        likeness = "the same image as" if one.sha256 == other.sha256 else "nearly the same image as"
        line = f"{other.file}: {likeness} {one.file} ({distance} of 64 hash bits differ)"
        within = findings.warnings["duplicates_within_split"]
        (within if one.split == other.split else findings.problems).append(line)


def counts(found: Sequence[ImageFile], dataset: Dataset) -> dict[Split, dict[str, int]]:
    """Count the images by split and class; if there are images without a label, count them as NOT_KNOWN."""
    counted = {split: dict.fromkeys(dataset.labels, 0) for split in SPLITS}
    for image in found:
        if image.split == "unsplit":
            continue
        label = image.label or NOT_KNOWN
        counted[image.split][label] = counted[image.split].get(label, 0) + 1
    return counted

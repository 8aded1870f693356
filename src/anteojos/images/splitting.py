"""Divide images without a split into train, validate and test, so that most stay in their split if images are added."""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from anteojos.images import duplicates
from anteojos.params import Shares
from anteojos.vocabulary import Split


@dataclass(frozen=True)
class Group:
    """Near-duplicates, which stay together. `rows` are their rows in the manifest.

    `label` and `position`, 0 (train) to 1 (test), are those of the image with the lowest position.
    """

    rows: tuple[int, ...]
    label: str
    position: float


def assign(table: pd.DataFrame, shares: Shares, bits: int, labels: Sequence[str], *, has_test: bool) -> list[Split]:
    """Return the split of each row of `table`, a manifest; it depends only on the content of the images.

    The position of an image, 0 to 1, is a hash of its checksum and `shares.seed`. A group of near-duplicates (see
    `duplicates.groups`) has the position and the label of its image with the lowest position. Below 1 - validate - test
    a group is for training, from 1 - test on for testing, and in between for validation. With `has_test`, the share for
    testing is 0. On average, each class is divided by these shares. Names and order of the files do not matter.

    Each of `labels` must have at least one group in train, one in validate, and if it has at least 3 groups and the
    share for testing is not 0, one in test. If necessary, the groups with the highest positions are moved there. Raises
    ValueError if a class has fewer than two groups.

    Adding images moves few others, and only towards train: a group that a new image with a lower position joins, and a
    group that was moved as above and is no longer needed there. Once a class has 3 groups, one of them in train by its
    own position, no image leaves train when images are added. So an image that was used for training is never used for
    evaluation later. If `shares` changes, more images move.
    """
    groups = _groups(table, shares.seed, bits)
    test = 0.0 if has_test else shares.test
    splits: list[Split] = ["train"] * len(table)
    for label in labels:
        of_class = sorted((group for group in groups if group.label == label), key=lambda group: -group.position)
        for split, chosen in _cut(label, of_class, shares.validate, test):
            for group in chosen:
                for row in group.rows:
                    splits[row] = split
    return splits


def _cut(label: str, groups: Sequence[Group], validate: float, test: float) -> Iterable[tuple[Split, Sequence[Group]]]:
    """Return the groups of a class, from the highest to the lowest position, for each split."""
    n = len(groups)
    if n < 2:
        images = sum(len(group.rows) for group in groups)
        found = "no images" if not images else f"{images:,} images, all nearly the same" if images > 1 else "1 image"
        raise ValueError(f"unsplit/{label}: {found}; expected at least 2 that differ, for train and validate")
    positions = np.array([group.position for group in groups])
    in_test = int((positions >= 1 - test).sum()) if test else 0
    in_test = min(max(in_test, int(test > 0)), n - 2)
    held_out = int((positions >= 1 - test - validate).sum())
    held_out = min(max(held_out, in_test + 1), n - 1)
    return (("test", groups[:in_test]), ("validate", groups[in_test:held_out]), ("train", groups[held_out:]))


def _groups(table: pd.DataFrame, seed: int, bits: int) -> list[Group]:
    hashes = np.array([int(dhash, 16) for dhash in table["dhash"]], dtype=np.uint64)
    positions = [_position(sha256, seed) for sha256 in table["sha256"]]
    labels = table["label"].tolist()
    members = defaultdict(list)
    for row, number in enumerate(duplicates.groups(hashes, bits).tolist()):
        members[number].append(row)
    groups = []
    for rows in members.values():
        # Equal files have the same position, but may have different labels.
        first = min(rows, key=lambda row: (positions[row], labels[row]))
        groups.append(Group(tuple(rows), labels[first], positions[first]))
    return groups


def _position(sha256: str, seed: int) -> float:
    """Return a pseudorandom number from 0 to 1 for a checksum."""
    digest = hashlib.sha256(f"{seed} {sha256}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64

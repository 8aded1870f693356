"""Divide images without a split into train, validate and test, in a way that stays the same when images are added."""

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
    """Near-duplicates, which stay together: the rows of the images, and the label and position of the first of them.

    The position is from 0 (train) to 1 (test).
    """

    rows: tuple[int, ...]
    label: str
    position: float


def assign(table: pd.DataFrame, shares: Shares, bits: int, labels: Sequence[str], *, has_test: bool) -> list[Split]:
    """Return the split of each row of `table`, a manifest; it depends only on the content of the images.

    Each image gets a position from 0 to 1: the hash of its checksum with `shares.seed`. Below 1 - validate - test it is
    for training, from 1 - test on for testing, in between for validation. With `has_test`, the share for testing is 0.
    Both classes have these shares, on average, and the order and names of the files do not matter.
    A group of near-duplicates (hashes that differ in at most `bits` bits, also through others) has the position and the
    label of the image with the lowest position.

    Each of `labels` then has at least one group in train and one in validate, and one in test if the share for testing
    is not 0 and it has at least 3 groups: groups with the highest positions move there. Raises ValueError if a class
    has fewer than two groups.

    New images move few others: a group whose position becomes lower, because the new image belongs to it, and a group
    that had moved and is no longer needed there. Both move towards train. As soon as a class has 3 groups, one of them
    in train by its own position, no image leaves train when others are added: no image that a model was trained on is
    later used to evaluate it. If `shares` changes, more images move.
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
    parent = list(range(len(table)))

    def root(row: int) -> int:
        while parent[row] != row:
            parent[row] = parent[parent[row]]
            row = parent[row]
        return row

    for one, other in duplicates.near_pairs(hashes, bits).tolist():
        parent[root(other)] = root(one)
    positions = [_position(sha256, seed) for sha256 in table["sha256"]]
    labels = table["label"].tolist()
    members = defaultdict(list)
    for row in range(len(table)):
        members[root(row)].append(row)
    groups = []
    for rows in members.values():
        # Equal files may have different labels: the label decides between them.
        first = min(rows, key=lambda row: (positions[row], labels[row]))
        groups.append(Group(tuple(rows), labels[first], positions[first]))
    return groups


def _position(sha256: str, seed: int) -> float:
    """Return a number from 0 to 1, uniformly distributed over checksums."""
    digest = hashlib.sha256(f"{seed} {sha256}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64

"""Tests of dividing images into splits."""

import hashlib
from collections import Counter
from collections.abc import Sequence

import numpy as np
import pandas as pd
import pytest

from anteojos.images import splitting
from anteojos.params import Shares

SHARES = Shares(validate=0.2, test=0.1, seed=2024)
LABELS = ("cats", "dogs")
Image = tuple[int, str]  # number, and label


def table(images: Sequence[Image], hashes: dict[int, int] | None = None) -> pd.DataFrame:
    """Return a manifest of images; those with the same `hashes` are near-duplicates."""
    rng = {number: int.from_bytes(hashlib.md5(f"{number}".encode()).digest()[:8], "big") for number, _ in images}
    return pd.DataFrame(
        {
            "label": [label for _, label in images],
            "sha256": [hashlib.sha256(f"{number}".encode()).hexdigest() for number, _ in images],
            "dhash": [f"{(hashes or {}).get(number, rng[number]):016x}" for number, _ in images],
        }
    )


def assign(
    images: Sequence[Image],
    shares: Shares = SHARES,
    *,
    hashes: dict[int, int] | None = None,
    bits: int = 2,
    has_test: bool = False,
) -> dict[int, str]:
    splits = splitting.assign(table(images, hashes), shares, bits, LABELS, has_test=has_test)
    return {number: split for (number, _), split in zip(images, splits, strict=True)}


def pets(cats: int, dogs: int, start: int = 0) -> list[Image]:
    return [(start + number, "cats" if number < cats else "dogs") for number in range(cats + dogs)]


def counts(images: Sequence[Image], **options: bool) -> dict[str, Counter[str]]:
    splits = assign(images, **options)
    return {label: Counter(splits[number] for number, of_number in images if of_number == label) for label in LABELS}


def test_shares_are_kept_in_each_class() -> None:
    for of_class in counts(pets(4000, 1000)).values():
        total = sum(of_class.values())
        assert of_class["validate"] == pytest.approx(0.2 * total, rel=0.15)
        assert of_class["test"] == pytest.approx(0.1 * total, rel=0.2)


def test_source_with_a_test_split_needs_no_other() -> None:
    for of_class in counts(pets(4000, 1000), has_test=True).values():
        assert of_class["test"] == 0
        assert of_class["validate"] == pytest.approx(0.2 * sum(of_class.values()), rel=0.15)


def test_order_does_not_matter_but_the_seed_does() -> None:
    images = pets(40, 30)
    assert assign(images[::-1]) == assign(images) == assign(images)
    assert assign(images, Shares(validate=0.2, test=0.1, seed=1)) != assign(images)


@pytest.mark.parametrize("cats", [2, 3, 4, 24])
@pytest.mark.parametrize("start", range(0, 400, 20))
def test_small_classes_have_images_in_each_split(cats: int, start: int) -> None:
    for of_class in counts(pets(cats, 4, start)).values():
        assert of_class["train"] >= 1
        assert of_class["validate"] >= 1
        assert of_class["test"] >= (1 if sum(of_class.values()) > 2 else 0)


def test_two_images_are_needed() -> None:
    with pytest.raises(ValueError, match="unsplit/dogs: 1 image; expected at least 2 that differ"):
        assign(pets(5, 1))
    with pytest.raises(ValueError, match="unsplit/dogs: no images; expected"):
        assign(pets(5, 0))
    with pytest.raises(ValueError, match="unsplit/dogs: 3 images, all nearly the same; expected"):
        assign(pets(5, 3), hashes={5: 1, 6: 2, 7: 3})


@pytest.mark.parametrize("start", range(0, 3000, 100))
def test_added_images_do_not_leave_train(start: int) -> None:
    images = pets(30, 30, start)[::7] + pets(30, 30, start)
    images = list(dict.fromkeys(images))
    before: dict[int, str] = {}
    moved = 0
    for n in range(12, len(images) + 1):
        after = assign(images[:n])
        trained = {number for number, split in before.items() if split == "train"}
        assert {after[number] for number in trained} <= {"train"}
        moved += sum(after[number] != split for number, split in before.items())
        before = after
    # Each image is compared with about 24 earlier results.
    assert moved <= 12


def test_large_classes_do_not_change_at_all() -> None:
    images = pets(300, 200)
    before, after = assign(images), assign([*images, *pets(300, 200, 1000)])
    assert {number: after[number] for number in before} == before


def test_near_duplicates_stay_together_through_others() -> None:
    # 0b1, 0b111 and 0b11111 differ by two bits from the next one, the last from the first by four.
    images = pets(60, 20)
    hashes = dict(zip(range(0, 60, 20), (0b1, 0b111, 0b11111), strict=True))
    for seed in range(30):
        splits = assign(images, Shares(validate=0.3, test=0.3, seed=seed), hashes=hashes)
        assert len({splits[number] for number in hashes}) == 1
    apart = [assign(images, Shares(validate=0.3, test=0.3, seed=seed), hashes=hashes, bits=1) for seed in range(30)]
    assert any(len({splits[number] for number in hashes}) > 1 for splits in apart)


def test_near_duplicates_of_two_classes_stay_together() -> None:
    images = pets(20, 20)
    for seed in range(30):
        splits = assign(images, Shares(validate=0.3, test=0.3, seed=seed), hashes={3: 1, 30: 1})
        assert splits[3] == splits[30]


def test_copies_are_in_one_split() -> None:
    rows = table(pets(20, 20))
    doubled = pd.concat([rows, rows], ignore_index=True)
    splits = splitting.assign(doubled, SHARES, 0, LABELS, has_test=False)
    assert splits[:40] == splits[40:] == list(splitting.assign(rows, SHARES, 0, LABELS, has_test=False))


def test_positions_are_uniform() -> None:
    checksums = [hashlib.sha256(f"{number}".encode()).hexdigest() for number in range(4000)]
    positions = np.array([splitting._position(checksum, 7) for checksum in checksums])
    assert np.histogram(positions, bins=10, range=(0, 1))[0].min() > 330

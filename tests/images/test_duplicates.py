"""near_pairs finds the same pairs as a comparison of all hashes with each other."""

from itertools import combinations

import numpy as np
import numpy.typing as npt
import pytest

from anteojos.images.duplicates import near_pairs

Hashes = npt.NDArray[np.uint64]


def compared_one_by_one(hashes: Hashes, bits: int) -> list[list[int]]:
    """Pair each hash with the first equal one, and the first ones with each other if they are near."""
    numbers = [int(hash_) for hash_ in hashes]
    first = {number: numbers.index(number) for number in numbers}
    pairs = [[first[number], index] for index, number in enumerate(numbers) if index != first[number]]
    pairs += [
        sorted((first[one], first[other])) for one, other in combinations(first, 2) if (one ^ other).bit_count() <= bits
    ]
    return sorted(pairs)


def some_alike(seed: int, n: int = 120) -> Hashes:
    """Return hashes; many are equal, and many differ in one to twelve bits."""
    chance = np.random.default_rng(seed)
    hashes = chance.choice(chance.integers(0, 2**64, 8, dtype=np.uint64), n)
    for index, flips in enumerate(chance.integers(0, 13, n) * chance.integers(0, 2, n)):
        for bit in chance.choice(64, flips, replace=False):
            hashes[index] ^= np.uint64(1 << int(bit))
    return hashes


@pytest.mark.parametrize("bits", range(9))
def test_pairs_equal_those_of_a_full_comparison(bits: int) -> None:
    found = 0
    for seed in range(10):
        hashes = some_alike(seed)
        pairs = near_pairs(hashes, bits)
        assert pairs.tolist() == compared_one_by_one(hashes, bits), seed
        found += len(pairs)
    assert found > 50


@pytest.mark.parametrize("bits", range(1, 9))
def test_pairs_do_not_depend_on_the_position_of_bits(bits: int) -> None:
    for seed in range(50):
        chance = np.random.default_rng(seed)
        one = int(chance.integers(0, 2**64, dtype=np.uint64))
        # The last one is one bit too many.
        flips = chance.choice(64, bits + 1, replace=False)
        near, far = one, one
        for flip in flips[:-1]:
            near ^= 1 << int(flip)
        for flip in flips:
            far ^= 1 << int(flip)
        assert near_pairs(np.array([one, near], dtype=np.uint64), bits).tolist() == [[0, 1]]
        assert near_pairs(np.array([one, far], dtype=np.uint64), bits).tolist() == []


@pytest.mark.parametrize("bits", [0, 4, 8])
@pytest.mark.parametrize("hashes", [[], [5], [0], [2**64 - 1, 0]])
def test_distant_hashes_give_no_pairs(bits: int, hashes: list[int]) -> None:
    pairs = near_pairs(np.array(hashes, dtype=np.uint64), bits)
    assert pairs.shape == (0, 2)


@pytest.mark.parametrize("bits", [0, 4, 8])
def test_equal_hashes_are_paired_with_the_first(bits: int) -> None:
    hashes = np.array([9, 2**63, 9, 9, 2**63], dtype=np.uint64)
    expected = [[0, 2], [0, 3], [1, 4]] if bits < 3 else [[0, 1], [0, 2], [0, 3], [1, 4]]
    assert near_pairs(hashes, bits).tolist() == expected


def test_every_duplicate_across_two_splits_has_a_pair() -> None:
    # For each set of near-equal images with one in another split, a pair must cross the splits.
    for seed in range(20):
        hashes = some_alike(seed, n=60)
        pairs = near_pairs(hashes, 4)
        for split in np.random.default_rng(seed).integers(0, 2, (20, len(hashes))):
            crossing = any(
                (int(hashes[i]) ^ int(hashes[j])).bit_count() <= 4 and split[i] != split[j]
                for i, j in combinations(range(len(hashes)), 2)
            )
            assert (split[pairs[:, 0]] != split[pairs[:, 1]]).any() == crossing


def test_100_000_equal_hashes_give_as_many_pairs() -> None:
    pairs = near_pairs(np.full(100_000, 7, dtype=np.uint64), 4)
    assert pairs.shape == (99_999, 2)
    assert (pairs[:, 0] == 0).all()
    assert (pairs[:, 1] == np.arange(1, 100_000)).all()


def test_near_pairs_among_100_000_hashes_are_found() -> None:
    hashes = np.random.default_rng(1).integers(0, 2**64, 100_000, dtype=np.uint64)
    hashes[99_000] = hashes[500] ^ np.uint64(0x8001_0000_0010_0001)
    hashes[70_000] = hashes[3]
    assert near_pairs(hashes, 4).tolist() == [[3, 70_000], [500, 99_000]]

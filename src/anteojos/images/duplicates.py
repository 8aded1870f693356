"""Find equal and nearly equal images by their difference hashes."""

from itertools import pairwise

import numpy as np
import numpy.typing as npt

HASH_BITS = 64


def near_pairs(hashes: npt.NDArray[np.uint64], bits: int) -> npt.NDArray[np.intp]:
    """Return the pairs of hashes that differ in at most `bits` of their 64 bits.

    `hashes` is uint64 (N,). The result is (P, 2): sorted indices i < j. Equal hashes are paired only with the first of
    them, and only this one is paired with other hashes: N copies of an image give N - 1 pairs, not N² / 2.

    Hashes are cut into `bits` + 1 bands. Two hashes that differ in at most `bits` bits have at least one equal band, so
    only hashes with an equal band are compared.
    """
    unique, first, group = np.unique(hashes, return_index=True, return_inverse=True)
    later = np.setdiff1d(np.arange(len(hashes)), first)
    pairs = [np.stack((first[group[later]], later), axis=1)]
    edges = np.linspace(0, HASH_BITS, bits + 2).round().astype(np.uint64)
    for low, high in pairwise(edges):
        band = (unique >> low) & np.uint64(2 ** int(high - low) - 1)
        order = np.argsort(band, kind="stable")
        band, ordered = band[order], unique[order]
        # Equal bands are now neighbours: compare each hash with the next one, then with the one after that, and so on.
        near = np.arange(len(order) - 1)
        step = 1
        while len(near := near[near + step < len(order)]) and len(near := near[band[near] == band[near + step]]):
            close = near[np.bitwise_count(ordered[near] ^ ordered[near + step]) <= bits]
            pairs.append(np.stack((first[order[close]], first[order[close + step]]), axis=1))
            step += 1
    return np.unique(np.sort(np.concatenate(pairs), axis=1), axis=0)


def groups(hashes: npt.NDArray[np.uint64], bits: int) -> npt.NDArray[np.intp]:
    """Return the number of the group of near-duplicates that each hash belongs to, (N,).

    Hashes that differ in at most `bits` bits are in the same group, directly or through other hashes.
    """
    from scipy.sparse import coo_array  # slow import, not needed to find pairs
    from scipy.sparse.csgraph import connected_components

    pairs = near_pairs(hashes, bits)
    edges = coo_array((np.ones(len(pairs)), tuple(pairs.T)), shape=(len(hashes), len(hashes)))
    return np.asarray(connected_components(edges, directed=False)[1], dtype=np.intp)

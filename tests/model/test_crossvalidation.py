"""Each image is labelled by a network that was trained without it and without its near-duplicates."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from anteojos.model import crossvalidation
from anteojos.model.batches import LabelledImages
from anteojos.model.crossvalidation import assign_folds
from anteojos.params import Params
from anteojos.runtime.errors import InputError
from tests.conftest import ROOT

pytestmark = pytest.mark.slow

FIRST = np.arange(40) < 10
# Any two of them differ in many bits.
HASHES = np.random.default_rng(0).integers(0, 2**64, 40, dtype=np.uint64)


def test_folds_have_the_same_shares_of_both_classes() -> None:
    folds = assign_folds(FIRST, HASHES, 2, 5, seed=1)
    assert np.bincount(folds).tolist() == [8] * 5
    assert np.bincount(folds[FIRST]).tolist() == [2] * 5
    assert (folds == assign_folds(FIRST, HASHES, 2, 5, seed=1)).all()
    assert (folds != assign_folds(FIRST, HASHES, 2, 5, seed=2)).any()


def test_near_duplicates_are_in_the_same_fold() -> None:
    hashes = HASHES.copy()
    # Each differs from the one before it in two bits, the first from the last in six.
    hashes[20:24] = [0b0, 0b11, 0b1111, 0b111111]
    hashes[30] = hashes[39]
    for seed in range(5):
        folds = assign_folds(FIRST, hashes, 2, 4, seed)
        assert len(set(folds[20:24])) == 1
        assert folds[30] == folds[39]


def test_more_folds_than_images_of_a_class_raise() -> None:
    hashes = HASHES.copy()
    hashes[:6] = hashes[0]
    with pytest.raises(InputError, match=r"evaluate.folds: found 6; the smaller class has 5 different images"):
        assign_folds(FIRST, hashes, 2, 6, seed=1)


def test_image_is_labelled_by_a_network_that_has_not_seen_it(tmp_path: Path) -> None:
    images = np.random.default_rng(0).integers(0, 120, (24, 48, 48, 3), dtype=np.uint8)
    first = np.arange(24) % 2 == 0
    images[first] += 130
    # A network can only know the label of this dark image from the image itself.
    first[1] = True
    split = LabelledImages(images, first)
    params = replace(
        Params.load(ROOT / "params.yaml").train, network="sigmoid", epochs=20, batch_size=8, rescale=True, seed=3
    )
    folds = np.arange(24) % 3
    seen: list[tuple[int, int]] = []
    found = crossvalidation.label(
        split,
        folds,
        params,
        lambda fold: tmp_path / f"{fold}.npz",
        lambda fold, values: seen.append((fold, len(values))),
    )
    assert seen == [(0, 8), (1, 8), (2, 8)]
    assert found[1] < 0.5
    assert ((found >= 0.5) == first).sum() == 23
    # It resumes from the checkpoints of the folds.
    assert sorted(path.name for path in tmp_path.iterdir()) == ["0.npz", "1.npz", "2.npz"]
    again = crossvalidation.label(split, folds, params, lambda fold: tmp_path / f"{fold}.npz", lambda *_: None)
    assert (again == found).all()

"""Batches: images, labels, shares of replicas, memory and order."""

import mmap
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from anteojos.model import batches
from anteojos.model.augmentation import draw_transforms
from anteojos.model.recipes import Augmentation

SIZE = 48


def noise(count: int) -> batches.LabelledImages:
    """Return images of noise; every second label is the first class."""
    images = np.random.default_rng(0).integers(0, 256, (count, SIZE, SIZE, 3), dtype=np.uint8)
    return batches.LabelledImages(images, np.arange(count) % 2 == 0)


def test_batch_has_the_images_and_labels_of_its_rows() -> None:
    split, rows = noise(10), np.array([9, 3, 0])
    batch = batches.read(split, rows, 2, [slice(0, 3)])
    assert batch.count == 3
    assert np.array_equal(batch.images[0], split.images[rows])
    assert batch.targets[0].tolist() == [[0, 1], [0, 1], [1, 0]]
    assert batches.read(split, rows, 1, [slice(0, 3)]).targets[0].tolist() == [[0], [0], [1]]


def test_shares_of_replicas_make_up_the_whole_batch() -> None:
    split, rows = noise(10), np.arange(5)
    moves = draw_transforms(5, SIZE, Augmentation(shift=0.3, zoom=(0.5, 2), rotation=30), np.random.default_rng(0))
    whole = batches.read(split, rows, 2, [slice(0, 5)], moves)
    shared = batches.read(split, rows, 2, [slice(0, 2), slice(2, 2), slice(2, 5)], moves)
    assert [weights.tolist() for weights in shared.weights] == [[1, 1], [0], [1, 1, 1]]
    counted = np.concatenate(shared.weights) > 0
    assert np.array_equal(np.concatenate(shared.images)[counted], whole.images[0])
    assert np.array_equal(np.concatenate(shared.targets)[counted], whole.targets[0])
    assert not np.array_equal(whole.images[0], split.images[rows])


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="asks Linux how much of a file is in memory")
def test_pages_of_a_memory_map_are_released(tmp_path: Path) -> None:
    def mapped() -> int:
        return int(Path("/proc/self/statm").read_text().split()[2]) * mmap.PAGESIZE

    np.save(tmp_path / "images.npy", np.ones((1000, 160, 160, 3), np.uint8))  # 77 MB
    images = np.load(tmp_path / "images.npy", mmap_mode="r")
    split = batches.LabelledImages(images, np.ones(1000, bool))
    before = mapped()
    assert images.sum() == images.size
    assert mapped() - before > 70e6
    batches.read(split, np.arange(8), 2, [slice(0, 8)])
    for start in range(0, 1000, 40):
        batches.read(split, np.arange(start, start + 40), 2, [slice(0, 40)])
        assert mapped() - before < 10e6


def test_prefetch_keeps_the_order_and_raises_errors() -> None:
    requested = 0

    def make(number: int) -> batches.Batch:
        if number == 8:
            raise OSError("the disk is gone")
        time.sleep(0.05 * (number % 2))  # the next one is ready before this one
        return batches.Batch(number, [], [], [])

    def makers() -> Iterator[Callable[[], batches.Batch]]:
        nonlocal requested
        for requested in range(1, 101):
            yield partial(make, requested - 1)

    coming = batches.prefetch(makers())
    assert [next(coming).count for _ in range(8)] == list(range(8))
    with pytest.raises(OSError, match="the disk is gone"):
        next(coming)
    assert 8 < requested < 50  # some are prefetched, not all

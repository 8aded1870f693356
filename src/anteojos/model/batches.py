"""Batches of images: read from memory-mapped arrays, augmented, and prefetched by threads."""

import mmap
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt

from anteojos.images import manifest
from anteojos.model import augmentation
from anteojos.model.recipes import Augmentation
from anteojos.runtime import threads
from anteojos.vocabulary import Pixels

# Threads that prepare batches; each holds one in memory.
_MOST_THREADS = 16

Floats = npt.NDArray[np.float32]
Rows = npt.NDArray[np.intp]


@dataclass(frozen=True)
class LabelledImages:
    """A split: `images`, uint8 (N, size, size, 3), and `first`, bool (N,), true if the label is the first class."""

    images: Pixels
    first: npt.NDArray[np.bool_]

    @property
    def counts(self) -> tuple[int, int]:
        """The number of images of the first and of the second class."""
        return int(self.first.sum()), int((~self.first).sum())


def load(folder: Path, first_label: str) -> LabelledImages:
    """Map the images of a split into memory, with their labels."""
    index = manifest.read(folder / "index.csv")
    images = np.load(folder / "images.npy", mmap_mode="r")
    return LabelledImages(images, (index["label"] == first_label).to_numpy())


@dataclass(frozen=True)
class Batch:
    """The part of a batch for this machine; `count` is the number of images on all machines together.

    `images`, `targets` and `weights` have an item for each replica: uint8 (B, size, size, 3), float32 (B, outputs) and
    float32 (B,). Weights are 1, with one exception: TensorFlow rejects empty batches, so a replica without a share gets
    one image with weight 0.
    """

    count: int
    images: list[Pixels]
    targets: list[Floats]
    weights: list[Floats]


def tasks(
    batch_size: int,
    outputs: int,
    shares: Callable[[int], Sequence[slice]],
    rng: np.random.Generator,
    split: LabelledImages,
    order: Rows,
    varied: Augmentation | None,
) -> Iterator[Callable[[], Batch]]:
    """Yield a function for each batch of the images in `order`, which reads and augments the batch.

    `shares(n)` returns the slices of a batch of n images for the replicas of this machine.
    """
    for start in range(0, len(order), batch_size):
        rows = order[start : start + batch_size]
        # Each machine draws the numbers for the images of all machines, so that all draw the same.
        transforms = augmentation.draw_transforms(len(rows), split.images.shape[1], varied, rng) if varied else None
        yield partial(read, split, rows, outputs, shares(len(rows)), transforms)


def read(
    split: LabelledImages,
    rows: Rows,
    outputs: int,
    shares: Sequence[slice],
    transforms: npt.NDArray[np.float64] | None = None,
) -> Batch:
    """Read the images of `rows`, (B,), and move each share of them by its part of `transforms`, (B, 7).

    If `split.images` is memory-mapped, its pages are released afterwards.
    """
    images, targets, weights = [], [], []
    for share in shares:
        is_empty = share.start == share.stop
        part = slice(0, 1) if is_empty else share
        first = split.first[rows[part]].astype(np.float32)
        targets.append(np.stack((first, 1 - first), axis=1)[:, :outputs])
        weights.append(np.full(len(first), not is_empty, np.float32))
        unchanged = split.images[rows[part]]
        images.append(unchanged if transforms is None else augmentation.vary(unchanged, transforms[part]))
    if isinstance(split.images.base, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
        # Otherwise all pages that were read stay in the memory of the process.
        split.images.base.madvise(mmap.MADV_DONTNEED)
    return Batch(len(rows), images, targets, weights)


def prefetch(batches: Iterable[Callable[[], Batch]]) -> Iterator[Batch]:
    """Yield the batches in order; threads prepare the next ones while a batch is used."""
    workers = min(threads.cores(), _MOST_THREADS)
    with ThreadPoolExecutor(workers) as executor:
        yield from threads.map_bounded(executor, lambda batch: batch(), batches, workers + 1)

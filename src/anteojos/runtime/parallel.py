"""Run the same work on many images, in order and in bounded memory: in one local process per core, or on a cluster.

joblib (loky) cannot replace this: its processes outlive a parent that is killed.
"""

import gc
import mmap
import os
import pickle
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import accumulate, cycle, islice, pairwise
from typing import Any, TypeVar

from anteojos.runtime import threads
from anteojos.runtime.processes import forked

Item = TypeVar("Item")
Data = TypeVar("Data")
Result = TypeVar("Result")

# Address of a Dask scheduler. Not a parameter: where the work runs does not change the results.
SCHEDULER = "ANTEOJOS_SCHEDULER"
_BATCH = 16  # items sent at once: sending one item costs as much as the work on a small image
_SLOT = 64 * 2**20  # bytes for the arrays of a batch: 16 images of 1024 × 1024 px have 48 MiB
# Set in each child process: the work, and the shared memory for its arrays.
_function: Callable[[Any], Any]
_slots: list[mmap.mmap]


def spread(
    read: Callable[[Item], Data],
    work: Callable[[Data], Result],
    items: Iterable[Item],
    *,
    total: int,
    description: str,
) -> Iterator[Result]:
    """Yield `work(read(item))` for each item, in the order of `items`, on this machine or on the cluster at SCHEDULER.

    Locally, one process per core calls both: threads would wait for the GIL, because the work on an image has many
    short steps. Results must be picklable. With a cluster, `read` is called here and `work` on a worker: `work`, its
    inputs and results must be picklable, and `work` should be a function of a module, a method, or a
    `functools.partial` of these. Raises InputError if the cluster fails (see `cluster.in_order`). Only a few items are
    in flight, so memory does not grow with `total`. See `threads.bar` for `total` and `description`.
    """
    address = os.environ.get(SCHEDULER, "")
    results: Iterator[Result]
    if address:
        from anteojos.runtime import cluster

        results = cluster.in_order(address, work, map(read, items))
    elif threads.cores() == 1 or total <= _BATCH:
        results = map(work, map(read, items))
    else:
        results = _in_processes(lambda item: work(read(item)), items)
    with threads.bar(total, description) as bar:
        for result in results:
            yield result
            bar.update()


def _in_processes(function: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
    """Yield `function(item)` for each item, in their order, computed by one process per core."""
    workers = threads.cores()
    in_flight = 2 * workers
    # Arrays are returned in shared memory: a pipe would take half as long as the work. Each batch in flight has a slot,
    # and so has the batch that is being read. Unused pages take no memory.
    slots = [mmap.mmap(-1, _SLOT) for _ in range(in_flight + 1)]
    items = iter(items)
    batches = iter(lambda: list(islice(items, _BATCH)), [])
    # Forked processes have the function and all imports: starting new interpreters takes as long as a thousand images.
    # It is safe to fork, because no thread is running yet.
    with forked(workers, partial(_set_up_worker, function, slots)) as executor:
        numbered = zip(cycle(range(len(slots))), batches)
        for slot, packed, ends in threads.map_bounded(executor, _run_batch, numbered, in_flight):
            arrays = [bytearray(memoryview(slots[slot])[start:end]) for start, end in pairwise(ends)]
            yield from pickle.loads(packed, buffers=arrays)  # noqa: S301, from a child process


def _set_up_worker(function: Callable[[Item], Result], slots: list[mmap.mmap]) -> None:
    global _function, _slots
    _function, _slots = function, slots
    gc.freeze()  # a garbage collection would copy all pages shared with the parent


def _run_batch(numbered: tuple[int, list[Item]]) -> tuple[int, bytes, list[int]]:
    """Run the work on a batch; return its slot, the pickled results without arrays, and where each array ends."""
    slot, batch = numbered
    results = [_function(item) for item in batch]
    arrays: list[pickle.PickleBuffer] = []
    packed = pickle.dumps(results, protocol=5, buffer_callback=arrays.append)
    ends = list(accumulate((array.raw().nbytes for array in arrays), initial=0))
    if ends[-1] > _SLOT:
        return slot, pickle.dumps(results, protocol=5), []
    for array, (start, end) in zip(arrays, pairwise(ends), strict=True):
        _slots[slot][start:end] = array.raw()
    return slot, packed, ends

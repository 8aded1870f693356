"""The same work on many images, in order and in bounded memory: by one process a core here, or on a cluster."""

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
Given = TypeVar("Given")
Result = TypeVar("Result")

# The address of a Dask scheduler. No parameter: where the work was done does not change what came out of it.
SCHEDULER = "ANTEOJOS_SCHEDULER"


# Handing work to a process and taking back what it gives costs as much as a small image: so many go at once.
_BATCH = 16
_SLOT = 64 * 2**20  # bytes for the arrays that come of a batch: 16 images of 1024 × 1024 px have 48 MiB
# In a process that works: what it does with each item, and where it puts the arrays that come of it.
_function: Callable[[Any], Any]
_slots: list[mmap.mmap]


def spread(
    read: Callable[[Item], Given],
    work: Callable[[Given], Result],
    items: Iterable[Item],
    *,
    total: int,
    description: str,
) -> Iterator[Result]:
    """Yield `work(read(item))` for each item, in the order of `items`, worked out where SCHEDULER says.

    Without it that is here, by one process a core: an image of a face takes a few tenths of a millisecond in twenty
    steps, and threads would spend as long waiting for Python's lock between them. What `read` is given and what `work`
    gives have to be picklable. With it, `read` is called here, and what it gives travels to the cluster, where `work`
    is called: both `work` and what it takes and gives have to be picklable, and it should be a function of a module, a
    `functools.partial` or a method of one. Raises InputError where the cluster can't do it.

    Only a few items are under way at once, as by `threads.in_order`.
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
    """Yield `function(item)` for each item, in their order, worked out by one process a core."""
    workers = threads.cores()
    under_way = 2 * workers
    # Pages that processes share: through a pipe, an image would take half as long as all that is done to it. One slot
    # for each batch under way and the one that is being taken over; what is not written to takes no memory.
    slots = [mmap.mmap(-1, _SLOT) for _ in range(under_way + 1)]
    items = iter(items)
    batches = iter(lambda: list(islice(items, _BATCH)), [])
    # Forked, they have the function and all that is imported: to start afresh would take them longer than a thousand
    # images. Nothing here has started a thread that they would miss.
    with forked(workers, partial(_become_worker, function, slots)) as executor:
        given = zip(cycle(range(len(slots))), batches)
        for slot, packed, ends in threads.in_turn(executor, _work_through, given, under_way):
            arrays = [bytearray(memoryview(slots[slot])[start:end]) for start, end in pairwise(ends)]
            yield from pickle.loads(packed, buffers=arrays)  # noqa: S301, from a process of our own


def _become_worker(function: Callable[[Item], Result], slots: list[mmap.mmap]) -> None:
    """Keep what this process is for."""
    global _function, _slots
    _function, _slots = function, slots
    # Looking through what it was born with for garbage would make copies of all those pages.
    gc.freeze()


def _work_through(given: tuple[int, list[Item]]) -> tuple[int, bytes, list[int]]:
    """Work on a batch; give its slot, the pickled results without their arrays, and where in the slot those end."""
    slot, batch = given
    results = [_function(item) for item in batch]
    arrays: list[pickle.PickleBuffer] = []
    packed = pickle.dumps(results, protocol=5, buffer_callback=arrays.append)
    ends = list(accumulate((array.raw().nbytes for array in arrays), initial=0))
    if ends[-1] > _SLOT:
        return slot, pickle.dumps(results, protocol=5), []
    for array, (start, end) in zip(arrays, pairwise(ends), strict=True):
        _slots[slot][start:end] = array.raw()
    return slot, packed, ends

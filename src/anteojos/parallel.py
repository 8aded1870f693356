"""The same work on many pictures, in order and in bounded memory: on all cores here, or on a cluster."""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from tqdm import tqdm

Item = TypeVar("Item")
Given = TypeVar("Given")
Result = TypeVar("Result")

# The address of a Dask scheduler. No parameter: where the work was done does not change what came out of it.
SCHEDULER = "ANTEOJOS_SCHEDULER"


def in_order(
    function: Callable[[Item], Result], items: Iterable[Item], *, total: int, description: str
) -> Iterator[Result]:
    """Yield `function(item)` for each item, in the order of `items`, worked out here by one thread a core.

    Threads serve because Pillow and NumPy let go of Python's lock while they work. Only a few items are under way at
    once, so that memory does not grow with `total`. A terminal gets a progress bar, a log file none.
    """
    workers = os.cpu_count() or 1
    waiting: deque[Future[Result]] = deque()
    with ThreadPoolExecutor(workers) as executor, tqdm(total=total, desc=description, unit="", disable=None) as bar:
        try:
            for item in items:
                waiting.append(executor.submit(function, item))
                if len(waiting) > 4 * workers:
                    yield waiting.popleft().result()
                    bar.update()
            while waiting:
                yield waiting.popleft().result()
                bar.update()
        finally:
            for future in waiting:
                future.cancel()


def spread(
    read: Callable[[Item], Given],
    work: Callable[[Given], Result],
    items: Iterable[Item],
    *,
    total: int,
    description: str,
) -> Iterator[Result]:
    """Yield `work(read(item))` for each item, in the order of `items`, worked out where SCHEDULER says.

    Without it that is here, as by `in_order`. With it, `read` is called here, and what it gives travels to the cluster,
    where `work` is called: both `work` and what it takes and gives have to be picklable, and it should be a function of
    a module, a `functools.partial` or a method of one. Raises InputError where the cluster can't do it.
    """
    address = os.environ.get(SCHEDULER, "")
    if not address:
        yield from in_order(lambda item: work(read(item)), items, total=total, description=description)
        return
    from anteojos import cluster

    with tqdm(total=total, desc=description, unit="", disable=None) as bar:
        for result in cluster.in_order(address, work, map(read, items)):
            yield result
            bar.update()

"""The same work on many pictures, on all cores, in order and in bounded memory."""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from tqdm import tqdm

Item = TypeVar("Item")
Result = TypeVar("Result")


def in_order(
    function: Callable[[Item], Result], items: Iterable[Item], *, total: int, description: str
) -> Iterator[Result]:
    """Yield `function(item)` for each item, in the order of `items`, worked out by one thread a core.

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

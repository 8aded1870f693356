"""Run work in threads, in order and in bounded memory; count the available cores."""

import math
import os
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from tqdm import tqdm

Item = TypeVar("Item")
Result = TypeVar("Result")


def cores() -> int:
    """Return the number of cores that this process may use: its CPU affinity, or its container's limit if lower."""
    affinity = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
    return max(1, min(affinity, cgroup_limit(Path("/proc/self/cgroup"), Path("/sys/fs/cgroup"))))


def cgroup_limit(group: Path, tree: Path) -> int:
    """Return the lowest CPU limit of a control group (version 2) and its parents, rounded up; sys.maxsize if none.

    `group` is the file with the name of the group, /proc/self/cgroup; `tree` is the folder of all groups.
    """
    try:
        place = tree / group.read_text(encoding="ascii").partition("::")[2].strip().strip("/")
        files = [path for folder in (place, *place.parents) if (path := folder / "cpu.max").is_file()]
        limits = [path.read_text(encoding="ascii").split() for path in files]
    except OSError:
        return sys.maxsize
    return min((math.ceil(int(quota) / int(period)) for quota, period in limits if quota != "max"), default=sys.maxsize)


def in_order(
    function: Callable[[Item], Result], items: Iterable[Item], *, total: int, description: str
) -> Iterator[Result]:
    """Yield `function(item)` for each item, in the order of `items`, computed by one thread per core.

    Use it if most of the work releases the GIL for milliseconds, as LiteRT does; otherwise use `parallel.spread`. Only
    a few items are in flight, so memory does not grow with `total`. See `bar` for `total` and `description`.
    """
    workers = cores()
    with ThreadPoolExecutor(workers) as executor, bar(total, description) as done:
        for result in map_bounded(executor, function, items, 4 * workers):
            yield result
            done.update()


def bar(total: int, description: str) -> "tqdm[Any]":
    """Return a progress bar; it is hidden if `description` is empty or stderr is not a terminal."""
    # With None, tqdm checks whether stderr is a terminal.
    return tqdm(total=total, desc=description, unit="", disable=None if description else True)


def map_bounded(
    executor: Executor, function: Callable[[Item], Result], items: Iterable[Item], most: int
) -> Iterator[Result]:
    """Yield `function(item)` for each item, in the order of `items`; at most `most` of them are in flight."""
    waiting: deque[Future[Result]] = deque()
    try:
        for item in items:
            waiting.append(executor.submit(function, item))
            if len(waiting) > most:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        for future in waiting:
            future.cancel()

"""Work in threads, in order and in bounded memory, and how many cores there are for it."""

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
    """Return how many cores this process may use: those that it is bound to, or fewer if a container is limited.

    A fraction of a core counts as one.
    """
    bound = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
    return max(1, min(bound, allowed_by(Path("/proc/self/cgroup"), Path("/sys/fs/cgroup"))))


def allowed_by(group: Path, tree: Path) -> int:
    """Return how many cores a control group (version 2) and its parents may use, rounded up; sys.maxsize for all.

    `group` is the file that names it, /proc/self/cgroup, and `tree` is where groups have their folders.
    """
    try:
        place = tree / group.read_text(encoding="ascii").partition("::")[2].strip().strip("/")
        files = [path for folder in (place, *place.parents) if (path := folder / "cpu.max").is_file()]
        limits = [path.read_text(encoding="ascii").split() for path in files]
    except OSError:
        return sys.maxsize
    return min((-(-int(quota) // int(period)) for quota, period in limits if quota != "max"), default=sys.maxsize)


def in_order(
    function: Callable[[Item], Result], items: Iterable[Item], *, total: int, description: str
) -> Iterator[Result]:
    """Yield `function(item)` for each item, in the order of `items`, worked out here by one thread a core.

    Threads serve where most of the work lets go of Python's lock for milliseconds, as LiteRT does; for less, see
    `parallel.spread`. Only a few items are under way at once, so that memory does not grow with `total`. A terminal
    gets a progress bar with the `description` unless that is empty, a log file none.
    """
    workers = cores()
    with ThreadPoolExecutor(workers) as executor, bar(total, description) as done:
        for result in in_turn(executor, function, items, 4 * workers):
            yield result
            done.update()


def bar(total: int, description: str) -> "tqdm[Any]":
    """Return a progress bar; it is hidden if `description` is empty or stderr is not a terminal."""
    # None: tqdm looks whether it writes to a terminal.
    return tqdm(total=total, desc=description, unit="", disable=None if description else True)


def in_turn(
    executor: Executor, function: Callable[[Item], Result], items: Iterable[Item], most: int
) -> Iterator[Result]:
    """Yield `function(item)` for each item, in their order, with at most `most` of them under way or waiting."""
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

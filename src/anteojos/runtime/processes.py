"""Processes that others start, and that must not outlive them."""

import ctypes
import multiprocessing
import os
import signal
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager


@contextmanager
def forked(workers: int, begin: Callable[[], object] = lambda: None) -> Iterator[ProcessPoolExecutor]:
    """Yield an executor of so many forked processes, which call `begin` first and share all imports of this one.

    None outlives this one. Where it is left with an error or early, what no process has begun is dropped.
    """
    fork = multiprocessing.get_context("fork")
    with ProcessPoolExecutor(workers, fork, initializer=_begin, initargs=(begin,)) as executor:
        try:
            yield executor
        finally:
            # Without this, Python 3.11.2 may wait for good for what was cancelled (python/cpython#94440).
            executor.shutdown(cancel_futures=True)


def _begin(begin: Callable[[], object]) -> None:
    # Ctrl-C reaches all; the one that forked them says so, and stops them.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    end_with_parent()
    begin()


def end_with_parent() -> None:
    """Have this process killed when the one that started it ends. (Linux alone can do that; elsewhere it lives on.)"""
    if sys.platform == "linux":
        set_parent_death_signal = 1
        ctypes.CDLL(None).prctl(set_parent_death_signal, signal.SIGKILL)
        # Of one that has ended before this, nobody is told.
        parent = multiprocessing.parent_process()
        if parent and os.getppid() != parent.pid:
            os._exit(1)

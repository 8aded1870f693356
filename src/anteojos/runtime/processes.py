"""Child processes that do not outlive this one."""

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
    """Yield an executor of forked processes, which call `begin` first and share all imports of this process.

    They end when this process ends. At the end of the `with` block, work that has not started is cancelled.
    """
    fork = multiprocessing.get_context("fork")
    with ProcessPoolExecutor(workers, fork, initializer=_begin, initargs=(begin,)) as executor:
        try:
            yield executor
        finally:
            # Without this, Python 3.11.2 can wait forever for cancelled work (python/cpython#94440).
            executor.shutdown(cancel_futures=True)


def _begin(begin: Callable[[], object]) -> None:
    # Ctrl-C reaches all processes. Only the parent handles it, and stops the others.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    end_with_parent()
    begin()


def end_with_parent() -> None:
    """Have Linux kill this process when its parent ends. Other systems cannot do this."""
    if sys.platform == "linux":
        set_parent_death_signal = 1
        ctypes.CDLL(None).prctl(set_parent_death_signal, signal.SIGKILL)
        # The parent may have ended before this call.
        parent = multiprocessing.parent_process()
        if parent and os.getppid() != parent.pid:
            os._exit(1)

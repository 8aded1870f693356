"""Processes that others start, and that must not outlive them."""

import ctypes
import multiprocessing
import os
import signal
import sys


def end_with_parent() -> None:
    """Have this process killed when the one that started it ends. (Linux alone can do that; elsewhere it lives on.)"""
    if sys.platform == "linux":
        set_parent_death_signal = 1
        ctypes.CDLL(None).prctl(set_parent_death_signal, signal.SIGKILL)
        # Of one that has ended before this, nobody is told.
        parent = multiprocessing.parent_process()
        if parent and os.getppid() != parent.pid:
            os._exit(1)

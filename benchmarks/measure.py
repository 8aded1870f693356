"""Run commands side by side, and say how long they took and how much memory: for ratios, not for figures alone.

What else a machine does meets one command as it meets the next, if they take turns.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import psutil

MIB = 2**20
_EVERY = 0.05  # seconds between two looks at a command's memory, each of which takes it some milliseconds

Result = TypeVar("Result")


@dataclass(frozen=True)
class Cost:
    """What a command took: `seconds` from start to end, and at most so many `mebibytes` in memory at once.

    The memory is that of the process and all of its children together, in proportional set size (PSS): a page that
    several processes share counts once.
    """

    seconds: float
    mebibytes: float


def run(command: Sequence[str | Path], folder: Path | None = None, **environment: str) -> Cost:
    """Run a command to its end, and measure it. Raises RuntimeError with what it printed where it fails."""
    start = time.perf_counter()
    with tempfile.TemporaryFile() as said:  # a full pipe would stop the command
        with subprocess.Popen(
            command, cwd=folder, env={**os.environ, **environment}, stdout=said, stderr=subprocess.STDOUT
        ) as process:
            watched, most = psutil.Process(process.pid), 0
            while process.poll() is None:
                most = max(most, _memory(watched))
                time.sleep(_EVERY)
        seconds = time.perf_counter() - start
        if process.returncode:
            said.seek(0)
            raise RuntimeError(f"{' '.join(map(str, command))}: {said.read().decode(errors='replace')[-2000:]}")
    return Cost(seconds, most / MIB)


def _memory(process: psutil.Process) -> int:
    total = 0
    with suppress(psutil.NoSuchProcess):
        for each in (process, *process.children(recursive=True)):
            with suppress(psutil.NoSuchProcess):
                total += each.memory_full_info().pss
    return total


def in_turns(jobs: Mapping[str, Callable[[], Result]], rounds: int) -> dict[str, list[Result]]:
    """Do all `jobs`, one after the other, `rounds` times over; give the results of each."""
    results: dict[str, list[Result]] = {name: [] for name in jobs}
    for number in range(1, rounds + 1):
        for name, job in jobs.items():
            results[name].append(job())
            print(f"round {number} of {rounds}, {name}: {results[name][-1]}", file=sys.stderr, flush=True)
    return results


def median(costs: Sequence[Cost]) -> Cost:
    """Return the median of the seconds and the median of the memory."""
    return Cost(statistics.median(cost.seconds for cost in costs), statistics.median(cost.mebibytes for cost in costs))


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Write a table as Markdown has it."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)

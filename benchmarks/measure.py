"""Measure time and memory of commands that take turns, so that other load affects all of them equally."""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import psutil

MIB = 2**20
_INTERVAL = 0.05  # seconds between two samples of the memory, at least
_PAUSE = 20  # times as long as the last sample took, at least: that of a large process takes up to 60 ms

Result = TypeVar("Result")


@dataclass(frozen=True)
class Cost:
    """Cost of a command: `seconds` from start to end, and peak memory in `mebibytes`.

    The memory is the proportional set size (PSS) of the process and all its children: shared pages count once.
    """

    seconds: float
    mebibytes: float


def options(doc: str, **defaults: int | list[int] | Path) -> argparse.Namespace:
    """Return numbers and paths from the command line, such as `--images 1000 2000`, or their defaults."""
    parser = argparse.ArgumentParser(
        description=doc.partition("\n")[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    for name, default in defaults.items():
        kind, nargs = type(default), None
        if isinstance(default, list):
            kind, nargs = int, "+"
        parser.add_argument(f"--{name.replace('_', '-')}", type=kind, nargs=nargs, default=default)
    return parser.parse_args()


def parse_arguments(description: str) -> argparse.Namespace:
    """Return the command line arguments `seeds`, `archive` and `test_labels`."""
    parser = argparse.ArgumentParser(description=description.partition("\n")[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--archive", type=Path, help="zip or folder to measure on")
    parser.add_argument("--test-labels", type=Path, help="CSV with file,label for the archive's test images")
    return parser.parse_args()


def run(command: Sequence[str | Path], folder: Path | None = None, watch: bool = True, **environment: str) -> Cost:
    """Run a command and measure it. Raises RuntimeError with the end of its output if it fails.

    To `watch` the memory takes up to a tenth of the time of a large process. Without it, `mebibytes` is 0.
    """
    start = time.perf_counter()
    with tempfile.TemporaryFile() as output:  # a full pipe would block the command
        with (
            subprocess.Popen(
                command, cwd=folder, env={**os.environ, **environment}, stdout=output, stderr=subprocess.STDOUT
            ) as process,
            watched(process.pid) if watch else nullcontext([0]) as samples,
        ):
            process.wait()
            seconds = time.perf_counter() - start
        if process.returncode:
            output.seek(0)
            raise RuntimeError(f"{' '.join(map(str, command))}: {output.read().decode(errors='replace')[-2000:]}")
    return Cost(seconds, max(samples) / MIB)


@contextmanager
def watched(pid: int) -> Iterator[list[int]]:
    """Yield a list that a thread fills with samples of the memory of a process until the end of the block."""
    samples, ended, process = [0], threading.Event(), psutil.Process(pid)

    def sample() -> None:
        pause = _INTERVAL
        while not ended.wait(pause):
            pause = max(_INTERVAL, _PAUSE * timed(lambda: samples.append(memory(process))))

    thread = threading.Thread(target=sample)
    thread.start()
    try:
        yield samples
    finally:
        ended.set()
        thread.join()


def memory(process: psutil.Process) -> int:
    """Return the memory, in bytes, of a process and all its children, see Cost."""
    total = 0
    with suppress(psutil.NoSuchProcess):
        for each in (process, *process.children(recursive=True)):
            with suppress(psutil.NoSuchProcess):
                total += each.memory_full_info().pss
    return total


def in_turns(jobs: Mapping[str, Callable[[], Result]], rounds: int) -> dict[str, list[Result]]:
    """Run all `jobs` in turns, `rounds` times. Return the results of each job."""
    results: dict[str, list[Result]] = {name: [] for name in jobs}
    for number in range(1, rounds + 1):
        for name, job in jobs.items():
            results[name].append(job())
            print(f"round {number} of {rounds}, {name}: {results[name][-1]}", file=sys.stderr, flush=True)
    return results


def timed(work: Callable[[], object]) -> float:
    """Return the seconds that `work` takes."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def median(costs: Sequence[Cost]) -> Cost:
    """Return the median of the seconds and the median of the memory."""
    return Cost(statistics.median(cost.seconds for cost in costs), statistics.median(cost.mebibytes for cost in costs))


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)

"""Parallel work returns in order, in bounded memory, and stops when asked."""

import io
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from itertools import count, islice

import numpy as np
import psutil
import pytest

from anteojos.runtime import parallel, threads
from anteojos.runtime.parallel import spread
from anteojos.runtime.threads import in_order

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def two_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(parallel.SCHEDULER, raising=False)
    monkeypatch.setattr(threads, "cores", lambda: 2)


def most_ahead(function: Callable[[Iterator[int]], Iterator[str]]) -> int:
    """Return how many more items than results there were at most, when `function` reads 1,000 items."""
    taken = 0

    def items() -> Iterator[int]:
        nonlocal taken
        for number in range(1000):
            taken += 1
            yield number

    most = 0
    for returned, _ in enumerate(function(items())):
        most = max(most, taken - returned)
    assert taken == 1000
    return most


def test_threads_return_results_in_order() -> None:
    chance = random.Random(1)
    waits = [chance.random() / 200 for _ in range(100)]

    def slowly(number: int) -> int:
        time.sleep(waits[number])
        return number * number

    assert list(in_order(slowly, range(100), total=100, description="")) == [n * n for n in range(100)]


def test_no_items_return_no_results() -> None:
    assert list(in_order(str, [], total=0, description="")) == []


def test_two_cores_run_two_items_at_once() -> None:
    both = threading.Barrier(2)

    def together(number: int) -> int:
        both.wait(timeout=30)  # raises BrokenBarrierError if no other item is running
        return number

    assert list(in_order(together, range(10), total=10, description="")) == list(range(10))


def test_one_core_runs_one_item_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "cores", lambda: 1)
    running = threading.Lock()

    def alone(number: int) -> int:
        assert running.acquire(blocking=False)
        time.sleep(0.001)
        running.release()
        return number

    assert list(in_order(alone, range(20), total=20, description="")) == list(range(20))


def test_threads_read_only_a_few_items_ahead() -> None:
    assert 2 <= most_ahead(lambda items: in_order(str, items, total=1000, description="")) <= 4 * 2 + 1


def test_thread_error_is_raised_in_order_and_stops_the_rest() -> None:
    started = []

    def fail_on_20(number: int) -> int:
        started.append(number)
        if number == 20:
            raise ValueError("twenty")
        return number

    results = in_order(fail_on_20, count(), total=1000, description="")
    first = [next(results) for _ in range(20)]
    with pytest.raises(ValueError, match="twenty"):
        next(results)
    assert first == list(range(20))
    assert max(started) <= 20 + 4 * 2 + 1
    assert list(results) == []


def test_error_in_items_is_raised() -> None:
    def items() -> Iterator[int]:
        yield 1
        raise OSError("the disk is gone")

    with pytest.raises(OSError, match="the disk is gone"):
        list(in_order(str, items(), total=2, description=""))


def test_closed_generator_leaves_no_thread() -> None:
    before = threading.active_count()
    done = []
    results = in_order(done.append, count(), total=1000, description="")
    next(results)
    assert threading.active_count() > before
    results.close()
    assert threading.active_count() == before
    assert len(done) <= 4 * 2 + 1


def test_log_file_has_no_progress_bar(capfd: pytest.CaptureFixture[str]) -> None:
    list(in_order(str, range(50), total=50, description="verify"))
    assert capfd.readouterr() == ("", "")


def test_terminal_has_progress_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr(sys, "stderr", terminal := Terminal())
    list(in_order(str, range(50), total=50, description="verify"))
    shown = terminal.getvalue().split("\r")[-1]
    assert shown.startswith("verify: 100%")
    assert "50/50" in shown


def test_two_processes_return_results_in_order() -> None:
    chance = random.Random(1)
    waits = [chance.random() / 500 for _ in range(200)]

    def work(number: int) -> tuple[int, int]:
        time.sleep(waits[number])
        return number * 10, os.getpid()

    done = list(spread(lambda item: item + 1, work, range(199), total=199, description=""))
    assert [number for number, _ in done] == [10 * number for number in range(1, 200)]
    assert len({process for _, process in done} - {os.getpid()}) == 2


@pytest.mark.parametrize(("workers", "total"), [(1, 100), (2, 10)])
def test_one_core_or_few_items_start_no_process(monkeypatch: pytest.MonkeyPatch, workers: int, total: int) -> None:
    monkeypatch.setattr(threads, "cores", lambda: workers)
    done = list(spread(int, lambda number: (number, os.getpid()), range(total), total=total, description=""))
    assert done == [(number, os.getpid()) for number in range(total)]


def test_arrays_of_any_size_return_from_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parallel, "_SLOT", 40_000)  # enough for some batches only

    def work(seed: int) -> tuple[int, np.ndarray, np.ndarray]:
        chance = np.random.default_rng(seed)
        image = chance.integers(0, 256, (seed, seed, 3), dtype=np.uint8)
        return seed, image, image[::2, :, 1]  # the second is not contiguous

    # All are kept: a later array must not overwrite an earlier one.
    for seed, image, part in list(spread(int, work, range(80), total=80, description="")):
        expected = work(seed)
        np.testing.assert_array_equal(image, expected[1])
        np.testing.assert_array_equal(part, expected[2])


def test_processes_read_only_a_few_items_ahead() -> None:
    assert most_ahead(lambda items: spread(int, str, items, total=1000, description="")) <= 16 * (2 * 2 + 1)


def test_process_error_is_raised_and_leaves_no_process() -> None:
    def fail_on_50(number: int) -> int:
        if number == 50:
            raise ValueError("fifty")
        return number

    before = set(psutil.Process().children())
    for _ in range(20):  # Python 3.11.2 hangs in about one of 15
        with pytest.raises(ValueError, match="fifty"):
            list(spread(int, fail_on_50, count(), total=1000, description=""))
    assert not set(psutil.Process().children()) - before


def test_closed_generator_leaves_no_process() -> None:
    before = set(psutil.Process().children())
    results = spread(int, int, count(), total=1000, description="")
    assert list(islice(results, 3)) == [0, 1, 2]
    assert len(set(psutil.Process().children()) - before) == 2
    results.close()  # type: ignore[attr-defined]
    assert not set(psutil.Process().children()) - before


WORK = """
import os, sys, time
from anteojos.runtime import parallel, threads
threads.cores = lambda: 2
def work(number):
    os.write(1, f"{os.getpid()}{os.linesep}".encode())
    time.sleep(0 if number == 16 else 0.1)
items = int(sys.argv[1])
list(parallel.spread(int, work, range(items), total=items, description=""))
"""


# Work that takes a day, and work that takes 1.5 s, during which one of the two processes is idle.
@pytest.mark.parametrize(("sent", "items"), [(signal.SIGKILL, 10**6), (signal.SIGINT, 17)])
def test_processes_end_with_killed_parent(sent: signal.Signals, items: int) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", WORK, str(items)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        assert process.stdout
        assert process.stderr
        pids: set[int] = set()
        while len(pids) < 2:
            pids.add(int(process.stdout.readline()))
        workers = [psutil.Process(pid) for pid in pids]
        if sent == signal.SIGINT:
            time.sleep(0.3)
            os.killpg(process.pid, sent)  # Ctrl-C reaches all processes
        else:
            process.send_signal(sent)
        gone, alive = psutil.wait_procs(workers, timeout=30)
        assert len(gone) == 2, alive
        stderr = process.stderr.read()
    assert stderr.count("Traceback") == (1 if sent == signal.SIGINT else 0)


ORPHAN = """
import multiprocessing, os, time
from anteojos.runtime.processes import end_with_parent
def work():
    while os.getppid() == multiprocessing.parent_process().pid:
        time.sleep(0.01)
    os.write(1, b"orphan")
    end_with_parent()
    os.write(1, b", still running")
multiprocessing.get_context("fork").Process(target=work).start()
os._exit(0)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="needs Linux")
def test_process_ends_if_parent_has_ended_before() -> None:
    command = [sys.executable, "-c", ORPHAN]
    assert subprocess.run(command, capture_output=True, text=True, timeout=60).stdout == "orphan"


def test_cores_follow_cpu_affinity() -> None:
    code = "import os; os.sched_setaffinity(0, [min(os.sched_getaffinity(0))]); from anteojos.runtime import threads; "
    command = [sys.executable, "-c", code + "print(threads.cores())"]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "1\n"


@pytest.mark.parametrize(
    ("limits", "cores"),
    [
        ({}, 64),
        ({"": "max 100000"}, 64),
        ({"": "200000 100000"}, 2),
        ({"pod/box": "150000 100000"}, 2),  # rounded up
        ({"pod": "10000 100000", "pod/box": "max 100000"}, 1),
        ({"pod": "400000 100000", "pod/box": "800000 100000"}, 4),
    ],
)
def test_cores_follow_container_limit(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch, limits: dict[str, str], cores: int
) -> None:
    root = tmp_path_factory.mktemp("cgroup")
    (root / "pod/box").mkdir(parents=True)
    for group, limit in limits.items():
        (root / group / "cpu.max").write_text(limit + "\n")
    own = root / "own"
    own.write_text("0::/pod/box\n")
    assert threads.cgroup_limit(own, root) == (sys.maxsize if cores == 64 else cores)

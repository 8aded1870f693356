"""Work goes on in parallel, in order and in bounded memory, and stops when asked."""

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


@pytest.fixture(autouse=True)
def two_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(parallel.SCHEDULER, raising=False)
    monkeypatch.setattr(threads, "cores", lambda: 2)


def most_ahead(function: Callable[[Iterator[int]], Iterator[str]]) -> int:
    """Hand out 1,000 items; give how many were taken, at the most, beyond those whose results had been given."""
    taken = 0

    def items() -> Iterator[int]:
        nonlocal taken
        for number in range(1000):
            taken += 1
            yield number

    most = 0
    for given, _ in enumerate(function(items())):
        most = max(most, taken - given)
    assert taken == 1000
    return most


def test_results_come_in_the_order_of_the_items() -> None:
    chance = random.Random(1)
    waits = [chance.random() / 200 for _ in range(100)]

    def slowly(number: int) -> int:
        time.sleep(waits[number])
        return number * number

    assert list(in_order(slowly, range(100), total=100, description="")) == [n * n for n in range(100)]


def test_no_items_give_no_results() -> None:
    assert list(in_order(str, [], total=0, description="")) == []


def test_two_cores_do_two_items_at_once() -> None:
    both = threading.Barrier(2)

    def together(number: int) -> int:
        both.wait(timeout=30)  # raises BrokenBarrierError where no other item is under way
        return number

    assert list(in_order(together, range(10), total=10, description="")) == list(range(10))


def test_one_core_does_one_item_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "cores", lambda: 1)
    under_way = threading.Lock()

    def alone(number: int) -> int:
        assert under_way.acquire(blocking=False)
        time.sleep(0.001)
        under_way.release()
        return number

    assert list(in_order(alone, range(20), total=20, description="")) == list(range(20))


def test_only_a_few_items_are_under_way_at_once() -> None:
    assert 2 <= most_ahead(lambda items: in_order(str, items, total=1000, description="")) <= 4 * 2 + 1


def test_an_error_comes_where_its_result_would_and_stops_the_rest() -> None:
    started = []

    def fail_on_20(number: int) -> int:
        started.append(number)
        if number == 20:
            raise ValueError("twenty")
        return number

    results = in_order(fail_on_20, count(), total=1000, description="")
    given = [next(results) for _ in range(20)]
    with pytest.raises(ValueError, match="twenty"):
        next(results)
    assert given == list(range(20))
    assert max(started) <= 20 + 4 * 2 + 1
    assert list(results) == []


def test_an_error_in_the_items_comes_through() -> None:
    def items() -> Iterator[int]:
        yield 1
        raise OSError("the disk is gone")

    with pytest.raises(OSError, match="the disk is gone"):
        list(in_order(str, items(), total=2, description=""))


def test_one_who_stops_early_leaves_no_thread_behind() -> None:
    before = threading.active_count()
    done = []
    results = in_order(done.append, count(), total=1000, description="")
    next(results)
    assert threading.active_count() > before
    results.close()
    assert threading.active_count() == before
    assert len(done) <= 4 * 2 + 1


def test_a_log_file_gets_no_progress_bar(capfd: pytest.CaptureFixture[str]) -> None:
    list(in_order(str, range(50), total=50, description="verify"))
    assert capfd.readouterr() == ("", "")


def test_a_terminal_gets_a_progress_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr(sys, "stderr", terminal := Terminal())
    list(in_order(str, range(50), total=50, description="verify"))
    shown = terminal.getvalue().split("\r")[-1]
    assert shown.startswith("verify: 100%")
    assert "50/50" in shown


def test_work_is_spread_over_two_processes_and_comes_back_in_order() -> None:
    chance = random.Random(1)
    waits = [chance.random() / 500 for _ in range(200)]

    def work(number: int) -> tuple[int, int]:
        time.sleep(waits[number])
        return number * 10, os.getpid()

    done = list(spread(lambda item: item + 1, work, range(199), total=199, description=""))
    assert [number for number, _ in done] == [10 * number for number in range(1, 200)]
    assert len({process for _, process in done} - {os.getpid()}) == 2


@pytest.mark.parametrize(("workers", "total"), [(1, 100), (2, 10)])
def test_one_core_or_few_items_take_no_other_process(monkeypatch: pytest.MonkeyPatch, workers: int, total: int) -> None:
    monkeypatch.setattr(threads, "cores", lambda: workers)
    done = list(spread(int, lambda number: (number, os.getpid()), range(total), total=total, description=""))
    assert done == [(number, os.getpid()) for number in range(total)]


def test_arrays_of_any_size_come_whole_from_the_other_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parallel, "_SLOT", 40_000)  # holds those of some batches, and not of others

    def work(seed: int) -> tuple[int, np.ndarray, np.ndarray]:
        chance = np.random.default_rng(seed)
        image = chance.integers(0, 256, (seed, seed, 3), dtype=np.uint8)
        return seed, image, image[::2, :, 1]  # the second lies scattered in memory

    # All are kept, so that none may lie where a later one is put.
    for seed, image, part in list(spread(int, work, range(80), total=80, description="")):
        expected = work(seed)
        np.testing.assert_array_equal(image, expected[1])
        np.testing.assert_array_equal(part, expected[2])


def test_only_a_few_items_are_taken_before_their_results_are_wanted() -> None:
    assert most_ahead(lambda items: spread(int, str, items, total=1000, description="")) <= 16 * (2 * 2 + 1)


def test_an_error_in_another_process_comes_through_and_leaves_none_behind() -> None:
    def fail_on_50(number: int) -> int:
        if number == 50:
            raise ValueError("fifty")
        return number

    before = set(psutil.Process().children())
    for _ in range(20):  # Python 3.11.2 waits for good in about one of fifteen
        with pytest.raises(ValueError, match="fifty"):
            list(spread(int, fail_on_50, count(), total=1000, description=""))
    assert not set(psutil.Process().children()) - before


def test_one_who_stops_early_leaves_no_process_behind() -> None:
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


# For a day, and for one and a half seconds, in which one of two processes has nothing left to do.
@pytest.mark.parametrize(("sent", "items"), [(signal.SIGKILL, 10**6), (signal.SIGINT, 17)])
def test_the_other_processes_end_with_the_one_that_is_killed(sent: signal.Signals, items: int) -> None:
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
            os.killpg(process.pid, sent)  # as Ctrl-C does, which reaches all of them
        else:
            process.send_signal(sent)
        gone, alive = psutil.wait_procs(workers, timeout=30)
        assert len(gone) == 2, alive
        said = process.stderr.read()
    assert said.count("Traceback") == (1 if sent == signal.SIGINT else 0)


LEFT_BEHIND = """
import multiprocessing, os, time
from anteojos.runtime.processes import end_with_parent
def work():
    while os.getppid() == multiprocessing.parent_process().pid:
        time.sleep(0.01)
    os.write(1, b"left behind")
    end_with_parent()
    os.write(1, b", and goes on")
multiprocessing.get_context("fork").Process(target=work).start()
os._exit(0)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="processes outlive others elsewhere")
def test_a_process_ends_at_once_where_the_other_was_gone_before_it_could_ask_to_be_told() -> None:
    command = [sys.executable, "-c", LEFT_BEHIND]
    assert subprocess.run(command, capture_output=True, text=True, timeout=60).stdout == "left behind"


def test_the_cores_are_those_that_the_process_is_bound_to() -> None:
    code = "import os; os.sched_setaffinity(0, [min(os.sched_getaffinity(0))]); from anteojos.runtime import threads; "
    command = [sys.executable, "-c", code + "print(threads.cores())"]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "1\n"


@pytest.mark.parametrize(
    ("limits", "cores"),
    [
        ({}, 64),
        ({"": "max 100000"}, 64),
        ({"": "200000 100000"}, 2),
        ({"pod/box": "150000 100000"}, 2),  # the half of one counts as one
        ({"pod": "10000 100000", "pod/box": "max 100000"}, 1),
        ({"pod": "400000 100000", "pod/box": "800000 100000"}, 4),
    ],
)
def test_a_container_s_limit_counts(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch, limits: dict[str, str], cores: int
) -> None:
    root = tmp_path_factory.mktemp("cgroup")
    (root / "pod/box").mkdir(parents=True)
    for group, limit in limits.items():
        (root / group / "cpu.max").write_text(limit + "\n")
    own = root / "own"
    own.write_text("0::/pod/box\n")
    assert threads.allowed_by(own, root) == (sys.maxsize if cores == 64 else cores)

"""Work goes on in parallel, in order and in bounded memory, and stops when asked."""

import io
import os
import random
import sys
import threading
import time
from collections.abc import Iterator
from itertools import count

import pytest

from anteojos.parallel import in_order


@pytest.fixture(autouse=True)
def two_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 2)


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


def test_a_machine_that_does_not_tell_its_cores_does_one_item_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    under_way = threading.Lock()

    def alone(number: int) -> int:
        assert under_way.acquire(blocking=False)
        time.sleep(0.001)
        under_way.release()
        return number

    assert list(in_order(alone, range(20), total=20, description="")) == list(range(20))


def test_only_a_few_items_are_under_way_at_once() -> None:
    taken = 0

    def items() -> Iterator[int]:
        nonlocal taken
        for number in range(1000):
            taken += 1
            yield number

    most = 0
    for given, _ in enumerate(in_order(str, items(), total=1000, description="")):
        most = max(most, taken - given)
    assert taken == 1000
    assert 2 <= most <= 4 * 2 + 1


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

"""A real Dask cluster of separate processes on loopback, each in its own empty folder."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.team.remote.servers import free_ports

START_TIMEOUT = 60  # seconds until a process must be ready
NOTES = Path(__file__).with_name("notes.py")


class Node:
    """A scheduler or a worker: its `process`, started in the empty `folder`."""

    def __init__(self, folder: Path, *arguments: str, **environment: str) -> None:
        folder.mkdir(parents=True)
        self.folder = folder
        # It ends with the tests, even if they are killed.
        bound = ["setpriv", "--pdeathsig", "KILL"] if shutil.which("setpriv") else []
        with (folder / "log").open("wb") as log:
            self.process = subprocess.Popen(
                [*bound, sys.executable, "-m", "dask", *arguments, "--no-dashboard"],
                cwd=folder,
                env={**os.environ, "PYTHONPATH": str(ROOT / "src"), **environment},
                stdout=log,
                stderr=log,
            )

    def log(self) -> str:
        """Return its output."""
        return (self.folder / "log").read_text(errors="replace")

    def batches(self) -> list[str]:
        """Return the keys of the batches that this worker has finished."""
        path = self.folder / "batches"
        return path.read_text().split() if path.exists() else []

    def kill(self) -> None:
        """Kill it."""
        self.process.kill()
        self.process.wait()


class Dask:
    """A scheduler at `address` and its workers, in folders below `path`."""

    def __init__(self, path: Path, protocol: str = "tcp", **environment: str) -> None:
        self.path = path
        self.environment = environment
        self.workers: list[Node] = []
        self.port = str(free_ports(1)[0])
        self.host = f"{protocol}://127.0.0.1"
        self.address = f"{self.host}:{self.port}"
        self.scheduler = self.start_scheduler("scheduler")

    def start_scheduler(self, name: str) -> Node:
        """Start a scheduler at `address`, and wait until it is ready."""
        where = ("--host", self.host, "--port", self.port)
        scheduler = Node(self.path / name, "scheduler", *where, **self.environment)
        until(lambda: "Scheduler at:" in scheduler.log(), scheduler)
        return scheduler

    def add_worker(self, **environment: str) -> Node:
        """Start a worker of one thread, and wait until it is connected."""
        worker = self.start_worker(**environment)
        until(lambda: "Starting established connection" in worker.log(), worker)
        return worker

    def start_worker(self, **environment: str) -> Node:
        """Start a worker of one thread without waiting for it."""
        worker = Node(
            self.path / f"worker-{len(self.workers)}",
            *("worker", self.address, "--nthreads", "1", "--no-nanny", "--preload", str(NOTES)),
            **{**self.environment, **environment},
        )
        self.workers.append(worker)
        return worker

    def batches(self) -> int:
        """Return the number of batches that all workers have finished; repeated batches count twice."""
        return sum(len(worker.batches()) for worker in self.workers)

    def close(self) -> None:
        """Kill all processes."""
        for node in (*self.workers, self.scheduler):
            node.kill()


def until(holds: Callable[[], bool], *nodes: Node) -> None:
    """Wait until `holds()` is true. Fails if one of the nodes ends."""
    deadline = time.monotonic() + START_TIMEOUT
    while not holds():
        for node in nodes:
            assert node.process.poll() is None, node.log()
        assert time.monotonic() < deadline, "\n".join(node.log() for node in nodes)
        time.sleep(0.01)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Dask]]:
    """A function that starts a cluster with some workers, which end with the test."""
    with ExitStack() as stack:

        def start(workers: int, **options: str) -> Dask:
            dask = Dask(tmp_path / "dask", **options)
            stack.callback(dask.close)
            started = [dask.start_worker() for _ in range(workers)]
            until(lambda: all("Starting established connection" in worker.log() for worker in started), *started)
            return dask

        yield start


@pytest.fixture(scope="module")
def dask(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dask]:
    """A cluster of two workers, shared by the tests that do not stop them."""
    dask = Dask(tmp_path_factory.mktemp("dask"))
    for _ in range(2):
        dask.start_worker()
    until(lambda: all("Starting established connection" in worker.log() for worker in dask.workers), *dask.workers)
    yield dask
    dask.close()

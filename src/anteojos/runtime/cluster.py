"""Run work on a Dask cluster: inputs are sent in batches, results come back in order.

Where the work runs does not change the results, so this file is not in the deps of any stage (tests/import_graph.py).
"""

import asyncio
import pickle
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from typing import Any, TypeVar

from anteojos.runtime.environment import worker_versions
from anteojos.runtime.errors import InputError

Item = TypeVar("Item")
Result = TypeVar("Result")

MAX_IMAGES, MAX_BYTES = 32, 4 * 2**20  # of a batch; a larger image is sent alone
_BATCHES_PER_THREAD = 2  # sent ahead: one is running, one waits
_POLL = 1.0  # seconds between two checks of the cluster
_NO_SCHEDULER = "the scheduler does not answer any more, or was restarted"


def in_order(address: str, work: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
    """Yield `work(item)` for each item, in the order of `items`, computed by the cluster at `address`.

    Only a few batches per thread are in flight, so memory does not grow with the number of items. If a worker is lost,
    another repeats its batches. An exception of `work` is raised here. Raises InputError if no scheduler answers, there
    is no worker, a worker has other versions than this machine, or the cluster is lost. This takes at most as long as
    Dask's distributed.comm.timeouts.connect, and distributed.scheduler.worker-ttl if a worker hangs.
    """
    from distributed.protocol.pickle import dumps  # also pickles functions of `__main__`, as in a running stage

    with _connected(address) as cluster:
        packed = dumps(work)
        window: deque[Any] = deque()
        for batch in batches(items):
            while len(window) >= _BATCHES_PER_THREAD * cluster.threads():
                yield from cluster.result(window.popleft())
            window.append(cluster.client.submit(run_batch, packed, batch, worker_versions(), pure=False))
        while window:
            yield from cluster.result(window.popleft())


def batches(items: Iterable[object]) -> Iterator[list[bytes]]:
    """Pickle the items and group them into batches of at most MAX_IMAGES and MAX_BYTES."""
    batch: list[bytes] = []
    for item in items:
        packed = pickle.dumps(item, protocol=pickle.HIGHEST_PROTOCOL)
        if batch and (len(batch) == MAX_IMAGES or sum(map(len, batch)) + len(packed) > MAX_BYTES):
            yield batch
            batch = []
        batch.append(packed)
    if batch:
        yield batch


def run_batch(work: bytes, batch: list[bytes], versions: dict[str, str]) -> list[object]:
    """Run the work on a batch, on a worker. Raises RuntimeError if this worker has other versions than `versions`."""
    if worker_versions() != versions:  # it joined after the first check
        raise RuntimeError("this worker has other versions")
    function = _unpacked(work)
    return [function(pickle.loads(item)) for item in batch]  # noqa: S301, a worker runs any code by design


@lru_cache(maxsize=8)
def _unpacked(work: bytes) -> Callable[[Any], Any]:
    """Unpickle a function only once for all batches, because it may contain a model."""
    function: Callable[[Any], Any] = pickle.loads(work)  # noqa: S301, as above
    return function


@contextmanager
def _connected(address: str) -> Iterator["_Cluster"]:
    """Yield the cluster at `address`, once it has a worker and all workers have the versions of this machine."""
    try:
        import distributed
    except ImportError as error:
        raise InputError(
            f"ANTEOJOS_SCHEDULER={address}: the package distributed is not installed ({error})",
            advice="Run `make setup`, or `pip install 'anteojos[cluster]'`; or unset ANTEOJOS_SCHEDULER.",
        ) from error
    try:
        asyncio.run(_probe(address))  # a Client that cannot connect blocks in `__del__`
        client = distributed.Client(address, set_as_default=False)
    except Exception as error:  # wrong addresses and certificates raise many types
        # Dask takes the answer of another program for the length of a message.
        reason = "another program does" if isinstance(error, MemoryError) else " ".join(str(error).split())
        raise InputError(
            f"ANTEOJOS_SCHEDULER={address}: no Dask scheduler answers there",
            [reason or type(error).__name__],
            "Start one there with `dask scheduler`, or correct the address, such as tcp://host:8786; "
            "or unset ANTEOJOS_SCHEDULER to work on this machine.",
        ) from None
    try:
        cluster = _Cluster(address, client)
        cluster.threads()
        cluster.check_versions()
        yield cluster
    finally:
        # The scheduler drops the tasks of a client that is gone.
        with suppress(OSError, RuntimeError):
            client.close(timeout=_POLL)


async def _probe(address: str) -> None:
    """Connect to a scheduler as a Client does, with the certificates of Dask's configuration."""
    from distributed import Security
    from distributed.comm import connect

    comm = await connect(address, **Security().get_connection_args("client"))
    await comm.close()


class _Cluster:
    """A connected Dask `client` that raises InputError when the cluster is lost."""

    def __init__(self, address: str, client: Any) -> None:
        import dask
        from dask.utils import parse_timedelta

        self.client = client
        self._scheduler = ""  # its id: another one at the same address has lost the batches
        self._name = f"ANTEOJOS_SCHEDULER={address}"
        self._timeout = parse_timedelta(dask.config.get("distributed.comm.timeouts.connect"))

    def threads(self) -> int:
        """Return the number of threads of all workers, at least 1. Waits for a worker if there is none."""
        deadline = time.monotonic() + self._timeout
        while True:
            try:
                known = self.client.sync(self.client.scheduler.identity, n_workers=-1, callback_timeout=self._timeout)
            except (OSError, AttributeError) as error:  # `scheduler` is None after the client gave up
                raise self._lost(_NO_SCHEDULER) from error
            self._scheduler = self._scheduler or known["id"]
            if known["id"] != self._scheduler:
                raise self._lost(_NO_SCHEDULER)
            if known["workers"]:
                return sum(worker["nthreads"] for worker in known["workers"].values())
            if time.monotonic() > deadline:
                raise self._lost(f"no worker joined within {self._timeout:g} s", "has no worker")
            time.sleep(_POLL / 10)

    def result(self, future: Any) -> list[Any]:
        """Wait for the results of a batch and return them."""
        from distributed import KilledWorker

        timeout = _POLL
        while True:
            try:
                results: list[Any] = future.result(timeout=timeout)
                return results
            except Exception as error:
                if future.status == "error":
                    self.check_versions()  # other versions of the code can raise any error
                    if isinstance(error, KilledWorker):
                        raise self._lost(" ".join(str(error).split())) from None
                    raise
                if not isinstance(error, TimeoutError):
                    raise self._lost(_NO_SCHEDULER) from error
            # Never wait without a timeout: if a worker is lost while it sends results, and repeating the batch fails,
            # Dask never ends the wait. A finished batch gets more time, because the connection may be slow.
            timeout = 2 * timeout if future.done() else _POLL
            self.threads()

    def check_versions(self) -> None:
        """Raise InputError that names each worker with other versions than this machine."""
        try:
            self.client.run_on_scheduler(worker_versions, callback_timeout=self._timeout)  # it unpickles our functions
            found = self.client.run(worker_versions, on_error="return", callback_timeout=self._timeout)
        except (ImportError, AttributeError) as error:
            problems = [f"the scheduler: cannot import anteojos ({error})"]
        except OSError as error:
            raise self._lost(_NO_SCHEDULER) from error
        else:
            problems = [f"worker {worker}: {text}" for worker in sorted(found) if (text := _difference(found[worker]))]
        if problems:
            raise InputError(
                f"{self._name}: other versions there than here",
                problems,
                "Check out the same commit there and run `make setup`, restart scheduler and workers; "
                "then run `dvc repro` again.",
            )

    def _lost(self, reason: str, state: str = "is lost") -> InputError:
        return InputError(
            f"{self._name}: the cluster {state}",
            [reason],
            "Read the logs of scheduler and workers, or start workers with `dask worker ADDRESS`; "
            "then run `dvc repro` again, or without ANTEOJOS_SCHEDULER.",
        )


def _difference(found: dict[str, str] | Exception) -> str:
    """Return how the versions of a worker differ from those of this machine; "" if they are the same."""
    if isinstance(found, Exception):
        return f"cannot report its versions ({found})"
    here = worker_versions()
    pairs = [(name, found.get(name, "none"), here.get(name, "none")) for name in here | found]
    return ", ".join(f"{name} {there}, here {own}" for name, there, own in pairs if there != own)

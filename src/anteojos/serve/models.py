"""The model that the service uses, in processes that label with it; it is reloaded when its file is replaced."""

import asyncio
import json
import logging
import multiprocessing
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

from anteojos.model.classifier import Classifier
from anteojos.runtime.errors import InputError
from anteojos.serve import worker
from anteojos.serve.settings import Settings

_LOG = logging.getLogger(__name__)
_POLL = 1.0  # s, between two looks at the file
_LONGEST = 60.0  # s, for the images of a request; a decoder that takes longer hangs

Signature = tuple[int, int, int]


@dataclass(frozen=True)
class Served:
    """A model, what is known about it, and the processes that label with it."""

    classifier: Classifier
    release: dict[str, Any]
    pool: ProcessPoolExecutor = field(repr=False)

    def describe(self) -> dict[str, Any]:
        """Return what GET /v1/model answers."""
        metadata = self.classifier.metadata
        classes = zip(metadata.labels, metadata.names, strict=True)
        return {
            "name": self.release.get("name", "classifier"),
            "version": self.release.get("version"),
            "sha256": self.classifier.sha256,
            "classes": [{"label": label, "name": name} for label, name in classes],
            "crop": metadata.crop,
            "threshold": metadata.threshold,
            "uncertain": metadata.uncertain,
            "metrics": self.release.get("metrics", {}),
            "anteojos": version("anteojos"),
        }


class Models:
    """The current model of a file. Requests that run while it changes finish with the previous one."""

    def __init__(self, settings: Settings) -> None:
        """Load nothing yet."""
        self._settings = settings
        self._signature = self._tried = (0, 0, 0)
        self.current: Served | None = None
        self.loads = {"loaded": 0, "failed": 0}

    async def load(self) -> None:
        """Load the file and replace the current model. Raises InputError if it is not a model that works."""
        path = self._settings.model
        self._tried = self._signature = _signature(path)
        classifier = Classifier.load(path)
        pool = self._pool(classifier)
        # Not in a thread: a process ends with the thread that started it.
        probes = [pool.submit(worker.probe, classifier.size) for _ in range(self._settings.workers)]
        try:
            errors = set(await asyncio.gather(*map(asyncio.wrap_future, probes))) - {""}
        except Exception as error:
            errors = {str(error) or type(error).__name__}
        if errors:
            pool.shutdown(wait=False, cancel_futures=True)
            raise InputError(f"{path}: the model cannot label an image", sorted(errors), "Name another model.")
        previous, self.current = self.current, Served(classifier, read_release(path, classifier.sha256), pool)
        self.loads["loaded"] += 1
        if previous:
            previous.pool.shutdown(wait=False)  # after the requests that it runs
        _LOG.info("model loaded", extra={"model": classifier.sha256})

    async def follow(self) -> None:
        """Reload the model whenever its file is replaced; keep the current one if the new file is damaged."""
        while True:
            await asyncio.sleep(_POLL)
            found = _signature(self._settings.model)
            # Wait until the file has not changed between two looks: it may still be written.
            unchanged, self._signature = found == self._signature, found
            if found == self._tried or not unchanged or found == (0, 0, 0):
                continue
            try:
                await self.load()
            except Exception as error:
                self.loads["failed"] += 1
                _LOG.error("the new model file is not used", extra={"reason": str(error).replace("\n", " ")})

    async def label(self, uploads: Sequence[tuple[str, bytes]]) -> tuple[str, list[worker.Answer]]:
        """Return the SHA-256 of the model, and its answers for the images. Raises Unavailable after a crash."""
        served = self.current
        assert served is not None
        # All at once, so that all images get the same model, even if it is replaced meanwhile.
        futures = []
        try:
            futures = [asyncio.wrap_future(served.pool.submit(worker.label, *upload)) for upload in uploads]
            async with asyncio.timeout(_LONGEST):
                return served.classifier.sha256, await asyncio.gather(*futures)
        except (BrokenProcessPool, TimeoutError) as error:
            _LOG.error("a process crashed or hangs", extra={"reason": type(error).__name__})
            self._restart(served)
            raise Unavailable from error
        finally:
            for future in futures:
                future.cancel()  # those that have not begun, if the client is gone

    def close(self) -> None:
        """End the processes."""
        if self.current:
            self.current.pool.shutdown(wait=False, cancel_futures=True)
        for process in multiprocessing.active_children():
            process.kill()

    def _restart(self, served: Served) -> None:
        if self.current is served:
            self.current = replace(served, pool=self._pool(served.classifier))
            for process in multiprocessing.active_children():
                process.kill()

    def _pool(self, classifier: Classifier) -> ProcessPoolExecutor:
        spawn = multiprocessing.get_context("spawn")
        arguments = (classifier, self._settings.limits.max_pixels)
        return ProcessPoolExecutor(self._settings.workers, spawn, initializer=worker.begin, initargs=arguments)


class Unavailable(Exception):  # noqa: N818, it is no fault of the caller
    """A process crashed while it had images of this request."""


def _signature(path: Path) -> Signature:
    """Return what changes if a file is replaced; zeros if there is none."""
    with suppress(OSError):
        status = path.stat()
        return status.st_ino, status.st_size, status.st_mtime_ns
    return 0, 0, 0


def read_release(model: Path, sha256: str) -> dict[str, Any]:
    """Return name, version and metrics: release.json next to the model if it is about this model, or else the metrics
    of the model's checkout.
    """
    with suppress(OSError, ValueError):
        found: dict[str, Any] = json.loads((model.parent / "release.json").read_text(encoding="utf-8"))
        if found.get("sha256") == sha256:
            return found
    with suppress(OSError, ValueError):
        return {"metrics": json.loads((model.parents[1] / "metrics/evaluate.json").read_text(encoding="utf-8"))}
    return {}

"""Loaded by each worker of the tests, `dask worker --preload`: it notes the batches that it has worked through."""

from pathlib import Path
from typing import Any

from distributed import Worker, WorkerPlugin


class Notes(WorkerPlugin):
    """Appends the key of each batch to the file `batches` in the worker's folder, once it is done."""

    def transition(self, key: Any, start: str, finish: str, **more: Any) -> None:
        if (start, finish) == ("executing", "memory"):
            with Path("batches").open("a") as notes:
                print(key, file=notes)


async def dask_setup(worker: Worker) -> None:
    await worker.plugin_add(Notes(), name="notes")

"""Each worker of the tests loads this file (`dask worker --preload`) to record the batches that it finishes."""

from pathlib import Path
from typing import Any

from distributed import Worker, WorkerPlugin


class Notes(WorkerPlugin):
    """Append the key of each finished batch to the file `batches` in the folder of the worker."""

    def transition(self, key: Any, start: str, finish: str, **more: Any) -> None:
        if (start, finish) == ("executing", "memory"):
            with Path("batches").open("a") as notes:
                print(key, file=notes)


async def dask_setup(worker: Worker) -> None:
    await worker.plugin_add(Notes(), name="notes")

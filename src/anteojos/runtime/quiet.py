"""Silence log messages of libraries about normal conditions, and about errors that anteojos reports itself."""

import logging
import os
import re
import tempfile
import threading
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import IO

# Info and warning lines of Abseil, which TensorFlow uses, and of LiteRT.
_LOG_LINE = re.compile(rb"[IW]\d{4} |INFO: |WARNING: All log messages before absl")
_stderr = threading.Lock()


def quiet_libraries() -> None:
    """Silence warnings of Pillow and the loggers of Dask.

    Only the stages and the command call this: a program that uses the library decides itself what it logs.
    """
    warnings.filterwarnings("ignore", module=r"(PIL|distributed)\.")
    if os.environ.get("ANTEOJOS_SCHEDULER"):
        # The import creates the loggers. They stay disabled, because Dask still logs after its client is closed.
        with suppress(ImportError):
            import distributed  # noqa: F401
        for name in [*logging.root.manager.loggerDict, "asyncio"]:
            if name.partition(".")[0] in ("distributed", "tornado", "asyncio"):
                logging.getLogger(name).disabled = True


@contextmanager
def quiet_stderr() -> Iterator[None]:
    """Hide info and warning lines that C++ code writes to stderr; print its other lines at the end of the block.

    LiteRT and TensorFlow log before a log level can be set. Without stderr or a temporary folder, nothing is hidden.
    """
    with _stderr, ExitStack() as stack:
        with suppress(OSError):
            log = stack.enter_context(tempfile.TemporaryFile())
            stack.callback(_restore, os.dup(2), log)
            os.dup2(log.fileno(), 2)
        yield


def _restore(stderr: int, log: IO[bytes]) -> None:
    """Restore stderr from its copy `stderr`, and write the lines of `log` to it that are not hidden."""
    os.dup2(stderr, 2)
    log.seek(0)
    kept = b"".join(line for line in log if not _LOG_LINE.match(line))
    with suppress(OSError), os.fdopen(stderr, "wb") as stream:
        stream.write(kept)

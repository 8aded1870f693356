"""Hide what libraries log about things that are normal, or that anteojos reports itself."""

import logging
import os
import re
import tempfile
import threading
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import IO

# Information and warnings in the log formats of Abseil, which TensorFlow uses, and of LiteRT.
_CHATTER = re.compile(rb"[IW]\d{4} |INFO: |WARNING: All log messages before absl")
_stderr = threading.Lock()


def quiet_libraries() -> None:
    """Hide warnings of Pillow and log messages of Dask.

    Only for processes of anteojos itself, the stages and the command: in a program that uses the library, warnings and
    loggers belong to that program.
    """
    warnings.filterwarnings("ignore", module=r"(PIL|distributed)\.")
    if os.environ.get("ANTEOJOS_SCHEDULER"):
        # Importing it creates its loggers. It logs even after its client is closed.
        with suppress(ImportError):
            import distributed  # noqa: F401
        for name in [*logging.root.manager.loggerDict, "asyncio"]:
            if name.partition(".")[0] in ("distributed", "tornado", "asyncio"):
                logging.getLogger(name).disabled = True


@contextmanager
def quiet_stderr() -> Iterator[None]:
    """Hide information and warnings that C++ code logs to stderr; everything else is written there at the end.

    LiteRT and TensorFlow log before a level can be set. Without stderr or a folder for temporary files, nothing is
    hidden.
    """
    with _stderr, ExitStack() as stack:
        with suppress(OSError):
            log = stack.enter_context(tempfile.TemporaryFile())
            stack.callback(_restore, os.dup(2), log)
            os.dup2(log.fileno(), 2)
        yield


def _restore(stderr: int, log: IO[bytes]) -> None:
    """Make the file `stderr` that of stderr again, and write there what is kept of `log`."""
    os.dup2(stderr, 2)
    log.seek(0)
    kept = b"".join(line for line in log if not _CHATTER.match(line))
    with suppress(OSError), os.fdopen(stderr, "wb") as stream:
        stream.write(kept)

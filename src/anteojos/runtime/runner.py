"""Run a stage for DVC: one at a time, errors without a traceback, outputs restored after a failure."""

import fcntl
import gc
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from anteojos.runtime import durations
from anteojos.runtime.errors import InputError, message
from anteojos.runtime.outputs import LEFT
from anteojos.runtime.processes import end_with_parent
from anteojos.runtime.quiet import quiet_libraries

FOLDERS = ("data", "data/processed", "models", "metrics", "metrics/details", "metrics/plots")  # of the outputs
# The running stage holds this lock. DVC releases its own lock while a stage runs.
LOCK = Path(".dvc/tmp/stage.lock")


def run(main: Callable[[], None], writes: Callable[[], bool] = lambda: True) -> None:
    """Run the `main` of a stage. After an error that is not a bug, print its message to stderr and exit with status 1.

    DVC removes the outputs of a stage before it runs the stage. After a failure, the outputs in dvc.lock are restored,
    from DVC's cache or from git. The checkout is locked and cleaned only if `writes()` returns True: in a training on
    several machines, only the chief writes.
    """
    gc.freeze()  # never search the objects of imported modules for garbage
    quiet_libraries()
    stage = os.environ.get("DVC_STAGE", "")
    if stage:
        end_with_parent()  # if DVC is killed, the stage must not write while the next one runs
    try:
        if writes():
            with alone(stage or Path(sys.argv[0]).stem):
                remove_left()
                started = time.monotonic()
                main()
                if stage:
                    durations.add(stage, time.monotonic() - started)
        else:
            main()
    except BaseException as error:
        text = message(error)
        if text:
            print(f"{stage}: {text}" if stage else text, file=sys.stderr)
        if stage:
            _restore_outputs(stage)
        if text:
            sys.exit(1)
        raise


@contextmanager
def alone(stage: str) -> Iterator[None]:
    """Lock the checkout while a stage runs. Raises InputError if another stage is running.

    DVC's locks do not cover two different stages, or a stage whose `dvc repro` was killed.
    """
    if not LOCK.parent.parent.is_dir():  # not a checkout
        yield
        return
    LOCK.parent.mkdir(exist_ok=True)
    with LOCK.open("a+", encoding="utf-8") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            raise InputError(
                f"a stage is running in this checkout already: {lock.read().strip()}",
                advice="Wait until it has ended, or stop it; then run `dvc repro` again.",
            ) from None
        lock.truncate(0)
        print(f"{stage} (process {os.getpid()})", file=lock, flush=True)
        yield


def remove_left() -> None:
    """Remove the temporary files and folders of killed processes."""
    for folder in FOLDERS:
        for path in Path(folder).glob(LEFT):
            shutil.rmtree(path) if path.is_dir() else path.unlink()


def restore_from_git(path: str) -> bool:
    """Restore a file from the git index; return False if git does not have it."""
    return subprocess.run(["git", "checkout", "--quiet", "--", path], capture_output=True).returncode == 0  # noqa: S603, S607


def _restore_outputs(stage: str) -> None:
    # Imported only after a failure, because the import takes half a second.
    from dvc.exceptions import CacheLinkError, CheckoutError
    from dvc.repo import Repo

    with Repo() as repo:
        for output in repo.stage.load_one(name=stage).outs:
            if not output.hash_info:
                continue
            in_git = not output.use_cache
            output.use_cache = True  # DVC's run cache also has the outputs that are committed to git
            try:
                output.checkout(force=True)  # replaces what the failed stage has written
            except (CheckoutError, FileNotFoundError):
                # In a new clone, metrics are only in git, and there are no other outputs.
                if not (in_git and restore_from_git(output.fs_path)):
                    print(f"{stage}: {output} is not in DVC's cache; run `dvc pull` to restore it", file=sys.stderr)
            except (CacheLinkError, OSError):
                print(f"{stage}: cannot write {output} now; run `dvc checkout` to restore it", file=sys.stderr)

"""Run a stage as DVC does: one at a time, errors without a traceback, and no output lost when it fails."""

import fcntl
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from anteojos.runtime.errors import OF_THE_MACHINE, InputError
from anteojos.runtime.outputs import LEFT
from anteojos.runtime.processes import end_with_parent
from anteojos.runtime.quiet import quiet_libraries

# Where outputs lie.
FOLDERS = ("data", "data/processed", "models", "metrics", "metrics/plots")
# Held by the stage that runs. DVC's own lock is open while a stage runs.
LOCK = Path(".dvc/tmp/stage.lock")


def run(main: Callable[[], None], writes: Callable[[], bool] = lambda: True) -> None:
    """Run a stage as DVC does: say plainly what is wrong with its input, and leave no output lost.

    One that `writes` nothing, as on all but one of the machines that train together, leaves the checkout alone.

    DVC removes a stage's outputs before it runs the stage. After a failure they come back from DVC's cache, as
    dvc.lock has them, or from git, so that a stage that could not make new ones leaves those that were there.
    """
    quiet_libraries()
    stage = os.environ.get("DVC_STAGE", "")
    if stage:
        # A stage whose DVC was killed could only write outputs that nobody commits, into the middle of the next run.
        end_with_parent()
    try:
        if writes():
            with alone(stage or Path(sys.argv[0]).stem):
                remove_left()
                main()
        else:
            main()
    except BaseException as error:
        explanation = _explained(error)
        if explanation:
            print(f"{stage}: {explanation}" if stage else explanation, file=sys.stderr)
        if stage:
            _restore_outputs(stage)
        if explanation:
            sys.exit(1)
        raise


@contextmanager
def alone(stage: str) -> Iterator[None]:
    """Hold the checkout while a stage runs: another that is started meanwhile gets an `InputError`.

    DVC keeps a second `dvc repro` from the outputs and inputs of the stage that runs, but not from the other stages;
    and it knows nothing of a stage whose `dvc repro` was killed.
    """
    if not LOCK.parent.parent.is_dir():  # no checkout
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
    """Remove what killed runs have left beside the outputs."""
    for folder in FOLDERS:
        for left in Path(folder).glob(LEFT):
            shutil.rmtree(left) if left.is_dir() else left.unlink()


def _explained(error: BaseException) -> str:
    """Return the text of an error that is not a bug; "" for one that needs its traceback."""
    if isinstance(error, KeyboardInterrupt):
        return "interrupted"
    if isinstance(error, OSError) and error.errno in OF_THE_MACHINE:
        return f"{error.filename or 'writing'}: {error.strerror}"
    return str(error) if isinstance(error, InputError) else ""


def _restore_outputs(stage: str) -> None:
    # DVC takes half a second to import, which only a failure pays.
    from dvc.exceptions import CacheLinkError, CheckoutError
    from dvc.repo import Repo

    with Repo() as repo:
        for output in repo.stage.load_one(name=stage).outs:
            if not output.hash_info:
                continue
            in_git = not output.use_cache
            # DVC leaves to git what is not cached, but its run cache holds what was made here all the same.
            output.use_cache = True
            try:
                # By force: what the stage had made before it failed goes.
                output.checkout(force=True)
            except (CheckoutError, FileNotFoundError):
                # In a clone that has run nothing yet, metrics are in git alone, and other outputs nowhere.
                if not (in_git and restore_from_git(output.fs_path)):
                    print(f"{stage}: {output} is not in DVC's cache; `dvc pull` may bring it back", file=sys.stderr)
            except (CacheLinkError, OSError):
                print(
                    f"{stage}: {output} is in DVC's cache; `dvc checkout` brings it back, once it can", file=sys.stderr
                )


def restore_from_git(path: str) -> bool:
    """Bring a file back as git has it, and tell whether it has."""
    return subprocess.run(["git", "checkout", "--quiet", "--", path], capture_output=True).returncode == 0  # noqa: S603, S607

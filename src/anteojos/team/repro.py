"""Run `dvc repro` so that a failure loses nothing that is in git."""

import sys
from collections.abc import Sequence
from contextlib import suppress

from anteojos.runtime.errors import InputError
from anteojos.runtime.runner import alone
from anteojos.team.commands import git, run


def repro(arguments: Sequence[str]) -> None:
    """Run `dvc repro` with these arguments. Raises InputError if it fails, after restoring metrics that are gone.

    DVC removes the outputs of a stage, then looks for its inputs. If they are missing, the stage does not run, and
    nothing else restores the metrics, which are not in DVC's cache.
    """
    try:
        run("dvc", "--wait-for-lock", "repro", *arguments, show=True)
    except BaseException as error:
        with suppress(InputError), alone("repro"):  # not if a stage of another `dvc repro` is running: it writes them
            restore_metrics()
        if isinstance(error, InputError) and "--allow-missing" in arguments:
            advice = "If data are missing: without --allow-missing, `make repro` runs the stages that write them."
            raise InputError(error.headline, advice=advice) from None
        raise


def restore_metrics() -> None:
    """Restore each metrics file that git has and that is gone; print their names."""
    gone = [path for path in git("ls-files", "--deleted", "-z", "--", "metrics").split("\0") if path]
    if gone:
        git("checkout", "--quiet", "--", *gone)
        print(f"Restored from git: {', '.join(gone)}", file=sys.stderr)

"""Run the pipeline and print a summary: `make repro`."""

import logging
import sys
import time
from collections.abc import Sequence
from contextlib import suppress

from dvc.cli import main, parse_args
from dvc.commands.repro import CmdRepro

from anteojos.runtime.errors import InputError
from anteojos.runtime.runner import alone
from anteojos.team import fsck, ready, record, summary
from anteojos.team.commands import git


def repro(arguments: Sequence[str]) -> None:
    """Run `dvc repro` with these arguments. Exits with its code if it fails, after restoring metrics that are gone."""
    ready.check(arguments)
    fsck.repair()
    started = time.time()
    # Without DVC's advice on `dvc push` and `git add`: the summary has advice that fits this checkout.
    CmdRepro.run = _reproduce
    logging.getLogger("dvc.repo.scm_context").setLevel(logging.WARNING)
    command = ["--wait-for-lock", "repro", *arguments]
    if code := main(command):
        with suppress(InputError), alone("repro"):  # not if a stage of another `dvc repro` is running: it writes them
            restore_metrics()
        if "--allow-missing" in arguments:
            print("If data are missing: without --allow-missing, the stages that write them run.", file=sys.stderr)
        sys.exit(code)
    options = parse_args(command)
    if not options.dry:
        record.record()
        print(summary.write(started, everything=not options.targets))


def restore_metrics() -> None:
    """Restore each metrics file that git has and that is gone; print their names.

    DVC removes the outputs of a stage, then looks for its inputs. If they are missing, the stage does not run, and
    nothing else restores the metrics, which are not in DVC's cache.
    """
    gone = [path for path in git("ls-files", "--deleted", "-z", "--", "metrics").split("\0") if path]
    if gone:
        git("checkout", "--quiet", "--", *gone)
        print(f"Restored from git: {', '.join(gone)}", file=sys.stderr)


def _reproduce(command: CmdRepro) -> int:
    command.repo.reproduce(**command._common_kwargs, **command._repro_kwargs)
    return 0

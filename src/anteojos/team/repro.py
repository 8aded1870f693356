"""Run the pipeline and print a summary: `make repro`."""

import logging
import sys
import time
from collections.abc import Sequence

from dvc.cli import main, parse_args
from dvc.commands.repro import CmdRepro

from anteojos.team import fsck, ready, record, summary


def repro(arguments: Sequence[str]) -> None:
    """Run `dvc repro` with these arguments. Exits with its code if it fails."""
    ready.check()
    fsck.repair()
    started = time.time()
    # Without DVC's advice on `dvc push` and `git add`: the summary has advice that fits this checkout.
    CmdRepro.run = _reproduce
    logging.getLogger("dvc.repo.scm_context").setLevel(logging.WARNING)
    command = ["--wait-for-lock", "repro", *arguments]
    if code := main(command):
        sys.exit(code)
    options = parse_args(command)
    if not options.dry:
        record.record()
        print(summary.write(started, everything=not options.targets))


def _reproduce(command: CmdRepro) -> int:
    command.repo.reproduce(**command._common_kwargs, **command._repro_kwargs)
    return 0

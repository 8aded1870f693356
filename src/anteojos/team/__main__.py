"""The command `python -m anteojos.team`, which the targets of the Makefile call."""

import signal
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from functools import partial
from importlib import import_module
from typing import Any

import click

from anteojos.runtime import errors
from anteojos.team.commands import require_repository

INTERRUPTED = 130
BASE = click.Argument(["base"])
ENDPOINT = click.Option(["--endpoint"], default="", help="Address of an S3 store that is not Amazon's.")
HOOK = click.Argument(["hook"])
ARGUMENTS = click.Argument(["arguments"], nargs=-1, type=click.UNPROCESSED)
# Subcommand: function in this package, arguments, help.
SUBCOMMANDS: dict[str, tuple[str, list[click.Parameter], str]] = {
    "repro": ("repro.repro", [ARGUMENTS], "Run `dvc repro` with these arguments, and print a summary."),
    "fsck": ("fsck.check", [], "Read DVC's cache and the outputs completely, and remove damaged files."),
    "reproduced": ("reproduced.check", [], "Reproduce the last commit in a clone and compare the results."),
    "remote": ("remote.set_up", [click.Argument(["url"]), ENDPOINT], "Make URL the default remote, after testing it."),
    "push": ("push.push", [], "Push data, models and runs to the remote, and check that it has all files."),
    "check-committed": ("check_committed.check", [], "Check that the last results are committed and the data pushed."),
    "compare": ("compare.write", [BASE], "Write the differences from the commit BASE to comparison/."),
    "results": ("results.show", [], "List experiments, branches and tags with their results, best first."),
    "gate": ("gate.check", [BASE], "Fail if the model is worse than in the commit BASE, or the label leaks."),
    "note": ("note.write", [], "Write the comparison as a note on a GitLab merge request."),
    "resolve": ("resolve.resolve", [], "Resolve a merge conflict in dvc.lock and the metrics."),
    "release": (
        "release.release",
        [click.Argument(["version"])],
        "Push the committed model, register VERSION, write its files.",
    ),
    "hook": ("hook.install", [], "Install the git hooks that check out the data after git has changed dvc.lock."),
    "follow": ("follow.follow", [HOOK, ARGUMENTS], "Check out the data if git has changed dvc.lock; called by hooks."),
}
# While a stage runs, its outputs are missing.
NOT_DURING_A_STAGE = ("check-committed", "compare", "gate")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a subcommand and return its exit code: 0, 1 for an error, 2 for wrong arguments, 130 if interrupted."""
    group = click.Group(help="Share data, compare branches, check commits, release models.")
    for name, (function, params, text) in SUBCOMMANDS.items():
        group.add_command(click.Command(name, callback=partial(_call, name, function), params=params, help=text))
    try:
        group.main(arguments, prog_name="python -m anteojos.team", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except click.Abort:
        print("interrupted", file=sys.stderr)
        return INTERRUPTED
    except Exception as error:
        if not (message := _message(error)):
            raise
        print(message, file=sys.stderr)
        return 1
    return 0


def _call(name: str, function: str, **arguments: Any) -> None:
    """Run the function of a subcommand. Only its module is imported, because DVC takes half a second."""
    module, _, function = function.partition(".")
    if name != "hook":  # `make setup` is for a zip download too
        require_repository()
    with ExitStack() as stack:
        if name in NOT_DURING_A_STAGE:
            from anteojos.runtime.runner import alone

            stack.enter_context(alone(name))
        getattr(import_module(f"anteojos.team.{module}"), function)(**arguments)


def _message(error: Exception) -> str:
    """Return the message of an error that is not a bug, DVC's included; "" if the traceback is needed."""
    # DVC takes half a second to import, and raises nothing before it is imported.
    dvc = sys.modules.get("dvc.exceptions")
    return str(error) if dvc and isinstance(error, dvc.DvcException) else errors.message(error)


def _exit(number: int, _: object) -> None:
    sys.exit(128 + number)


if __name__ == "__main__":
    # End like after an error: with all child processes, and without temporary folders.
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is signal.SIG_DFL:  # `nohup` ignores SIGHUP
            signal.signal(number, _exit)
    sys.exit(main())

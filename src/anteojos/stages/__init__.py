"""One module a stage of dvc.yaml: read its inputs, call the library, write its outputs."""

import os
import subprocess
import sys
from collections.abc import Callable

from anteojos.errors import InputError


def run(main: Callable[[], None]) -> None:
    """Run a stage as DVC does: say plainly what is wrong with its input, and leave no output lost.

    DVC removes a stage's outputs before it runs the stage. After a failure they come back from DVC's cache, as
    dvc.lock has them, or from git, so that a stage that could not make new ones leaves those that were there.
    """
    stage = os.environ.get("DVC_STAGE", "")
    try:
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


def _explained(error: BaseException) -> str:
    """Give the text for an error that people can do something about, "" for one that needs its traceback."""
    if isinstance(error, KeyboardInterrupt):
        return "interrupted"
    if isinstance(error, OSError) and error.strerror:
        # A full disk, a folder that can't be written: the machine's matter.
        return f"{error.filename or 'writing'}: {error.strerror}"
    return str(error) if isinstance(error, InputError) else ""


def _restore_outputs(stage: str) -> None:
    # DVC takes half a second to import, which only a failure pays.
    from dvc.exceptions import CheckoutError
    from dvc.repo import Repo

    with Repo() as repo:
        for output in repo.stage.load_one(name=stage).outs:
            if output.exists or not output.hash_info:
                continue
            in_git = not output.use_cache
            try:
                # DVC leaves to git what is not cached, but its run cache holds what was made here all the same.
                output.use_cache = True
                output.checkout(force=True)
            except (CheckoutError, OSError):
                # In a clone that has run nothing yet, metrics are in git alone, and other outputs nowhere.
                if not (in_git and _restore_from_git(output.fs_path)):
                    print(f"{stage}: {output} is not in DVC's cache; `dvc pull` may bring it back", file=sys.stderr)


def _restore_from_git(path: str) -> bool:
    return subprocess.run(["git", "checkout", "--quiet", "--", path], capture_output=True).returncode == 0  # noqa: S603, S607

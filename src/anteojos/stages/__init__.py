"""One module a stage of dvc.yaml: read its inputs, call the library, write its outputs."""

import os
import sys
from collections.abc import Callable

from anteojos.errors import InputError


def run(main: Callable[[], None]) -> None:
    """Run a stage as DVC does: say plainly what is wrong with its input, and leave no output lost.

    DVC removes a stage's outputs before it runs the stage. After a failure they come back from DVC's cache, as
    dvc.lock has them, so that a stage that could not make new ones leaves those that were there.
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
            try:
                # DVC leaves what git tracks to git, but the run cache holds it all the same.
                output.use_cache = True
                output.checkout(force=True)
            except CheckoutError:
                print(f"{stage}: {output} was removed and is in the cache no more", file=sys.stderr)

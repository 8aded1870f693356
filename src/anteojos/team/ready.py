"""Check that `make repro` can run. DVC would remove outputs before it finds the same problems."""

from collections.abc import Sequence
from pathlib import Path

from anteojos.params import Params
from anteojos.team.commands import dvc

MODEL = Path("models/model.tflite")


def check(arguments: Sequence[str] = ()) -> None:
    """Check params.yaml; say how long the first run takes. Raises InputError with all problems.

    `arguments` are those of `dvc repro`: they can select stages, or pull results instead of running their stages.
    """
    Params.load()
    if not (arguments or MODEL.exists() or Path(dvc("cache", "dir").strip(), "files").exists()):
        print("There is no model yet: all stages run, which takes 3 minutes, on a slow machine 10.", flush=True)

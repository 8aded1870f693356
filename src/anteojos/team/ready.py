"""Check that `make repro` can run. DVC would remove outputs before it finds the same problems."""

from pathlib import Path

from anteojos.params import Params
from anteojos.runtime.errors import InputError
from anteojos.team.commands import succeeds

MODEL = Path("models/model.tflite")


def check() -> None:
    """Check the checkout and params.yaml; say how long the first run takes. Raises InputError with all problems."""
    if not succeeds("git", "rev-parse", "--git-dir"):
        raise InputError(
            f"{Path.cwd()} is not a git repository",
            ["DVC needs the git history, which a zip download does not contain"],
            "Clone the repository instead (git clone URL), and run `make repro` there.",
        )
    Params.load()
    if not MODEL.exists():
        print(
            "There is no model yet: all stages run, which takes 3 minutes with the drawn faces, on a slow machine 10."
        )

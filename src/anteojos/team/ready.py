"""Say what would keep `make repro` from running, before DVC removes outputs that it then could not make."""

import sys
from pathlib import Path

from anteojos.params import Params
from anteojos.runtime.errors import InputError
from anteojos.team.commands import succeeds

MODEL = Path("models/model.tflite")


def main() -> int:
    """Run the command; give its exit code."""
    try:
        check()
    except InputError as error:
        print(error, file=sys.stderr)
        return 1
    if not MODEL.exists():
        print("There is no model here yet: all stages run, which takes about 3 minutes with the drawn faces.")
    return 0


def check() -> None:
    """Check the checkout and params.yaml. Raises InputError with what is wrong."""
    if not succeeds("git", "rev-parse", "--git-dir"):
        raise InputError(
            f"{Path.cwd()} is no git repository",
            ["DVC keeps to git's history, which a download as a zip does not have"],
            "Clone the repository instead (git clone URL), and run `make repro` there.",
        )
    Params.load()


if __name__ == "__main__":
    sys.exit(main())

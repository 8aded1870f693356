"""Record where dvc.lock was made: the versions of the packages and the kind of processor."""

from pathlib import Path

from anteojos.runtime import environment
from anteojos.runtime.outputs import write_json
from anteojos.team.commands import succeeds

# Not the output of a stage: it may differ if the results are the same.
MADE_ON = Path("metrics/environment.json")


def record() -> None:
    """Write `MADE_ON`, unless dvc.lock is the committed one."""
    if not MADE_ON.exists() or not succeeds("git", "diff", "--quiet", "HEAD", "--", "dvc.lock"):
        write_json(MADE_ON, environment.describe())

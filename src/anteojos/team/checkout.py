"""Git and DVC, run in a checkout."""

import os
import subprocess
import sys
from pathlib import Path

from anteojos.errors import InputError


def run(*command: str, cwd: Path = Path(), show: bool = False, **environment: str) -> str:
    """Run a command in the folder `cwd` and give what it printed, or show it while it runs.

    This Python's folder comes first on the path. Raises InputError with what the command said where it fails.
    """
    path = os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", "")))
    # Where they are set, as in a git hook, git would not look at `cwd`.
    inherited = {name: value for name, value in os.environ.items() if name not in ("GIT_DIR", "GIT_INDEX_FILE")}
    done = subprocess.run(  # noqa: S603, the commands stand in this package
        command,
        cwd=cwd,
        env={**inherited, "PATH": path, **environment},
        stdout=None if show else subprocess.PIPE,
        stderr=None if show else subprocess.PIPE,
        text=True,
    )
    if done.returncode:
        said = "" if show else (done.stderr or done.stdout).strip()
        raise InputError(f"`{' '.join(command)}` failed with exit code {done.returncode}", said.splitlines())
    return done.stdout or ""


def succeeds(*command: str, cwd: Path = Path()) -> bool:
    """Tell whether a command succeeds, whatever it prints."""
    try:
        run(*command, cwd=cwd)
    except InputError:
        return False
    return True

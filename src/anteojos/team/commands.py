"""Git and DVC, run in a checkout."""

import os
import re
import subprocess
import sys
from pathlib import Path

from anteojos.runtime.errors import InputError


def run(*command: str, cwd: Path = Path(), show: bool = False) -> str:
    """Run a command in the folder `cwd` and give what it printed, or show it while it runs.

    This Python's folder comes first on the path; warnings go where ours go. Raises InputError with what the command
    said where it fails.
    """
    path = os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", "")))
    done = subprocess.run(  # noqa: S603, the commands stand in this package
        command, cwd=cwd, env={**os.environ, "PATH": path}, capture_output=not show, text=True
    )
    if done.returncode:
        said = "" if show else done.stderr.strip()
        raise InputError(f"{' '.join(command)}: exit code {done.returncode}", said.splitlines())
    sys.stderr.write(done.stderr or "")
    return done.stdout or ""


def git(*arguments: str) -> str:
    """Return what git prints; InputError with what it says where it fails."""
    return run("git", *arguments)


def dvc(*arguments: str) -> str:
    """Return what DVC prints; InputError with what it says where it fails."""
    return run("dvc", *arguments)


def succeeds(*command: str) -> bool:
    """Return whether a command succeeds."""
    try:
        run(*command)
    except InputError:
        return False
    return True


def revision(base: str, given_as: str = "BASE=") -> str:
    """Return the name by which git and DVC know the commit `base`: itself, or its first digits where it is a checksum.

    "" where `base` is what git calls no commit at all, 40 zeros: GitHub and GitLab compare a new branch with that.
    Raises InputError where there is no such commit.
    """
    if re.fullmatch("0{40}", base):
        return ""
    try:
        short = git("rev-parse", "--short", "--verify", "--quiet", "--end-of-options", f"{base}^{{commit}}").strip()
    except InputError:
        raise InputError(
            f"{given_as}{base}: no such commit in this clone; expected a branch, a tag or a checksum",
            advice=f"`git fetch origin` brings the others' branches, to be called origin/NAME: {given_as}origin/main.",
        ) from None
    return short if re.fullmatch("[0-9a-f]{40}", base) else base

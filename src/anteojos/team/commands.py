"""What git and DVC answer when they are asked."""

import re
import subprocess
import sys

from anteojos.errors import InputError


def git(*arguments: str) -> str:
    """Give what git prints; InputError with what it says where it fails."""
    return _output("git", "git", *arguments)


def dvc(*arguments: str) -> str:
    """Give what DVC prints; InputError with what it says where it fails. Its warnings go where ours go."""
    return _output("dvc", sys.executable, "-m", "dvc", *arguments)


def revision(base: str) -> str:
    """Give the name by which git and DVC know the commit `base`: itself, or its first digits where it is a checksum.

    "" where `base` is what git calls no commit at all, 40 zeros: GitHub and GitLab compare a new branch with that.
    Raises InputError where there is no such commit.
    """
    if re.fullmatch("0{40}", base):
        return ""
    try:
        short = git("rev-parse", "--short", "--verify", "--quiet", "--end-of-options", f"{base}^{{commit}}").strip()
    except InputError:
        raise InputError(
            f"BASE={base}: no such commit in this clone; expected a branch, a tag or a checksum",
            advice="`git fetch origin` brings the branches of the others, to be called origin/NAME: BASE=origin/main.",
        ) from None
    return short if re.fullmatch("[0-9a-f]{40}", base) else base


def _output(name: str, *command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True)  # noqa: S603
    if done.returncode != 0:
        said = done.stderr.strip().splitlines()
        raise InputError(f"{name} {' '.join(command[command.index(name) + 1 :])}: exit code {done.returncode}", said)
    sys.stderr.write(done.stderr)
    return done.stdout

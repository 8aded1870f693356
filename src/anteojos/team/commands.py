"""Run git and DVC in a checkout, and read the files that they write."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import yaml

from anteojos.runtime.errors import InputError
from anteojos.runtime.processes import end_with_parent

GRACE = 10  # s, for a command to end after Ctrl-C


def run(*command: str, cwd: Path = Path(), show: bool = False) -> str:
    """Run a command in the folder `cwd`, and return its output or `show` it while it runs.

    The folder of this Python comes first in PATH. Warnings go to our stderr. The command ends with this process. Raises
    InputError with the command's error message if it fails.
    """
    path = os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", "")))
    pipe = None if show else subprocess.PIPE
    with subprocess.Popen(  # noqa: S603, all commands are defined in this package
        command,
        cwd=cwd,
        env={**os.environ, "PATH": path},
        stdout=pipe,
        stderr=pipe,
        encoding="utf-8",
        errors="surrogateescape",
        preexec_fn=end_with_parent,
    ) as process:
        try:
            stdout, stderr = process.communicate()
        except BaseException as error:
            # Ctrl-C reaches the command too: let it clean up.
            if isinstance(error, KeyboardInterrupt):
                with suppress(subprocess.TimeoutExpired):
                    process.wait(GRACE)
            process.terminate()
            raise
    if process.returncode:
        raise InputError(f"{' '.join(command)}: exit code {process.returncode}", (stderr or "").strip().splitlines())
    sys.stderr.write(stderr or "")
    return stdout or ""


def git(*arguments: str) -> str:
    """Return the output of a git command, or raise InputError with its message if it fails."""
    return run("git", *arguments)


def dvc(*arguments: str) -> str:
    """Return the output of a DVC command, or raise InputError with its message if it fails."""
    return run("dvc", *arguments)


def succeeds(*command: str) -> bool:
    """Return whether a command succeeds."""
    try:
        run(*command)
    except InputError:
        return False
    return True


def require_repository() -> None:
    """Raise InputError with git's message if git cannot read this checkout."""
    try:
        git("rev-parse", "--git-dir")
    except InputError as error:
        headline = f"{Path.cwd()} is not a git repository"
        if any((folder / ".git").exists() for folder in (Path.cwd(), *Path.cwd().parents)):
            raise InputError(f"{headline} that git can read", error.problems) from None
        raise InputError(
            headline,
            ["DVC needs the git history, which a zip download does not contain"],
            "Clone the repository instead (git clone URL), and run `make repro` there.",
        ) from None


def prefix() -> Path:
    """Return the path of this checkout in its git repository: "." unless it is a subfolder of a larger one."""
    return Path(git("rev-parse", "--show-prefix").rstrip("\n"))


def git_path(name: str) -> Path:
    """Return where git keeps a file of its own, such as "hooks"; in a linked worktree this is not in .git."""
    return Path(git("rev-parse", "--git-path", name).rstrip("\n"))


def changed_files(*arguments: str) -> list[tuple[str, str]]:
    """Return the files that `git status` lists in this folder, each with its code of two letters."""
    found = git("status", "--porcelain", "-z", "--no-renames", *arguments).split("\0")
    above = prefix().as_posix()
    return [(entry[:2], entry[3:].removeprefix(f"{above}/")) for entry in found if entry]


def revision(base: str, option: str = "BASE=", example: str = "make compare BASE=main") -> str:
    """Return the name of the commit `base` for git and DVC: `base` itself, shortened if it is a checksum.

    Return "" if `base` is 40 zeros: GitHub and GitLab compare a new branch with this. Raises InputError that mentions
    `option` and shows the `example` if there is no such commit.
    """
    if re.fullmatch("0{40}", base):
        return ""
    short = ""
    if base:
        with suppress(InputError):
            short = git("rev-parse", "--short", "--verify", "--quiet", "--end-of-options", f"{base}^{{commit}}").strip()
    if not short:
        require_repository()
        found = f"{option}{base}: no such commit in this clone" if base else f"{option} is empty"
        raise InputError(
            f"{found}; expected a branch, a tag or a checksum: {example}",
            advice=f"`git fetch origin` downloads the branches of others; name them origin/NAME: {option}origin/main.",
        )
    return short if re.fullmatch("[0-9a-f]{40}", base) else base


def dvc_status() -> dict[str, Any]:
    """Return the stages that are not up to date, with what has changed."""
    status: dict[str, Any] = json.loads(dvc("status", "--json"))
    return status


def default_remote() -> str:
    """Return the name of DVC's default remote, or "" if there is none."""
    return dvc("config", "core.remote").strip()


def read_lock(path: Path) -> Mapping[str, Any]:
    """Read the stages of a dvc.lock; none if the file does not exist."""
    if not path.is_file():
        return {}
    try:
        stages: Mapping[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))["stages"]
    except (yaml.YAMLError, KeyError, TypeError):
        raise InputError(
            f"{path}: not a valid lock file of DVC; it may contain a merge conflict",
            advice=f"Restore it with `git checkout HEAD -- {path}`, or write it again with `make repro`.",
        ) from None
    return stages


def checksums(lock: Mapping[str, Any]) -> dict[str, str]:
    """Return the checksums of all outputs in the stages of a lock, by their paths."""
    return {out["path"]: out.get("md5", "") for stage in lock.values() for out in stage.get("outs", ())}


def leaves(value: Any, name: str = "", lists: bool = False) -> Iterator[tuple[str, Any]]:
    """Yield the values of nested dicts by their full names, such as train.seed; with `lists` also those of lists."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from leaves(item, f"{name}.{key}" if name else str(key), lists)
    elif lists and isinstance(value, list):
        for number, item in enumerate(value):
            yield from leaves(item, f"{name}[{number}]", lists)
    else:
        yield name, value

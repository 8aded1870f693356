"""Check that the results of the last run are committed and that the data are pushed.

An output that is missing in this checkout is not a problem: `dvc repro --allow-missing` pulls only what it needs.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from anteojos.runtime.errors import InputError
from anteojos.team.commands import changed_files, checksums, default_remote, dvc, dvc_status, git, read_lock
from anteojos.team.metrics import FOLDER, read

RESULTS = ("dvc.lock", "metrics")
COMMITTED = (*RESULTS, "dvc.yaml", "params.yaml", "src")
MISSING = ("deleted", "not in cache")


def check() -> None:
    """Print that everything is committed and pushed, or raise InputError with all problems."""
    lock = read_lock(Path("dvc.lock"))
    remote = default_remote()
    problems = {
        "run `make repro`": [*changed(dvc_status(), lock), *mismatched(lock), *invalid_metrics()],
        "commit the changes": uncommitted(changed_files("--", *COMMITTED)),
        "run `make push` on the machine that has the data": not_pushed(remote) if remote else [],
    }
    if any(problems.values()):
        # For the log of CI, where nobody can open the files.
        print(git("diff", "HEAD", "--", *RESULTS), end="", flush=True)
        raise InputError(
            "The commit does not match the last run of the pipeline:",
            (problem for found in problems.values() for problem in found),
            f"To fix this, {', then '.join(step for step, found in problems.items() if found)}.",
        )
    print("dvc.lock and the metrics are committed, and match the code, the parameters and the data.")
    if remote:
        print(f"All data in dvc.lock are in the remote `{remote}`.")
    else:
        print("No default remote is set: nobody else can get the data. `make remote URL=…` sets one.")


def uncommitted(files: Iterable[tuple[str, str]]) -> list[str]:
    """Return the files that differ from the commit, given those that git lists with their codes."""
    words = {"D": "deleted, but in the commit", "?": "not in git", "A": "not committed"}
    return [f"{path}: {words.get(code.strip()[0], 'differs from the commit')}" for code, path in files]


def invalid_metrics() -> Iterator[str]:
    """Yield the metrics that cannot be read or compared."""
    for path in sorted(FOLDER.glob("*.json")):
        try:
            read(path)
        except InputError as error:
            yield f"{error.headline} {' '.join(error.problems)}".rstrip()


def changed(status: Mapping[str, Any], lock: Mapping[str, Any]) -> Iterator[str]:
    """Yield what has changed since dvc.lock was written, given the output of `dvc status --json`.

    Skip missing outputs of stages.
    """
    outputs = checksums(lock)
    for stage, reasons in status.items():
        for reason in reasons:
            if isinstance(reason, str):
                yield f"{stage}: {reason} since dvc.lock was written"
                continue
            for path, state in (item for paths in reason.values() for item in paths.items()):
                if isinstance(state, Mapping):
                    yield from (f"{stage}: {path}: {key} is {how} (`dvc status`)" for key, how in state.items())
                elif not (path in outputs and state in MISSING):
                    yield f"{stage}: {path} is {state} (`dvc status`)"


def mismatched(lock: Mapping[str, Any]) -> Iterator[str]:
    """Yield inputs of stages that are not the outputs of the stages before, as after a wrong merge of two branches.

    `dvc status` does not detect this if the output is missing.
    """
    outputs = checksums(lock)
    for name, stage in lock.items():
        for dep in stage.get("deps", ()):
            path, md5 = dep["path"], dep.get("md5", "")
            if outputs.get(path, md5) != md5:
                yield f"{name}: its input {path} is not the output in dvc.lock"


def not_pushed(remote: str) -> list[str]:
    """Return the data in dvc.lock that are missing in the default remote."""
    # Without --granular, DVC only looks for the list of a folder's files, and not for the files.
    found = json.loads(dvc("data", "status", "--not-in-remote", "--granular", "--json"))
    return [f"{path}: not in the remote `{remote}`" for path in sorted(found.get("not_in_remote", ()))]

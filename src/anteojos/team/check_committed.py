"""Check that the commit is what the pipeline ran: its results are in git, and its data in the remote.

What is missing here and in DVC's cache is no fault: `dvc repro --allow-missing` brings nothing that it does not need,
and the remote has it.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from anteojos.runtime.errors import InputError
from anteojos.runtime.runner import run
from anteojos.team.commands import dvc, git

# What says what ran, and what came of it.
RESULTS = ("dvc.lock", "metrics")
COMMITTED = (*RESULTS, "dvc.yaml", "params.yaml", "src")
MISSING = ("deleted", "not in cache")
MOST_NAMED = 20


def main() -> None:
    """Run the check: exit code 1, and what differs, where the commit is not what ran."""
    lock = locked(Path("dvc.lock"))
    remote = dvc("config", "core.remote").strip()
    problems = {
        "run `make repro`": [*changed(json.loads(dvc("status", "--json")), lock), *at_odds(lock)],
        "commit what has changed": uncommitted(git("status", "--porcelain", "--", *COMMITTED)),
        "run `dvc push` where the data are": not_shared(remote) if remote else [],
    }
    if any(problems.values()):
        # To be seen in a log, where nobody can look at the files.
        print(git("diff", "HEAD", "--", *RESULTS), end="", flush=True)
        raise InputError(
            "The commit is not what the pipeline ran:",
            (problem for found in problems.values() for problem in shortened(found)),
            f"To mend it, {', then '.join(todo for todo, found in problems.items() if found)}.",
        )
    print("dvc.lock and the metrics are committed, and are of the code, the parameters and the data as they are.")
    if remote:
        print(f"All data that dvc.lock names are in the remote `{remote}`.")
    else:
        print("No default remote is set: nobody else can get the data. `make remote URL=…` sets one.")


def locked(path: Path) -> Mapping[str, Any]:
    """Read the stages of a dvc.lock: none where there is no such file."""
    if not path.is_file():
        return {}
    try:
        stages: Mapping[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))["stages"]
    except (yaml.YAMLError, KeyError, TypeError):
        raise InputError(
            f"{path}: not a lock that DVC wrote; a merge may have left both sides in it",
            advice=f"`git checkout HEAD -- {path}` brings it back, `make repro` writes it anew.",
        ) from None
    return stages


def uncommitted(status: str) -> list[str]:
    """Name the files that differ from the commit, from what `git status --porcelain` prints."""
    words = {"D": "deleted, and in the commit", "?": "not in git", "A": "not committed"}
    return [f"{line[3:]}: {words.get(line[:2].strip()[0], 'differs from the commit')}" for line in status.splitlines()]


def changed(status: Mapping[str, Any], lock: Mapping[str, Any]) -> Iterator[str]:
    """Name what has changed since dvc.lock was written, from what `dvc status --json` prints.

    That an output of a stage is missing, for that stage or a later one, is left out.
    """
    made = {out["path"] for stage in lock.values() for out in stage.get("outs", ())}
    for stage, reasons in status.items():
        for reason in reasons:
            if isinstance(reason, str):
                yield f"{stage}: {reason} since dvc.lock was written"
                continue
            for path, state in (item for paths in reason.values() for item in paths.items()):
                if isinstance(state, Mapping):
                    yield from (f"{stage}: {path}: {key} is {how}, says DVC" for key, how in state.items())
                elif not (path in made and state in MISSING):
                    yield f"{stage}: {path} is {state}, says DVC"


def at_odds(lock: Mapping[str, Any]) -> Iterator[str]:
    """Name the outputs that a later stage had otherwise than dvc.lock has them, as after two branches were merged.

    `dvc status` does not see it where the output is missing.
    """
    made = {out["path"]: (stage, out.get("md5")) for stage, of in lock.items() for out in of.get("outs", ())}
    for stage, of in lock.items():
        for dep in of.get("deps", ()):
            maker, md5 = made.get(dep["path"], ("", dep.get("md5")))
            if md5 != dep.get("md5"):
                yield f"{stage}: ran on another {dep['path']} than {maker} made"


def not_shared(remote: str) -> list[str]:
    """Name the data that dvc.lock names and the default remote does not hold whole."""
    # Without --granular a folder counts as there when its list is, whatever is missing of what it lists.
    found = json.loads(dvc("data", "status", "--not-in-remote", "--granular", "--json"))
    return [f"{path}: not in the remote `{remote}`" for path in sorted(found.get("not_in_remote", ()))]


def shortened(problems: list[str]) -> list[str]:
    """Return the first problems, and how many more there are."""
    more = len(problems) - MOST_NAMED
    return [*problems[:MOST_NAMED], f"… and {more:,} more"] if more > 0 else problems


if __name__ == "__main__":
    run(main)

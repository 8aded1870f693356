"""Settle a merge of two branches' results: take either side's, and reproduce what the merged parameters ask for.

.gitattributes keeps git from mixing two versions of dvc.lock or of a metric line by line; in a conflict it leaves ours.
"""

import sys

from anteojos.runtime.errors import InputError
from anteojos.team.commands import run

RESULTS = ("dvc.lock", "metrics/")


def main() -> int:
    """Run the command; give its exit code."""
    try:
        resolve()
    except InputError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def resolve() -> None:
    """Take a side of dvc.lock and the metrics where they are in conflict, run `dvc repro`, and stage what it gives."""
    sides = conflicts()
    others = sorted(path for path in sides if not path.startswith(RESULTS))
    if others:
        raise InputError(
            "files other than dvc.lock and the metrics are in conflict",
            others,
            "Settle these first, `git add` them, then run `make resolve` again.",
        )
    for path, numbers in sides.items():
        # 2 is ours and 3 is theirs; a side that deleted the file has none.
        run("git", "checkout", "--ours" if "2" in numbers else "--theirs", "--", path)
    # Also where git found no conflict: two results that it could merge are not yet the result of both.
    run("dvc", "repro", show=True)
    run("git", "add", "--", "dvc.lock", "metrics")
    if sides:
        print("\nThe conflict is settled. Look at `dvc metrics diff`, then conclude it with `git commit`.")
    else:
        print("\nNothing was in conflict; dvc.lock and the metrics are those of the files as they are.")


def conflicts() -> dict[str, set[str]]:
    """Return the paths in conflict, each with the sides that have it: 1 the ancestor, 2 ours, 3 theirs."""
    found: dict[str, set[str]] = {}
    for entry in filter(None, run("git", "ls-files", "--unmerged", "-z").split("\0")):
        description, _, path = entry.partition("\t")
        found.setdefault(path, set()).add(description.split()[-1])
    return found


if __name__ == "__main__":
    sys.exit(main())

"""Resolve a merge of two branches' results: take one side, then reproduce with the merged parameters.

Because of .gitattributes, git never mixes two versions of dvc.lock or of a metrics file line by line.
"""

from anteojos.runtime.errors import InputError
from anteojos.team.commands import default_remote, git, git_path, run

RESULTS = ("dvc.lock", "metrics/")
# What git is in the middle of, by a file that it keeps meanwhile, and the command that finishes it. During a rebase,
# there can be a CHERRY_PICK_HEAD too.
UNFINISHED = {
    "rebase-merge": ("rebase", "git rebase --continue"),
    "rebase-apply": ("rebase", "git rebase --continue"),
    "CHERRY_PICK_HEAD": ("cherry-pick", "git cherry-pick --continue"),
    "REVERT_HEAD": ("revert", "git revert --continue"),
}
MERGE = ("merge", "git commit")


def resolve() -> None:
    """Take one side of each result in conflict, run `dvc repro`, and stage the new results.

    Results that are in the remote are pulled, and their stages do not run. Raises InputError if other files are in
    conflict.
    """
    sides = conflicts()
    others = sorted(path for path in sides if not path.startswith(RESULTS))
    if others:
        raise InputError(
            "files other than dvc.lock and the metrics are in conflict",
            others,
            "Resolve these first, `git add` them, then run `make resolve` again.",
        )
    for path, numbers in sides.items():
        # 2 is ours and 3 is theirs; a side that deleted the file has none.
        git("checkout", "--ours" if "2" in numbers else "--theirs", "--", path)
    # Also without a conflict: merged results of two branches are not the results of the merged parameters.
    run("dvc", "--wait-for-lock", "repro", *(["--pull"] if default_remote() else []), show=True)
    git("add", "--", *RESULTS)
    if sides:
        what, command = next((found for file, found in UNFINISHED.items() if git_path(file).exists()), MERGE)
        print(f"\nThe conflict is resolved. Check `dvc metrics diff`, then finish the {what} with `{command}`.")
    else:
        print("\nThere was no conflict; dvc.lock and the metrics match the current files.")


def conflicts() -> dict[str, set[str]]:
    """Return the paths in conflict, each with the sides that have it: 1 the common ancestor, 2 ours, 3 theirs."""
    found: dict[str, set[str]] = {}
    for entry in filter(None, git("ls-files", "--unmerged", "-z", "--", ":/").split("\0")):
        description, _, path = entry.partition("\t")
        found.setdefault(path, set()).add(description.split()[-1])
    return found

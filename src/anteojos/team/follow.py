"""Check out the data and the model of the commit that git has checked out: what the git hooks do."""

import logging
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from anteojos.team.commands import git, succeeds


def follow(hook: str, arguments: Sequence[str]) -> None:
    """Restore the outputs if git has changed dvc.lock; print what was restored or is missing.

    `hook` is the name of a git hook, `arguments` are what git passes to it. After a merge or a rebase, which often
    follow a download, also pull from the remote what replaces outputs of this checkout.
    """
    before = commits_before(hook, arguments)
    if all(succeeds("git", "diff", "--quiet", commit, "--", "dvc.lock") for commit in before):
        return
    # DVC takes half a second to import.
    from dvc.exceptions import DvcException

    try:
        restored, missing = restore(pull=hook != "post-checkout")
    except DvcException as error:
        print(f"The data of this commit were not checked out: {error}\nThen run `dvc checkout`.", file=sys.stderr)
        return
    if restored:
        print(f"Checked out the data of this commit: {', '.join(restored)}", file=sys.stderr)
    if missing:
        print(
            f"Not in DVC's cache: {', '.join(missing)}. Run `dvc pull`, or `make repro` to make them.", file=sys.stderr
        )


def commits_before(hook: str, arguments: Sequence[str]) -> list[str]:
    """Return the commits whose data may be in the checkout, none if the hook changes no file of the pipeline."""
    match hook, arguments:
        case "post-checkout", [old, _, "1"]:
            # A rebase checks out a commit first, and ends with the hook post-rewrite.
            return [] if Path(git("rev-parse", "--git-path", "rebase-merge").strip()).exists() else [old]
        case "post-merge", _:
            return ["ORIG_HEAD"]
        case "post-rewrite", ["rebase", *_]:
            return ["ORIG_HEAD"]
        case _:
            return []  # a single file, or `git commit --amend`


def restore(pull: bool) -> tuple[list[str], list[str]]:
    """Check out all outputs in DVC's cache; return those that have changed, and those that are gone and were here."""
    from dvc.exceptions import CheckoutError
    from dvc.logger import set_loggers_level
    from dvc.repo import Repo

    # DVC's warnings show checksums; the caller prints the names.
    with set_loggers_level(logging.ERROR), Repo() as repo:
        here = {str(out): out for out in repo.index.outs if out.use_cache and out.exists}
        absent = [out.fs_path for out in here.values() if out.changed_cache()]
        if pull and absent and repo.config["core"].get("remote"):
            try:
                repo.fetch(targets=absent)
            except Exception as error:  # each kind of storage raises its own exception types
                print(f"Not all data of this commit could be pulled: {error}", file=sys.stderr)
        result: dict[str, Any]
        try:
            result, failed = repo.checkout(), []
        except CheckoutError as error:
            result, failed = error.result, error.target_infos
    return sorted([*result["added"], *result["modified"]]), [path for path in failed if path in here]

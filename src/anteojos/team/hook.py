"""Install DVC's git hook, so that `git checkout BRANCH` also checks out the data and the model.

`dvc install` would also run `dvc status` before each `git commit`, and stop each `git push` if there is no remote; and
its hooks need an activated environment.
"""

from dvc.repo import Repo
from dvc.scm import NoSCM
from scmrepo.exceptions import GitHookAlreadyExists

# Git has already switched the branch when the hook runs, so the hook only prints a message and does not fail.
HOOK = """\
# Written by `make setup` of anteojos. Delete this file if you do not want it.
PATH="$PWD/.venv/bin:$PATH"
command -v dvc >/dev/null || exit 0
dvc git-hook post-checkout "$@" ||
  echo "Some data of this commit are missing: run dvc pull, or dvc repro to make them." >&2"""


def install() -> None:
    """Install the hook, unless there is already one or this is not a git repository."""
    with Repo() as repo:
        if isinstance(repo.scm, NoSCM):
            return
        try:
            repo.scm.verify_hook("post-checkout")
        except GitHookAlreadyExists:
            return
        repo.scm.install_hook("post-checkout", HOOK)

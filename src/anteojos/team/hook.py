"""`git checkout BRANCH` brings the branch's data and model too: `make setup` installs DVC's hook for it.

`dvc install` would also make each `git commit` wait for `dvc status`, and stop each `git push` where there is no
remote; and its hooks need an environment that is activated.
"""

from dvc.repo import Repo
from dvc.scm import NoSCM
from scmrepo.exceptions import GitHookAlreadyExists

# Git has switched by then, whatever the hook ends with: what it could not bring is said, and no script fails of it.
HOOK = """\
# Written by `make setup` of anteojos; delete this file to do without.
PATH="$PWD/.venv/bin:$PATH"
command -v dvc >/dev/null || exit 0
dvc git-hook post-checkout "$@" ||
  echo "Not all data of this commit are here: bring them with dvc pull, or make them with dvc repro." >&2"""


def main() -> None:
    """Install the hook, unless there is one already or this is no git repository."""
    with Repo() as repo:
        if isinstance(repo.scm, NoSCM):
            return
        try:
            repo.scm.verify_hook("post-checkout")
        except GitHookAlreadyExists:
            return
        repo.scm.install_hook("post-checkout", HOOK)


if __name__ == "__main__":
    main()

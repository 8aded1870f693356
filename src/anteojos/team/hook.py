"""Install git hooks, so that the data and the model are those of the commit that git has checked out.

`dvc install` would also run `dvc status` before each `git commit`, and stop each `git push` if there is no remote; its
hooks need an activated environment, and do nothing after `git pull`.
"""

import shlex
import sys

from anteojos.runtime.errors import InputError
from anteojos.team.commands import git_path, prefix, require_repository, succeeds

HOOKS = ("post-checkout", "post-merge", "post-rewrite")
MARK = "# Written by `make setup` of anteojos."
# Git runs it in the top folder of the repository, and sets variables that are wrong in another folder.
HOOK = """\
#!/bin/sh
{mark} Delete this file if you do not want it.
unset $(git rev-parse --local-env-vars)
cd {prefix} && test -x .venv/bin/python && test -f src/anteojos/team/follow.py || exit 0
PYTHONPATH=src .venv/bin/python -m anteojos.team follow {name} -- "$@" || exit 0
"""


def install() -> None:
    """Install the hooks, except where there is another one; print why if none can be installed."""
    try:
        require_repository()
    except InputError as error:
        print(f"The git hooks were not installed: {error}", file=sys.stderr)
        return
    if succeeds("git", "config", "core.hooksPath"):
        print(f"core.hooksPath is set, so git does not use its own hooks: {', '.join(HOOKS)} were not installed.")
        return
    folder = git_path("hooks")
    folder.mkdir(parents=True, exist_ok=True)
    for name in HOOKS:
        path = folder / name
        if path.exists() and MARK not in path.read_text(encoding="utf-8", errors="replace"):
            continue
        path.write_text(HOOK.format(mark=MARK, prefix=shlex.quote(str(prefix())), name=name), encoding="utf-8")
        path.chmod(0o755)

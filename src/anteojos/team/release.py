"""Register the committed model under a version: a git tag, and the bytes in the remote that it leads to."""

import argparse
import re
import sys

from anteojos.runtime.errors import InputError
from anteojos.team.commands import dvc, git, run, succeeds

# The artifact of dvc.yaml that is released.
ARTIFACT = "classifier"
MODEL_CARD = "models/README.md"


def main() -> int:
    """Run the command; give its exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("version", help="as v1.0.0")
    try:
        release(parser.parse_args().version)
    except InputError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def release(version: str) -> None:
    """Push what the commit names to the remote and tag it. Raises InputError with all that stands in the way."""
    tag = f"{ARTIFACT}@{version}"
    problems = obstacles(version, tag)
    if problems:
        raise InputError(f"{version or 'a version'} cannot be released", problems)
    # Before the tag: a version that is registered can be had by everyone.
    run("dvc", "push", show=True)
    run("gto", "register", ARTIFACT, "--version", version, show=True)
    print(
        f"\nThe version is a git tag of this clone; share it:\n  git push origin HEAD {tag}\n"
        "Then anyone who can read the repository and its remote gets the model, to the byte, and its card:\n"
        f"  dvc artifacts get REPOSITORY {ARTIFACT} --rev {version}\n"
        f"  dvc get REPOSITORY {MODEL_CARD} --rev {tag} --out {ARTIFACT}-{version}.md\n"
        "`gto show` lists the versions."
    )


def obstacles(version: str, tag: str) -> list[str]:
    """Say all that keeps the last commit from being released as `version`, a line each."""
    found = []
    if not re.fullmatch(r"v\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?", version):
        found.append(f"VERSION: found {version!r}, expected one as v1.0.0: make release VERSION=v1.0.0")
    elif succeeds("git", "rev-parse", "--quiet", "--verify", f"refs/tags/{tag}"):
        found.append(f"{tag} is there already; a version is never given twice: take the next")
    changed = git("status", "--porcelain", "--untracked-files=no").splitlines()
    if changed:
        found.append(f"{', '.join(line[3:] for line in changed)}: not committed; commit or undo the changes")
    if not succeeds("git", "config", "user.email"):
        found.append("git does not know who releases: git config user.name NAME, git config user.email ADDRESS")
    if dvc("status", "--json").strip() != "{}":
        found.append("dvc.lock is not of the files as they are (`dvc status`): run `dvc repro`, commit")
    if not dvc("config", "core.remote").strip():
        found.append("there is no default remote to get the model from: make remote URL=…")
    return found


if __name__ == "__main__":
    sys.exit(main())

"""Release the committed model: push its data to the remote, and register the version as a git tag."""

import re
from collections.abc import Iterator
from pathlib import Path

from anteojos.runtime.errors import InputError
from anteojos.team import push
from anteojos.team.commands import changed_files, default_remote, dvc_status, prefix, run, succeeds

ARTIFACT = "classifier"  # its name in dvc.yaml
MODEL_CARD = "models/README.md"


def release(version: str) -> None:
    """Push the data of the last commit to the remote and tag the commit. Raises InputError with all problems."""
    folder = prefix()
    # In a subfolder of a repository, its path is a part of the name; a tag has = in place of the colon.
    artifact = ARTIFACT if folder == Path() else f"{folder.as_posix()}:{ARTIFACT}"
    tag = f"{artifact.replace(':', '=')}@{version}"
    if not version:
        raise InputError("VERSION is missing: the version to release, for example make release VERSION=v1.0.0")
    problems = list(obstacles(version, tag))
    if problems:
        raise InputError(f"{version} cannot be released", problems)
    # Push first: once a version is registered, everyone must be able to get it.
    push.push()
    run("gto", "register", artifact, "--version", version, show=True)
    print(
        f"\nThe version is a git tag in this clone. To share it:\n  git push origin HEAD {tag}\n"
        "Then anyone who can read the repository and its remote can get exactly this model and its card:\n"
        f"  dvc artifacts get REPOSITORY {artifact} --rev {version}\n"
        f"  dvc get REPOSITORY {folder / MODEL_CARD} --rev {tag} --out {ARTIFACT}-{version}.md\n"
        "`gto show` lists the versions."
    )


def obstacles(version: str, tag: str) -> Iterator[str]:
    """Yield each reason why the last commit cannot be released as `version`."""
    if not re.fullmatch(r"v\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?", version):
        yield f"VERSION: found {version!r}, expected a version such as v1.0.0: make release VERSION=v1.0.0"
    elif succeeds("git", "rev-parse", "--quiet", "--verify", f"refs/tags/{tag}"):
        yield f"{tag} already exists; a version cannot be released twice: use the next number"
    if not re.fullmatch(r"[\w/=-]+", tag.partition("@")[0], re.ASCII):
        yield f"{prefix()}: gto allows only letters, digits, _, - and / in the path of a model: rename the folder"
    changed = changed_files("--untracked-files=no", "--", ".")
    if changed:
        yield f"{', '.join(path for _, path in changed)}: not committed; commit or undo the changes"
    if not succeeds("git", "config", "user.email"):
        yield "git does not know your name: git config user.name NAME, git config user.email ADDRESS"
    if dvc_status():
        yield "dvc.lock is not up to date (`dvc status`): run `dvc repro` and commit"
    if not default_remote():
        yield "there is no default remote: make remote URL=s3://bucket/path"

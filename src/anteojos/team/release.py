"""Release the committed model: push its data to the remote, register the version as a git tag, and write its files."""

import hashlib
import json
import re
import shutil
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path

from anteojos.runtime import checkout
from anteojos.runtime.errors import InputError
from anteojos.runtime.outputs import replacing, write_json
from anteojos.team import push
from anteojos.team.commands import changed_files, default_remote, dvc_status, prefix, run, succeeds

ARTIFACT = "classifier"  # its name in dvc.yaml
MODEL_CARD = "models/README.md"
METRICS = "metrics/evaluate.json"
FILES = Path("release")  # a folder there for each version
BUILT_FROM = ("pyproject.toml", "README.md", "LICENSE", "src")


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
    with replacing(FILES / version) as files:
        write_files(version, files)
    run("gto", "register", artifact, "--version", version, show=True)
    print(
        f"\nThe version is a git tag in this clone. To share it:\n  git push origin HEAD {tag}\n"
        "Then anyone who can read the repository and its remote can get exactly this model and its card:\n"
        f"  dvc artifacts get REPOSITORY {artifact} --rev {version}\n"
        f"  dvc get REPOSITORY {folder / MODEL_CARD} --rev {tag} --out {ARTIFACT}-{version}.md\n"
        "`gto show` lists the versions.\n"
        f"{FILES / version} has the package and the model for others, with their checksums (SHA256SUMS)."
    )


def write_files(version: str, folder: Path) -> None:
    """Write what it takes to use the model to a new folder: wheel, model, card, release.json, SHA-256 sums."""
    folder.mkdir()
    build_wheel(folder)
    shutil.copy(checkout.MODEL, folder)
    shutil.copy(MODEL_CARD, folder)
    metrics = json.loads(Path(METRICS).read_text(encoding="utf-8"))
    write_json(
        folder / "release.json",
        {"name": ARTIFACT, "version": version, "sha256": digest(Path(checkout.MODEL)), "metrics": metrics},
    )
    sums = [f"{digest(path)}  {path.name}\n" for path in sorted(folder.iterdir())]
    (folder / "SHA256SUMS").write_text("".join(sums), encoding="utf-8")


def digest(path: Path) -> str:
    """Return the SHA-256 of a file, in hex."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def build_wheel(folder: Path) -> None:
    """Build the wheel of the last commit in `folder`: the same bytes each time, without files that are not in git."""
    committed = run("git", "log", "-1", "--format=%ct").strip()
    with tempfile.TemporaryDirectory() as temporary:
        archive, source = Path(temporary, "source.tar"), Path(temporary, "source")
        run("git", "archive", "--output", str(archive), "HEAD", *BUILT_FROM)
        with tarfile.open(archive) as packed:
            packed.extractall(source, filter="data")
        build = ("python", "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(source))
        run("env", f"SOURCE_DATE_EPOCH={committed}", *build)


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

"""Reproduce the last commit in a clone and compare the results: `make check-reproduced`."""

import json
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from dvc.exceptions import DvcException
from dvc.repo import Repo

from anteojos.params import Params
from anteojos.runtime import environment
from anteojos.runtime.errors import InputError
from anteojos.team import differences
from anteojos.team.commands import checksums, git, read_lock, run
from anteojos.team.record import MADE_ON

# A smaller difference of a probability does not count.
TOLERANCE = 1e-4

Found = Iterator[tuple[str, differences.Difference | None]]


def check() -> None:
    """Run the committed pipeline in a clone, and compare all outputs. Raises InputError if the results differ."""
    print(f"Reproducing commit {git('rev-parse', '--short', 'HEAD').strip()} in a clone, without uncommitted changes.")
    sys.stdout.flush()
    with tempfile.TemporaryDirectory() as folder:
        committed, reproduced = Path(folder, "committed"), Path(folder, "reproduced")
        for clone in (committed, reproduced):
            git("clone", "--quiet", str(Path.cwd()), str(clone))
        check_out(committed)
        reproduce(reproduced, committed)
        found = dict(compare(committed, reproduced))
    judge(found)


def check_out(clone: Path) -> None:
    """Check out the outputs of `clone` from this checkout's cache or the remote; some may be missing."""
    with Repo() as repo:
        if repo.config["core"].get("remote"):
            try:
                # Not in the clone: the path of the remote may be relative, and its keys are in this checkout.
                repo.fetch(revs=["HEAD"])
            except DvcException as error:
                print(f"warning: not all data in dvc.lock could be pulled from the remote: {error}", file=sys.stderr)
        run("dvc", "config", "--local", "cache.dir", repo.cache.local_cache_dir, cwd=clone)
    run("dvc", "checkout", "--quiet", "--allow-missing", cwd=clone)


def reproduce(clone: Path, committed: Path) -> None:
    """Run all stages in `clone`. Faces are drawn again; other images are copied from `committed`."""
    command = ["dvc", "repro", "--force", "--no-run-cache"]
    if Params.load(clone / "params.yaml").dataset.source != "sample":
        images = Path("data/raw")
        if not (committed / images).exists():
            raise InputError(
                "the images in dvc.lock are neither in DVC's cache nor in the remote",
                advice="Run `dvc pull` or `dvc repro`, then try again.",
            )
        shutil.copytree(committed / images, clone / images)
        command += ["--downstream", "verify"]
    run(*command, cwd=clone, show=True)


def compare(committed: Path, reproduced: Path) -> Found:
    """Yield each file of each output with its difference between two checkouts, or None if it is the same.

    If a committed file is missing, only its checksum is compared.
    """
    images = [reproduced / "data/processed" / split / "images.npy" for split in ("validate", "test")]
    old, new = (checksums(read_lock(checkout / "dvc.lock")) for checkout in (committed, reproduced))
    for path, checksum in new.items():
        if old.get(path) == checksum:
            yield path, None
        elif not (committed / path).exists():
            yield path, differences.Difference("another checksum; the committed file is not available")
        elif (committed / path).is_dir():
            yield from compare_folders(committed, reproduced, path, images)
        else:
            yield path, differences.between(committed / path, reproduced / path, images)


def compare_folders(committed: Path, reproduced: Path, path: str, images: list[Path]) -> Found:
    """Yield the files of a folder that differ."""
    checkouts = (committed, reproduced)
    files = {
        file.relative_to(checkout).as_posix()
        for checkout in checkouts
        for file in (checkout / path).rglob("*")
        if file.is_file()
    }
    for file in sorted(files):
        missing = [checkout.name for checkout in checkouts if not (checkout / file).exists()]
        if missing:
            yield file, differences.Difference(f"not among the {missing[0]} files")
        elif (committed / file).read_bytes() != (reproduced / file).read_bytes():
            yield file, differences.between(committed / file, reproduced / file, images)


def judge(found: dict[str, differences.Difference | None]) -> None:
    """Print the differences. Raises InputError if a probability differs by `TOLERANCE` or more, or none is known."""
    differ = {path: difference for path, difference in found.items() if difference}
    print(f"\n{len(found) - len(differ)} of {len(found)} outputs are the same to the byte.")
    if not differ:
        return
    for path, difference in differ.items():
        print(f"  {path}: {difference.text}")
    here = environment.describe()
    there = json.loads(MADE_ON.read_text("utf-8")) if MADE_ON.exists() else {}
    for name in here.keys() | there.keys():
        if here.get(name) != there.get(name):
            print(
                f"  {name}: here {here.get(name, 'none')}, dvc.lock was made with {there.get(name, 'an unknown one')}"
            )
    sys.stdout.flush()
    probabilities = [item.probability for item in differ.values() if item.probability is not None]
    if not probabilities:
        raise InputError("No probabilities could be compared: get the committed model with `dvc pull`.")
    if max(probabilities) >= TOLERANCE:
        raise InputError(f"Other results: a probability differs by {max(probabilities):.1e} ({TOLERANCE} or more).")
    print(f"The same results: no probability differs by {TOLERANCE} or more.")

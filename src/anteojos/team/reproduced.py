"""Are the committed results those that this machine comes to? `make check-reproduced` tells which are not."""

import argparse
import json
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import yaml
from dvc.exceptions import DvcException
from dvc.repo import Repo

from anteojos.params import Params
from anteojos.runtime import environment
from anteojos.runtime.errors import InputError
from anteojos.runtime.outputs import write_json
from anteojos.team import differences
from anteojos.team.commands import run, succeeds

# On what dvc.lock was made: in git, and no output of a stage, for it differs where results are the same.
MADE_ON = Path("metrics/environment.json")
# Probabilities that differ by less are called the same.
SAME = 1e-4


def main() -> int:
    """Run the command; give its exit code: 0 where the results are the same, 1 where they are not."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--record", action="store_true", help=f"write {MADE_ON} where dvc.lock is newer than the commit"
    )
    try:
        return record() if parser.parse_args().record else check()
    except InputError as error:
        print(error, file=sys.stderr)
        return 1


def record() -> int:
    """Write on which versions and kind of processor dvc.lock was made, if it is not the one that was committed."""
    if not MADE_ON.exists() or not succeeds("git", "diff", "--quiet", "HEAD", "--", "dvc.lock"):
        write_json(MADE_ON, environment.describe())
    return 0


def check() -> int:
    """Run the committed pipeline anew in a clone, and compare all that it makes with what was committed."""
    commit = run("git", "rev-parse", "--short", "HEAD").strip()
    print(f"Reproducing commit {commit} in a clone; uncommitted changes are left out.", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        committed, reproduced = Path(folder, "committed"), Path(folder, "reproduced")
        for clone in (committed, reproduced):
            run("git", "clone", "--quiet", str(Path.cwd()), str(clone))
        bring_outputs(committed)
        reproduce(reproduced, committed)
        found = dict(compare(committed, reproduced))
    return report(found)


def bring_outputs(clone: Path) -> None:
    """Bring the outputs that dvc.lock names from this checkout's cache or the remote, as far as they are there."""
    with Repo() as repo:
        if repo.config["core"].get("remote"):
            try:
                # Here, for the remote's path may be relative, and its keys are in this checkout.
                repo.fetch(revs=["HEAD"])
            except DvcException as error:
                print(f"warning: the remote did not give all that dvc.lock names: {error}", file=sys.stderr)
        run("dvc", "config", "--local", "cache.dir", repo.cache.local_cache_dir, cwd=clone)
    run("dvc", "checkout", "--quiet", "--allow-missing", cwd=clone)


def reproduce(clone: Path, committed: Path) -> None:
    """Run the whole pipeline in `clone`, with drawn faces drawn anew, and other images as they were committed."""
    command = ["dvc", "repro", "--force", "--no-run-cache"]
    if Params.load(clone / "params.yaml").dataset.source != "sample":
        images = Path("data/raw")
        if not (committed / images).exists():
            raise InputError(
                "the images that dvc.lock names are neither in DVC's cache nor in the remote",
                advice="Bring them with `dvc pull`, or run `dvc repro`, then try again.",
            )
        shutil.copytree(committed / images, clone / images)
        command += ["--downstream", "verify"]
    run(*command, cwd=clone, show=True)


def compare(committed: Path, reproduced: Path) -> Iterator[tuple[str, differences.Difference | None]]:
    """Yield each file of each output, with what differs in it between two checkouts, or None where nothing does.

    A file that the committed side lacks is only known by its checksum.
    """
    images = [reproduced / "data/processed" / split / "images.npy" for split in ("validate", "test")]
    locks = [
        yaml.safe_load((checkout / "dvc.lock").read_text("utf-8"))["stages"] for checkout in (committed, reproduced)
    ]
    ours, theirs = ({out["path"]: out["md5"] for stage in lock.values() for out in stage["outs"]} for lock in locks)
    for path, checksum in theirs.items():
        if ours.get(path) == checksum:
            yield path, None
        elif not (committed / path).exists():
            yield path, differences.Difference("another checksum; the committed one is not here")
        elif (committed / path).is_dir():
            yield from compare_folders(committed, reproduced, path, images)
        else:
            yield path, differences.between(committed / path, reproduced / path, images)


def compare_folders(
    committed: Path, reproduced: Path, path: str, images: list[Path]
) -> Iterator[tuple[str, differences.Difference | None]]:
    """Yield the files of a folder with what differs in them; files that are the same are left out."""
    sides = (committed, reproduced)
    files = {file.relative_to(side).as_posix() for side in sides for file in (side / path).rglob("*") if file.is_file()}
    for file in sorted(files):
        missing = [side.name for side in sides if not (side / file).exists()]
        if missing:
            yield file, differences.Difference(f"not among those {missing[0]}")
        elif (committed / file).read_bytes() != (reproduced / file).read_bytes():
            yield file, differences.between(committed / file, reproduced / file, images)


def report(found: dict[str, differences.Difference | None]) -> int:
    """Print what differs and whether that counts; give the exit code."""
    differ = {path: difference for path, difference in found.items() if difference}
    print(f"\n{len(found) - len(differ)} of {len(found)} outputs are the same to the byte.")
    if not differ:
        return 0
    for path, difference in differ.items():
        print(f"  {path}: {difference.text}")
    here = environment.describe()
    there = json.loads(MADE_ON.read_text("utf-8")) if MADE_ON.exists() else {}
    for name in here.keys() | there.keys():
        if here.get(name) != there.get(name):
            print(f"  {name}: here {here.get(name, 'none')}, dvc.lock was made on {there.get(name, 'an unknown one')}")
    probabilities = [item.probability for item in differ.values() if item.probability is not None]
    if not probabilities:
        print("No probabilities could be compared: bring the committed model with `dvc pull`.", file=sys.stderr)
        return 1
    if max(probabilities) < SAME:
        print(f"The same results: no probability differs by {SAME} or more.")
        return 0
    print(f"Other results: a probability differs by {max(probabilities):.1e}, {SAME} or more.", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())

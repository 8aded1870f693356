"""Reproduce the last commit in a clone and compare the results: `make check-reproduced`."""

import json
import os
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
from anteojos.team.commands import checksums, git, prefix, read_lock, run
from anteojos.team.gate import leaks
from anteojos.team.metrics import AUDIT, EVALUATE, read, require_scores
from anteojos.team.record import MADE_ON

# A smaller difference of a probability does not count.
TOLERANCE = 1e-4

Found = Iterator[tuple[str, differences.Difference | None]]


def check() -> None:
    """Run the committed pipeline in a clone, and compare all outputs. Raises InputError if the results differ."""
    print(f"Reproducing commit {git('rev-parse', '--short', 'HEAD').strip()} in a clone, without uncommitted changes.")
    sys.stdout.flush()
    repository = git("rev-parse", "--show-toplevel").rstrip("\n")
    with tempfile.TemporaryDirectory() as folder:
        committed, reproduced = (Path(folder, name, prefix()) for name in ("committed", "reproduced"))
        for name in ("committed", "reproduced"):
            git("clone", "--quiet", repository, str(Path(folder, name)))
        check_out(committed, Path(folder, "cache"))
        reproduce(reproduced, committed)
        found = dict(compare(committed, reproduced))
        causes = list(other_environment(committed / MADE_ON))
        outside = list(outside_intervals(committed, reproduced))
    judge(found, causes, outside)


def check_out(clone: Path, link: Path) -> None:
    """Check out the outputs of `clone` from this checkout's cache or the remote; some may be missing.

    `link` is a path for a link to the cache.
    """
    with Repo() as repo:
        if repo.config["core"].get("remote"):
            try:
                # Not in the clone: the path of the remote may be relative, and its keys are in this checkout.
                repo.fetch(revs=["HEAD"])
            except DvcException as error:
                print(f"warning: not all data in dvc.lock could be pulled from the remote: {error}", file=sys.stderr)
        link.symlink_to(repo.cache.local_cache_dir)
    # A relative path to a link: DVC can write only ASCII characters into its configuration.
    run("dvc", "config", "--local", "cache.dir", os.path.relpath(link, clone), cwd=clone)
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


def other_environment(made_on: Path) -> Iterator[str]:
    """Yield the versions and the kind of CPU that are not those with which dvc.lock was made."""
    here = environment.describe()
    there = json.loads(made_on.read_text("utf-8")) if made_on.exists() else {}
    for name in here.keys() | there.keys():
        if here.get(name) != there.get(name):
            yield f"{name}: here {here.get(name, 'none')}, dvc.lock was made with {there.get(name, 'an unknown one')}"


def outside_intervals(committed: Path, reproduced: Path) -> Iterator[str]:
    """Yield each accuracy that is outside of its committed 95 % interval, and another verdict of the audit."""
    before, after = (read(clone / EVALUATE) for clone in (committed, reproduced))
    border, border_after = (leaks(read(clone / AUDIT))[0] for clone in (committed, reproduced))
    for split in before:
        old, new = (require_scores(metrics, split, str(EVALUATE)) for metrics in (before, after))
        low, high = old["accuracy_low"], old.get("accuracy_high", 1.0)
        if not low <= new["accuracy"] <= high:
            yield f"{EVALUATE}: {split}: accuracy {new['accuracy']:.3f}; committed interval {low:.3f} to {high:.3f}"
    if bool(border) != bool(border_after):
        yield f"{AUDIT}: the border predicts the label: {border_after or 'no'}; committed: {border or 'no'}"


def judge(found: dict[str, differences.Difference | None], causes: list[str], outside: list[str]) -> None:
    """Print the differences and a conclusion.

    Raises InputError if a probability differs by `TOLERANCE` or more. If the committed model is not available, raises
    InputError if metrics are `outside` of their intervals, or no `causes` of other last bits are known.
    """
    differ = {path: difference for path, difference in found.items() if difference}
    print(f"\n{len(found) - len(differ)} of {len(found)} outputs are the same to the byte.")
    if not differ:
        return
    for line in (*(f"{path}: {difference.text}" for path, difference in differ.items()), *causes):
        print(f"  {line}")
    sys.stdout.flush()
    probabilities = [item.probability for item in differ.values() if item.probability is not None]
    if probabilities:
        if not all(probability < TOLERANCE for probability in probabilities):  # NaN is not below it
            raise InputError(f"Other results: a probability differs by {max(probabilities):.1e} ({TOLERANCE} or more).")
        print(f"The same results: no probability differs by {TOLERANCE} or more.")
        return
    advice = "To compare the probabilities too, get the committed model with `dvc pull` and run this again."
    if outside:
        raise InputError("Other results: metrics are outside of their committed intervals", outside, advice)
    if not causes:
        raise InputError("Other results, though the kind of CPU and all versions are the same.", advice=advice)
    print(
        "The accuracies are in their committed 95 % intervals. Other weights are expected on another kind of CPU or "
        f"with other versions.\n{advice}"
    )

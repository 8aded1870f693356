"""Time `dvc repro` after the most common changes, and a sweep, compared with running the 2024 notebook again.

The last commit is measured in a clone, with the parameters of the 2024 report on the images of `--archive`, or on drawn
faces. Before each change, everything has run; the run cache is empty unless the row says otherwise.
"""

import hashlib
import itertools
import os
import shutil
import statistics
import subprocess
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import psutil
from PIL import Image, ImageOps

import cold
import measure
from cold import Changes
from measure import timed
from readme import BENCHMARKS, record, write_part

GOAL, SWEEP_GOAL = 0.2, 0.5


def main() -> None:
    """Measure, and write the tables."""
    options = measure.options(__doc__, rounds=3, experiments=27, archive=Path(), test_labels=Path())
    dataset = cold.dataset_of(options.archive, options.test_labels)
    # DVC's workers for experiments may still be ending.
    with tempfile.TemporaryDirectory(prefix="anteojos-", ignore_cleanup_errors=True) as name:
        project = Project(Path.cwd(), Path(name), dataset)
        seconds = measure.in_turns(project.jobs(), options.rounds)
        sweep = project.sweep(options.experiments) if options.experiments else None
    notebook = statistics.median(seconds.pop("notebook"))
    ratios = {change: statistics.median(found) / notebook for change, found in seconds.items()}
    record("everyday", {"notebook": notebook, **ratios})
    text = text_of(ratios, notebook, options.rounds, options.archive.name)
    if sweep:
        text += "\n\n" + sweep_text(*sweep, notebook, options.experiments)
    write_part("everyday", "python benchmarks/everyday.py", text, BENCHMARKS)


class Project:
    """A clone in which everything has run and is committed, and the clone of a colleague who shares a remote."""

    def __init__(self, origin: Path, folder: Path, dataset: Changes) -> None:
        self.folder, self.path, self.colleague = folder, folder / "mine", folder / "colleague"
        self._values = itertools.count(2)  # a value that no run has had, for seeds and the like
        cold.fresh_clone(origin, self.path, {**cold.REPORT, "dataset": dataset})
        self.run("dvc", "repro", "fetch")
        # From here on, the images are those of a zip, to which one can be added.
        self.zip()
        self.run("dvc", "remote", "add", "--default", "team", str(folder / "remote"))
        self.run("dvc", "repro")
        self.run("git", "checkout", "-B", "mine")
        self.commit(self.path)
        shutil.copytree(self.path, self.colleague, symlinks=True)
        shutil.copytree(self.path / ".dvc/cache/runs", folder / "runs")

    def run(self, *command: str, path: Path | None = None) -> None:
        """Run a command in a clone, by default in mine."""
        path = path or self.path
        environment = {**os.environ, **cold.ENVIRONMENT, "DVC_SITE_CACHE_DIR": f"{path}.site"}
        subprocess.run(command, cwd=path, env=environment, check=True, stdout=subprocess.DEVNULL)

    def commit(self, path: Path) -> None:
        """Commit everything in a clone."""
        identity = ("-c", "user.name=A", "-c", "user.email=a@example.invalid")
        self.run("git", *identity, "commit", "--quiet", "--all", "--message", "A run", path=path)

    def jobs(self) -> dict[str, Callable[[], float]]:
        """Return what is timed, by its name in the table."""

        def after(change: Callable[[], None], runs: bool = False) -> Callable[[], float]:
            return partial(self.time_repro, change, keep_runs=runs)

        def params(section: str, name: str, value: Callable[[int], object]) -> Callable[[], float]:
            return after(lambda: cold.set_params(self.path, {section: {name: value(next(self._values))}}))

        return {
            "notebook": self.time_notebook,
            "nothing": after(lambda: None),
            "`predict.threshold`": params("predict", "threshold", lambda number: 0.5 + number / 1000),
            "`train.epochs`, 10 to 8": params("train", "epochs", lambda number: 8),
            "`train.seed`": params("train", "seed", lambda number: number),
            "`train.network`: `sigmoid`": params("train", "network", lambda number: "sigmoid"),
            "one more image": after(self.zip),
            "`preprocess.crop`: `face`": params("preprocess", "crop", lambda number: "face"),
            "a comment in `stages/preprocess.py`": after(self.comment),
            "back to yesterday's parameters (in the run cache)": after(self.back, runs=True),
            "the branch of a colleague (with `dvc pull`)": after(self.switch),
        }

    def time_notebook(self) -> float:
        """Return the seconds of the notebook on the same images."""
        notebook = Path(__file__).with_name("notebook.py")
        return timed(partial(self.run, "python", str(notebook), "data/raw"))

    def time_repro(self, change: Callable[[], None], keep_runs: bool = False) -> float:
        """Return the seconds of `dvc repro` after a change of the committed state, with what `switch` does before."""
        self.run("git", "checkout", "--force", "--quiet", "mine")
        self.run("dvc", "checkout", "--force", "--quiet")
        runs = self.path / ".dvc/cache/runs"
        shutil.rmtree(runs, ignore_errors=True)
        if keep_runs:
            shutil.copytree(self.folder / "runs", runs)
        change()
        pulling = ("git", "checkout", "--quiet", "--detach", "FETCH_HEAD"), ("dvc", "pull", "--quiet")
        commands = (*(pulling if change == self.switch else ()), ("dvc", "repro"))
        return timed(lambda: [self.run(*command) for command in commands])

    def zip(self) -> None:
        """Write the images to a new zip, with one more, the mirror image of another, and set its path and checksum."""
        number = next(self._values)
        raw = self.folder / f"images-{number}"
        shutil.copytree(self.path / "data/raw", raw)
        images = sorted((raw / "train").glob("*/*.jpg"))
        other = images[number % len(images)]
        with Image.open(other) as image:
            ImageOps.mirror(image).save(other.with_name(f"added-{number}.jpg"))
        archive = Path(shutil.make_archive(str(raw), "zip", raw))
        checksum = hashlib.sha256(archive.read_bytes()).hexdigest()
        dataset = {"source": "archive", "archive": str(archive), "sha256": checksum, "test_labels": None}
        cold.set_params(self.path, {"dataset": {**dataset, "expected": None}})

    def comment(self) -> None:
        """Add a comment to a stage."""
        with (self.path / "src/anteojos/stages/preprocess.py").open("a", encoding="utf-8") as source:
            print(f"# {next(self._values)}", file=source)

    def back(self) -> None:
        """Run with another seed, then set the committed parameters again."""
        cold.set_params(self.path, {"train": {"seed": next(self._values)}})
        self.run("dvc", "repro")
        self.run("git", "checkout", "--quiet", "params.yaml")

    def switch(self) -> None:
        """Let the colleague train with another seed and push, and fetch the commit."""
        cold.set_params(self.colleague, {"train": {"seed": next(self._values)}})
        self.run("dvc", "repro", path=self.colleague)
        self.commit(self.colleague)
        self.run("dvc", "push", "--quiet", path=self.colleague)
        self.run("git", "fetch", "--quiet", str(self.colleague), "mine")

    def sweep(self, count: int) -> tuple[float, float]:
        """Run `count` queued experiments with other seeds, two at a time. Return the seconds and the CPU's idle share.

        The share includes other work on this machine.
        """
        self.run("git", "checkout", "--force", "--quiet", "mine")
        self.run("dvc", "checkout", "--force", "--quiet")
        seeds = ",".join(str(next(self._values)) for _ in range(count))
        self.run("dvc", "exp", "run", "--queue", "--set-param", f"train.seed={seeds}")
        psutil.cpu_times_percent()  # the next call returns the shares since this one
        seconds = timed(partial(self.run, "dvc", "exp", "run", "--run-all", "--jobs", "2"))
        return seconds, psutil.cpu_times_percent().idle / 100


def text_of(ratios: dict[str, float], notebook: float, rounds: int, archive: str = "") -> str:
    """Return the table of everyday changes, the quickest first."""
    rows = [[change, f"{ratio:.2f}"] for change, ratio in sorted(ratios.items(), key=lambda item: item[1])]
    median = statistics.median(ratios.values())
    images = f"The images of `{archive}`" if archive else "Drawn faces"
    caption = (
        f"{images}. The notebook takes {notebook:.1f} s. The median of the ratios is {median:.2f} (goal: {GOAL}). Each "
        f"ratio is that of the medians of {rounds} round{'s' * (rounds > 1)}."
    )
    return f"{measure.table(['change', '`dvc repro` / the notebook'], rows)}\n\n{caption}"


def sweep_text(seconds: float, idle: float, notebook: float, count: int) -> str:
    """Return the sentence about the sweep."""
    return (
        f"A sweep of {count} experiments (`dvc exp run --queue`, then `--run-all --jobs 2`) takes {seconds:.0f} s, "
        f"{seconds / count / notebook:.2f} times as long as running the notebook {count} times (goal: {SWEEP_GOAL}). "
        f"Meanwhile, the CPU is idle for {idle:.0%} of the time."
    )


if __name__ == "__main__":
    main()

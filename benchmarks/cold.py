"""Time the whole pipeline in a fresh clone against the 2024 notebook, and each stage.

The last commit is measured, in clones with empty caches: once with the parameters of the 2024 report (whole images, its
network), and once with the default network on aligned faces. The images are those of `--archive`, or as many drawn
faces as the report had images. The notebook (`notebook.py`) trains on the same images.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import yaml

import measure
from machine import has_avx512
from measure import Cost
from readme import BENCHMARKS, record, write_part

HERE = Path(__file__).parent
STAGES = (
    "fetch",
    "verify",
    "preprocess",
    "audit",
    "train",
    "package",
    "crossvalidate",
    "evaluate",
    "predict",
    "describe",
)
EMPTY_STAGES = 6
REPORT = {"preprocess": {"crop": "none"}, "train": {"network": "baseline"}}
DEFAULT = {"preprocess": {"crop": "face"}, "train": {"network": "edge"}}
SAMPLE = {"source": "sample", "drawn": None}
# Use dvc and python of the environment that runs this script, even if it is not activated. Let Python keep compiled
# modules, which is its default.
ENVIRONMENT = {
    "PATH": os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"])),
    "PYTHONPATH": "src",
    "PYTHONDONTWRITEBYTECODE": "",
}
Changes = Mapping[str, Mapping[str, object]]
Results = dict[str, list[Cost]]


def main() -> None:
    """Measure, and write the table."""
    options = measure.options(__doc__, rounds=3, archive=Path(), test_labels=Path())
    rounds = options.rounds
    with tempfile.TemporaryDirectory(prefix="anteojos-") as folder:
        results = measure_all(Path.cwd(), Path(folder), rounds, dataset_of(options.archive, options.test_labels))
    record("cold", figures_of(results))
    write_part("cold", "python benchmarks/cold.py", text_of(results, rounds, options.archive.name), BENCHMARKS)


def dataset_of(archive: Path, test_labels: Path) -> Mapping[str, object]:
    """Return the section `dataset` of the parameters for a zip or folder; without one, for drawn faces."""
    if not archive.name:
        return SAMPLE
    labels = str(test_labels.resolve()) if test_labels.name else None
    return {"source": "archive", "archive": str(archive.resolve()), "test_labels": labels, "drawn": None}


def measure_all(origin: Path, folder: Path, rounds: int, dataset: Mapping[str, object]) -> Results:
    """Measure the last commit of the checkout `origin` in clones in `folder`; all jobs take turns.

    Memory is measured once, in runs of their own, because this slows them down.
    """
    report, default = ({**changes, "dataset": dataset} for changes in (REPORT, DEFAULT))
    warm = fresh_clone(origin, folder / "warm", report)
    repro(warm)
    empty = empty_pipeline(folder / "empty")
    repro(empty)
    notebook = str(HERE / "notebook.py")
    stages = {stage: partial(run, ["python", "-m", f"anteojos.stages.{stage}"], warm) for stage in STAGES}
    jobs: dict[str, Callable[..., Cost]] = {
        "notebook": partial(run, ["python", notebook, "data/raw"], warm),
        "repro": partial(cold_repro, origin, folder / "cold", report),
        "default": partial(cold_repro, origin, folder / "cold", default),
        "nothing": partial(repro, warm),
        "empty": partial(repro, empty),
        "tensorflow": partial(run, ["python", "-c", "import tensorflow"], warm),
        **stages,
    }
    costs = measure.in_turns(jobs, rounds)
    for name in ("notebook", "repro", "default", "nothing", "empty", "train"):
        peak = jobs[name](watch=True).mebibytes
        costs[name] = [replace(cost, mebibytes=peak) for cost in costs[name]]
    return costs


def run(command: Sequence[str], folder: Path, watch: bool = False) -> Cost:
    """Measure a command in a checkout. DVC's site cache is a folder next to the checkout."""
    return measure.run(command, folder, watch, **ENVIRONMENT, DVC_SITE_CACHE_DIR=f"{folder}.site")


def repro(folder: Path, watch: bool = False) -> Cost:
    """Measure `dvc repro`."""
    return run(["dvc", "repro"], folder, watch)


def cold_repro(origin: Path, path: Path, changes: Changes, watch: bool = False) -> Cost:
    """Measure `dvc repro` in a fresh clone, and remove the clone."""
    cost = repro(fresh_clone(origin, path, changes), watch)
    for folder in (path, f"{path}.site"):
        shutil.rmtree(folder)
    return cost


def fresh_clone(origin: Path, path: Path, changes: Changes) -> Path:
    """Clone the last commit without DVC's cache, and set parameters."""
    subprocess.run(["git", "clone", "--quiet", "--no-local", origin, path], check=True)
    set_params(path, changes)
    return path


def set_params(path: Path, changes: Changes) -> None:
    """Set parameters in params.yaml of a checkout, by section."""
    file = path / "params.yaml"
    params = yaml.safe_load(file.read_text(encoding="utf-8"))
    for section, values in changes.items():
        params[section] |= values
    file.write_text(yaml.safe_dump(params), encoding="utf-8")


def empty_pipeline(path: Path) -> Path:
    """Create a repository with a pipeline of stages that only copy the output of the stage before."""
    path.mkdir()
    for command in (["git", "init", "--quiet"], ["dvc", "init", "--quiet"]):
        subprocess.run(command, cwd=path, env={**os.environ, **ENVIRONMENT}, check=True)
    (path / "0.txt").write_text("nothing\n", encoding="utf-8")
    stages = {
        f"stage-{number}": {
            "cmd": f"cp {number - 1}.txt {number}.txt",
            "deps": [f"{number - 1}.txt"],
            "outs": [f"{number}.txt"],
        }
        for number in range(1, EMPTY_STAGES + 1)
    }
    (path / "dvc.yaml").write_text(yaml.safe_dump({"stages": stages}, sort_keys=False), encoding="utf-8")
    return path


def goal() -> str:
    """Return the goal for a cold run, which depends on the kind of CPU."""
    return "at most 0.9 (with AVX-512)" if has_avx512() else "at most 0.75 (without AVX-512)"


def figures_of(results: Results) -> dict[str, float]:
    """Return the median seconds by name."""
    return {name: measure.median(costs).seconds for name, costs in results.items()}


def text_of(results: Results, rounds: int, archive: str = "") -> str:
    """Return the tables: the comparison, and the time of each stage. `archive` is the name of that of the images."""
    costs = {name: measure.median(found) for name, found in results.items()}

    def compared(label: str, name: str, other_label: str, other: str, goals: tuple[str, str]) -> list[str]:
        ours, theirs = costs[name], costs[other]
        return [
            label,
            f"{ours.seconds:.2f} s, {ours.mebibytes:,.0f} MiB",
            f"{other_label}: {theirs.seconds:.2f} s, {theirs.mebibytes:,.0f} MiB",
            f"{ours.seconds / theirs.seconds:.2f}",
            goals[0],
            f"{ours.mebibytes / theirs.mebibytes:.2f}",
            goals[1],
        ]

    rows = [
        compared(
            "`dvc repro` in a fresh clone",
            "repro",
            "the notebook",
            "notebook",
            (goal(), "at most 1.0"),
        ),
        compared("the same with `edge` and aligned faces", "default", "the notebook", "notebook", ("at most 1.2", "")),
        compared(
            "`dvc repro` with nothing to do",
            "nothing",
            f"a pipeline of {EMPTY_STAGES} empty stages",
            "empty",
            ("at most 1.3", ""),
        ),
    ]
    head = ["", "median", "compared with", "times as long", "goal", "times the memory", "goal"]
    total = costs["repro"].seconds
    parts = [(f"`{stage}`", costs[stage].seconds) for stage in STAGES]
    parts.append(("DVC itself: start, hashing, cache, `dvc.lock`", total - sum(part for _, part in parts)))
    shares = [[name, f"{seconds:.2f}", f"{seconds / total:.0%}"] for name, seconds in parts]
    spread = [cost.seconds for cost in results["repro"]]
    return "\n\n".join(
        (
            measure.table(head, rows),
            "The time of `dvc repro` in a fresh clone, by stage (each stage is run alone; DVC takes the rest):",
            measure.table(["", "seconds", "share"], shares),
            f"{f'The images of `{archive}`' if archive else 'Drawn faces'}. Medians of {rounds} "
            f"round{'s' * (rounds > 1)}; `dvc repro` took from {min(spread):.1f} to "
            f"{max(spread):.1f} s. `train` and the notebook import TensorFlow, which takes "
            f"{costs['tensorflow'].seconds:.2f} s. The notebook draws no figures, has no audit, and does not draw or "
            "unpack its images as `fetch` does; without `fetch` "
            f"the pipeline takes {(total - costs['fetch'].seconds) / costs['notebook'].seconds:.2f} times as long. "
            f"`train` takes {costs['train'].mebibytes:,.0f} MiB of memory.",
        )
    )


if __name__ == "__main__":
    main()

"""Time the whole pipeline from nothing against the report's notebook, and where the time goes.

What is committed is measured, in fresh clones with empty caches, with the parameters of the report: whole images, its
network, and as many drawn images as it had. The notebook, a script in `notebook.py`, trains on the same images.
"""

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import yaml

import measure
from measure import Cost
from readme import BENCHMARKS, record, write_part

HERE = Path(__file__).parent
STAGES = ("fetch", "verify", "preprocess", "audit", "train", "package", "evaluate", "predict", "describe")
EMPTY_STAGES = 6
REPORT = {
    "dataset": {"source": "sample", "drawn": None},
    "preprocess": {"crop": "none"},
    "train": {"network": "baseline"},
}
# `dvc` and the stages' `python` are those of the environment that runs this, activated or not.
ENVIRONMENT = {"PATH": os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"])), "PYTHONPATH": "src"}
Results = dict[str, list[Cost]]


def main() -> None:
    """Measure, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=3, help="how often each is measured, default: %(default)s")
    rounds: int = parser.parse_args().rounds
    with tempfile.TemporaryDirectory(prefix="anteojos-") as folder:
        results = measure_all(Path.cwd(), Path(folder), rounds)
    record("cold", figures_of(results))
    write_part("cold", "python benchmarks/cold.py", text_of(results, rounds), BENCHMARKS)


def measure_all(origin: Path, folder: Path, rounds: int) -> Results:
    """Measure what is committed in the checkout `origin` in clones below `folder`; all take turns."""
    warm = fresh_clone(origin, folder / "warm")
    repro(warm)
    empty = empty_pipeline(folder / "empty")
    repro(empty)
    notebook = str(HERE / "notebook.py")
    jobs: dict[str, Callable[[], Cost]] = {
        "notebook": lambda: run(["python", notebook, "data/raw"], warm),
        "repro": lambda: cold_repro(origin, folder / "cold"),
        "nothing": lambda: repro(warm),
        "empty": lambda: repro(empty),
        "tensorflow": lambda: run(["python", "-c", "import tensorflow"], warm),
    }
    # One by one, as `dvc repro` starts them.
    jobs |= {stage: lambda stage=stage: run(["python", "-m", f"anteojos.stages.{stage}"], warm) for stage in STAGES}
    return measure.in_turns(jobs, rounds)


def run(command: Sequence[str], folder: Path) -> Cost:
    """Measure a command in a checkout, with what DVC notes elsewhere of its files kept beside the checkout."""
    return measure.run(command, folder, **ENVIRONMENT, DVC_SITE_CACHE_DIR=f"{folder}.site")


def repro(folder: Path) -> Cost:
    """Measure `dvc repro`."""
    return run(["dvc", "repro"], folder)


def cold_repro(origin: Path, path: Path) -> Cost:
    """Measure `dvc repro` in a fresh clone, and remove the clone."""
    cost = repro(fresh_clone(origin, path))
    for made in (path, f"{path}.site"):
        shutil.rmtree(made)
    return cost


def fresh_clone(origin: Path, path: Path) -> Path:
    """Clone a checkout: what is committed, and nothing of DVC's cache; set the parameters of the report."""
    subprocess.run(["git", "clone", "--quiet", "--no-local", origin, path], check=True)
    file = path / "params.yaml"
    params = yaml.safe_load(file.read_text(encoding="utf-8"))
    for section, values in REPORT.items():
        params[section] |= values
    file.write_text(yaml.safe_dump(params), encoding="utf-8")
    return path


def empty_pipeline(path: Path) -> Path:
    """Make a repository with a pipeline of stages that do nothing, each with the output of the one before."""
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


def figures_of(results: Results) -> dict[str, float]:
    """Return the median seconds of each, by name."""
    return {name: measure.median(costs).seconds for name, costs in results.items()}


def text_of(results: Results, rounds: int) -> str:
    """Write the tables: against the peers, and where a cold run's time goes."""
    costs = {name: measure.median(found) for name, found in results.items()}

    def against(what: str, name: str, peer: str, other: str, goals: tuple[str, str]) -> list[str]:
        one, two = costs[name], costs[other]
        times, memory = one.seconds / two.seconds, one.mebibytes / two.mebibytes
        return [
            what,
            f"{one.seconds:.2f} s, {one.mebibytes:,.0f} MiB",
            f"{peer}: {two.seconds:.2f} s, {two.mebibytes:,.0f} MiB",
            f"{times:.2f}",
            goals[0],
            f"{memory:.2f}",
            goals[1],
        ]

    rows = [
        against(
            "`dvc repro` in a fresh clone, from nothing to predictions",
            "repro",
            "the notebook",
            "notebook",
            ("0.5, at most 0.75", "at most 1.0"),
        ),
        against(
            "`dvc repro` with nothing to do",
            "nothing",
            f"a pipeline of {EMPTY_STAGES} empty stages",
            "empty",
            ("at most 1.3", ""),
        ),
    ]
    head = ["", "median", "its peer", "times as long", "goal", "times the memory", "goal"]
    verify = costs["verify"].seconds
    whole = costs["repro"].seconds
    parts = [(f"`{stage}`", costs[stage].seconds) for stage in STAGES]
    parts.append(("DVC itself: starting, hashing, its cache, `dvc.lock`", whole - sum(part for _, part in parts)))
    shares = [[name, f"{seconds:.2f}", f"{seconds / whole:.0%}"] for name, seconds in parts]
    spread = [cost.seconds for cost in results["repro"]]
    return "\n\n".join(
        (
            measure.table(head, rows),
            f"The stage `verify` alone, in a process of its own: {verify:.2f} s; goal: below 1 s.",
            "Where the time of a cold `dvc repro` goes (each stage run by itself, in turn with the others; DVC is the "
            "rest):",
            measure.table(["", "seconds", "share"], shares),
            f"Medians of {rounds} round{'s' * (rounds > 1)}; `dvc repro` took from {min(spread):.1f} to "
            f"{max(spread):.1f} s. To import TensorFlow alone, which `train` and the notebook do, takes "
            f"{costs['tensorflow'].seconds:.2f} s. The notebook draws no figures, audits nothing and is given its "
            "images, which `fetch` draws; without `fetch` "
            f"the pipeline takes {(whole - costs['fetch'].seconds) / costs['notebook'].seconds:.2f} times as long. "
            f"{statistics.median(cost.mebibytes for cost in results['train']):,.0f} MiB of the memory are `train`'s.",
        )
    )


if __name__ == "__main__":
    main()

"""Time `verify` and `preprocess` in local processes and on a Dask cluster of the same size, and write the table.

`python benchmarks/cluster.py` starts a scheduler and workers of one thread each on this machine, so the difference is
the cost of sending images and results. `--images 2000` sets the number of drawn images.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

import yaml

from anteojos.runtime import parallel
from measure import Cost, in_turns, median, run, table
from readme import BENCHMARKS, write_part

WORKERS = 2
ROUNDS = 3
STAGES = ("verify", "preprocess")
OUTPUTS = ("data/manifest.csv", "data/processed/train/images.npy")


def main() -> None:
    """Draw the images, run the stages locally and on the cluster in turns, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--images", type=int, default=2000)
    images = parser.parse_args().images

    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name, "project")
        folder.mkdir()
        draw(folder, images)
        address = stack.enter_context(cluster(Path(name)))
        written: set[tuple[bytes, ...]] = set()
        addresses = {"local": "", "cluster": address}
        # Not measured: a worker imports its modules with the first image.
        for scheduler in addresses.values():
            run_stages(folder, scheduler)
        jobs = {place: partial(run_both, folder, scheduler, written) for place, scheduler in addresses.items()}
        costs = in_turns(jobs, ROUNDS)
        if len(written) != 1:
            raise RuntimeError("the cluster has written other bytes than local processes")

    rows = []
    for place, words in (
        ("local", f"{WORKERS} local processes"),
        ("cluster", f"{WORKERS} workers of one thread"),
    ):
        by_stage = {stage: median([cost[stage] for cost in costs[place]]) for stage in STAGES}
        seconds = sum(cost.seconds for cost in by_stage.values())
        rows.append(
            [
                words,
                *(f"{by_stage[stage].seconds:.1f}" for stage in STAGES),
                f"{images / seconds:,.0f}",
                f"{max(cost.mebibytes for cost in by_stage.values()):.0f}",
            ]
        )
    ratio = [
        sum(remote[stage].seconds for stage in STAGES) / sum(local[stage].seconds for stage in STAGES)
        for local, remote in zip(costs["local"], costs["cluster"], strict=True)
    ]
    head = ["", *(f"`{stage}`, s" for stage in STAGES), "images/s, both", "memory of the stage, MiB"]
    caption = (
        f"{images:,} drawn images of 160 px, {ROUNDS} rounds in turns, from the start of the process to its end: "
        f"the cluster took {sorted(ratio)[len(ratio) // 2]:.2f} ({min(ratio):.2f} to {max(ratio):.2f}) times as long, "
        "with the same bytes. The memory is that of the stage, without the workers."
    )
    write_part("cluster", "python benchmarks/cluster.py", f"{table(head, rows)}\n\n{caption}", page=BENCHMARKS)


def draw(folder: Path, images: int) -> None:
    """Draw the images as the stage `fetch` does, nearly all of them into `train`."""
    params = yaml.safe_load(Path("params.yaml").read_text(encoding="utf-8"))
    first, second = params["dataset"]["expected"]["train"]
    few, most = {first: 1, second: 1}, {first: images // 2 - 2, second: images // 2 - 2}
    params["dataset"] |= {
        "source": "sample",
        "expected": {"train": most, "validate": few, "test": few},
        "near_duplicate_bits": 0,  # among so many drawn faces, some are similar
    }
    (folder / "params.yaml").write_text(yaml.safe_dump(params), encoding="utf-8")
    run([sys.executable, "-m", "anteojos.stages.fetch"], folder)


@contextmanager
def cluster(folder: Path) -> Iterator[str]:
    """Start a scheduler and workers, each in an empty folder, and yield the address of the scheduler."""
    with ExitStack() as stack:

        def start(name: str, *arguments: str | Path) -> None:
            (folder / name).mkdir()
            with (folder / name / "log").open("wb") as log:
                process = subprocess.Popen(
                    [sys.executable, "-m", "dask", *arguments, "--no-dashboard"],
                    cwd=folder / name,
                    stdout=log,
                    stderr=log,
                )
            stack.callback(process.wait)
            stack.callback(process.terminate)

        contact = folder / "contact.json"
        start("scheduler", "scheduler", "--host", "127.0.0.1", "--port", "0", "--scheduler-file", contact)
        while not contact.exists():
            time.sleep(0.1)
        for number in range(WORKERS):
            start(f"worker {number}", "worker", "--scheduler-file", contact, "--nthreads", "1")
        yield str(yaml.safe_load(contact.read_text(encoding="utf-8"))["address"])


def run_stages(folder: Path, address: str) -> dict[str, Cost]:
    """Run both stages and return the cost of each."""
    return {
        stage: run([sys.executable, "-m", f"anteojos.stages.{stage}"], folder, **{parallel.SCHEDULER: address})
        for stage in STAGES
    }


def run_both(folder: Path, address: str, written: set[tuple[bytes, ...]]) -> dict[str, Cost]:
    """Run both stages, and add the bytes that they wrote to `written`."""
    costs = run_stages(folder, address)
    written.add(tuple((folder / path).read_bytes() for path in OUTPUTS))
    return costs


if __name__ == "__main__":
    main()

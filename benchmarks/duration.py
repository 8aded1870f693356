"""Time the training of each network with and without determinism, and write the table.

`make duration` trains on the images of data/raw, with `ARCHIVE=faces.zip` on those of a zip. The networks take turns,
one round for each seed, so that other load on the machine affects all of them equally.
"""

import multiprocessing
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pandas as pd

from anteojos.model import batches, training
from anteojos.model.recipes import RECIPES
from anteojos.vocabulary import Network
from images import name_of, prepare, read
from measure import parse_arguments
from readme import write_part


def main() -> None:
    """Train all networks for each seed, with and without determinism, and write the table."""
    options = parse_arguments(__doc__)

    train, validate = (prepare(images, "face") for images in read(options.archive))
    rounds = []
    # TensorFlow's determinism cannot be switched off again, so each training runs in a new process.
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=spawn, max_tasks_per_child=1) as processes:
        for seed in options.seeds:
            for name, recipe in RECIPES.items():
                seconds = {}
                for deterministic in (True, False):
                    job = processes.submit(time_training, train, validate, name, seed, deterministic)
                    parameters, seconds[deterministic] = job.result()
                rounds.append((name, recipe.epochs, parameters, seconds[True], seconds[True] / seconds[False]))
                print(f"seed {seed}, {name}: {seconds}", flush=True)
    results = pd.DataFrame(rounds, columns=["network", "epochs", "parameters", "seconds", "cost"])
    groups = results.groupby("network", sort=False)
    medians, low, high = groups.median(), groups["cost"].min(), groups["cost"].max()
    once = len(options.seeds) == 1
    lines = [
        "| network | parameters | epochs | seconds | times `baseline` | times without determinism |",
        "|---" * 6 + "|",
    ]
    for name, row in medians.iterrows():
        times = row.seconds / medians.loc["baseline", "seconds"]
        cost = f"{row.cost:.2f}" + (f" ({low[name]:.2f} to {high[name]:.2f})" if not once else "")
        lines.append(
            f"| `{name}` | {row.parameters:,.0f} | {row.epochs:.0f} | {row.seconds:.1f} | {times:.1f} | {cost} |"
        )
    caption = (
        f"Training on {len(train.images)} images ({name_of(options.archive)}), with checkpoints; "
        + ("one round. " if once else f"median of {len(options.seeds)} rounds in which the networks took turns. ")
        + "The last column is the time divided by the time without deterministic operations and with TensorFlow's "
        "default number of threads" + ("." if once else ": median, lowest, highest.")
    )
    write_part("duration", "make duration", "\n".join([*lines, "", caption]))


def time_training(
    train: batches.LabelledImages, validate: batches.LabelledImages, name: Network, seed: int, deterministic: bool
) -> tuple[int, float]:
    """Train once. Return the number of parameters and the seconds."""
    if not deterministic:
        training.tf.config.experimental.enable_op_determinism = lambda: None
        training.tf.config.threading.set_intra_op_parallelism_threads(0)
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        network, _ = training.train(
            train, validate, name, RECIPES[name], seed, lambda epoch: None, Path(folder, "checkpoint.npz")
        )
        return network.count_params(), time.perf_counter() - start


if __name__ == "__main__":
    main()

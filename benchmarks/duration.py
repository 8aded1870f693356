"""Time the training of each network by its recipe, and write the table in README.md.

`make duration` trains on the pictures of data/raw, `ARCHIVE=faces.zip` on those of a zip. The networks take turns, a
round for each seed, so that what else the machine does meets all of them.
"""

import time

import pandas as pd

from anteojos import training
from anteojos.recipes import RECIPES
from pictures import name_of, parse_arguments, prepare, read
from readme import write_part


def main() -> None:
    """Train all networks once for each seed, and write how long it took."""
    options = parse_arguments(__doc__)

    train, validate = (prepare(pictures, "panel") for pictures in read(options.archive))
    rounds = []
    for seed in options.seeds:
        for name, recipe in RECIPES.items():
            start = time.perf_counter()
            network, _ = training.train(train, validate, name, recipe, seed, lambda epoch: None)
            seconds = time.perf_counter() - start
            rounds.append((name, recipe.epochs, network.count_params(), seconds))
            print(f"seed {seed}, {name}: {seconds:.1f} s", flush=True)
    results = pd.DataFrame(rounds, columns=["network", "epochs", "parameters", "seconds"])
    medians = results.groupby("network", sort=False).median()
    lines = ["| network | parameters | epochs | seconds | times `report` |", "|---|---|---|---|---|"]
    for name, row in medians.iterrows():
        times = row.seconds / medians.loc["report", "seconds"]
        lines.append(f"| `{name}` | {row.parameters:,.0f} | {row.epochs:.0f} | {row.seconds:.1f} | {times:.1f} |")
    caption = (
        f"Training on {len(train.images)} pictures ({name_of(options.archive)}): median of {len(options.seeds)} rounds "
        "in which the networks took turns."
    )
    write_part("duration", "make duration", "\n".join([*lines, "", caption]))


if __name__ == "__main__":
    main()

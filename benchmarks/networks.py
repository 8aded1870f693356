"""Train the networks as DVC experiments, on whole images and on aligned faces, and write the table.

`make experiments` measures the images that params.yaml names, `make experiments ARCHIVE=faces.zip
TEST_LABELS=labels.csv SEEDS="1 2 3"` those of a zip or folder.
"""

import json
import subprocess
import sys
from itertools import product
from typing import Any

import pandas as pd

from anteojos.vocabulary import Crop, Network
from measure import parse_arguments
from readme import mean_and_range, write_part

# `edge` needs aligned faces.
RUNS: list[tuple[Network, Crop]] = [
    *product(("baseline", "sigmoid", "deep", "dropout"), ("none", "face")),
    ("edge", "face"),
]
# The results in the 2024 report, after 10 epochs.
REPORT = {
    "baseline": "train 0.990, validate 0.625",
    "sigmoid": "“no difference in the curves”",
    "deep": "“better curves, did not recognise the test images”",
    "dropout": "train about 0.80, validate 0.50 to 0.70",
}


def main() -> None:
    """Queue the experiments, run them, and write the table."""
    options = parse_arguments(__doc__)
    # Draw as many faces as the 2024 report had images.
    settings: dict[str, Any] = {"train.seed": ",".join(map(str, options.seeds)), "dataset.drawn": "null"}
    if options.archive:
        # An experiment runs in another folder, where a relative path is wrong.
        settings |= {"dataset.source": "archive", "dataset.archive": f"'{options.archive.resolve()}'"}
    if options.test_labels:
        settings["dataset.test_labels"] = f"'{options.test_labels.resolve()}'"
    for network, crop in RUNS:
        run = {"train.network": network, "preprocess.crop": crop, **settings}
        dvc("exp", "run", "--queue", *[word for key, value in run.items() for word in ("-S", f"{key}={value}")])
    dvc("exp", "run", "--run-all", "--jobs", "1")

    results = collect()
    wanted = results["seed"].isin(options.seeds) & (results["source"] == ("archive" if options.archive else "sample"))
    images = f"the images of `{options.archive.name}`" if options.archive else "the drawn faces"
    caption = f"Measured on {images}, seeds {', '.join(map(str, options.seeds))}."
    write_part("networks", "make experiments", f"{table_of(results[wanted])}\n\n{caption}")


def dvc(*arguments: str, stdout: int | None = None) -> str:
    """Run dvc. Return its output if `stdout` is a pipe."""
    done = subprocess.run(["dvc", *arguments], stdout=stdout, text=True)
    if done.returncode:
        sys.exit(f"dvc {' '.join(arguments)} failed, see above.")
    return done.stdout


def collect() -> pd.DataFrame:
    """Return a row with parameters and accuracies for each experiment on the current commit."""
    rows = []
    for commit in json.loads(dvc("exp", "show", "--json", stdout=subprocess.PIPE)):
        for experiment in commit["experiments"] or []:
            data = experiment["revs"][-1]["data"]
            if data and not data["metrics"]["metrics/evaluate.json"].get("error"):
                rows.append(row_of(data))
    return pd.DataFrame(rows).drop_duplicates(["source", "network", "crop", "seed"])


def row_of(data: dict[str, Any]) -> dict[str, Any]:
    """Return the values for the table from an experiment of `dvc exp show --json`."""
    params = data["params"]["params.yaml"]["data"]
    metrics = {path: entry["data"] for path, entry in data["metrics"].items()}
    return {
        "source": params["dataset"]["source"],
        "network": params["train"]["network"],
        "crop": params["preprocess"]["crop"],
        "seed": params["train"]["seed"],
        "train": metrics["metrics/train.json"]["train"]["accuracy"],
        "validate": metrics["metrics/evaluate.json"]["validate"]["accuracy"],
        "test": metrics["metrics/evaluate.json"].get("test", {}).get("accuracy"),
    }


def table_of(results: pd.DataFrame) -> str:
    """Return the table, with a row for each network and crop."""
    lines = [
        "| network | crop | train | validate | test | the 2024 report |",
        "|---|---|---|---|---|---|",
    ]
    for network, crop in RUNS:
        rows = results[(results["network"] == network) & (results["crop"] == crop)]
        measured = [rows[split] for split in ("train", "validate", "test")]
        cells = ["–" if values.isna().any() or values.empty else mean_and_range(values) for values in measured]
        report = REPORT.get(network, "") if crop == "none" else ""
        lines.append(f"| `{network}` | `{crop}` | {' | '.join(cells)} | {report} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()

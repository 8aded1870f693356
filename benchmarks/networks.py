"""Train each network with and without the printed label, as DVC experiments, and write the table in README.md.

`make experiments` calls it; `make experiments ARCHIVE=faces.zip TEST_LABELS=labels.csv SEEDS="1 2 3"` measures other
pictures than those that params.yaml names.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any, get_args

import pandas as pd

from anteojos.params import Crop, Network

README = Path("README.md")
BEGIN, END = "<!-- networks: written by make experiments -->", "<!-- networks: end -->"
# What the report itself measured, after 10 epochs, and what it says of its trials.
REPORT = {
    "report": "train 0.990, validate 0.625",
    "sigmoid": "“no difference in the curves”",
    "deep": "“better curves, did not recognise the test pictures”",
    "dropout": "train about 0.80, validate 0.50 to 0.70",
}


def main() -> None:
    """Queue the experiments, run them, and write what came out."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--archive", type=Path, help="zip or folder to measure on; default: what params.yaml names")
    parser.add_argument("--test-labels", type=Path, help="CSV with file,label for the archive's test pictures")
    options = parser.parse_args()

    grid = {
        "train.network": ",".join(get_args(Network)),
        "preprocess.crop": ",".join(get_args(Crop)),
        "train.seed": ",".join(map(str, options.seeds)),
    }
    if options.archive:
        # Experiments run in folders of their own, from where a relative path leads elsewhere.
        grid |= {"dataset.source": "archive", "dataset.archive": f"'{options.archive.resolve()}'"}
    if options.test_labels:
        grid["dataset.test_labels"] = f"'{options.test_labels.resolve()}'"
    settings = [argument for key, value in grid.items() for argument in ("--set-param", f"{key}={value}")]
    dvc("exp", "run", "--queue", *settings)
    dvc("exp", "run", "--run-all", "--jobs", "1")

    results = collect()
    wanted = results["seed"].isin(options.seeds) & (results["source"] == ("archive" if options.archive else "sample"))
    pictures = f"the pictures of `{options.archive.name}`" if options.archive else "the drawn faces"
    write_table(results[wanted], f"Measured on {pictures}, seeds {', '.join(map(str, options.seeds))}.")


def dvc(*arguments: str, stdout: int | None = None) -> str:
    """Run dvc, its words going where ours go unless `stdout` is a pipe; give what came through that."""
    done = subprocess.run(["dvc", *arguments], stdout=stdout, text=True)
    if done.returncode:
        sys.exit(f"dvc {' '.join(arguments)} failed, see above.")
    return done.stdout


def collect() -> pd.DataFrame:
    """Give a row for each experiment on the current commit: its parameters and accuracies."""
    rows = []
    for commit in json.loads(dvc("exp", "show", "--json", stdout=subprocess.PIPE)):
        for experiment in commit["experiments"] or []:
            data = experiment["revs"][-1]["data"]
            if data and not data["metrics"]["metrics/evaluate.json"].get("error"):
                rows.append(row_of(data))
    return pd.DataFrame(rows).drop_duplicates(["source", "network", "crop", "seed"])


def row_of(data: dict[str, Any]) -> dict[str, Any]:
    """Pick what the table needs out of what `dvc exp show` says of an experiment."""
    params = data["params"]["params.yaml"]["data"]
    metrics = {path: entry["data"] for path, entry in data["metrics"].items()}
    return {
        "source": params["dataset"]["source"],
        "network": params["train"]["network"],
        "crop": params["preprocess"]["crop"],
        "seed": params["train"]["seed"],
        "train": metrics["metrics/train.json"]["last"]["accuracy"],
        "validate": metrics["metrics/evaluate.json"]["validate"]["accuracy"],
        "test": metrics["metrics/evaluate.json"].get("test", {}).get("accuracy"),
    }


def write_table(results: pd.DataFrame, caption: str) -> None:
    """Put the table between its two marks in README.md."""
    lines = [
        "| network | crop | train | validate | test | the report |",
        "|---|---|---|---|---|---|",
    ]
    for network in get_args(Network):
        for crop in ("none", "panel"):
            rows = results[(results["network"] == network) & (results["crop"] == crop)]
            cells = [mean_and_range(rows[split]) for split in ("train", "validate", "test")]
            report = REPORT[network] if crop == "none" else ""
            lines.append(f"| `{network}` | `{crop}` | {' | '.join(cells)} | {report} |")
    text = README.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    table = "\n".join(lines)
    README.write_text(f"{before}{BEGIN}\n{table}\n\n{caption}\n{END}{after}", encoding="utf-8")
    print(table)


def mean_and_range(values: pd.Series) -> str:
    """Write the mean of an accuracy over the seeds, and from where to where it went."""
    if values.isna().any() or values.empty:
        return "–"
    return f"{values.mean():.3f} ({values.min():.3f} to {values.max():.3f})"


if __name__ == "__main__":
    main()

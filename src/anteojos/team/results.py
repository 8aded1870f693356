"""One line for each experiment, branch and tag, best first: `make results`."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from anteojos.runtime import durations
from anteojos.runtime.errors import InputError, capped
from anteojos.team.commands import dvc, git, leaves
from anteojos.team.metrics import AUDIT, EVALUATE
from anteojos.team.summary import as_minutes

HEAD = ("results", "validate", "95 % interval", "test", "label leaks", "model", "training", "changed")
MODEL = Path("models/model.tflite")
MOST_CHANGES = 4


def show() -> None:
    """Print the table, in Markdown. Raises InputError if nothing has results."""
    shown = json.loads(dvc("exp", "show", "--json", "--rev", "HEAD", "--all-branches", "--all-tags"))
    # The first one is the workspace; after a commit or an experiment it has the same results.
    (name, workspace), *found = revisions(shown)
    if not any(_results(data) == _results(workspace) for _, data in found):
        found.append((name, workspace))
    head = git("rev-parse", "HEAD").strip()
    base: Mapping[str, Any] = next((commit["data"] or {} for commit in shown if commit["rev"] == head), {})
    rows = [(name, data) for name, data in found if "validate" in _scores(data)]
    if not rows:
        raise InputError("no commit or experiment has results", advice="Run `make repro`, and commit the results.")
    seconds = {run.network: run.seconds for run in durations.read() if run.stage == "train"}
    print(as_table([HEAD, *(line(name, data, base, seconds) for name, data in sorted(rows, key=rank))]))
    missing = [name for name, data in found if "validate" not in _scores(data)]
    if missing:
        print("\nWithout results: " + ", ".join(capped(missing)))


def revisions(shown: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield name and data of each commit and each experiment in the output of `dvc exp show --json`."""
    for commit in shown:
        yield commit.get("name") or commit["rev"][:9], commit.get("data") or {}
        for experiment in commit.get("experiments") or ():
            # With checkpoints an experiment has several revisions; the first one is the last result.
            last = experiment["revs"][0]
            yield experiment.get("name") or last.get("name") or last["rev"][:7], last.get("data") or {}


def rank(row: tuple[str, Mapping[str, Any]]) -> tuple[bool, float, float]:
    """Return the sort key of a row: without a leak first, then by accuracy and loss on validate, never on test."""
    _, data = row
    score = _scores(data)["validate"]
    return _leaks(data) == "yes", -score["accuracy"], score["loss"]


def line(name: str, data: Mapping[str, Any], base: Mapping[str, Any], seconds: Mapping[str, float]) -> list[str]:
    """Return the cells of a row; `seconds` are the durations of training on this machine by checksum of the network."""
    scores = _scores(data)
    validate, test = scores["validate"], scores.get("test")
    outputs = data.get("outs", {})
    size = outputs.get(str(MODEL), {}).get("size")
    trained = seconds.get(outputs.get(str(durations.NETWORK), {}).get("hash"))
    changed = changes(data, base)
    more = len(changed) - MOST_CHANGES
    return [
        name,
        f"{validate['accuracy']:.3f} of {validate['n']}",
        f"{validate['accuracy_low']:.3f} to {validate['accuracy_high']:.3f}",
        f"{test['accuracy']:.3f} of {test['n']}" if test else "–",
        _leaks(data),
        f"{size / 1e6:.1f} MB" if size else "–",
        as_minutes(trained) if trained else "–",
        ", ".join([*changed[:MOST_CHANGES], *([f"{more} more"] if more > 0 else [])]) or "–",
    ]


def changes(data: Mapping[str, Any], base: Mapping[str, Any]) -> list[str]:
    """Return the parameters that differ from those of the commit `base`, and whether code or images differ."""
    here, there = (dict(leaves(_data(of.get("params", {}), "params.yaml"))) for of in (data, base))
    found = [f"{name}={value}" for name, value in here.items() if there.get(name) != value]
    for word, prefix, kind in (("code", "src/", "deps"), ("images", "data/raw", "outs")):
        files = [
            {path: file.get("hash") for path, file in of.get(kind, {}).items() if path.startswith(prefix)}
            for of in (data, base)
        ]
        if files[0] != files[1]:
            found.append(word)
    return found


def as_table(rows: Sequence[Sequence[str]]) -> str:
    """Return rows of text, of which the first is the head, as a Markdown table with aligned columns."""
    # A name from another clone cannot break out of its cell.
    cells = [[cell.replace("|", r"\|").replace("\n", " ") for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    cells.insert(1, ["-" * width for width in widths])
    return "\n".join(
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |" for row in cells
    )


def _scores(data: Mapping[str, Any]) -> Mapping[str, Any]:
    return _data(data.get("metrics", {}), str(EVALUATE))


def _results(data: Mapping[str, Any]) -> tuple[Any, Any]:
    return data.get("params"), data.get("metrics")


def _leaks(data: Mapping[str, Any]) -> str:
    verdict = _data(data.get("metrics", {}), str(AUDIT)).get("border", {}).get("verdict", "–")
    return {"leak": "yes", "none": "no"}.get(verdict, "–")


def _data(files: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """Return the content of a file in the output of `dvc exp show --json`; empty if it could not be read."""
    found = files.get(name, {}).get("data")
    return found if isinstance(found, dict) else {}

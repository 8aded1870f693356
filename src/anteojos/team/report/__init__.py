"""Write the results of the pipeline as one HTML page that needs no other file, no network and no script."""

import csv
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jinja2
import markupsafe
import numpy as np
import yaml

from anteojos.images import manifest
from anteojos.labelling.reading import counted
from anteojos.model import probability
from anteojos.params import Params
from anteojos.runtime.errors import InputError
from anteojos.runtime.outputs import replacing
from anteojos.team.commands import dvc, dvc_status, git, leaves, revision
from anteojos.team.metrics import read
from anteojos.team.report import advice, charts, images
from anteojos.team.report.images import Shown

METRICS, DETAILS, PLOTS = Path("metrics"), Path("metrics/details"), Path("metrics/plots")
TEST = Path("data/processed/test")
CONFUSION, PREDICTIONS = PLOTS / "confusion.csv", Path("data/predictions.csv")
SHEETS = ("samples", "leak", "mistakes", "attention", "doubtful_labels")
MOST_ROWS = 100  # of the test set; each row adds an image to the page
OPEN = 8  # images of a section that are shown at once

Counts = Mapping[tuple[str, str], int]  # images by their own and their predicted class


class Change(NamedTuple):
    """A parameter or metric as text: its value here and in the other commit, and the difference."""

    name: str
    here: str
    there: str = ""
    difference: str = ""


def write(output: Path, against: str | None = None) -> None:
    """Write the page for the checkout in this folder to `output`, compared with the commit `against` if given.

    Raises InputError that names all missing outputs, or if there is no such commit.
    """
    missing = [str(path) for path in _inputs() if not path.exists()]
    if missing:
        raise InputError(
            "outputs that the report shows are missing",
            missing,
            "Run `make repro` in the checkout to make them, or `dvc pull` to get them.",
        )
    base = revision(against, "--against ") if against else None
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"number": as_text, "breakable": breakable}
    page = environment.get_template("page.html.j2").render(_values(base))
    with replacing(output) as path:
        path.write_text(page, encoding="utf-8")


def _inputs() -> Iterator[Path]:
    yield Path("params.yaml")
    yield from (DETAILS / f"{name}.json" for name in ("verify", "audit", "train", "evaluate", "predict"))
    yield from (PLOTS / f"{name}.png" for name in SHEETS)
    yield from (CONFUSION, PREDICTIONS, TEST / "images.npy", TEST / "index.csv", *charts.INPUTS)


def _values(base: str | None) -> dict[str, Any]:
    """Return all values of the page by name."""
    params = Params.load()
    compared, metrics = (
        {path.stem: read(path) for path in sorted(folder.glob("*.json"))} for folder in (METRICS, DETAILS)
    )
    sheets = {name: images.cells(PLOTS / f"{name}.png") for name in SHEETS}
    drawn = charts.draw(metrics["evaluate"]["validate"]["majority_accuracy"])
    probes, useless = advice.audit_rows(metrics["audit"])
    return {
        "params": params,
        "names": dict(zip(params.dataset.labels, params.dataset.names, strict=True)),
        "metrics": metrics,
        "environment": compared.pop("environment", None),
        "recommendation": advice.recommend(params, metrics),
        "probes": probes,
        "useless": useless,
        "confusion": confusions(params),
        "charts": {name: images.data_uri(svg.encode(), "svg+xml") for name, svg in drawn.items()},
        "sheets": sheets | {"samples": images.mixed(sheets["samples"])},
        "test_images": test_images(params),
        "open": OPEN,
        "source": source(),
        "stale": sorted(dvc_status()),
        "base": base,
        "changed_params": changes("params", base, yaml.safe_load(Path("params.yaml").read_text(encoding="utf-8"))),
        "changed_metrics": changes("metrics", base, compared),
    }


def source() -> dict[str, str]:
    """Return the commit of the checkout, its date, and whether files have changed since then."""
    commit, date = git("log", "-1", "--format=%h %cs").split()
    changed = len(git("status", "--porcelain", "--untracked-files=no").splitlines())
    return {"commit": commit, "date": date, "changed": counted(changed, "changed file") if changed else ""}


def confusions(params: Params) -> dict[str, Counts]:
    """Count the images of validate, and of test as far as their labels are known, by class and predicted class."""
    with CONFUSION.open(encoding="utf-8", newline="") as table:
        pairs = {"validate": [(row["actual"], row["predicted"]) for row in csv.DictReader(table)]}
    names, labels = params.dataset.names, params.dataset.labels
    pairs["test"] = [
        # With the threshold of the metrics, not that of the predictions.
        (params.dataset.name(actual), names[float(row["first_class_probability"]) < params.evaluate.threshold])
        for row, actual in _predicted()
        if actual in labels
    ]
    return {
        split: {(actual, predicted): of.count((actual, predicted)) for actual in names for predicted in names}
        for split, of in pairs.items()
        if of
    }


def _predicted() -> list[tuple[dict[str, str], str]]:
    """Return the rows of the predictions, each with the known label of the image or ""."""
    with PREDICTIONS.open(encoding="utf-8", newline="") as table:
        rows = list(csv.DictReader(table))
    return list(zip(rows, manifest.read(TEST / "index.csv", ("file", "label"))["label"], strict=True))


def test_images(params: Params) -> list[Shown]:
    """Return at most `MOST_ROWS` test images as the network sees them: wrong labels first, then those with warnings."""
    pixels = np.load(TEST / "images.npy", mmap_mode="r")
    found = []
    for number, (row, actual) in enumerate(_predicted()):
        wrong = row["label"] != actual if actual in params.dataset.labels else None
        verdict = {None: "", True: f"✗ wrong, is {params.dataset.name(actual) if actual else ''}", False: "✓ correct"}
        caption = (
            row["file"].removeprefix("test/"),
            f"{params.dataset.name(row['label'])}, p = {probability.as_text(float(row['probability']), 3)}",
            verdict[wrong],
            row["warning"],
        )
        found.append((not wrong, not row["warning"], number, caption, wrong))
    return [
        Shown(images.of_array(pixels[number]), tuple(filter(None, caption)), wrong)
        for _, _, number, caption, wrong in sorted(found)[:MOST_ROWS]
    ]


def changes(kind: str, base: str | None, values: Mapping[str, Any]) -> list[Change]:
    """Return all `values` of a kind, "params" or "metrics"; with those in `base`, if given, and changed ones first."""
    if not base:
        return [Change(name, as_text(value)) for name, value in leaves(values)]
    rows = []
    for file, changed in sorted(json.loads(dvc(kind, "diff", "--all", "--json", base)).items()):
        for name, change in changed.items():
            here, there = change.get("new"), change.get("old")
            numbers = all(isinstance(value, int | float) and not isinstance(value, bool) for value in (here, there))
            difference = f"{here - there:+.3f}".rstrip("0").rstrip(".") if numbers else "other"
            full_name = name if kind == "params" else f"{Path(file).stem}.{name}"
            rows.append(Change(full_name, as_text(here), as_text(there), "" if here == there else difference))
    return sorted(rows, key=lambda row: (row.difference == "", row.name))


def breakable(name: str) -> markupsafe.Markup:
    """Return a name that a narrow page may break after dots and underscores."""
    escaped = str(markupsafe.escape(name))
    return markupsafe.Markup(escaped.replace(".", ".<wbr>").replace("_", "_<wbr>"))  # noqa: S704, escaped above


def as_text(value: Any) -> str:
    """Return a value as text for people."""
    match value:
        case None:
            return "–"
        case bool():
            return "yes" if value else "no"
        case int():
            return f"{value:,}"
        case float():
            return f"{value:.3f}"
        case list() | tuple():
            return ", ".join(map(as_text, value))
        case dict():
            return ", ".join(f"{key}: {as_text(item)}" for key, item in value.items())
        case _:
            return str(value)

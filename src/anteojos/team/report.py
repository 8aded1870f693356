"""Write the results of the pipeline as one HTML page that needs no other file, no network and no script."""

import base64
import csv
import io
import json
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jinja2
import numpy as np
import vl_convert
import yaml
from PIL import Image

from anteojos.evaluation import majority
from anteojos.images import manifest
from anteojos.params import Params
from anteojos.runtime.errors import InputError
from anteojos.runtime.outputs import replacing
from anteojos.team.commands import dvc, dvc_status, leaves, revision
from anteojos.team.metrics import read

METRICS, DETAILS, PLOTS = Path("metrics"), Path("metrics/details"), Path("metrics/plots")
TEST = Path("data/processed/test")
PREDICTIONS = Path("data/predictions.csv")
DOUBTFUL = "doubtful_labels"  # shown only after a cross-validation
CHARTS = ("accuracy", "loss", "confusion", "roc", "calibration")
SHEETS = ("samples", "leak", "mistakes", "attention")
MOST_ROWS = 200  # of the test set; each row adds an image to the page
VEGA_LITE = "5.21"  # the version in the $schema of DVC's templates


class Change(NamedTuple):
    """A parameter or metric as text: its value here and in the other commit, and the difference."""

    name: str
    here: str
    there: str = ""
    difference: str = ""


class Predicted(NamedTuple):
    """A row of the test set; `wrong` is None if the label is not known, `image` is a data URI."""

    file: str
    label: str
    probability: str
    warning: str
    actual: str
    wrong: bool | None
    image: str


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
    base = revision(against, "--against ", "anteojos report --against main") if against else None
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["number"] = as_text
    page = environment.get_template("report.html.j2").render(_values(base))
    with replacing(output) as path:
        path.write_text(page, encoding="utf-8")


def _inputs() -> Iterator[Path]:
    yield Path("params.yaml")
    yield from (DETAILS / f"{name}.json" for name in ("verify", "audit", "train", "evaluate", "predict"))
    yield from (PLOTS / f"{name}.png" for name in (*SHEETS, DOUBTFUL))
    yield from (PREDICTIONS, TEST / "images.npy", TEST / "index.csv")


def _values(base: str | None) -> dict[str, Any]:
    """Return all values of the page by name."""
    params = Params.load()
    compared, metrics = (
        {path.stem: read(path) for path in sorted(folder.glob("*.json"))} for folder in (METRICS, DETAILS)
    )
    names = (*SHEETS, DOUBTFUL) if params.evaluate.folds else SHEETS
    sheets = {name: (PLOTS / f"{name}.png").read_bytes() for name in names}
    return {
        "params": params,
        "names": dict(zip(params.dataset.labels, params.dataset.names, strict=True)),
        "metrics": metrics,
        "environment": compared.pop("environment", None),
        "summary": summary(params.train.network, metrics["evaluate"]["validate"], metrics["audit"]["border"]),
        "wrong": {split: round(of["n"] * (1 - of["accuracy"])) for split, of in metrics["evaluate"].items()},
        "charts": charts(),
        "sheets": {name: _data_uri(sheet, "png") for name, sheet in sheets.items()},
        "widths": {name: Image.open(io.BytesIO(sheet)).width for name, sheet in sheets.items()},
        "predictions": predictions(params.dataset.labels),
        "most_rows": MOST_ROWS,
        "stale": sorted(dvc_status()),
        "base": base,
        "changed_params": changes("params", base, yaml.safe_load(Path("params.yaml").read_text(encoding="utf-8"))),
        "changed_metrics": changes("metrics", base, compared),
    }


def summary(network: str, validate: Mapping[str, Any], border: Mapping[str, Any]) -> str:
    """Describe the accuracy of the model in two or three sentences."""
    low, high = validate["accuracy_low"], validate["accuracy_high"]
    text = (
        f"The network “{network}” has an accuracy of {validate['accuracy']:.3f} on {validate['n']} validation images "
        f"(95 % interval {low:.3f} to {high:.3f}). It is {majority.compare(validate)}. "
    )
    if border["verdict"] == "leak":
        return text + (
            f"But the label can be predicted from the border alone, with an accuracy of {border['accuracy']:.3f}. So, "
            "unless the subject fills the whole image, no accuracy here shows how well the model labels other images."
        )
    return text + "The border of the images does not leak the label."


def charts() -> dict[str, str]:
    """Draw the charts of dvc.yaml with the templates of DVC; return data URIs of SVG by name."""
    with tempfile.TemporaryDirectory() as folder:  # DVC copies images there
        found = json.loads(dvc("plots", "show", "--json", "--out", folder))["data"]
    missing = [name for name in CHARTS if not found.get(name)]
    if missing:
        raise InputError("charts that DVC could not draw", missing, "Run `make repro`, which writes their data.")
    return {name: _data_uri(_svg(found[name][0]["content"]).encode(), "svg+xml") for name in CHARTS}


def _svg(chart: dict[str, Any]) -> str:
    # An image has no controls: show the counts in the confusion matrix, and remove the other parameters.
    shown = [param["name"] for param in chart.get("params", ()) if param["name"] == "showValues"]
    chart["params"] = [{"name": name, "value": True} for name in shown]
    # There is only one revision: do not show its name.
    encoding = chart.get("encoding", {})
    if "color" in encoding:
        encoding["color"] = {"value": "#6f42c1"}
    if "facet" in chart:
        chart["facet"]["column"]["header"] = None
    # Fonts may be wider on the machine that shows the page.
    chart["padding"] = {"left": 10, "top": 5, "right": 60, "bottom": 5}
    chart["config"] = {"background": "white", "font": "sans-serif"}
    svg: str = vl_convert.vegalite_to_svg(json.dumps(chart), vl_version=VEGA_LITE)
    return svg


def predictions(labels: tuple[str, str]) -> list[Predicted]:
    """Read the predictions for the first `MOST_ROWS` test images, with the images as the network sees them."""
    with PREDICTIONS.open(encoding="utf-8", newline="") as table:
        rows = list(csv.DictReader(table))[:MOST_ROWS]
    index = manifest.read(TEST / "index.csv", ("file", "label"))["label"]
    images = np.load(TEST / "images.npy", mmap_mode="r")
    return [
        Predicted(
            row["file"].removeprefix("test/"),
            row["label"],
            f"{float(row['probability']):.3f}",
            row["warning"],
            actual,
            row["label"] != actual if actual in labels else None,
            _thumbnail(image),
        )
        for row, actual, image in zip(rows, index, images, strict=False)
    ]


def _thumbnail(pixels: Any) -> str:
    file = io.BytesIO()
    Image.fromarray(pixels).resize((96, 96), Image.Resampling.BICUBIC).save(file, "JPEG", quality=88)
    return _data_uri(file.getvalue(), "jpeg")


def _data_uri(data: bytes, kind: str) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(data).decode('ascii')}"


def changes(kind: str, base: str | None, values: Mapping[str, Any]) -> list[Change]:
    """Return all `values` of a kind, "params" or "metrics"; with those in `base`, first those that differ, if given."""
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
    return sorted(rows, key=lambda row: row.difference == "")


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

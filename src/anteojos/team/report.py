"""What the pipeline found as one HTML page, to look at and to send: no other file, no network and no script."""

import base64
import csv
import io
import json
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import jinja2
import numpy as np
import vl_convert
import yaml
from PIL import Image

from anteojos.images import manifest
from anteojos.params import Params
from anteojos.runtime.errors import InputError
from anteojos.runtime.outputs import replacing
from anteojos.team.commands import dvc, revision

METRICS, PLOTS, TEST = Path("metrics"), Path("metrics/plots"), Path("data/processed/test")
PREDICTIONS = Path("data/predictions.csv")
CHARTS = ("accuracy", "loss", "confusion", "roc", "calibration")
SHEETS = ("samples", "leak", "mistakes", "attention")
MOST_ROWS = 200  # of the test set: each brings its image into the page
# Vega-Lite's version in the templates of DVC, by their $schema.
_VEGA_LITE = "5.21"


class Change(NamedTuple):
    """A parameter or a metric: what it is here and there, and by how much it differs, in words."""

    name: str
    here: str
    there: str
    difference: str


@dataclass(frozen=True)
class Predicted:
    """A row of the test set; `wrong` is None where its label is not known."""

    file: str
    label: str
    probability: str
    warning: str
    actual: str
    wrong: bool | None
    picture: str


def write(output: Path, against: str | None = None) -> None:
    """Write the page for the checkout in this folder to `output`, compared with the commit `against` where given.

    Raises InputError that names all outputs that are missing, or where there is no such commit.
    """
    missing = [str(path) for path in _needed() if not path.exists()]
    if missing:
        raise InputError(
            "outputs that the report tells of are not there",
            missing,
            "Run `make repro` in the checkout, which makes them; or bring them with `dvc pull`.",
        )
    base = revision(against, "--against ") if against else None
    page = _template().render(_told(base))
    with replacing(output) as path:
        path.write_text(page, encoding="utf-8")


def _needed() -> Iterator[Path]:
    yield Path("params.yaml")
    yield from (METRICS / f"{name}.json" for name in ("verify", "audit", "train", "evaluate", "predict"))
    yield from (PLOTS / f"{name}.png" for name in SHEETS)
    yield from (PREDICTIONS, TEST / "images.npy", TEST / "index.csv")


def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["number"] = in_words
    return environment.get_template("report.html.j2")


def _told(base: str | None) -> dict[str, Any]:
    """Return all values that the page shows, by name."""
    params = Params.load()
    metrics = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in METRICS.glob("*.json")}
    validate = metrics["evaluate"]["validate"]
    return {
        "params": params,
        "names": dict(zip(params.dataset.labels, params.dataset.names, strict=True)),
        "metrics": metrics,
        "summary": summary(params.train.network, validate, metrics["audit"]["border"]),
        "wrong": {split: round(of["n"] * (1 - of["accuracy"])) for split, of in metrics["evaluate"].items()},
        "charts": charts(),
        "sheets": {name: _data_uri((PLOTS / f"{name}.png").read_bytes(), "png") for name in SHEETS},
        "widths": {name: _width(PLOTS / f"{name}.png") for name in SHEETS},
        "predictions": predictions(params.dataset.labels),
        "most_rows": MOST_ROWS,
        "stale": stale(),
        "base": base,
        "changed_params": changes("params", base),
        "changed_metrics": changes("metrics", base),
    }


def summary(network: str, validate: Mapping[str, Any], border: Mapping[str, Any]) -> str:
    """Describe the accuracy of the model in two or three sentences."""
    low, high = validate["accuracy_low"], validate["accuracy_high"]
    text = (
        f"The network “{network}” has an accuracy of {validate['accuracy']:.3f} on {validate['n']} validation images "
        f"(95 % interval {low:.3f} to {high:.3f})"
    )
    text += ", which may be chance: the interval contains 0.5. " if low <= 0.5 <= high else ". "
    if border["verdict"] == "leak":
        return text + (
            "But the label can be predicted without the face: from the border alone, with an accuracy of "
            f"{border['accuracy']:.3f}. So no accuracy here shows how well the model labels other images."
        )
    return text + "The border of the images does not leak the label."


def charts() -> dict[str, str]:
    """Draw the charts of dvc.yaml as DVC fills its templates in, as data URIs of SVG by their names."""
    with tempfile.TemporaryDirectory() as folder:  # DVC copies the images that it shows
        found = json.loads(dvc("plots", "show", "--json", "--out", folder))["data"]
    missing = [name for name in CHARTS if not found.get(name)]
    if missing:
        raise InputError(
            "charts that DVC could not draw", missing, "Run `make repro`, which makes what they are drawn from."
        )
    return {name: _data_uri(_drawn(found[name][0]["content"]).encode(), "svg+xml") for name in CHARTS}


def _drawn(chart: dict[str, Any]) -> str:
    # What a reader would click on is chosen here: that counts stand in the confusion matrix. Nothing can be dragged.
    chart["params"] = [
        {"name": param["name"], "value": True} for param in chart.get("params", ()) if param["name"] == "showValues"
    ]
    # Of one revision, its name says nothing.
    encoding = chart.get("encoding", {})
    if "color" in encoding:
        encoding["color"] = {"value": "#6f42c1"}
    if "facet" in chart:
        chart["facet"]["column"]["header"] = None
    # Letters may be wider where the page is read than where it was drawn.
    chart["padding"] = {"left": 10, "top": 5, "right": 60, "bottom": 5}
    chart["config"] = {"background": "white", "font": "sans-serif"}
    svg: str = vl_convert.vegalite_to_svg(json.dumps(chart), vl_version=_VEGA_LITE)
    return svg


def predictions(labels: tuple[str, str]) -> list[Predicted]:
    """Read the labels of the test images, the first MOST_ROWS, with the images as the network saw them."""
    with PREDICTIONS.open(encoding="utf-8", newline="") as table:
        rows = list(csv.DictReader(table))
    actual = manifest.read(TEST / "index.csv", ("file", "label"))["label"]
    images = np.load(TEST / "images.npy", mmap_mode="r")
    return [
        Predicted(
            row["file"].removeprefix("test/"),
            row["label"],
            f"{float(row['probability']):.3f}",
            row["warning"],
            actual[number],
            row["label"] != actual[number] if actual[number] in labels else None,
            _thumbnail(images[number]),
        )
        for number, row in enumerate(rows[:MOST_ROWS])
    ]


def _thumbnail(pixels: Any) -> str:
    file = io.BytesIO()
    Image.fromarray(pixels).resize((96, 96), Image.Resampling.BICUBIC).save(file, "JPEG", quality=88)
    return _data_uri(file.getvalue(), "jpeg")


def _width(picture: Path) -> int:
    with Image.open(picture) as image:
        return image.width


def _data_uri(data: bytes, kind: str) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(data).decode('ascii')}"


def stale() -> list[str]:
    """Name the stages whose outputs are not of the code, parameters and inputs that are here."""
    return sorted(name for name in json.loads(dvc("status", "--json")) if name != "always changed")


def changes(kind: str, base: str | None) -> list[Change]:
    """Return all parameters or metrics, with their values in `base` if there is one."""
    if base is None:
        files = [Path("params.yaml")] if kind == "params" else sorted(METRICS.glob("*.json"))
        return [
            Change(name, in_words(value), "", "")
            for file in files
            if file.stem != "environment"
            for name, value in leaves(
                yaml.safe_load(file.read_text(encoding="utf-8")), "" if kind == "params" else file.stem
            )
        ]
    found = json.loads(dvc(kind, "diff", "--all", "--json", base))
    rows = []
    for file, values in sorted(found.items()):
        for name, change in values.items():
            here, there = change.get("new"), change.get("old")
            numbers = all(isinstance(value, int | float) and not isinstance(value, bool) for value in (here, there))
            by = f"{here - there:+.3f}".rstrip("0").rstrip(".") if numbers and here != there else ""
            difference = by or ("" if here == there else "other")
            whole = name if kind == "params" else f"{Path(file).stem}.{name}"
            rows.append(Change(whole, in_words(here), in_words(there), difference))
    # What differs first.
    return sorted(rows, key=lambda row: row.difference == "")


def leaves(value: Any, name: str) -> Iterator[tuple[str, Any]]:
    """Yield the values of nested mappings by their full names, such as train.seed."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from leaves(item, f"{name}.{key}" if name else str(key))
    else:
        yield name, value


def in_words(value: Any) -> str:
    """Write a value for people."""
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
            return ", ".join(map(in_words, value))
        case dict():
            return ", ".join(f"{key}: {in_words(item)}" for key, item in value.items())
        case _:
            return str(value)

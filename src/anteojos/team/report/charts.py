"""Draw the charts of the report as SVG: training, ROC and calibration."""

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import vl_convert

HISTORY, PLOTS = Path("metrics/history"), Path("metrics/plots")
CURVES = tuple(HISTORY / split / f"{name}.tsv" for name in ("accuracy", "loss") for split in ("train", "validate"))
INPUTS = (*CURVES, PLOTS / "roc.csv", PLOTS / "calibration.csv")
VEGA_LITE = "5.21"
# Colour-blind people can distinguish them. Source: M. Okabe and K. Ito, "Color Universal Design", 2008.
_BLUE, _ORANGE, _GREY = "#0072b2", "#d55e00", "#6e7781"
_SOLID, _DASHED = [1, 0], [5, 4]
# Small, so that the text can be read on a phone.
_WIDTH, _HEIGHT = 380, 280
_MOST_POINTS = 500  # of a line

Settings = Mapping[str, Any]  # of an axis, in Vega-Lite
NO_SETTINGS: Settings = {}


class Line(NamedTuple):
    """A line of a chart, with its name in the legend."""

    name: str
    colour: str
    points: Sequence[tuple[float, float]]
    dashes: list[int] = _SOLID


def draw(majority: float) -> dict[str, str]:
    """Draw the charts of this checkout, as SVG by name; `majority` is the baseline of the accuracy on validate."""
    splits = (("train", _BLUE), ("validate", _ORANGE))
    accuracy, loss = (
        [Line(split, colour, _points(HISTORY / split / f"{name}.tsv", "epoch", name)) for split, colour in splits]
        for name in ("accuracy", "loss")
    )
    last = accuracy[0].points[-1][0] if accuracy[0].points else 1
    accuracy.append(Line("always the larger class", _GREY, [(1, majority), (last, majority)], _DASHED))
    roc = [
        Line("network", _ORANGE, _points(PLOTS / "roc.csv", "false_positive_rate", "true_positive_rate")),
        Line("chance", _GREY, [(0, 0), (1, 1)], _DASHED),
    ]
    bins = _rows(PLOTS / "calibration.csv")
    calibration = [
        Line("observed (95 % interval)", _ORANGE, [(row["predicted"], row["observed"]) for row in bins]),
        Line("perfect", _GREY, [(0, 0), (1, 1)], _DASHED),
    ]
    epochs = {"axis": {"format": "d", "tickMinStep": 1}}
    share = {"scale": {"domain": [0, 1]}}
    return {
        "accuracy": _svg([_lines(accuracy, "epoch", "accuracy", x=epochs)]),
        "loss": _svg([_lines(loss, "epoch", "loss (nats)", x=epochs, y={"scale": {"type": "log"}})]),
        "roc": _svg([_lines(roc, "false positive rate", "true positive rate", x=share, y=share)]),
        "calibration": _svg(
            [_intervals(bins), _lines(calibration, "predicted probability", "share observed", x=share, y=share)]
        ),
    }


def _rows(path: Path) -> list[dict[str, float]]:
    with path.open(encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file, delimiter="\t" if path.suffix == ".tsv" else ",")
        return [{name: float(value) for name, value in row.items()} for row in reader]


def _points(path: Path, x: str, y: str) -> list[tuple[float, float]]:
    rows = _rows(path)
    step = 1 + len(rows) // _MOST_POINTS
    return [(row[x], row[y]) for row in (*rows[:-1:step], *rows[-1:])]


def _lines(
    lines: Sequence[Line], x_title: str, y_title: str, x: Settings = NO_SETTINGS, y: Settings = NO_SETTINGS
) -> dict[str, Any]:
    names = [line.name for line in lines]
    legend = {"orient": "top", "title": None, "direction": "horizontal", "labelLimit": 0, "columnPadding": 30}

    def encoded(values: Sequence[Any]) -> dict[str, Any]:
        scale = {"domain": names, "range": values}
        return {"field": "line", "type": "nominal", "scale": scale, "legend": legend}

    return {
        "data": {"values": [{"x": at, "y": value, "line": line.name} for line in lines for at, value in line.points]},
        "mark": {"type": "line", "strokeWidth": 2.5, "point": any(len(line.points) == 1 for line in lines)},
        "encoding": {
            "x": {"field": "x", "type": "quantitative", "title": x_title, **x},
            "y": {"field": "y", "type": "quantitative", "title": y_title, "scale": {"zero": False}, **y},
            "color": encoded([line.colour for line in lines]),
            "strokeDash": encoded([line.dashes for line in lines]),
            "order": {"field": "x"},
        },
    }


def _intervals(bins: Sequence[Mapping[str, float]]) -> dict[str, Any]:
    """Return a layer with a vertical line and a point for each bin of the calibration curve."""
    x = {"field": "predicted", "type": "quantitative"}
    observed, low = ({"field": name, "type": "quantitative"} for name in ("observed", "observed_low"))
    line = {"type": "rule", "color": _ORANGE, "strokeWidth": 1.5}
    point = {"type": "point", "color": _ORANGE, "filled": True, "size": 50}
    return {
        "data": {"values": [dict(row) for row in bins]},
        "layer": [
            {"mark": line, "encoding": {"x": x, "y": low, "y2": {"field": "observed_high"}}},
            {"mark": point, "encoding": {"x": x, "y": observed}},
        ],
    }


def _svg(layers: Sequence[Mapping[str, Any]]) -> str:
    chart = {
        "width": _WIDTH,
        "height": _HEIGHT,
        "autosize": {"type": "fit", "contains": "padding"},
        "padding": {"left": 5, "top": 5, "right": 15, "bottom": 5},
        "layer": layers,
        "config": {
            "background": "white",
            "font": "sans-serif",
            "axis": {"labelFontSize": 13, "titleFontSize": 13, "titleFontWeight": "normal", "tickCount": 6},
            "legend": {"labelFontSize": 13},
        },
    }
    svg: str = vl_convert.vegalite_to_svg(json.dumps(chart), vl_version=VEGA_LITE)
    return svg

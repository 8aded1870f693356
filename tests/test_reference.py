"""docs/reference says what the code says: parameters, metrics and files, none left out and none that is not there."""

import csv
import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import TypeAdapter

from anteojos.params import Params
from tests.conftest import ROOT
from tests.pages import table
from tests.project import Project

REFERENCE = ROOT / "docs/reference"
STAGES = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
DEFAULTS = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
SCHEMA = TypeAdapter(Params).json_schema()
# What a rule beyond a range says, and what is told in words.
IN_WORDS = {
    "dataset.classes": ("two of `folder` and `name`", "glasses, noglasses"),
    "dataset.expected": ("integer from 0, by split and class", "52, 20 and 10 of each"),
    "dataset.sha256": ("64 hex digits or empty", None),
    "predict.uncertain": ("two numbers from 0 to 1, rising", None),
}


def property_of(section: str, key: str) -> dict[str, Any]:
    """Return the JSON schema of a parameter."""
    of_section = SCHEMA["properties"][section]
    found: dict[str, Any] = SCHEMA["$defs"][of_section["$ref"].rpartition("/")[2]]["properties"][key]
    return found


def values(schema: dict[str, Any]) -> str:
    """Say what a parameter may be, from its JSON schema."""
    if "anyOf" in schema:
        return " or ".join("empty" if option.get("type") == "null" else values(option) for option in schema["anyOf"])
    if "enum" in schema:
        return " \\| ".join(f"`{value}`" for value in schema["enum"])
    if schema["type"] == "boolean":
        return "`true` \\| `false`"
    kind = {"string": "text"}.get(schema["type"], schema["type"])
    low, above, high = (schema.get(name) for name in ("minimum", "exclusiveMinimum", "maximum"))
    parts = [f"above {above:,}"] if above is not None else [f"from {low:,}"] if low is not None else []
    return " ".join([kind, *parts, *([f"to {high:,}"] if high is not None else [])])


def documented_parameter(name: str) -> list[str]:
    """Return what the table of parameters has to say of one: name, values, default and the stages that read it."""
    section, _, key = name.partition(".")
    default = DEFAULTS[section][key]
    shown = "empty" if default is None else f"`{json.dumps(default) if isinstance(default, list) else default}`"
    said, default_said = IN_WORDS.get(name, (None, None))
    # How long a stage waits changes nothing that DVC has to know of.
    readers = [
        stage
        for stage, says in STAGES.items()
        if any(param == name or param.startswith(f"{name}.") for param in says["params"])
    ]
    return [
        f"`{name}`",
        said or values(property_of(section, key)),
        default_said or shown,
        ", ".join(readers) or "train, unwatched",
    ]


NAMES = [f"{section}.{key}" for section, keys in DEFAULTS.items() for key in keys]


@pytest.mark.parametrize("section", DEFAULTS)
def test_every_parameter_is_documented_with_its_values_its_default_and_its_stages(section: str) -> None:
    rows = table(REFERENCE / "params.md", section)
    assert [row[:4] for row in rows] == [documented_parameter(f"{section}.{key}") for key in DEFAULTS[section]]
    assert [row[0] for row in rows if len(row[4]) < 10] == []


def keys_of(value: Any, path: str = "") -> list[str]:
    """Return the keys of a metrics file, those inside of others with dots."""
    if not isinstance(value, dict):
        return [path.removeprefix(".")]
    return [key for name, inside in value.items() for key in keys_of(inside, f"{path}.{name}")]


PLACEHOLDERS = {
    "<split>": "(train|validate|test)",
    "<class>": "(glasses|noglasses)",
    "<probe>": "(border|position_rows|position_columns|corners|width|height|bytes|quantisation)",
    "<kind>": r"\w+",
}


def as_pattern(key: str) -> str:
    pattern = re.escape(key)
    for name, values_of_it in PLACEHOLDERS.items():
        pattern = pattern.replace(name, values_of_it)
    return pattern


@pytest.mark.pipeline
@pytest.mark.parametrize("name", ["verify", "audit", "train", "evaluate", "predict", "environment"])
def test_every_metric_of_a_run_is_documented_and_every_documented_one_is_in_a_run(
    small_project: Project, name: str
) -> None:
    found = keys_of(json.loads((small_project.path / f"metrics/{name}.json").read_text()))
    documented = [row[0].strip("`") for row in table(REFERENCE / "metrics.md", f"metrics/{name}.json")]
    fitting = {key: [row for row in documented if re.fullmatch(as_pattern(row), key)] for key in found}
    assert {key: rows for key, rows in fitting.items() if len(rows) != 1} == {}
    assert set(documented) == {row for rows in fitting.values() for row in rows}


def test_the_history_that_train_writes_is_documented(small_project: Project) -> None:
    found = keys_of(json.loads((small_project.path / "metrics/history/metrics.json").read_text()))
    assert found == [row[0].strip("`") for row in table(REFERENCE / "metrics.md", "metrics/history/metrics.json")]


def outputs(stage: str) -> list[str]:
    metrics = [path for metric in STAGES[stage].get("metrics", []) for path in metric]
    return sorted([*STAGES[stage]["outs"], *metrics])


@pytest.mark.parametrize("stage", STAGES)
def test_every_output_of_a_stage_is_documented(stage: str) -> None:
    rows = table(REFERENCE / "files.md", stage)
    assert sorted(re.findall(r"`([^`]+)`", row[0])[0] for row in rows) == outputs(stage)
    assert [row[0] for row in rows if len(row[1]) < 10] == []


@pytest.mark.pipeline
def test_the_columns_of_every_table_are_documented(small_project: Project) -> None:
    rows = table(REFERENCE / "files.md", "Columns")
    documented = {re.findall(r"`([^`]+)`", row[0])[0]: re.findall(r"`([^`]+)`", row[1]) for row in rows}
    tables = {file.relative_to(small_project.path).as_posix() for file in csv_files(small_project.path)}
    assert {file.replace("/validate/", "/train/").replace("/test/", "/train/") for file in tables} == set(documented)
    for name, columns in documented.items():
        delimiter = "\t" if name.endswith(".tsv") else ","
        with (small_project.path / name).open(newline="") as file:
            assert next(csv.reader(file, delimiter=delimiter)) == columns, name


def csv_files(checkout: Path) -> list[Path]:
    made = (checkout / "data", checkout / "metrics")
    return [file for folder in made for file in folder.rglob("*") if file.suffix in (".csv", ".tsv")]

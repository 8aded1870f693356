"""docs/reference is up to date with the code, params.yaml, dvc.yaml and the metrics of a run."""

import csv
import re
from pathlib import Path

import pytest

import reference
from tests.conftest import ROOT
from tests.pages import table
from tests.project import Project

NAMES = ["params.md", "metrics.md", "files.md", "command.md"]


@pytest.mark.parametrize("name", NAMES)
def test_generated_page_is_up_to_date(name: str) -> None:
    page = ROOT / "docs/reference" / name
    assert page.read_text(encoding="utf-8") == reference.pages()[page], "run `make reference`"


def test_every_parameter_has_a_comment_and_its_values() -> None:
    comments = reference.comments((ROOT / "params.yaml").read_text(encoding="utf-8"))
    parameters = {f"{section}.{key}" for section, keys in reference.defaults().items() for key in keys}
    assert set(comments) == parameters
    assert [name for name, (meaning, _) in comments.items() if not meaning.endswith(".")] == []
    allowed = {name: values for name, (_, values) in comments.items()}
    assert allowed == {name: reference.values(*name.split(".")) for name in parameters}


def test_values_come_from_the_dataclass() -> None:
    assert reference.values("preprocess", "size") == "integer from 32 to 1,024"
    assert reference.values("preprocess", "crop") == "face | none"
    assert reference.values("train", "learning_rate") == "number above 0 to 1 or empty"
    assert reference.values("train", "rescale") == "true | false or empty"


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ('{"images": 20, "predicted": {"glasses": 1}, "speed": 3}', r"not described: \['speed'\]"),
        ('{"images": 20}', r"not in the run: \['predicted.<class>', 'expected.<class>', 'warnings.<kind>'\]"),
    ],
)
def test_metric_without_description_is_an_error(tmp_path: Path, written: str, message: str) -> None:
    (tmp_path / "metrics/details").mkdir(parents=True)
    (tmp_path / "metrics/details/predict.json").write_text(written)
    with pytest.raises(SystemExit, match=message):
        reference.metrics(tmp_path)


def test_output_without_description_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reference, "stages", lambda: {"fetch": {"outs": ["data/raw", {"data/new": {"push": False}}]}})
    with pytest.raises(SystemExit, match=r"outputs: describe \['data/new'\]"):
        reference.outputs()


@pytest.mark.pipeline
def test_metrics_of_a_run_are_described(small_project: Project) -> None:
    assert reference.metrics(small_project.path) == reference.metrics(ROOT)


@pytest.mark.pipeline
def test_columns_of_every_table_are_documented(small_project: Project) -> None:
    rows = table(ROOT / "docs/reference/files.md", "Columns")
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

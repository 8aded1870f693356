"""Cross-validation and unequal classes, from the parameters to the report."""

import json

import pandas as pd
import pytest

from tests.project import Project

pytestmark = pytest.mark.pipeline


def test_crossvalidation_of_unequal_classes_reaches_report_and_card(project: Project) -> None:
    counts = {"train": (10, 4), "validate": (6, 2), "test": (2, 2)}
    expected = {split: dict(zip(("glasses", "noglasses"), of, strict=True)) for split, of in counts.items()}
    project.set("dataset.expected", expected)
    project.set("train.network", "sigmoid")
    project.set("evaluate.folds", 2)
    printed = project.must("dvc", "repro")
    assert "fold 2/2: " in printed

    train, evaluated = (
        json.loads((project.path / f"metrics/details/{name}.json").read_text()) for name in ("train", "evaluate")
    )
    assert train["class_weights"] == {"glasses": pytest.approx(14 / 20), "noglasses": pytest.approx(14 / 8)}
    assert {split: score["n"] for split, score in evaluated.items()} == {
        "validate": 8,
        "test": 4,
        "crossvalidation": 22,
    }
    assert evaluated["validate"]["majority_accuracy"] == 0.75
    table = pd.read_csv(project.path / "data/crossvalidation.csv")
    assert table.groupby("fold")["label"].value_counts().to_dict() == {
        (fold, label): n for fold in (0, 1) for label, n in (("glasses", 8), ("noglasses", 3))
    }
    assert table["file"].is_unique
    listed = pd.read_csv(project.path / "data/doubtful_labels.csv")
    assert set(listed["file"]) <= set(table["file"])

    card = (project.path / "models/README.md").read_text()
    assert "Class weights: con lentes 0.700, sin lentes 1.750." in card
    assert "| crossvalidation | 22 |" in card
    assert "always predicting the larger class (0.727)" in card
    project.must("anteojos", "report")
    page = (project.path / "report.html").read_text()
    assert '<th scope="row">images</th><td>8</td><td>4</td><td>22</td>' in page
    assert ("Labels that may be wrong" in page) == (len(listed) > 0)

    # Without cross-validation, only these stages run again, and nothing of it is left.
    project.set("evaluate.folds", 0)
    ran = {stage for stage, word in project.repro().items() if word == "ran"}
    assert ran == {"crossvalidate", "evaluate", "describe"}
    assert "crossvalidation" not in json.loads((project.path / "metrics/evaluate.json").read_text())

"""The recommendation of the report follows from the results; what the audit found is explained."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from anteojos.params import Params
from anteojos.team import report
from anteojos.team.report import advice, breakable, images
from tests.conftest import ROOT

PARAMS = Params.load(ROOT / "params.yaml")


def results(low: float = 0.95, high: float = 1.0, verdict: str = "none", **test: Any) -> dict[str, Any]:
    score = {"n": 400, "accuracy": 0.97, "accuracy_low": low, "accuracy_high": high, "majority_accuracy": 0.5}
    return {
        "evaluate": {"validate": score, "test": score | test},
        "audit": {"border": {"accuracy": 0.8, "verdict": verdict}},
        "train": {"last": {"accuracy": 0.99, "val_accuracy": 0.97}},
        "predict": {"warnings": {"uncertain": 0, "turned": 0}},
    }


def test_good_results_are_recommended() -> None:
    found = advice.recommend(PARAMS, results())
    assert (found.verdict, found.headline) == (
        "good",
        "You can use this model for images like these: expect 95% to 100% of its labels to be correct.",
    )
    assert found.notes == [
        "On test, it is better than always predicting the larger class (0.500).",
        "It was trained and measured on drawn faces. Before you use it for photographs, label some of them by hand and "
        "compare.",
    ]


@pytest.mark.parametrize(
    ("values", "headline"),
    [
        (results(verdict="leak"), "Do not rely on this model: the label can be predicted from the border alone."),
        (
            results(accuracy_low=0.4, accuracy_high=0.6),
            "Do not use this model yet: on test, it is not shown to be better than always predicting the larger class "
            "(0.500): the 95 % interval contains this value.",
        ),
    ],
)
def test_bad_results_are_not_recommended(values: dict[str, Any], headline: str) -> None:
    found = advice.recommend(PARAMS, values)
    assert (found.verdict, found.headline) == ("bad", headline)


def test_limits_of_the_results_are_named() -> None:
    values = results(low=0.8)
    del values["evaluate"]["test"]
    values["train"]["last"]["val_accuracy"] = 0.8
    values["predict"]["warnings"]["uncertain"] = 3
    found = advice.recommend(PARAMS, values)
    assert found.headline.endswith("expect 80% to 100% of its labels to be correct.")
    assert [note.split(",")[0].split(".")[0] for note in found.notes] == [
        "On validate",
        "The labels of the test images are not known",
        "400 images show no more than this interval",
        "It was trained and measured on drawn faces",
        "It has an accuracy of 0",
        "3 warnings on test images: do not rely on these labels",
    ]


def write_results(folder: Path, rows: list[tuple[str, str, float, str]]) -> None:
    """Write predictions: file, known label or "", probability of glasses, warning. Validate has three images."""
    for name in ("metrics/plots", "data/processed/test"):
        (folder / name).mkdir(parents=True)
    pairs = "con lentes,con lentes\nsin lentes,con lentes\nsin lentes,con lentes\n"
    (folder / "metrics/plots/confusion.csv").write_text(f"actual,predicted\n{pairs}")
    table = [
        f"test/{file},{label},{max(p, 1 - p)},{p},{warning}"
        for file, _, p, warning in rows
        for label in [("noglasses", "glasses")[p >= 0.5]]
    ]
    head = "file,label,probability,first_class_probability,warning"
    (folder / "data/predictions.csv").write_text("\n".join([head, *table, ""]))
    index = [f"test/{file},{actual}" for file, actual, _, _ in rows]
    (folder / "data/processed/test/index.csv").write_text("\n".join(["file,label", *index, ""]))
    np.save(folder / "data/processed/test/images.npy", np.zeros((len(rows), 8, 8, 3), np.uint8))


ROWS = [
    ("a.jpg", "glasses", 0.9, ""),
    ("b.jpg", "glasses", 0.8, "turned"),
    ("c.jpg", "glasses", 0.4999, "uncertain"),
    ("d.jpg", "noglasses", 0.1, ""),
    ("e.jpg", "", 0.7, ""),
]


def test_labels_of_both_splits_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_results(tmp_path, ROWS)
    monkeypatch.chdir(tmp_path)
    first, second = "con lentes", "sin lentes"
    assert report.confusions(PARAMS) == {
        "validate": {(first, first): 1, (first, second): 0, (second, first): 2, (second, second): 0},
        "test": {(first, first): 2, (first, second): 1, (second, first): 0, (second, second): 1},
    }


def test_without_known_labels_test_has_no_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_results(tmp_path, ROWS[-1:])
    monkeypatch.chdir(tmp_path)
    assert report.confusions(PARAMS).keys() == {"validate"}


def test_wrong_labels_come_first_then_warnings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_results(tmp_path, ROWS)
    monkeypatch.chdir(tmp_path)
    assert [(image.caption, image.wrong) for image in report.test_images(PARAMS)] == [
        (("c.jpg", "sin lentes, p = 0.5001", "✗ wrong, is con lentes", "uncertain"), True),
        (("b.jpg", "con lentes, p = 0.800", "✓ correct", "turned"), False),
        (("a.jpg", "con lentes, p = 0.900", "✓ correct"), False),
        (("d.jpg", "sin lentes, p = 0.900", "✓ correct"), False),
        (("e.jpg", "con lentes, p = 0.700"), None),
    ]
    monkeypatch.setattr(report, "MOST_ROWS", 2)
    assert len(report.test_images(PARAMS)) == 2


def test_probes_at_chance_are_listed_apart() -> None:
    accuracies = (0.57, 0.61, *[0.5] * (len(advice.PROBES) - 2))
    audit = {
        name: {"accuracy": accuracy, "chance": 0.5, "p_value": 0.01, "n": 40, "verdict": "none"}
        for name, accuracy in zip(advice.PROBES, accuracies, strict=True)
    }
    probes, useless = advice.audit_rows(audit)
    assert set(advice.PROBES) == set(audit)
    assert len(probes) + len(useless) == len(audit)
    accuracies = [probe["accuracy"] for _, probe in probes]
    assert accuracies == sorted(accuracies, reverse=True)
    assert 0.5 not in accuracies


def test_classes_take_turns() -> None:
    found = [images.Shown(str(number), (label,)) for number, label in enumerate("aaabbb")]
    assert [each.image for each in images.mixed(found)] == ["0", "3", "1", "4", "2", "5"]


def test_long_names_can_be_broken_and_are_escaped() -> None:
    assert breakable("a.b_<c>") == "a.<wbr>b_<wbr>&lt;c&gt;"

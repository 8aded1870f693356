"""The stages that use the model say rightly what it got right and wrong."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from PIL import Image

from anteojos.card import Card
from anteojos.stages import evaluate, predict
from tests.conftest import ROOT, SEEN

RED = (0xCF, 0x22, 0x2E)


@pytest.fixture(autouse=True)
def workspace(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A workspace with the trained model; of five bright and three dark pictures, one bright one is labelled dark."""
    values = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    counts = {"bright": 4, "dark": 4}
    values["dataset"] |= {
        "classes": [{"folder": "bright", "name": "hell"}, {"folder": "dark", "name": "dunkel"}],
        "expected": {split: dict(counts) for split in ("train", "validate", "test")},
    }
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(values), encoding="utf-8")
    (tmp_path / "models").mkdir()
    shutil.copy(model, tmp_path / "models/model.tflite")
    labels = ["bright"] * 4 + ["dark"] * 4
    greys = np.array([220] * 5 + [30] * 3, np.uint8)
    for split in ("validate", "test"):
        folder = tmp_path / "data/processed" / split
        folder.mkdir(parents=True)
        np.save(folder / "images.npy", np.broadcast_to(greys[:, None, None, None], (8, 48, 48, 3)))
        files = [f"{split}/{number}.jpg" for number in range(8)]
        index = pd.DataFrame({"file": files, "label": labels, "width": 80, "height": 60, "panel": False})
        index.to_csv(folder / "index.csv", index=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def red_frames(path: str, pictures: int, lines: int) -> list[int]:
    """Give the numbers of the pictures on a sheet, five a row, that have a red frame."""
    sheet = Image.open(path)
    places = [divmod(number, 5) for number in range(pictures)]
    corners = [(16 + column * 176 - 3, 44 + row * (176 + 20 * lines) - 3) for row, column in places]
    return [number for number, corner in enumerate(corners) if sheet.getpixel(corner) == RED]


def test_evaluate_counts_what_is_right_and_wrong() -> None:
    evaluate.main()
    metrics = json.loads(Path("metrics/evaluate.json").read_text())
    assert list(metrics) == ["validate", "test"]
    for score in metrics.values():
        assert {key: score[key] for key in ("n", "accuracy", "precision", "recall", "f1")} == {
            "n": 8,
            "accuracy": 0.875,
            "precision": 0.8,
            "recall": 1.0,
            "f1": 0.888889,
        }
        # The odd one ties with the four bright ones and beats none of them: (12 + 4 / 2) / 16.
        assert score["roc_auc"] == 0.875
    confusion = pd.read_csv("metrics/plots/confusion.csv").value_counts().to_dict()
    assert confusion == {("hell", "hell"): 4, ("dunkel", "dunkel"): 3, ("dunkel", "hell"): 1}
    roc = pd.read_csv("metrics/plots/roc.csv")
    assert roc[["false_positive_rate", "true_positive_rate"]].to_numpy().tolist() == [[0, 0], [0.25, 1], [1, 1]]
    calibration = pd.read_csv("metrics/plots/calibration.csv")
    assert calibration["n"].tolist() == [3, 5]
    assert calibration["observed"].tolist() == [0, 0.8]
    # One row of cells with three lines of caption holds the mistake of either split.
    assert Image.open("metrics/plots/mistakes.png").size == (896, 44 + 160 + 3 * 20 + 16 + 36)


def test_a_split_of_unknown_labels_is_not_scored() -> None:
    index = pd.read_csv("data/processed/test/index.csv")
    index.assign(label="").to_csv("data/processed/test/index.csv", index=False)
    evaluate.main()
    assert list(json.loads(Path("metrics/evaluate.json").read_text())) == ["validate"]


def test_predict_labels_each_picture_and_frames_the_wrong_ones() -> None:
    predict.main()
    predictions = pd.read_csv("data/predictions.csv")
    assert predictions["label"].tolist() == ["bright"] * 5 + ["dark"] * 3
    assert (predictions["probability"] >= 0.5).tolist() == [True] * 5 + [False] * 3
    metrics = json.loads(Path("metrics/predict.json").read_text())
    # The model is less sure of the dark ones.
    assert metrics == {
        "pictures": 8,
        "predicted": {"bright": 5, "dark": 3},
        "expected": {"bright": 4, "dark": 4},
        "warnings": {"no_canvas": 0, "size": 0, "uncertain": 3},
    }
    assert predictions["warning"].fillna("").tolist() == [""] * 5 + ["uncertain"] * 3
    assert red_frames("metrics/plots/test.png", 8, lines=3) == [4]


def test_predict_says_in_a_column_how_a_picture_is_unlike_those_of_the_training() -> None:
    model = Path("models/model.tflite")
    model.write_bytes(model.read_bytes()[: model.read_bytes().index(b"PK\x03\x04")])
    Card(("bright", "dark"), ("hell", "dunkel"), "panel", replace(SEEN, canvas=0.9)).attach(model)
    values = yaml.safe_load(Path("params.yaml").read_text(encoding="utf-8"))
    values["predict"]["uncertain"] = [0.5, 0.5]
    Path("params.yaml").write_text(yaml.safe_dump(values), encoding="utf-8")
    index = pd.read_csv("data/processed/test/index.csv").assign(panel=[True] * 7 + [False])
    index.loc[[2, 7], ["width", "height"]] = 800, 600
    index.to_csv("data/processed/test/index.csv", index=False)
    predict.main()

    size = "800 × 600 px, trained on 64 to 80 × 60 px"
    assert Path("data/predictions.csv").read_text(encoding="utf-8").startswith("file,label,probability,warning\n")
    warnings = pd.read_csv("data/predictions.csv", keep_default_na=False)["warning"].tolist()
    assert warnings == ["", "", size, "", "", "", "", f"no canvas; {size}"]
    metrics = json.loads(Path("metrics/predict.json").read_text())
    assert metrics["warnings"] == {"no_canvas": 1, "size": 2, "uncertain": 0}


def test_no_picture_of_unknown_label_is_framed() -> None:
    index = pd.read_csv("data/processed/test/index.csv")
    index.assign(label="").to_csv("data/processed/test/index.csv", index=False)
    predict.main()
    assert red_frames("metrics/plots/test.png", 8, lines=3) == []

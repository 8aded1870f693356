"""The stages `evaluate` and `predict` report correct figures."""

import json
import math
import re
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from PIL import Image

from anteojos.evaluation import figures
from anteojos.evaluation.scores import wilson_interval
from anteojos.images import manifest
from anteojos.images.faces import Face
from anteojos.model.classifier import Classifier
from anteojos.model.metadata import Metadata
from anteojos.runtime import threads
from anteojos.stages import evaluate, predict
from tests.conftest import METADATA, RANGES, ROOT, face_metadata, without_metadata

pytestmark = pytest.mark.slow

NO_FACE = {"faces": 0, **dict.fromkeys(manifest.FACE, math.nan)}
RED = (0xCF, 0x22, 0x2E)


@pytest.fixture(autouse=True)
def workspace(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A workspace with the trained model; of five bright and three dark images, one bright one is labelled dark."""
    values = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    counts = {"bright": 4, "dark": 4}
    values["dataset"] |= {
        "classes": [{"folder": "bright", "name": "hell"}, {"folder": "dark", "name": "dunkel"}],
        "expected": {split: dict(counts) for split in ("train", "validate", "test")},
    }
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(values), encoding="utf-8")
    (tmp_path / "models").mkdir()
    shutil.copy(model, tmp_path / "models/model.tflite")
    (tmp_path / "models/network.tflite").write_bytes(without_metadata(model))
    labels = ["bright"] * 4 + ["dark"] * 4
    greys = np.array([220] * 5 + [30] * 3, np.uint8)
    for split in ("validate", "test"):
        folder = tmp_path / "data/processed" / split
        folder.mkdir(parents=True)
        np.save(folder / "images.npy", np.broadcast_to(greys[:, None, None, None], (8, 48, 48, 3)))
        files = [f"{split}/{number}.jpg" for number in range(8)]
        index = pd.DataFrame({"file": files, "label": labels, "width": 80, "height": 60, **NO_FACE})
        index.to_csv(folder / "index.csv", index=False)
    monkeypatch.chdir(tmp_path)
    crossvalidate([])
    return tmp_path


def crossvalidate(rows: Sequence[tuple[int, str, float]]) -> None:
    """Write a cross-validation with the images of these rows of validate, their labels and probabilities."""
    table = pd.DataFrame(rows, columns=["row", "label", "probability"])
    table.assign(split="validate", file="x.jpg", fold=0).to_csv("data/crossvalidation.csv", index=False)


def red_frames(path: str, images: int, lines: int, columns: int = 5) -> list[int]:
    """Return the numbers of the images on a sheet that have a red frame."""
    sheet = Image.open(path)
    places = [divmod(number, columns) for number in range(images)]
    corners = [(16 + column * 176 - 3, 44 + row * (176 + 20 * lines) - 3) for row, column in places]
    return [number for number, corner in enumerate(corners) if sheet.getpixel(corner) == RED]


def test_evaluate_writes_metrics_curves_and_mistakes() -> None:
    evaluate.main()
    metrics = json.loads(Path("metrics/details/evaluate.json").read_text())
    assert list(metrics) == ["validate", "test"]
    for score in metrics.values():
        assert {key: score[key] for key in ("n", "accuracy", "precision", "recall", "f1")} == {
            "n": 8,
            "accuracy": 0.875,
            "precision": 0.8,
            "recall": 1.0,
            "f1": 0.888889,
        }
        # The mislabelled image has the same probability as the four bright ones: (12 + 4 / 2) / 16.
        assert score["roc_auc"] == 0.875
        # No threshold separates the mislabelled image from the bright ones.
        assert score["chosen_threshold"] == {"threshold": 0.5, "accuracy": 0.875, "balanced_accuracy": 0.875}
    confusion = pd.read_csv("metrics/plots/confusion.csv").value_counts().to_dict()
    assert confusion == {("hell", "hell"): 4, ("dunkel", "dunkel"): 3, ("dunkel", "hell"): 1}
    roc = pd.read_csv("metrics/plots/roc.csv")
    assert roc[["false_positive_rate", "true_positive_rate"]].to_numpy().tolist() == [[0, 0], [0.25, 1], [1, 1]]
    calibration = pd.read_csv("metrics/plots/calibration.csv")
    assert calibration["n"].tolist() == [3, 5]
    assert calibration["observed"].tolist() == [0, 0.8]
    assert calibration["observed_low"].tolist() == pytest.approx([0, wilson_interval(4, 5)[0]])
    assert calibration["observed_high"].tolist() == pytest.approx([wilson_interval(0, 3)[1], wilson_interval(4, 5)[1]])
    off = (calibration["n"] * (calibration["predicted"] - calibration["observed"]).abs()).sum() / 8
    assert metrics["validate"]["ece"] == metrics["test"]["ece"] == pytest.approx(off, abs=1e-6)
    # One row of cells with three lines of caption: one mistake per split.
    assert Image.open("metrics/plots/mistakes.png").size == (896, 44 + 160 + 3 * 20 + 16 + 36)


def test_threshold_is_chosen_on_validate_and_only_reported() -> None:
    # In validate the bright images are labelled dark, so the best threshold is above their probability.
    for split, label in (("validate", "dark"), ("test", "bright")):
        path = f"data/processed/{split}/index.csv"
        pd.read_csv(path).assign(label=[label] * 5 + ["dark"] * 3).to_csv(path, index=False)
    evaluate.main()
    metrics = json.loads(Path("metrics/details/evaluate.json").read_text())
    probability = Classifier.load(Path("models/model.tflite")).probabilities(np.full((1, 48, 48, 3), 220, np.uint8))[0]
    threshold = metrics["validate"]["chosen_threshold"]["threshold"]
    assert threshold == pytest.approx((1 + probability) / 2, abs=1e-6)
    assert metrics["validate"]["chosen_threshold"]["accuracy"] == 1
    assert metrics["test"]["chosen_threshold"] == {
        "threshold": threshold,
        "accuracy": 0.375,
        "balanced_accuracy": 0.5,
    }
    assert (metrics["validate"]["accuracy"], metrics["test"]["accuracy"]) == (0.375, 1)
    predict.main()
    assert pd.read_csv("data/predictions.csv")["label"].tolist() == ["bright"] * 5 + ["dark"] * 3


def test_attention_maps_show_correct_labels_and_mistakes() -> None:
    evaluate.main()
    path = "metrics/plots/attention.png"
    # Two bright and two dark images with correct labels, then one mistake per split; four in a row.
    assert Image.open(path).size == (720, 44 + 2 * (160 + 3 * 20 + 16) + 2 * 20 + 16)
    assert red_frames(path, 6, lines=3, columns=4) == [4, 5]
    # The blur of a plain image is the same image, so nothing is coloured.
    sheet = np.asarray(Image.open(path)).astype(int)
    assert (sheet[44:204, 16:176] == 220).all()


def test_attention_maps_do_not_depend_on_the_number_of_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    sheets = []
    for cores in (1, 5):
        monkeypatch.setattr("anteojos.runtime.threads.cores", lambda cores=cores: cores)
        evaluate.main()
        sheets.append(Path("metrics/plots/attention.png").read_bytes())
    assert sheets[0] == sheets[1]


@pytest.mark.parametrize(("label", "cell"), [("bright", 1), ("dark", 5)])
def test_orange_parts_support_the_predicted_label(label: str, cell: int) -> None:
    folder = Path("data/processed/validate")
    images = np.load(folder / "images.npy")
    # It is predicted as bright because of its middle. If its label is dark, it is the second mistake.
    images[1] = 150
    images[1, 18:30, 18:30] = 255
    np.save(folder / "images.npy", images)
    index = pd.read_csv(folder / "index.csv").assign(label=["bright", label] + ["bright"] * 3 + ["dark"] * 3)
    index.to_csv(folder / "index.csv", index=False)
    evaluate.main()
    sheet = np.asarray(Image.open("metrics/plots/attention.png")).astype(int)
    row, column = divmod(cell, 4)
    red, _, blue = sheet[44 + 236 * row + 80, 16 + 176 * column + 80]
    assert red > blue + 20


def test_attention_maps_use_the_first_correct_images_of_validate() -> None:
    folder = Path("data/processed/validate")
    greys = np.array([220, 40, 225, 30, 230, 35, 235, 30, 240, 30, 245, 30], np.uint8)
    np.save(folder / "images.npy", np.broadcast_to(greys[:, None, None, None], (12, 48, 48, 3)))
    # The first bright one and the second dark one are mistakes.
    labels = ["dark", "dark", "bright", "bright"] + ["bright", "dark"] * 4
    index = pd.DataFrame({"file": "x.jpg", "label": labels, "width": 80, "height": 60, **NO_FACE})
    index.to_csv(folder / "index.csv", index=False)
    evaluate.main()
    sheet = np.asarray(Image.open("metrics/plots/attention.png"))
    assert [sheet[44 + 80, 16 + 176 * column + 80, 0] for column in range(4)] == [225, 230, 40, 35]


def test_split_of_unknown_labels_is_not_scored() -> None:
    index = pd.read_csv("data/processed/test/index.csv")
    index.assign(label="").to_csv("data/processed/test/index.csv", index=False)
    evaluate.main()
    assert list(json.loads(Path("metrics/details/evaluate.json").read_text())) == ["validate"]


def test_crossvalidation_is_scored_and_doubtful_labels_are_listed() -> None:
    crossvalidate([(0, "bright", 0.9), (1, "bright", 0.8), (2, "bright", 0.1), (5, "dark", 0.1), (6, "dark", 0.2)])
    params = yaml.safe_load(Path("params.yaml").read_text())
    params["evaluate"]["folds"] = 2
    Path("params.yaml").write_text(yaml.safe_dump(params))
    evaluate.main()
    score = json.loads(Path("metrics/details/evaluate.json").read_text())["crossvalidation"]
    assert (score["n"], score["accuracy"], score["majority_accuracy"]) == (5, 0.8, 0.6)
    doubtful = pd.read_csv("data/doubtful_labels.csv")
    assert doubtful.to_dict("records") == [
        {"file": "x.jpg", "label": "bright", "predicted": "dark", "probability": 0.1}
    ]
    assert Image.open("metrics/plots/doubtful_labels.png").size == (896, 44 + 160 + 3 * 20 + 16 + 36)


def test_predict_labels_images_and_frames_incorrect_labels() -> None:
    predict.main()
    predictions = pd.read_csv("data/predictions.csv")
    assert predictions["label"].tolist() == ["bright"] * 5 + ["dark"] * 3
    assert (predictions["first_class_probability"] >= 0.5).tolist() == [True] * 5 + [False] * 3
    assert (predictions["probability"] >= 0.5).all()
    assert (predictions["probability"] + predictions["first_class_probability"])[5:].tolist() == pytest.approx([1] * 3)
    metrics = json.loads(Path("metrics/details/predict.json").read_text())
    # The model is less sure of the dark ones.
    assert metrics == {
        "images": 8,
        "predicted": {"bright": 5, "dark": 3},
        "expected": {"bright": 4, "dark": 4},
        "warnings": {"small_face": 0, "turned": 0, "unlike": 0, "size": 0, "uncertain": 3},
    }
    assert predictions["warning"].fillna("").tolist() == [""] * 5 + ["uncertain"] * 3
    assert red_frames("metrics/plots/test.png", 8, lines=3) == [4]


def attach(metadata: Metadata) -> None:
    """Replace the metadata of the model."""
    model = Path("models/model.tflite")
    model.write_bytes(without_metadata(model))
    metadata.attach(model)


def test_predict_uses_the_thresholds_of_the_model() -> None:
    predict.main()
    before = pd.read_csv("data/predictions.csv")["first_class_probability"]
    assert before[5] < 0.5 < before[4]
    attach(replace(METADATA, threshold=0.0, uncertain=(0.0, float(before[5]) + 1e-6)))
    predict.main()
    predictions = pd.read_csv("data/predictions.csv", keep_default_na=False)
    assert predictions["first_class_probability"].tolist() == before.tolist()
    assert predictions["label"].tolist() == ["bright"] * 8
    assert predictions["warning"].tolist() == [""] * 5 + ["uncertain"] * 3
    metrics = json.loads(Path("metrics/details/predict.json").read_text())
    assert metrics["predicted"] == {"bright": 8, "dark": 0}


def test_predict_writes_warnings() -> None:
    attach(replace(METADATA, uncertain=(0.5, 0.5), ranges=replace(RANGES, brightness=(0.5, 0.9))))
    index = pd.read_csv("data/processed/test/index.csv")
    index.loc[[2, 7], ["width", "height"]] = 800, 600
    index.to_csv("data/processed/test/index.csv", index=False)
    predict.main()

    size, darker = "800 × 600 px, trained on 64 to 80 × 60 px", "darker than the training images"
    assert (
        Path("data/predictions.csv")
        .read_text(encoding="utf-8")
        .startswith("file,label,probability,first_class_probability,warning\n")
    )
    warnings = pd.read_csv("data/predictions.csv", keep_default_na=False)["warning"].tolist()
    assert warnings == ["", "", size, "", "", darker, darker, f"{size}; {darker}"]
    metrics = json.loads(Path("metrics/details/predict.json").read_text())
    assert metrics["warnings"] == {"small_face": 0, "turned": 0, "unlike": 3, "size": 2, "uncertain": 0}


def test_predict_warns_of_faces_from_the_index() -> None:
    attach(replace(face_metadata(), uncertain=(0.5, 0.5)))
    index = pd.read_csv("data/processed/test/index.csv")
    index[["width", "height", "faces"]] = 4000, 3000, 1
    for row, (width, turn) in enumerate([(80, 0.1)] * 5 + [(30, 0.2), (200, -0.8), (20, 0.9)]):
        face = Face((0.0, 0.0, float(width), 9.0), ((1.0, 2.0), (3.0, 2.0)), turn, 0.9)
        index.loc[row, list(manifest.FACE)] = face.values
    index.to_csv("data/processed/test/index.csv", index=False)
    predict.main()
    warnings = pd.read_csv("data/predictions.csv", keep_default_na=False)["warning"].tolist()
    # The size of the file does not matter for a face.
    assert warnings == [*[""] * 5, "small face (30 px)", "turned", "small face (20 px); turned"]
    metrics = json.loads(Path("metrics/details/predict.json").read_text())
    assert metrics["warnings"] == {"small_face": 2, "turned": 2, "unlike": 0, "size": 0, "uncertain": 0}


def mapped_mebibytes() -> float:
    """Return the memory of this process that is mapped from files."""
    (line,) = re.findall(r"RssFile:\s+(\d+) kB", Path("/proc/self/status").read_text())
    return int(line) / 1024


def test_memory_of_predict_does_not_grow_with_the_images(monkeypatch: pytest.MonkeyPatch) -> None:
    measured = []
    draw = predict.draw_test_set

    def measured_draw(*arguments: Any) -> figures.Figure:
        measured.append(mapped_mebibytes())  # after all images were read, and before the array is closed
        return draw(*arguments)

    monkeypatch.setattr(predict, "draw_test_set", measured_draw)
    monkeypatch.setattr(threads, "cores", lambda: 1)
    predict.main()
    folder = Path("data/processed/test")
    np.save(folder / "images.npy", np.tile(np.load(folder / "images.npy"), (600, 1, 1, 1)))  # 32 MiB
    pd.concat([pd.read_csv(folder / "index.csv")] * 600).to_csv(folder / "index.csv", index=False)
    predict.main()
    assert measured[1] - measured[0] < 8
    assert json.loads(Path("metrics/predict.json").read_text())["predicted"] == {"bright": 3000, "dark": 1800}


def test_predict_frames_no_image_of_unknown_label() -> None:
    index = pd.read_csv("data/processed/test/index.csv")
    index.assign(label="").to_csv("data/processed/test/index.csv", index=False)
    predict.main()
    assert red_frames("metrics/plots/test.png", 8, lines=3) == []

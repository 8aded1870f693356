"""Differences between two files are measured in the units of their content."""

import json
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

from anteojos.model import networks, training
from anteojos.runtime.errors import InputError
from anteojos.team import differences, reproduced
from anteojos.team.differences import Difference
from tests.conftest import METADATA

pytestmark = pytest.mark.slow

PREDICTIONS = "file,label,probability,warning\na.jpg,glasses,{},\nb.jpg,{},0.4,\n"


def sides(tmp_path: Path, name: str) -> tuple[Path, Path]:
    paths = tmp_path / "committed" / name, tmp_path / "reproduced" / name
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
    return paths


@pytest.mark.parametrize(
    ("name", "committed", "reproduced", "expected"),
    [
        ("a.json", {"n": 4, "x": {"y": [1, 2.5]}}, {"n": 4, "x": {"y": [1, 2.75]}}, "x.y[1] 2.75 instead of 2.5"),
        ("a.json", {"verdict": "none"}, {"other": 1}, "other 1 instead of nothing, verdict nothing instead of none"),
        (
            "a.json",
            {"a": 0, "b": 0, "c": 0, "d": 0, "e": 0},
            {"a": 1, "b": 5, "c": 3, "d": 4, "e": 2},
            "b 5 instead of 0, d 4 instead of 0, c 3 instead of 0 and 2 more",
        ),
        ("a.csv", "x,y\n1,2\n", "x,y\n1,4\n", "y[0] 4 instead of 2"),
        ("a.tsv", "step\tloss\n1\t0.5\n", "step\tloss\n1\t0.25\n", "loss[0] 0.25 instead of 0.5"),
        ("a.json", '{"a": 1}', '{"a":  1}', "other bytes, the same values"),
        ("a.txt", "x", "y", "other bytes"),
    ],
)
def test_different_numbers_are_named_largest_difference_first(
    tmp_path: Path, name: str, committed: object, reproduced: object, expected: str
) -> None:
    paths = sides(tmp_path, name)
    for path, value in zip(paths, (committed, reproduced), strict=True):
        path.write_text(value if isinstance(value, str) else json.dumps(value))
    assert differences.between(*paths, []) == Difference(expected)


def test_predictions_differ_in_probabilities_and_labels(tmp_path: Path) -> None:
    paths = sides(tmp_path, "predictions.csv")
    paths[0].write_text(PREDICTIONS.format(0.9, "noglasses"))
    paths[1].write_text(PREDICTIONS.format(0.87, "glasses"))
    found = differences.between(*paths, [])
    assert found.text == "probabilities of 2 images differ by at most 3.0e-02, and 1 labels"
    assert found.probability == pytest.approx(0.03)
    paths[1].write_text(PREDICTIONS.format(0.9, "noglasses").replace("a.jpg", "c.jpg"))
    assert differences.between(*paths, []) == Difference("other images", 1.0)


@pytest.mark.parametrize("name", ["images.npy", "sheet.png"])
def test_images_differ_in_values(tmp_path: Path, name: str) -> None:
    paths = sides(tmp_path, name)
    for path, changed in zip(paths, ((10, 200), (250, 202)), strict=True):
        pixels = np.full((4, 5, 3), 100, np.uint8)
        pixels[0, 0, :2] = changed
        np.save(path, pixels) if name.endswith("npy") else Image.fromarray(pixels).save(path)
    assert differences.between(*paths, []) == Difference("2 of 60 values differ, by at most 240")
    np.save(paths[0], pixels) if name.endswith("npy") else Image.fromarray(pixels[:, :2]).save(paths[0])
    if name.endswith("npy"):
        np.save(paths[1], pixels[:3])
        assert differences.between(*paths, []).text == "shape (3, 5, 3), committed (4, 5, 3)"
    else:
        assert differences.between(*paths, []).text == "shape (4, 5, 3), committed (4, 2, 3)"


def test_models_differ_in_weights_and_probabilities(tmp_path: Path) -> None:
    images = np.random.default_rng(0).integers(0, 255, (6, 48, 48, 3), dtype=np.uint8)
    network = networks.build("sigmoid", 48, rescale=True)
    np.save(tmp_path / "images.npy", images)
    keras, tflite = sides(tmp_path, "model.keras"), sides(tmp_path, "model.tflite")
    before = np.asarray(network(images.astype(np.float32)))[:, 0]
    for side, shift in enumerate((0, 0.125)):
        *others, bias = network.get_weights()
        network.set_weights([*others, bias + np.float32(shift)])
        training.save_keras(network, keras[side])
        training.save_tflite(network, tflite[side])
        METADATA.attach(tflite[side])
    after = np.asarray(network(images.astype(np.float32)))[:, 0]
    assert differences.between(*keras, []) == Difference("1 of 60,417 weights differ, by at most 0.125")
    found = differences.between(*tflite, [tmp_path / "images.npy", tmp_path / "images.npy"])
    assert found.probability == pytest.approx(np.abs(after - before).max(), abs=1e-5)
    assert found.text.startswith("probabilities of 12 images differ by at most ")


def checkouts(tmp_path: Path, *outs: str) -> tuple[Path, Path]:
    """Two checkouts whose locks name outputs with different checksums."""
    both = tmp_path / "committed", tmp_path / "reproduced"
    for side in both:
        side.mkdir(exist_ok=True)
        lock = {"stages": {"only": {"outs": [{"path": out, "md5": side.name + out} for out in outs]}}}
        (side / "dvc.lock").write_text(yaml.safe_dump(lock))
    return both


def test_files_of_a_folder_are_compared_one_by_one(tmp_path: Path) -> None:
    both = checkouts(tmp_path, "data/raw")
    for side, values in zip(both, ({"a": "1", "b": "2", "gone": "3"}, {"a": "1", "b": "4", "new": "5"}), strict=True):
        (side / "data/raw").mkdir(parents=True)
        for name, value in values.items():
            (side / "data/raw" / f"{name}.txt").write_text(value)
    assert dict(reproduced.compare(*both)) == {
        "data/raw/b.txt": Difference("other bytes"),
        "data/raw/gone.txt": Difference("not among the reproduced files"),
        "data/raw/new.txt": Difference("not among the committed files"),
    }


@pytest.mark.parametrize(
    ("found", "message"),
    [
        ({"a": None}, "1 of 1 outputs are the same to the byte."),
        ({"a": Difference("x", 0.9e-4)}, "The same results: no probability differs by 0.0001 or more."),
        # Without the committed model.
        ({"a": Difference("x")}, "The accuracies are in their committed 95 % intervals."),
    ],
)
def test_same_results_pass(
    found: dict[str, Difference | None], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    reproduced.judge(found, ["keras: here 3, dvc.lock was made with 2"], [])
    assert message in capsys.readouterr().out


@pytest.mark.parametrize(
    ("probabilities", "causes", "outside", "message"),
    [
        ((0.9e-4, 1e-4), ["keras"], [], "^Other results: a probability differs by 1.0e-04"),
        ((np.nan,), ["keras"], [], "^Other results: a probability differs by nan"),
        (
            (None,),
            ["keras"],
            ["too low"],
            "^Other results: metrics are outside of their .*\n  too low",
        ),
        ((None,), [], [], "^Other results, though the kind of CPU and all versions are the same.\nTo compare"),
    ],
)
def test_other_results_fail(
    probabilities: tuple[float | None, ...], causes: list[str], outside: list[str], message: str
) -> None:
    found = {str(number): Difference("x", probability) for number, probability in enumerate(probabilities)}
    with pytest.raises(InputError, match=message):
        reproduced.judge(dict(found), causes, outside)


def test_accuracy_outside_its_interval_and_other_verdict_are_named(tmp_path: Path) -> None:
    both = tmp_path / "committed", tmp_path / "reproduced"
    for checkout, accuracy, verdict in zip(both, (0.9, 0.7), ("none", "leak"), strict=True):
        (checkout / "metrics").mkdir(parents=True)
        score = {"n": 40, "accuracy": accuracy, "accuracy_low": accuracy - 0.1, "accuracy_high": accuracy + 0.1}
        (checkout / "metrics/evaluate.json").write_text(json.dumps({"validate": score}))
        border = {"accuracy": 0.99, "p_value": 0.001, "verdict": verdict}
        (checkout / "metrics/audit.json").write_text(json.dumps({"border": border, "other_leaks": "none"}))
    assert list(reproduced.outside_intervals(*both)) == [
        "metrics/evaluate.json: validate: accuracy 0.700; committed interval 0.800 to 1.000",
        "metrics/audit.json: the border predicts the label: accuracy 0.990 (p = 0.001); committed: no",
    ]
    assert list(reproduced.outside_intervals(both[0], both[0])) == []


def test_missing_committed_output_is_compared_by_checksum(tmp_path: Path) -> None:
    both = checkouts(tmp_path, "models/model.tflite")
    expected = {"models/model.tflite": Difference("another checksum; the committed file is not available")}
    assert dict(reproduced.compare(*both)) == expected

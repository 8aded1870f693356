"""The model as people use it."""

import inspect
import io
import json
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from anteojos.card import Card, Seen
from anteojos.classifier import Classifier, Prediction
from anteojos.errors import InputError
from anteojos.images import PictureError
from anteojos.params import Crop, Params
from tests.conftest import ROOT, SEEN


def test_a_classifier_tells_the_classes_apart(model: Path, bright_and_dark: tuple[Path, Path]) -> None:
    classifier = Classifier.load(model)
    assert classifier.size == 48
    assert classifier.card == Card(("bright", "dark"), ("hell", "dunkel"), "panel", SEEN)
    bright, dark = (classifier.probability(path.read_bytes()) for path in bright_and_dark)
    assert dark < 0.5 < bright
    assert classifier.label(bright, 0.5) == "bright"
    assert classifier.label(dark, 0.5) == "dark"
    assert classifier.label(0.7, 0.7) == "bright"


def test_a_prediction_is_the_label_with_its_probability_and_what_speaks_against_it(
    model: Path, bright_and_dark: tuple[Path, Path]
) -> None:
    classifier = Classifier.load(model)
    for path, label in zip(bright_and_dark, ("bright", "dark"), strict=True):
        data = path.read_bytes()
        probability = classifier.probability(data)
        assert classifier.predict(data, uncertain=(0.5, 0.5)) == Prediction(label, probability, "")
        assert classifier.predict(data, uncertain=(0, 1)) == Prediction(label, probability, "uncertain")
    assert classifier.predict(data, threshold=probability).label == "bright"


def encoded(width: int, height: int, *, canvas: bool) -> bytes:
    picture = Image.new("RGB", (width, height), "white" if canvas else (220, 220, 220))
    if canvas:
        picture.paste((210, 210, 210), (width // 10, height // 10, width * 9 // 10, height * 9 // 10))
    file = io.BytesIO()
    picture.save(file, "PNG")
    return file.getvalue()


@pytest.mark.parametrize("crop", ["panel", "none"])
def test_a_prediction_says_how_a_picture_is_unlike_those_of_the_training(model: Path, crop: Crop) -> None:
    card = Card(("bright", "dark"), ("hell", "dunkel"), crop, Seen(1.0, (155, 160), (155, 156), (1.0, 160 / 155)))
    classifier = Classifier(model.read_bytes(), card)
    assert classifier.predict(encoded(160, 155, canvas=True)).warning == ""
    assert classifier.predict(encoded(160, 155, canvas=False)).warning == "no canvas"
    # The size of the file, not that of the face in it.
    size = "640 × 480 px, trained on 155 to 160 × 155 to 156 px"
    assert classifier.predict(encoded(640, 480, canvas=True)).warning == size
    assert classifier.predict(encoded(640, 480, canvas=False)).warning == f"no canvas; {size}"


def test_the_face_is_cut_out_only_where_the_training_pictures_were(model: Path) -> None:
    probability = {}
    for crop in ("panel", "none"):
        classifier = Classifier(model.read_bytes(), Card(("bright", "dark"), ("hell", "dunkel"), crop, SEEN))
        sheet = np.full((155, 160, 3), 255, np.uint8)
        sheet[15:140, 15:140] = np.random.default_rng(0).integers(0, 60, (125, 125, 3))
        file = io.BytesIO()
        Image.fromarray(sheet).save(file, "PNG")
        seen = sheet[15:140, 15:140] if crop == "panel" else sheet
        resized = np.asarray(Image.fromarray(seen).resize((48, 48), Image.Resampling.BILINEAR))
        probability[crop] = classifier.probability(file.getvalue())
        assert probability[crop] == classifier.probabilities(resized[np.newaxis])[0]
    assert probability["panel"] < probability["none"]


def test_what_is_uncertain_by_default_is_so_everywhere() -> None:
    assert inspect.signature(Classifier.predict).parameters["uncertain"].default == (0.2, 0.8)
    assert Params.load(ROOT / "params.yaml").predict.uncertain == (0.2, 0.8)


def test_a_pictures_probability_does_not_depend_on_the_others(model: Path) -> None:
    classifier = Classifier.load(model)
    pictures = np.random.default_rng(0).integers(0, 256, (5, 48, 48, 3), dtype=np.uint8)
    together = classifier.probabilities(pictures)
    assert together.shape == (5,)
    assert [classifier.probabilities(picture[np.newaxis])[0] for picture in pictures] == together.tolist()
    assert classifier.probabilities(pictures[:0]).shape == (0,)


def test_a_picture_that_cannot_be_read_is_an_error_of_its_own(model: Path) -> None:
    with pytest.raises(PictureError, match=r"not a picture \(4 bytes\)"):
        Classifier.load(model).probability(b"text")


def test_a_missing_model_says_where_to_get_one(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none.tflite: No such file or directory\nTrain a model with `dvc repro`"):
        Classifier.load(tmp_path / "none.tflite")


@pytest.mark.parametrize("cut", ["no card", "no model", "not at all", "empty"])
def test_a_file_that_is_no_model_of_ours_is_refused(model: Path, tmp_path: Path, cut: str) -> None:
    path = tmp_path / "model.tflite"
    whole = model.read_bytes()
    path.write_bytes(
        {"no card": whole[: whole.index(b"PK\x03\x04")], "no model": b"", "not at all": b"\x00" * 1000, "empty": b""}[
            cut
        ]
    )
    if cut == "no model":
        Card(("a", "b"), ("a", "b"), "none", SEEN).attach(path)
    with pytest.raises(InputError, match=r"model.tflite: not a model of anteojos"):
        Classifier.load(path)


def test_the_card_survives_and_costs_the_model_nothing(model: Path, tmp_path: Path) -> None:
    card = Card(
        ("mask", "no mask"), ("mit Maske", "ohne — Maske ✓"), "none", Seen(0.25, (155, 160), (9, 9), (0.1 + 0.2, 17.5))
    )
    copy = tmp_path / "model.tflite"
    copy.write_bytes(model.read_bytes()[: model.read_bytes().index(b"PK\x03\x04")])
    card.attach(copy)
    assert Card.read(copy) == card
    picture = np.full((1, 48, 48, 3), 100, np.uint8)
    assert Classifier.load(copy).probabilities(picture) == Classifier.load(model).probabilities(picture)


def test_a_model_with_an_older_card_is_to_be_trained_anew(model: Path, tmp_path: Path) -> None:
    path = tmp_path / "model.tflite"
    path.write_bytes(model.read_bytes()[: model.read_bytes().index(b"PK\x03\x04")])
    with zipfile.ZipFile(path, "a") as attached:
        attached.writestr("anteojos.json", json.dumps({"labels": ["a", "b"], "names": ["a", "b"], "crop": "none"}))
    with pytest.raises(InputError, match=r"of another version of anteojos: 'seen'.*\n.*must be trained anew"):
        Classifier.load(path)


def test_labelling_needs_no_tensorflow() -> None:
    code = (
        "import sys, anteojos.classifier, anteojos.cli; print([m for m in ('tensorflow', 'keras') if m in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"

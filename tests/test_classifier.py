"""The model as people use it."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from anteojos.card import Card
from anteojos.classifier import Classifier
from anteojos.errors import InputError
from anteojos.images import PictureError


def test_a_classifier_tells_the_classes_apart(model: Path, bright_and_dark: tuple[Path, Path]) -> None:
    classifier = Classifier.load(model)
    assert classifier.size == 48
    assert classifier.card == Card(("bright", "dark"), ("hell", "dunkel"), "panel")
    bright, dark = (classifier.probability(path.read_bytes()) for path in bright_and_dark)
    assert dark < 0.5 < bright
    assert classifier.label(bright, 0.5) == "bright"
    assert classifier.label(dark, 0.5) == "dark"
    assert classifier.label(0.7, 0.7) == "bright"


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
        Card(("a", "b"), ("a", "b"), "none").attach(path)
    with pytest.raises(InputError, match=r"model.tflite: not a model of anteojos"):
        Classifier.load(path)


def test_the_card_survives_and_costs_the_model_nothing(model: Path, tmp_path: Path) -> None:
    card = Card(("mask", "no mask"), ("mit Maske", "ohne — Maske ✓"), "none")
    copy = tmp_path / "model.tflite"
    copy.write_bytes(model.read_bytes()[: model.read_bytes().index(b"PK\x03\x04")])
    card.attach(copy)
    assert Card.read(copy) == card
    picture = np.full((1, 48, 48, 3), 100, np.uint8)
    assert Classifier.load(copy).probabilities(picture) == Classifier.load(model).probabilities(picture)


def test_labelling_needs_no_tensorflow() -> None:
    code = (
        "import sys, anteojos.classifier, anteojos.cli; print([m for m in ('tensorflow', 'keras') if m in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"

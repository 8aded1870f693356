"""The model as people use it."""

import doctest
import inspect
import io
import json
import subprocess
import sys
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from anteojos import classifier as classifier_module
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
    bright, dark = (classifier(path).probability for path in bright_and_dark)
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
        probability = classifier(data).probability
        assert classifier(data, uncertain=(0.5, 0.5)) == Prediction(label, probability, "")
        assert classifier(data, uncertain=(0, 1)) == Prediction(label, probability, "uncertain")
    assert classifier(data, threshold=probability).label == "bright"


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
    assert classifier(encoded(160, 155, canvas=True)).warning == ""
    assert classifier(encoded(160, 155, canvas=False)).warning == "no canvas"
    # The size of the file, not that of the face in it.
    size = "640 × 480 px, trained on 155 to 160 × 155 to 156 px"
    assert classifier(encoded(640, 480, canvas=True)).warning == size
    assert classifier(encoded(640, 480, canvas=False)).warning == f"no canvas; {size}"


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
        probability[crop] = classifier(file.getvalue()).probability
        assert probability[crop] == classifier.probabilities(resized[np.newaxis])[0]
    assert probability["panel"] < probability["none"]


def test_what_is_uncertain_by_default_is_so_everywhere() -> None:
    assert inspect.signature(Classifier.__call__).parameters["uncertain"].default == (0.2, 0.8)
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
        Classifier.load(model)(b"text")


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


@pytest.fixture
def forms(tmp_path: Path) -> dict[str, Any]:
    """One picture in all the forms that a classifier takes."""
    image = Image.fromarray(np.random.default_rng(0).integers(0, 60, (60, 80, 3), dtype=np.uint8))
    path = tmp_path / "one.png"
    image.save(path)
    return {
        "path": path,
        "name": str(path),
        "bytes": path.read_bytes(),
        "Pillow": image,
        "Pillow, not loaded": Image.open(path),
        "array": np.asarray(image),
    }


def test_a_picture_is_labelled_the_same_in_whatever_form_it_comes(model: Path, forms: dict[str, Any]) -> None:
    classifier = Classifier.load(model)
    expected = classifier(forms["bytes"])
    assert expected.label == "dark"
    assert "px" not in expected.warning
    assert {name: classifier(picture) for name, picture in forms.items()} == dict.fromkeys(forms, expected)
    many = list(forms.values())
    assert classifier(many) == classifier(tuple(many)) == [expected] * len(forms)
    assert classifier([]) == []


def test_the_predictions_of_many_are_in_their_order(model: Path, bright_and_dark: tuple[Path, Path]) -> None:
    found = Classifier.load(model)([*bright_and_dark, *reversed(bright_and_dark)], threshold=0.5, uncertain=(0, 1))
    assert [(each.label, each.warning) for each in found] == [
        (label, "uncertain") for label in ("bright", "dark", "dark", "bright")
    ]


def test_a_picture_of_pillow_s_is_turned_upright_and_put_on_white(model: Path) -> None:
    classifier = Classifier.load(model)
    on_the_side = Image.new("RGB", (60, 80), (40, 40, 40))
    on_the_side.getexif()[0x0112] = 6
    assert "px" not in classifier(on_the_side).warning  # 80 × 60 px, as the training pictures are
    assert classifier(Image.new("RGBA", (80, 60), (0, 0, 0, 0))) == classifier(Image.new("RGB", (80, 60), "white"))


def test_a_large_photograph_is_told_by_its_own_size(model: Path) -> None:
    file = io.BytesIO()
    Image.new("RGB", (1600, 1200), (220, 220, 220)).save(file, "JPEG")
    found = Classifier.load(model)(file.getvalue())
    assert (found.label, found.warning) == ("bright", "1600 × 1200 px, trained on 64 to 80 × 60 px")


@pytest.mark.parametrize(
    ("picture", "message"),
    [
        (np.zeros((60, 80, 3)), r"array of float64 \(60, 80, 3\); expected uint8 \(H, W, 3\)"),
        (np.zeros((60, 80), np.uint8), r"array of uint8 \(60, 80\); expected"),
        (np.zeros((1, 60, 80, 3), np.uint8), r"array of uint8 \(1, 60, 80, 3\); expected"),
        (np.zeros((0, 80, 3), np.uint8), r"array of uint8 \(0, 80, 3\); expected"),
        ([b"text"], r"not a picture \(4 bytes\)"),
    ],
)
def test_what_is_no_picture_is_refused(model: Path, picture: Any, message: str) -> None:
    with pytest.raises(PictureError, match=message):
        Classifier.load(model)(picture)


def test_a_file_that_holds_no_whole_picture_is_named(model: Path, forms: dict[str, Any], tmp_path: Path) -> None:
    classifier = Classifier.load(model)
    cut = tmp_path / "cut.png"
    cut.write_bytes(forms["bytes"][:5000])
    with pytest.raises(PictureError, match=r"cut.png: truncated picture"):
        classifier(cut)
    with Image.open(cut) as lazy, pytest.raises(PictureError, match="damaged picture"):
        classifier(lazy)
    with pytest.raises(FileNotFoundError):
        classifier(tmp_path / "none.png")
    with pytest.raises(TypeError, match="int; expected a path, bytes, a picture of Pillow's or an array"):
        classifier(5)  # type: ignore[call-overload]


def test_many_threads_get_the_same_as_one(model: Path) -> None:
    classifier = Classifier.load(model)
    pictures = list(np.random.default_rng(0).integers(0, 256, (40, 60, 80, 3), dtype=np.uint8))
    alone = [classifier(picture) for picture in pictures]
    assert len({found.probability for found in alone}) > 30
    with ThreadPoolExecutor(8) as executor:
        together = list(executor.map(classifier, pictures * 20))
    assert together == alone * 20


def test_the_example_in_the_docstring_works(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    copy = Path("models/model.tflite")
    copy.parent.mkdir()
    copy.write_bytes(model.read_bytes()[: model.read_bytes().index(b"PK\x03\x04")])
    Card(("glasses", "noglasses"), ("con lentes", "sin lentes"), "panel", SEEN).attach(copy)
    Image.new("RGB", (80, 60), (220, 220, 220)).save("photo.jpg")
    (example,) = doctest.DocTestFinder(recurse=False).find(classifier_module.Classifier, globs=vars(classifier_module))
    assert doctest.DocTestRunner().run(example) == (0, 6)


def test_labelling_needs_no_tensorflow() -> None:
    # Nor what else takes long to import: a picture's label is wanted at once.
    code = (
        "import sys; from anteojos import classifier, cli, parallel; "
        "print([m for m in ('tensorflow', 'keras', 'pandas', 'pydantic', 'requests') if m in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"

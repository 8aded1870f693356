"""Classifier: images in, labels out."""

import doctest
import io
import json
import pickle
import subprocess
import sys
import zipfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from anteojos.images import detector_models, faces
from anteojos.images.decoding import ImageError
from anteojos.model import classifier as classifier_module
from anteojos.model.classifier import Classifier, NoFaceError, Prediction
from anteojos.model.metadata import Metadata
from anteojos.model.statistics import TrainingRanges
from anteojos.runtime.errors import InputError
from tests.conftest import METADATA, RANGES, Photographs, drawn_eyes, drawn_face, face_metadata, without_metadata


@pytest.fixture(scope="module")
def classifier(face_model: Path) -> Classifier:
    """A classifier of faces."""
    return Classifier.load(face_model)


def test_classifier_distinguishes_the_classes(model: Path, bright_and_dark: tuple[Path, Path]) -> None:
    classifier = Classifier.load(model)
    assert classifier.size == 48
    assert classifier.metadata == METADATA
    bright, dark = (classifier(path) for path in bright_and_dark)
    assert (bright.label, bright.name, bright.face) == ("bright", "hell", None)
    assert (dark.label, dark.name, dark.face) == ("dark", "dunkel", None)
    assert dark.first_class_probability < 0.5 < bright.first_class_probability


def test_probability_is_that_of_the_label(model: Path, bright_and_dark: tuple[Path, Path]) -> None:
    classifier = Classifier.load(model)
    bright, dark = (classifier(path) for path in bright_and_dark)
    assert bright.probability == bright.first_class_probability
    assert dark.probability == 1 - dark.first_class_probability
    # With another threshold, the probability of the label may be below one half.
    other = classifier(bright_and_dark[1], threshold=0.0)
    assert (other.label, other.probability) == ("bright", dark.first_class_probability)


def test_uncertain_prediction_has_a_warning(model: Path, bright_and_dark: tuple[Path, Path]) -> None:
    classifier = Classifier.load(model)
    for path, label, name in zip(bright_and_dark, ("bright", "dark"), ("hell", "dunkel"), strict=True):
        data = path.read_bytes()
        first = classifier(data).first_class_probability
        sure = first if label == "bright" else 1 - first
        assert classifier(data, uncertain=(0.5, 0.5)) == Prediction(label, name, sure, first, "", None)
        assert classifier(data, uncertain=(0, 1)) == Prediction(label, name, sure, first, "uncertain", None)
    assert classifier(data, threshold=first).label == "bright"


# --- faces


def test_faces_are_labelled_from_left_to_right(classifier: Classifier, photographs: Photographs) -> None:
    dark, bright = classifier.faces(photographs.two)
    assert (dark.label, bright.label) == ("dark", "bright")
    for found, seed, size, corner in ((dark, 3, 200, (40, 60)), (bright, 4, 280, (340, 20))):
        assert found.face is not None
        eyes = drawn_eyes(seed, size) + corner
        assert np.abs(np.array(found.face.eyes) - eyes).max() < 0.12 * np.linalg.norm(eyes[1] - eyes[0])
        with Image.open(photographs.two) as image:
            seen = faces.prepare(image.convert("RGB"), 48, found.face)
        assert found.first_class_probability == classifier.probabilities(seen[np.newaxis])[0]
    assert classifier.faces(photographs.none) == []


def test_call_labels_the_largest_face(classifier: Classifier, photographs: Photographs) -> None:
    assert classifier(photographs.two) == classifier.faces(photographs.two)[1]
    assert classifier([photographs.two, photographs.small]) == [
        classifier(photographs.two),
        classifier(photographs.small),
    ]


def test_image_without_face_is_an_error_with_its_name(classifier: Classifier, photographs: Photographs) -> None:
    with pytest.raises(NoFaceError, match=r"none\.png: no face found"):
        classifier(photographs.none)
    with pytest.raises(NoFaceError, match=r"^no face found"):
        classifier(photographs.none.read_bytes())
    with pytest.raises(ImageError):
        classifier([photographs.two, photographs.none])


def test_whole_labels_the_whole_image(classifier: Classifier, photographs: Photographs) -> None:
    whole = classifier(photographs.none, whole=True)
    with Image.open(photographs.none) as image:
        seen = np.asarray(image.resize((48, 48), Image.Resampling.BILINEAR))
    assert whole.face is None
    assert whole.first_class_probability == classifier.probabilities(seen[np.newaxis])[0]
    assert classifier(photographs.two, whole=True).face is None


def test_cropped_face_is_labelled_with_whole(classifier: Classifier, photographs: Photographs) -> None:
    with Image.open(photographs.two) as image:
        cut = faces.cut_face(image, classifier.faces(photographs.two)[0].face.box, margin=0.2)
    assert classifier(cut, whole=True).label == "dark"


def test_model_of_whole_images_finds_no_faces(model: Path, photographs: Photographs) -> None:
    classifier = Classifier.load(model)
    assert classifier(photographs.two).face is None
    with pytest.raises(InputError, match=r"trained on whole images.*\n.*classifier\(image\)"):
        classifier.faces(photographs.two)


def test_model_of_whole_images_needs_no_detector(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(classifier_module, "Detector", None)
    assert Classifier.load(model)(Image.new("RGB", (80, 60))).label == "dark"


def test_detector_comes_from_the_model_file(
    face_model: Path, photographs: Photographs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(detector_models, "find_spec", lambda name: None)
    detector_models.installed.cache_clear()
    assert len(Classifier.load(face_model).faces(photographs.two)) == 2


def test_faces_do_not_depend_on_the_form_of_the_image(classifier: Classifier, photographs: Photographs) -> None:
    with Image.open(photographs.two) as image:
        image.load()
    given: list[Any] = [str(photographs.two), photographs.two.read_bytes(), image, np.asarray(image)]
    expected = classifier.faces(photographs.two)
    assert [classifier.faces(each) for each in given] == [expected] * 4


def test_exif_orientation_is_applied_before_detection(classifier: Classifier, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    drawn_face(3, 300).transpose(Image.Transpose.ROTATE_90).save(tmp_path / "turned.png", exif=exif)
    (found,) = classifier.faces(tmp_path / "turned.png")
    assert found.face == classifier(drawn_face(3, 300)).face


def test_small_face_has_a_warning(classifier: Classifier, photographs: Photographs) -> None:
    (found,) = classifier.faces(photographs.small, uncertain=(0.5, 0.5))
    assert found.face is not None
    assert found.warning == f"small face ({found.face.width:.0f} px)"
    assert [each.warning for each in classifier.faces(photographs.two, uncertain=(0.5, 0.5))] == ["", ""]
    assert [each.warning for each in classifier.faces(photographs.two, uncertain=(0, 1))] == ["uncertain"] * 2


def test_face_unlike_the_training_faces_has_a_warning(face_model: Path, photographs: Photographs) -> None:
    bright = replace(RANGES, brightness=(0.9, 0.95))
    classifier = Classifier(face_model.read_bytes(), face_metadata(bright))
    assert {each.warning for each in classifier.faces(photographs.two, uncertain=(0.5, 0.5))} == {
        "darker than the training images"
    }


def test_threads_may_share_a_classifier_of_faces(classifier: Classifier, photographs: Photographs) -> None:
    expected = classifier.faces(photographs.two)
    with ThreadPoolExecutor(4) as executor:
        assert list(executor.map(classifier.faces, [photographs.two] * 12)) == [expected] * 12


def test_pickled_classifier_gives_the_same(classifier: Classifier, photographs: Photographs) -> None:
    copy = pickle.loads(pickle.dumps(classifier))
    assert copy.metadata == classifier.metadata
    assert copy.faces(photographs.two) == classifier.faces(photographs.two)


# --- all models


def test_whole_image_of_another_size_has_a_warning(model: Path) -> None:
    ranges = replace(RANGES, width=(155, 160), height=(155, 156), aspect=(1.0, 160 / 155))
    classifier = Classifier(without_metadata(model), replace(METADATA, ranges=ranges))
    assert classifier(Image.new("RGB", (160, 155), "white")).warning == ""
    size = "640 × 480 px, trained on 155 to 160 × 155 to 156 px"
    assert classifier(Image.new("RGB", (640, 480), "white"), uncertain=(0.5, 0.5)).warning == size


def test_thresholds_default_to_those_of_the_model(model: Path, bright_and_dark: tuple[Path, Path]) -> None:
    dark = bright_and_dark[1]
    first = Classifier.load(model)(dark).first_class_probability
    lenient = replace(METADATA, threshold=first, uncertain=(0, 1))
    classifier = Classifier(without_metadata(model), lenient)
    for found in (classifier(dark), classifier([dark])[0]):
        assert (found.label, found.warning) == ("bright", "uncertain")
    other = classifier(dark, threshold=0.5, uncertain=(0.5, 0.5))
    assert (other.label, other.warning) == ("dark", "")


def test_thresholds_of_faces_default_to_those_of_the_model(face_model: Path, photographs: Photographs) -> None:
    strict = replace(face_metadata(), threshold=1.0, uncertain=(0, 1))
    classifier = Classifier(without_metadata(face_model), strict)
    assert [(face.label, face.warning) for face in classifier.faces(photographs.two)] == [("dark", "uncertain")] * 2
    dark, bright = classifier.faces(photographs.two, threshold=0.5, uncertain=(0.5, 0.5))
    assert (dark.label, bright.label, dark.warning, bright.warning) == ("dark", "bright", "", "")


def test_probability_does_not_depend_on_other_images(model: Path) -> None:
    classifier = Classifier.load(model)
    images = np.random.default_rng(0).integers(0, 256, (5, 48, 48, 3), dtype=np.uint8)
    together = classifier.probabilities(images)
    assert together.shape == (5,)
    assert [classifier.probabilities(image[np.newaxis])[0] for image in images] == together.tolist()
    assert classifier.probabilities(images[:0]).shape == (0,)


def test_unreadable_image_is_an_image_error(model: Path) -> None:
    with pytest.raises(ImageError, match=r"not an image \(4 bytes\)"):
        Classifier.load(model)(b"text")


def test_missing_model_error_says_where_to_get_one(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none.tflite: No such file or directory\nTrain a model with `dvc repro`"):
        Classifier.load(tmp_path / "none.tflite")


@pytest.mark.parametrize("cut", ["no metadata", "no model", "not at all", "empty"])
def test_file_that_is_not_our_model_is_an_error(model: Path, tmp_path: Path, cut: str) -> None:
    path = tmp_path / "model.tflite"
    content = {"no metadata": without_metadata(model), "no model": b"", "not at all": b"\x00" * 1000, "empty": b""}
    path.write_bytes(content[cut])
    if cut == "no model":
        METADATA.attach(path)
    with pytest.raises(InputError, match=r"model.tflite: not a model of anteojos"):
        Classifier.load(path)


@pytest.mark.parametrize(
    ("detector", "notice"), [({}, ""), ({"a.tflite": bytes(range(256)) * 9, "b": b""}, "© Autores\nLicencia")]
)
def test_metadata_is_read_as_written_and_changes_no_output(
    model: Path, tmp_path: Path, detector: dict[str, bytes], notice: str
) -> None:
    metadata = Metadata(
        labels=("mask", "no mask"),
        names=("mit Maske", "ohne — Maske ✓"),
        crop="face" if detector else "none",
        threshold=0.1 + 0.2,
        uncertain=(0.0, 1 / 3),
        ranges=TrainingRanges((155, 160), (9, 9), (0.1 + 0.2, 17.5), (0.0, 1.0), (1 / 3, 0.5), (0.0, 2.5)),
        detector=detector,
        notice=notice,
    )
    copy = tmp_path / "model.tflite"
    copy.write_bytes(without_metadata(model))
    metadata.attach(copy)
    assert Metadata.read(copy) == metadata
    image = np.full((1, 48, 48, 3), 100, np.uint8)
    whole = Classifier(without_metadata(copy), metadata)
    assert Classifier.load(copy).probabilities(image) == whole.probabilities(image)
    assert Classifier.load(copy).probabilities(image) == Classifier.load(model).probabilities(image)


def test_model_file_has_detector_and_licence_notice(face_model: Path) -> None:
    with zipfile.ZipFile(face_model) as attached:
        files = {name: attached.read(name) for name in attached.namelist()}
    assert files.pop("anteojos.json")
    assert files.pop("face_detection/NOTICE").decode() == detector_models.NOTICE + "\n"
    assert files == {f"face_detection/{name}": data for name, data in detector_models.installed().items()}


def test_same_metadata_gives_the_same_bytes(model: Path, face_model: Path, tmp_path: Path) -> None:
    copy = tmp_path / "model.tflite"
    copy.write_bytes(without_metadata(model))
    face_metadata().attach(copy)
    assert copy.read_bytes() == face_model.read_bytes()


@pytest.mark.parametrize("missing", ["threshold", "uncertain", "ranges"])
def test_metadata_of_an_older_version_is_an_error(model: Path, tmp_path: Path, missing: str) -> None:
    path = tmp_path / "model.tflite"
    path.write_bytes(without_metadata(model))
    with zipfile.ZipFile(model) as attached:
        values = json.loads(attached.read("anteojos.json"))
    del values[missing]
    with zipfile.ZipFile(path, "a") as attached:
        attached.writestr("anteojos.json", json.dumps(values))
    with pytest.raises(InputError, match=rf"of another version of anteojos: '{missing}'.*\n.*must be trained again"):
        Classifier.load(path)


@pytest.fixture
def forms(tmp_path: Path) -> dict[str, Any]:
    """An image in all forms that a classifier accepts."""
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


def test_label_does_not_depend_on_the_form_of_the_image(model: Path, forms: dict[str, Any]) -> None:
    classifier = Classifier.load(model)
    expected = classifier(forms["bytes"])
    assert expected.label == "dark"
    assert "px" not in expected.warning
    assert {name: classifier(image) for name, image in forms.items()} == dict.fromkeys(forms, expected)
    many = list(forms.values())
    assert classifier(many) == classifier(tuple(many)) == [expected] * len(forms)
    assert classifier([]) == []


def test_predictions_of_a_list_keep_its_order(model: Path, bright_and_dark: tuple[Path, Path]) -> None:
    found = Classifier.load(model)([*bright_and_dark, *reversed(bright_and_dark)], threshold=0.5, uncertain=(0, 1))
    assert [(each.label, each.warning) for each in found] == [
        (label, "uncertain") for label in ("bright", "dark", "dark", "bright")
    ]


def test_pillow_image_is_turned_upright_and_put_on_white(model: Path) -> None:
    classifier = Classifier.load(model)
    on_the_side = Image.new("RGB", (60, 80), (40, 40, 40))
    on_the_side.getexif()[0x0112] = 6
    assert "px" not in classifier(on_the_side).warning  # 80 × 60 px, as the training images are
    assert classifier(Image.new("RGBA", (80, 60), (0, 0, 0, 0))) == classifier(Image.new("RGB", (80, 60), "white"))


def test_size_warning_uses_the_size_before_decoding_smaller(model: Path) -> None:
    file = io.BytesIO()
    Image.new("RGB", (1600, 1200), (220, 220, 220)).save(file, "JPEG")
    found = Classifier.load(model)(file.getvalue())
    assert (found.label, found.warning) == ("bright", "1600 × 1200 px, trained on 64 to 80 × 60 px")


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (np.zeros((60, 80, 3)), r"array of float64 \(60, 80, 3\); expected uint8 \(H, W, 3\)"),
        (np.zeros((60, 80), np.uint8), r"array of uint8 \(60, 80\); expected"),
        (np.zeros((1, 60, 80, 3), np.uint8), r"array of uint8 \(1, 60, 80, 3\); expected"),
        (np.zeros((0, 80, 3), np.uint8), r"array of uint8 \(0, 80, 3\); expected"),
        ([b"text"], r"not an image \(4 bytes\)"),
    ],
)
def test_what_is_not_an_image_is_an_error(model: Path, image: Any, message: str) -> None:
    with pytest.raises(ImageError, match=message):
        Classifier.load(model)(image)


def test_truncated_file_is_an_error_with_its_name(model: Path, forms: dict[str, Any], tmp_path: Path) -> None:
    classifier = Classifier.load(model)
    cut = tmp_path / "cut.png"
    cut.write_bytes(forms["bytes"][:5000])
    with pytest.raises(ImageError, match=r"cut.png: truncated image"):
        classifier(cut)
    with Image.open(cut) as lazy, pytest.raises(ImageError, match="damaged image"):
        classifier(lazy)
    with pytest.raises(FileNotFoundError):
        classifier(tmp_path / "none.png")
    with pytest.raises(TypeError, match="int; expected a path, bytes, a Pillow image or an array"):
        classifier(5)  # type: ignore[call-overload]


def test_threads_get_the_same_predictions(model: Path) -> None:
    classifier = Classifier.load(model)
    images = list(np.random.default_rng(0).integers(0, 256, (40, 60, 80, 3), dtype=np.uint8))
    alone = [classifier(image) for image in images]
    assert len({found.probability for found in alone}) > 30
    with ThreadPoolExecutor(8) as executor:
        together = list(executor.map(classifier, images * 20))
    assert together == alone * 20


def test_docstring_example_works(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    copy = Path("models/model.tflite")
    copy.parent.mkdir()
    copy.write_bytes(without_metadata(model))
    metadata = replace(face_metadata(), labels=("glasses", "noglasses"), names=("con lentes", "sin lentes"))
    metadata.attach(copy)
    drawn_face(4, 280).point(lambda value: int(min(255, value * 1.6))).save("photo.jpg")
    (example,) = doctest.DocTestFinder(recurse=False).find(classifier_module.Classifier, globs=vars(classifier_module))
    assert doctest.DocTestRunner().run(example) == (0, 7)


def test_labelling_needs_no_tensorflow() -> None:
    # Or other libraries that take long to import.
    code = (
        "import sys; from anteojos import cli; from anteojos.evaluation import annotation; "
        "from anteojos.labelling import inference, reading, writing; "
        "from anteojos.model import classifier; from anteojos.runtime import parallel; "
        "forbidden = 'tensorflow', 'keras', 'pandas', 'pydantic', 'requests', 'sklearn', 'scipy'; "
        "print([m for m in forbidden if m in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_endless_file_is_an_error(model: Path) -> None:
    with pytest.raises(OSError, match="a device, pipe or socket; expected a regular file"):
        Classifier.load(model)("/dev/zero")

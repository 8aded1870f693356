"""Annotated copies have a box and a label for each face, and never overwrite an original."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from anteojos.evaluation import annotation
from anteojos.images.faces import Box, Face
from anteojos.labelling import writing
from anteojos.model.classifier import Prediction
from anteojos.runtime.errors import InputError

BLUE, VERMILION = (0x00, 0x72, 0xB2), (0xD5, 0x5E, 0x00)
GREY = (90, 90, 90)


def prediction(label: str, box: Box | None, name: str = "con lentes") -> Prediction:
    face = box and Face(box, ((box[0] + 1, box[1] + 1), (box[2] - 1, box[1] + 1)), 0.0, 0.9)
    return Prediction(label, name, 0.87, 0.87, "", face)


def annotated(*predictions: Prediction, size: tuple[int, int] = (400, 300), suffix: str = ".png") -> Image.Image:
    data = annotation.annotate(Image.new("RGB", size, GREY), predictions, "glasses", suffix)
    image = Image.open(io.BytesIO(data))
    image.load()
    return image


def changed(image: Image.Image) -> np.ndarray:
    return (np.asarray(image.convert("RGB")) != GREY).any(axis=2)


def test_box_has_the_colour_of_its_class() -> None:
    image = annotated(
        prediction("glasses", (40.0, 100.0, 120.0, 180.0)), prediction("noglasses", (220.5, 99.5, 320.0, 200.0))
    )
    assert image.size == (400, 300)
    for x, y in ((40, 140), (80, 180), (120, 140)):
        assert image.getpixel((x, y)) == BLUE
    for x, y in ((221, 150), (270, 199), (320, 150)):
        assert image.getpixel((x, y)) == VERMILION
    # Nothing is drawn inside or beside the boxes.
    assert not changed(image)[110:170, 50:110].any()
    assert not changed(image)[:, 340:].any()


def test_label_is_above_its_box() -> None:
    above = changed(annotated(prediction("glasses", (100.0, 100.0, 220.0, 200.0))))[:99]
    rows, columns = np.nonzero(above)
    assert len(rows) > 200
    assert rows.min() > 60
    assert columns.min() == 100
    image = annotated(prediction("glasses", (100.0, 100.0, 220.0, 200.0)))
    white = (np.asarray(image)[:99] > 200).all(axis=2)
    assert 30 < white.sum() < above.sum() / 2


def test_other_label_gives_other_pixels() -> None:
    box = (100.0, 100.0, 220.0, 200.0)
    one, other = (annotated(prediction("glasses", box, name)) for name in ("con lentes", "sin lentes"))
    assert one.tobytes() != other.tobytes()


@pytest.mark.parametrize(
    "box",
    [(0.0, 0.0, 40.0, 40.0), (360.0, 0.0, 400.0, 40.0), (360.0, 260.0, 400.0, 300.0), (-30.0, -20.0, 60.0, 70.0)],
)
def test_label_in_a_corner_is_inside_the_image(box: Box) -> None:
    words = "una persona con lentes"
    inside = (np.asarray(annotated(prediction("glasses", box, words))) > 200).all(axis=2).sum()
    middle = (180.0, 130.0, 180.0 + box[2] - box[0], 130.0 + box[3] - box[1])
    complete = (np.asarray(annotated(prediction("glasses", middle, words))) > 200).all(axis=2).sum()
    # The text has as many white pixels as with room around it.
    assert inside == pytest.approx(complete, rel=0.02)


@pytest.mark.parametrize("size", [(24, 24), (1, 1), (400, 8), (8, 400)])
def test_tiny_images_are_annotated(size: tuple[int, int]) -> None:
    assert annotated(prediction("glasses", (0.0, 0.0, 8.0, 8.0)), size=size).size == size
    assert annotated(prediction("glasses", None), size=size).size == size


def test_label_without_a_face_is_in_the_upper_left_corner() -> None:
    rows, columns = np.nonzero(changed(annotated(prediction("noglasses", None))))
    assert (rows.min(), columns.min()) == (0, 0)
    assert annotated(prediction("noglasses", None)).getpixel((1, 1)) == VERMILION
    assert not changed(annotated()).any()


def test_original_image_is_not_changed() -> None:
    image = Image.new("RGB", (100, 80), GREY)
    annotation.annotate(image, [prediction("glasses", (10.0, 10.0, 50.0, 50.0))], "glasses", ".png")
    assert not changed(image).any()


def test_name_outside_the_font_is_no_error() -> None:
    assert changed(annotated(prediction("glasses", (100.0, 100.0, 200.0, 200.0), "眼镜 ñ ✓"))).any()


@pytest.mark.parametrize(
    ("suffix", "format_", "added"),
    [
        (".jpg", "JPEG", ""),
        (".JPEG", "JPEG", ""),
        (".png", "PNG", ""),
        (".PNG", "PNG", ""),
        (".webp", "PNG", ".png"),
        (".tiff", "PNG", ".png"),
        (".avif", "PNG", ".png"),
        ("", "PNG", ".png"),
    ],
)
def test_jpeg_stays_jpeg_and_other_formats_become_png(suffix: str, format_: str, added: str) -> None:
    assert annotated(prediction("glasses", (10.0, 50.0, 60.0, 100.0)), suffix=suffix).format == format_
    assert annotation.suffix_of(suffix) == added


# --- where copies are written


def test_copies_keep_their_path_below_the_common_folder(tmp_path: Path) -> None:
    files = [tmp_path / "photos/a/1.jpg", tmp_path / "photos/b/1.jpg", tmp_path / "photos/2.webp"]
    copies = writing.annotated_paths(files, tmp_path / "out")
    assert copies == [tmp_path / "out/a/1.jpg", tmp_path / "out/b/1.jpg", tmp_path / "out/2.webp.png"]
    assert writing.annotated_paths(files[:1], Path("out")) == [Path("out/1.jpg")]


def test_copies_of_the_same_stem_have_different_names(tmp_path: Path) -> None:
    files = [tmp_path / "1.webp", tmp_path / "1.png", tmp_path / "1.tiff", tmp_path / "1.jpg"]
    assert len(set(writing.annotated_paths(files, tmp_path / "out"))) == 4


def test_relative_and_absolute_paths_are_compared_resolved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "photos").mkdir()
    monkeypatch.chdir(tmp_path / "photos")
    files = [Path("1.jpg"), Path("../photos/2.jpg"), tmp_path / "3.jpg"]
    assert writing.annotated_paths(files, Path("out")) == [
        Path("out/photos/1.jpg"),
        Path("out/photos/2.jpg"),
        Path("out/3.jpg"),
    ]


@pytest.mark.parametrize("folder", ["photos", "photos/../photos", "link"])
def test_copy_that_would_overwrite_an_original_is_an_error(tmp_path: Path, folder: str) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "photos")
    files = [tmp_path / "photos/1.jpg", tmp_path / "photos/2.jpg"]
    for file in files:
        file.touch()
    with pytest.raises(InputError, match=r"1\.jpg is one of the images, and would be overwritten"):
        writing.annotated_paths(files, tmp_path / folder)

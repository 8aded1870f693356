"""Images in one folder per class are found and read; unreadable ones are listed."""

import unicodedata
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from anteojos.images import class_folders, detector, faces
from anteojos.runtime.errors import InputError
from tests.conftest import Photographs


def image(path: Path, size: tuple[int, int] = (40, 30), **options: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.effect_noise(size, 60).convert("RGB").save(path, **options)
    return path


def found_in(folder: Path) -> dict[str, str]:
    files, labels = class_folders.find(folder)
    return {file.relative_to(folder).as_posix(): label for file, label in zip(files, labels, strict=True)}


def test_class_folders_are_found(tmp_path: Path) -> None:
    for file in ("cats/2.jpg", "cats/1.PNG", "dogs/old/3.webp", "dogs/.thumb.jpg", ".cache/x.jpg", "cover.jpg"):
        image(tmp_path / file)
    (tmp_path / "dogs/notes.txt").touch()
    assert found_in(tmp_path) == {"cats/1.PNG": "cats", "cats/2.jpg": "cats", "dogs/old/3.webp": "dogs"}


@pytest.mark.parametrize(
    "splits", [("train", "validate"), ("train",), ("validate",), ("Training", "val"), ("unsplit",)]
)
def test_class_folders_of_splits_are_merged(tmp_path: Path, splits: Sequence[str]) -> None:
    for split in splits:
        for label in ("glasses", "noglasses"):
            image(tmp_path / split / label / "1.jpg")
    image(tmp_path / "test/2.jpg")
    expected = {f"{split}/{label}/1.jpg": label for split in splits for label in ("glasses", "noglasses")}
    assert found_in(tmp_path) == expected


@pytest.mark.parametrize(
    ("files", "found"),
    [
        ([], "no folder"),
        (["a/1.jpg"], "the folders a"),
        (["a/1.jpg", "b/1.jpg", "c/1.jpg"], "the folders a, b, c"),
        (["train/a/1.jpg", "validate/b/1.jpg", "validate/c/1.jpg"], "the folders a, b, c"),
    ],
)
def test_other_than_two_classes_are_rejected(tmp_path: Path, files: list[str], found: str) -> None:
    for file in files:
        image(tmp_path / file)
    with pytest.raises(InputError) as caught:
        class_folders.find(tmp_path)
    assert caught.value.problems == (f"found {found}; expected one for each of two classes",)
    assert caught.value.advice


def test_accents_are_compared_however_they_are_stored(tmp_path: Path) -> None:
    for split, form in (("train", "NFC"), ("val", "NFD")):
        image(tmp_path / split / unicodedata.normalize(form, "Césped") / "1.jpg")
        image(tmp_path / split / "other" / "1.jpg")
    assert set(found_in(tmp_path).values()) == {"Césped", "other"}


def test_missing_folder_is_rejected(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nowhere: neither a folder nor an archive"):
        class_folders.find(tmp_path / "nowhere")


def test_images_are_read_with_properties_of_their_files(tmp_path: Path) -> None:
    files = [
        image(tmp_path / "1.jpg", (40, 30), quality=60),
        image(tmp_path / "2.jpg", (50, 31), quality=90),
        image(tmp_path / "3.jpg", (60, 32), quality=60),
        image(tmp_path / "4.png", (70, 33)),
    ]
    images, facts = class_folders.read(files, 48, "none")
    assert [image.shape for image in images] == [(48, 48, 3)] * 4
    expected = Image.open(files[3]).resize((48, 48), Image.Resampling.BILINEAR)
    np.testing.assert_array_equal(images[3], np.asarray(expected))
    assert facts["width"] == [40, 50, 60, 70]
    assert facts["height"] == [30, 31, 32, 33]
    assert facts["bytes"] == [file.stat().st_size for file in files]
    first, second, third, fourth = facts["quantisation"]
    assert first == third != second
    assert (str(first).startswith("JPEG {"), fourth) == (True, "PNG")


def test_crop_face_returns_the_aligned_face(photographs: Photographs) -> None:
    (aligned,), facts = class_folders.read([photographs.two], 48, "face")
    with Image.open(photographs.two) as image:
        # The larger one, on the right.
        face = detector.default()(image.convert("RGB"))[1]
        np.testing.assert_array_equal(aligned, faces.prepare(image, 48, face))
    assert facts["width"] == [640]


def test_crop_face_rejects_images_without_a_face(photographs: Photographs) -> None:
    with pytest.raises(InputError) as caught:
        class_folders.read([photographs.two, photographs.none], 48, "face")
    assert caught.value.problems == (f"{photographs.none}: no face found",)
    assert len(class_folders.read([photographs.two, photographs.none], 48, "none")[0]) == 2


def test_all_unreadable_images_are_listed(tmp_path: Path) -> None:
    good = image(tmp_path / "good.jpg")
    (tmp_path / "empty.jpg").touch()
    (tmp_path / "text.jpg").write_text("not images")
    with pytest.raises(InputError) as caught:
        class_folders.read([tmp_path / "empty.jpg", good, tmp_path / "text.jpg", tmp_path / "gone.jpg"], 48, "none")
    assert caught.value.problems == (
        f"{tmp_path / 'empty.jpg'}: empty file (0 bytes)",
        f"{tmp_path / 'text.jpg'}: not an image (10 bytes)",
        f"{tmp_path / 'gone.jpg'}: No such file or directory",
    )

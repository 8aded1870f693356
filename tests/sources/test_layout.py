"""Tests of recognising splits and classes in the names of files."""

import unicodedata

import pytest

from anteojos.runtime.errors import InputError
from anteojos.sources import layout

PETS = ("Cats", "dogs")


def arranged(*names: str, labels: tuple[str, str] = PETS, ignored: tuple[str, ...] = ()) -> dict[str, str]:
    found = layout.find("pets", names, labels)
    return layout.arrange("pets", found, names, labels, ignored)


def refused(*names: str, labels: tuple[str, str] = PETS) -> str:
    with pytest.raises(InputError) as caught:
        arranged(*names, labels=labels)
    return str(caught.value)


def of_classes(*folders: str) -> list[str]:
    return [f"{folder}/{label}/{number}.jpg" for folder in folders for label in PETS for number in (1, 2)]


@pytest.mark.parametrize("train", ["train", "Training", "TRAIN"])
@pytest.mark.parametrize("validate", ["validate", "val", "valid", "Validation", "dev"])
@pytest.mark.parametrize("test", ["test", "Testing"])
@pytest.mark.parametrize("top", ["", "a/b c/"])
def test_names_of_splits(train: str, validate: str, test: str, top: str) -> None:
    names = of_classes(f"{top}{train}", f"{top}{validate}", f"{top}{test}")
    assert list(arranged(*names).values()) == of_classes("train", "validate", "test")


@pytest.mark.parametrize(
    ("source", "raw"),
    [
        (("train", "val"), ("train", "validate")),
        (("train", "test"), ("unsplit", "test")),
        (("train",), ("unsplit",)),
        (("pets",), ("unsplit",)),
        (("pets/train",), ("unsplit",)),
    ],
)
def test_images_without_validate_have_no_split(source: tuple[str, ...], raw: tuple[str, ...]) -> None:
    assert list(arranged(*of_classes(*source)).values()) == of_classes(*raw)


def test_class_folders_only_at_the_top() -> None:
    assert arranged("Cats/1.jpg", "dogs/1.jpg", "readme.txt", "preview.jpg") == {
        "Cats/1.jpg": "unsplit/Cats/1.jpg",
        "dogs/1.jpg": "unsplit/dogs/1.jpg",
    }


def test_folders_in_class_folders_belong_to_the_class() -> None:
    assert arranged("Cats/2023/05/a.jpg", "dogs/2023/a.jpg", "dogs/b.jpg")["Cats/2023/05/a.jpg"] == (
        "unsplit/Cats/2023/05/a.jpg"
    )
    assert arranged("train/Cats/x/a.jpg", "train/dogs/x/a.jpg", "val/dogs/a.jpg") == {
        "train/Cats/x/a.jpg": "train/Cats/x/a.jpg",
        "train/dogs/x/a.jpg": "train/dogs/x/a.jpg",
        "val/dogs/a.jpg": "validate/dogs/a.jpg",
    }


def test_spelling_of_class_folders_is_that_of_params() -> None:
    grass, decomposed = "Césped Verde", unicodedata.normalize("NFD", "césped verde")
    assert decomposed != "césped verde"
    names = [f"{decomposed}/{unicodedata.normalize('NFD', 'á.jpg')}", "草地/1.jpg"]
    assert list(arranged(*names, labels=(grass, "草地")).values()) == [
        "unsplit/Césped Verde/á.jpg",
        "unsplit/草地/1.jpg",
    ]


def test_test_images_may_be_in_no_class_folder() -> None:
    names = [*of_classes("train", "validate"), "test/a.jpg", "test_labels.csv", "notes.csv"]
    assert set(arranged(*names).values()) == {*names} - {"notes.csv"}


def test_folder_with_the_classes_is_preferred() -> None:
    # In `extra`, train/ has other class folders.
    assert set(arranged("extra/train/hats/1.jpg", *of_classes("all pets")).values()) == {*of_classes("unsplit")}
    assert set(arranged("train/hats/1.jpg", *of_classes("deep/er/train")).values()) == {*of_classes("unsplit")}


def test_complete_dataset_is_preferred_to_a_part() -> None:
    names = [*of_classes("train"), *of_classes("full/train", "full/val")]
    assert set(arranged(*names).values()) == {*of_classes("train", "validate")}


@pytest.mark.parametrize("names", [of_classes("a/train", "b/train"), of_classes("a", "b")])
def test_two_datasets_are_an_error(names: list[str]) -> None:
    message = refused(*names)
    assert "pets: more than one folder contains " in message
    assert "  found a/\n  found b/\n" in message


def test_two_folders_for_one_split_are_an_error() -> None:
    message = refused(*of_classes("train", "val", "valid"))
    assert message.startswith("pets: more than one folder for the split validate\n  found val/\n  found valid/\n")


def test_folders_of_a_split_that_differ_in_case_are_one() -> None:
    assert arranged("train/Cats/1.jpg", "Train/dogs/1.jpg", "val/Cats/2.jpg")["Train/dogs/1.jpg"] == "train/dogs/1.jpg"


def test_splits_inside_class_folders_are_an_error() -> None:
    names = [f"{label}/{split}/1.jpg" for label in PETS for split in ("train", "val")]
    assert "class folders contain folders of splits\n  found Cats/ with train/; expected train/Cats/" in refused(*names)


@pytest.mark.parametrize(
    "names", [["a.jpg"], ["train/cat1.jpg", "val/cat2.jpg"], ["Cats/1.jpg"], ["a/Cats/1.jpg", "a/b.txt"], ["dogs/"]]
)
def test_less_than_two_classes_are_an_error(names: list[str]) -> None:
    assert refused(*names).startswith("pets: no folders with images of two classes\n")


def test_three_classes_are_an_error_with_the_way_to_choose_two() -> None:
    names = [*of_classes("train"), "train/big birds/1.jpg", "train/big birds/2.jpg", "train/big birds/3.jpg"]
    assert refused(*names) == (
        "pets: images of 3 classes; exactly two are possible, and dataset.classes are Cats and dogs\n"
        "  big birds: 3 images\n"
        "  Cats: 2 images\n"
        "  dogs: 2 images\n"
        "To use two of them, for example: anteojos init pets --classes 'big birds' Cats\n"
        "This sets `dataset.classes`, and `dataset.ignored` to the other folders. Then run `dvc repro` again."
    )


def test_other_classes_than_expected_are_an_error() -> None:
    message = refused("hens/1.jpg", "cows/1.jpg", "docs/readme.txt")
    assert "images of 2 classes; exactly two are possible, and dataset.classes are Cats and dogs\n" in message
    assert "--classes cows hens\n" in message


def test_ignored_folders_are_left_out() -> None:
    names = [*of_classes("train", "test"), "train/Birds/1.jpg", "test/BIRDS/1.jpg"]
    assert list(arranged(*names, ignored=("birds",)).values()) == of_classes("unsplit", "test")


def test_classes_are_found_without_their_names() -> None:
    names = [*of_classes("x/y"), "x/y/birds/1.jpg", "x/y/docs/a.txt"]
    found = layout.find("pets", names)
    assert found == layout.Layout("x/y/", {})
    assert layout.count(found, names) == {"Cats": {"unsplit": 2}, "dogs": {"unsplit": 2}, "birds": {"unsplit": 1}}
    splits = layout.find("pets", of_classes("z/train", "z/val"))
    assert splits == layout.Layout("z/", {"train": "train", "val": "validate"})

"""All problems of a dataset are listed at once, and stop the pipeline before it writes anything."""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import unicodedata
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from PIL import Image

from anteojos.images import checks, decoding, faces, labels_table, manifest
from anteojos.images.faces import Face
from anteojos.runtime.errors import InputError
from anteojos.stages import verify
from tests.conftest import ROOT, drawn_eyes, drawn_face
from tests.pages import undocumented

pytestmark = pytest.mark.slow

SPLITS = ("train", "validate", "test")
KINDS = ("not_images", "not_rgb", "odd_sizes", "no_face", "several_faces", "duplicates_within_split")
NO_WARNINGS = dict.fromkeys(KINDS, 0)
ADVICE = "Fix the source or change dataset.expected, then run `dvc repro` again."


def texture(seed: int, width: int = 32, height: int = 31) -> Image.Image:
    """Return a random image that differs from those of other seeds."""
    cells = np.random.default_rng(seed).integers(20, 200, (8, 8, 3), dtype=np.uint8)
    return Image.fromarray(cells).resize((width, height), Image.Resampling.BICUBIC)


def put(path: Path, image: Image.Image | bytes, **options: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(image, bytes):
        path.write_bytes(image)
    else:
        image.save(path, **options)
    return path


def write_params(
    folder: Path, *, labels: tuple[str, str] = ("glasses", "noglasses"), crop: str = "none", **dataset: Any
) -> None:
    """Write the committed params.yaml with two images expected of each class in each split."""
    values = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    two_each = dict.fromkeys(labels, 2)
    values["dataset"] |= {
        "classes": [{"folder": label, "name": label} for label in labels],
        "expected": {split: dict(two_each) for split in SPLITS},
        "drawn": None,
        "near_duplicate_bits": 4,
        **dataset,
    }
    values["preprocess"]["crop"] = crop
    (folder / "params.yaml").write_text(yaml.safe_dump(values), encoding="utf-8")


@pytest.fixture
def raw(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A valid data/raw: two images of each class in each split, those of test with their labels in a table."""
    monkeypatch.chdir(tmp_path)
    write_params(tmp_path)
    folder = tmp_path / "data" / "raw"
    seed = 0
    for split in SPLITS:
        for label in ("glasses", "noglasses"):
            for number in (1, 2):
                name = f"{label}-{number}.jpg" if split == "test" else f"{label}/row-1-column-{number}.jpg"
                put(folder / split / name, texture(seed := seed + 1))
    write_labels(folder, *(f"{label}-{number}.jpg,{label}" for label in ("glasses", "noglasses") for number in (1, 2)))
    return folder


def write_labels(raw: Path, *rows: str) -> None:
    (raw / "test_labels.csv").write_text("".join(f"{row}\n" for row in ("file,label", *rows)), encoding="utf-8")


def verified() -> dict[str, Any]:
    """Run the stage and return the content of metrics/details/verify.json."""
    verify.main()
    return json.loads(Path("metrics/details/verify.json").read_text(encoding="utf-8"))


def warned() -> dict[str, int]:
    """Run the stage and return the number of warnings by kind, without zeros."""
    return {kind: number for kind, number in verified()["warnings"].items() if number}


def manifest_rows() -> dict[str, dict[str, str]]:
    """Return the rows of data/manifest.csv by file."""
    table = pd.read_csv("data/manifest.csv", dtype=str, keep_default_na=False)
    return {row["file"]: row for row in table.to_dict("records")}


def refusal() -> InputError:
    """Run the stage, which must fail and keep its earlier outputs."""
    old = {Path("data/manifest.csv"): "an older manifest", Path("metrics/details/verify.json"): "older metrics"}
    for path, text in old.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    with pytest.raises(InputError) as caught:
        verify.main()
    assert {path: path.read_text() for path in old} == old
    assert sorted(path.name for path in Path("metrics/details").iterdir()) == ["verify.json"]
    assert {path.name for path in Path("data").iterdir()} <= {"manifest.csv", "raw"}
    return caught.value


def problems() -> tuple[str, ...]:
    error = refusal()
    assert error.headline == f"{Path('data/raw')} does not match params.yaml"
    assert error.advice == ADVICE
    return error.problems


# --- valid datasets


def test_valid_dataset_has_no_findings(raw: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert verified() == {
        "images": 12,
        **{split: {"glasses": 2, "noglasses": 2} for split in SPLITS},
        "test_balance": "known",
        "warnings": NO_WARNINGS,
    }
    assert capsys.readouterr() == ("", "")


def test_manifest_lists_each_image_once_by_split(raw: Path) -> None:
    verified()
    table = pd.read_csv("data/manifest.csv")
    assert tuple(table.columns) == manifest.COLUMNS
    assert table[["file", "split", "label"]].to_numpy().tolist() == [
        ["train/glasses/row-1-column-1.jpg", "train", "glasses"],
        ["train/glasses/row-1-column-2.jpg", "train", "glasses"],
        ["train/noglasses/row-1-column-1.jpg", "train", "noglasses"],
        ["train/noglasses/row-1-column-2.jpg", "train", "noglasses"],
        ["validate/glasses/row-1-column-1.jpg", "validate", "glasses"],
        ["validate/glasses/row-1-column-2.jpg", "validate", "glasses"],
        ["validate/noglasses/row-1-column-1.jpg", "validate", "noglasses"],
        ["validate/noglasses/row-1-column-2.jpg", "validate", "noglasses"],
        ["test/glasses-1.jpg", "test", "glasses"],
        ["test/glasses-2.jpg", "test", "glasses"],
        ["test/noglasses-1.jpg", "test", "noglasses"],
        ["test/noglasses-2.jpg", "test", "noglasses"],
    ]


def test_manifest_row_has_the_properties_of_the_image(raw: Path) -> None:
    path = put(raw / "train/glasses/row-1-column-1.jpg", texture(99, width=31, height=34).convert("L"))
    verified()
    grey = Image.open(path)
    cells = np.asarray(grey.resize((9, 8), Image.Resampling.BOX)).astype(int)
    bits = "".join(str(int(left < right)) for row in cells for left, right in pairwise(row))
    assert manifest_rows()["train/glasses/row-1-column-1.jpg"] == {
        "file": "train/glasses/row-1-column-1.jpg",
        "split": "train",
        "label": "glasses",
        "width": "31",
        "height": "34",
        "mode": "L",
        "bytes": str(path.stat().st_size),
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        "dhash": f"{int(bits, 2):016x}",
        "faces": "0",
        **dict.fromkeys(manifest.FACE, ""),
    }


def test_width_and_height_are_those_of_the_upright_image(raw: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    put(raw / "train/glasses/row-1-column-1.jpg", texture(99, width=34, height=31), exif=exif)
    verified()
    row = manifest_rows()["train/glasses/row-1-column-1.jpg"]
    assert (row["width"], row["height"]) == ("31", "34")


def test_same_images_give_the_same_manifest(raw: Path) -> None:
    verified()
    before = Path("data/manifest.csv").read_bytes()
    verified()
    assert Path("data/manifest.csv").read_bytes() == before


@pytest.mark.parametrize("name", ["a b.jpg", "a,b.jpg", 'a"b".jpg', "a'b.jpg", "ñandú 眼镜.jpg", "a.b.JPG", "100%.jpg"])
def test_any_file_name_is_accepted(raw: Path, name: str) -> None:
    (raw / "train/glasses/row-1-column-1.jpg").rename(raw / "train/glasses" / name)
    (raw / "test/glasses-1.jpg").rename(raw / "test" / name)
    rows = [[name, "glasses"], ["glasses-2.jpg", "glasses"], ["noglasses-1.jpg", "noglasses"]]
    rows += [["noglasses-2.jpg", "noglasses"]]
    pd.DataFrame(rows, columns=["file", "label"]).to_csv(raw / "test_labels.csv", index=False)
    assert warned() == {}
    assert manifest_rows()[f"train/glasses/{name}"]["label"] == "glasses"
    assert manifest_rows()[f"test/{name}"]["label"] == "glasses"


@pytest.mark.parametrize(
    "name", [".DS_Store", "train/.hidden.jpg", "train/glasses/._a.jpg", "test/.cache/a.jpg", "train/.cache/deep/a.jpg"]
)
def test_hidden_files_are_skipped(raw: Path, name: str) -> None:
    put(raw / name, b"no image")
    assert warned() == {}


def test_link_to_an_image_counts(raw: Path) -> None:
    # DVC can check out files as links to its cache.
    path = raw / "train/glasses/row-1-column-1.jpg"
    cached = path.rename(raw.parent / "cached")
    path.symlink_to(cached)
    assert verified()["images"] == 12
    assert manifest_rows()["train/glasses/row-1-column-1.jpg"]["bytes"] == str(cached.stat().st_size)


@pytest.mark.parametrize("format_", ["png", "gif", "bmp", "tif", "tiff", "webp", "avif", "jpeg", "PNG"])
def test_images_of_each_format_count(raw: Path, format_: str) -> None:
    (raw / "train/glasses/row-1-column-1.jpg").unlink()
    put(raw / f"train/glasses/a.{format_}", texture(99))
    assert verified()["train"] == {"glasses": 2, "noglasses": 2}


def test_class_may_be_named_unknown(raw: Path, tmp_path: Path) -> None:
    write_params(tmp_path, labels=("glasses", "unknown"))
    for split in ("train", "validate"):
        (raw / split / "noglasses").rename(raw / split / "unknown")
    (raw / "test_labels.csv").write_text((raw / "test_labels.csv").read_text().replace(",noglasses", ",unknown"))
    metrics = verified()
    assert metrics["test"] == {"glasses": 2, "unknown": 2}
    assert metrics["test_balance"] == "known"
    (raw / "train/unknown/row-1-column-1.jpg").rename(raw / "train/glasses/a.jpg")
    assert problems() == ("train/glasses: 3 images, expected 2", "train/unknown: 1 image, expected 2")


# --- counts and layout


def test_wrong_counts_are_problems(raw: Path) -> None:
    (raw / "train/noglasses/row-1-column-1.jpg").unlink()
    put(raw / "validate/glasses/more.jpg", texture(99))
    assert problems() == ("train/noglasses: 1 image, expected 2", "validate/glasses: 3 images, expected 2")


def test_missing_class_folder_is_a_problem(raw: Path) -> None:
    shutil.rmtree(raw / "train/noglasses")
    assert problems() == ("train/noglasses: 0 images, expected 2",)


def test_missing_split_is_a_problem(raw: Path) -> None:
    shutil.rmtree(raw / "validate")
    assert problems() == ("validate/glasses: 0 images, expected 2", "validate/noglasses: 0 images, expected 2")


def test_missing_data_raw_is_a_problem(raw: Path) -> None:
    shutil.rmtree(raw)
    assert problems() == tuple(
        f"{split}/{label}: 0 images, expected 2" for split in SPLITS for label in ("glasses", "noglasses")
    )


@pytest.mark.parametrize(
    ("place", "split"),
    [
        ("train/a.jpg", "train"),
        ("validate/a.jpg", "validate"),
    ],
)
def test_image_outside_class_folders_is_a_problem(raw: Path, place: str, split: str) -> None:
    put(raw / place, texture(99))
    assert problems() == (f"{place}: not in a class folder, expected {split}/glasses/ or {split}/noglasses/",)


@pytest.mark.parametrize("place", ["train/hats/a.jpg", "validate/hats/glasses/a.jpg", "test/hats/a.jpg"])
def test_third_class_is_a_problem_with_the_way_to_choose_two(raw: Path, place: str) -> None:
    put(raw / place, texture(99))
    error = refusal()
    assert error.problems == (
        "images of 3 classes; exactly two are possible, and dataset.classes are glasses and noglasses",
        "glasses: 4 images",
        "noglasses: 4 images",
        "hats: 1 image",
    )
    assert error.advice.startswith(
        "To use two of them, for example: anteojos init SOURCE --classes glasses noglasses\n"
    )
    assert error.advice.endswith(f"\n{ADVICE}")


@pytest.mark.parametrize("place", ["train/glasses/more/er/a.jpg", "train/Glasses/b.jpg", "test/noglasses/more/a.jpg"])
def test_folders_in_class_folders_and_other_case(raw: Path, tmp_path: Path, place: str) -> None:
    write_params(tmp_path, expected=None, source="archive", archive="a.zip")
    put(raw / place, texture(99))
    assert verified()["images"] == 13
    assert manifest_rows()[place]["label"] == ("noglasses" if "noglasses" in place else "glasses")


def test_class_folder_and_labels_in_nfd_are_those_of_params(raw: Path, tmp_path: Path) -> None:
    label, decomposed = "con anteojós 草", unicodedata.normalize("NFD", "con anteojós 草")
    write_params(tmp_path, labels=(label, "noglasses"))
    for split in ("train", "validate"):
        (raw / split / "glasses").rename(raw / split / decomposed)
    (raw / "test/glasses-1.jpg").rename(raw / "test" / unicodedata.normalize("NFC", "é.jpg"))
    nfd = unicodedata.normalize("NFD", "é.jpg")
    rows = [f"{nfd},{decomposed}", f"glasses-2.jpg,{label}", "noglasses-1.jpg,noglasses", "noglasses-2.jpg,noglasses"]
    write_labels(raw, *rows)
    assert verified()["test"] == {label: 2, "noglasses": 2}
    assert {row["label"] for row in manifest_rows().values()} == {label, "noglasses"}


# --- without expected counts


def test_without_expected_the_counts_are_reported(raw: Path, tmp_path: Path) -> None:
    write_params(tmp_path, expected=None, source="archive", archive="a.zip")
    put(raw / "train/glasses/more.jpg", texture(99))
    assert verified()["train"] == {"glasses": 3, "noglasses": 2}
    shutil.rmtree(raw / "train/noglasses")
    assert refusal().problems == ("train/noglasses: no images, expected at least 1",)


# --- images without a split


@pytest.fixture
def unsplit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data/raw with 24 cats and 4 dogs without a split."""
    monkeypatch.chdir(tmp_path)
    write_params(tmp_path, labels=("cats", "dogs"), expected=None, source="archive", archive="a.zip")
    folder = tmp_path / "data/raw"
    for number in range(28):
        put(folder / "unsplit" / ("dogs" if number < 4 else "cats") / f"a/{number}.png", texture(number))
    return folder


def test_images_without_a_split_get_one(unsplit: Path) -> None:
    metrics = verified()
    assert sum(metrics["validate"].values()) + sum(metrics["test"].values()) < sum(metrics["train"].values())
    assert all(metrics[split][label] for split in SPLITS for label in ("cats", "dogs"))
    rows = manifest_rows()
    assert len(rows) == metrics["images"] == 28
    assert [row["split"] for row in rows.values()] == [
        split for split in SPLITS for _ in range(sum(metrics[split].values()))
    ]
    assert all(file.startswith(f"unsplit/{row['label']}/a/") for file, row in rows.items())


def test_own_test_split_is_kept(unsplit: Path) -> None:
    for number in range(2):
        put(unsplit / f"test/cats/{number}.png", texture(100 + number))
    assert verified()["test"] == {"cats": 2, "dogs": 0}


def test_unsplit_images_need_shares(unsplit: Path, tmp_path: Path) -> None:
    options = {"labels": ("cats", "dogs"), "expected": None, "source": "archive", "archive": "a.zip"}
    write_params(tmp_path, split=None, **options)
    assert refusal().problems == (
        "unsplit: 28 images have no split, and dataset.split is empty; expected shares there",
    )


def test_too_few_images_to_split_are_a_problem(unsplit: Path) -> None:
    for number in range(1, 4):
        shutil.copy(unsplit / "unsplit/dogs/a/0.png", unsplit / f"unsplit/dogs/a/{number}.png")
    assert refusal().problems == (
        "unsplit/dogs: 4 images, all nearly the same; expected at least 2 that differ, for train and validate",
    )
    for number in range(1, 4):
        (unsplit / f"unsplit/dogs/a/{number}.png").unlink()
    assert refusal().problems == ("unsplit/dogs: 1 image; expected at least 2 that differ, for train and validate",)


def test_undecodable_image_without_a_split_is_a_problem(unsplit: Path) -> None:
    put(unsplit / "unsplit/cats/b.png", b"text")
    assert refusal().problems == ("unsplit/cats/b.png: not an image (4 bytes)",)


# --- images that cannot be decoded


def test_truncated_image_is_a_problem(raw: Path) -> None:
    path = raw / "validate/glasses/row-1-column-1.jpg"
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    (problem,) = problems()
    assert problem.startswith(f"validate/glasses/row-1-column-1.jpg: truncated image ({len(whole) // 2} bytes: ")


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "empty file (0 bytes)"),
        (b"<html>404 Not Found</html>", "not an image (26 bytes)"),
        (b"\xff\xd8\xff", "not an image (3 bytes)"),
    ],
)
def test_other_file_with_image_suffix_is_a_problem(raw: Path, content: bytes, problem: str) -> None:
    (raw / "train/glasses/row-1-column-1.jpg").write_bytes(content)
    assert problems() == (f"train/glasses/row-1-column-1.jpg: {problem}",)


def test_too_large_image_is_a_problem(raw: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoding, "MAX_PIXELS", 32 * 31)
    put(raw / "train/glasses/row-1-column-1.jpg", texture(99, width=33))
    assert problems() == ("train/glasses/row-1-column-1.jpg: too large: 33 × 31 px, at most 992 pixels",)


def test_broken_link_is_a_problem(raw: Path) -> None:
    path = raw / "train/glasses/row-1-column-1.jpg"
    path.unlink()
    path.symlink_to("nowhere.jpg")
    assert problems() == ("train/glasses/row-1-column-1.jpg: No such file or directory",)


# --- images in two splits


def test_duplicate_in_train_and_validate_is_a_problem(raw: Path) -> None:
    shutil.copy(raw / "train/glasses/row-1-column-2.jpg", raw / "validate/glasses/row-1-column-1.jpg")
    assert problems() == (
        "validate/glasses/row-1-column-1.jpg: the same image as train/glasses/row-1-column-2.jpg"
        " (0 of 64 hash bits differ)",
    )


def test_duplicate_with_another_label_in_test_is_a_problem(raw: Path) -> None:
    shutil.copy(raw / "train/glasses/row-1-column-2.jpg", raw / "test/noglasses-1.jpg")
    assert problems() == (
        "test/noglasses-1.jpg: the same image as train/glasses/row-1-column-2.jpg (0 of 64 hash bits differ)",
    )


def test_recompressed_duplicate_in_other_split_is_a_problem(raw: Path) -> None:
    put(raw / "validate/glasses/row-1-column-1.jpg", Image.open(raw / "train/glasses/row-1-column-2.jpg"), quality=50)
    (problem,) = problems()
    assert problem.startswith(
        "validate/glasses/row-1-column-1.jpg: nearly the same image as train/glasses/row-1-column-2.jpg ("
    )


def with_bits(number: int) -> Image.Image:
    """Return an image with all 64 hash bits set, except the last bit in each of the last `number` rows."""
    cells = np.tile(np.arange(9, dtype=np.uint8) * 20, (8, 1))
    cells[8 - number :, 8] = 130
    return Image.fromarray(np.repeat(cells.repeat(4, axis=0).repeat(4, axis=1)[..., None], 3, axis=2))


@pytest.mark.parametrize("bits", [0, 1, 4, 8])
def test_near_duplicate_bits_limits_the_differing_bits(raw: Path, tmp_path: Path, bits: int) -> None:
    write_params(tmp_path, near_duplicate_bits=bits)
    for split, differ in (("train", 0), ("validate", bits)):
        (raw / split / "glasses/row-1-column-1.jpg").unlink()
        put(raw / split / "glasses/a.png", with_bits(differ))
    likeness = "the same image as" if bits == 0 else "nearly the same image as"
    assert problems() == (f"validate/glasses/a.png: {likeness} train/glasses/a.png ({bits} of 64 hash bits differ)",)
    if bits < 8:
        put(raw / "validate/glasses/a.png", with_bits(bits + 1))
        assert warned() == {"odd_sizes": 2}


def test_each_of_many_copies_across_splits_is_reported(raw: Path) -> None:
    for place in ("train/glasses/row-1-column-2", "validate/glasses/row-1-column-1", "validate/glasses/row-1-column-2"):
        shutil.copy(raw / "train/glasses/row-1-column-1.jpg", raw / f"{place}.jpg")
    assert problems() == tuple(
        f"validate/glasses/row-1-column-{n}.jpg: the same image as train/glasses/row-1-column-1.jpg"
        " (0 of 64 hash bits differ)"
        for n in (1, 2)
    )


# --- warnings


def test_duplicate_within_a_split_is_a_warning(raw: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copy(raw / "train/glasses/row-1-column-1.jpg", raw / "train/noglasses/row-1-column-2.jpg")
    assert warned() == {"duplicates_within_split": 1}
    assert capsys.readouterr().err == (
        "warning (duplicates_within_split): train/noglasses/row-1-column-2.jpg: the same image as "
        "train/glasses/row-1-column-1.jpg (0 of 64 hash bits differ)\n"
    )


@pytest.mark.parametrize("mode", ["L", "CMYK"])
def test_image_that_is_not_rgb_is_a_warning(raw: Path, capsys: pytest.CaptureFixture[str], mode: str) -> None:
    put(raw / "train/glasses/row-1-column-1.jpg", texture(99).convert(mode))
    assert warned() == {"not_rgb": 1}
    assert capsys.readouterr().err == f"warning (not_rgb): train/glasses/row-1-column-1.jpg: {mode}, not RGB\n"


@pytest.mark.parametrize(
    ("width", "height", "odd"), [(32, 34, 0), (35, 28, 0), (32, 35, 1), (36, 31, 1), (32, 27, 1), (300, 310, 1)]
)
def test_size_that_differs_by_over_a_tenth_is_a_warning(
    raw: Path, capsys: pytest.CaptureFixture[str], width: int, height: int, odd: int
) -> None:
    put(raw / "train/glasses/row-1-column-1.jpg", texture(99, width, height))
    assert verified()["warnings"] == {**NO_WARNINGS, "odd_sizes": odd}
    line = f"warning (odd_sizes): train/glasses/row-1-column-1.jpg: {width} × {height} px, unlike the rest\n"
    assert capsys.readouterr().err == line * odd


@pytest.mark.parametrize("name", ["notes.txt", "Thumbs.db", "glasses/jpg"])
def test_file_that_is_not_an_image_is_a_warning(raw: Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
    put(raw / "train" / name, b"anything")
    assert warned() == {"not_images": 1}
    assert capsys.readouterr().err == f"warning (not_images): train/{name}: not an image, skipped\n"


@pytest.mark.parametrize(("name", "format_"), [("a.heic", "HEIC"), ("IMG_0001.HEIC", "HEIC"), ("a.nef", "NEF")])
def test_unsupported_format_is_a_warning_with_advice(
    raw: Path, capsys: pytest.CaptureFixture[str], name: str, format_: str
) -> None:
    put(raw / "train/glasses" / name, b"anything")
    assert warned() == {"not_images": 1}
    message = capsys.readouterr().err
    assert message == (
        f"warning (not_images): train/glasses/{name}: {format_} is not supported, skipped; convert it to JPEG or PNG\n"
    )
    if name == "a.heic":
        assert undocumented("A format that is not supported", message) == []


@pytest.mark.parametrize(("unlike", "last"), [(20, "19.txt: not an image, skipped"), (1021, "… and 1,001 more")])
def test_twenty_warnings_of_a_kind_are_printed(
    raw: Path, capsys: pytest.CaptureFixture[str], unlike: int, last: str
) -> None:
    for number in range(unlike):
        put(raw / f"train/glasses/{number:02}.txt", b"")
    put(raw / "validate/glasses/row-1-column-1.jpg", texture(99, 40, 31))
    assert warned() == {"not_images": unlike, "odd_sizes": 1}
    lines = capsys.readouterr().err.splitlines()
    assert sum("not an image, skipped" in line for line in lines) == 20
    assert [line for line in lines if "not_images" in line][-1].endswith(last)
    assert sum("unlike the rest" in line for line in lines) == 1


def test_warnings_are_counted_by_kind(raw: Path) -> None:
    put(raw / "train/glasses/row-1-column-1.jpg", texture(90).convert("L"))
    put(raw / "train/glasses/row-1-column-2.jpg", texture(91).convert("CMYK"))
    put(raw / "train/noglasses/row-1-column-1.jpg", texture(92, width=64))
    for name in ("a.txt", "b.txt", "c.txt"):
        put(raw / "train" / name, b"")
    shutil.copy(raw / "validate/glasses/row-1-column-1.jpg", raw / "validate/glasses/row-1-column-2.jpg")
    counted = {**NO_WARNINGS, "not_images": 3, "not_rgb": 2, "odd_sizes": 1, "duplicates_within_split": 1}
    assert verified()["warnings"] == counted


# --- faces

SIZE = 80  # px, of the drawn faces


@pytest.fixture
def drawn(raw: Path, tmp_path: Path) -> Path:
    """A valid data/raw with a drawn face in each image, and preprocess.crop: face."""
    write_params(tmp_path, crop="face")
    for seed, path in enumerate(sorted(raw.rglob("*.jpg"))):
        drawn_face(100 + seed, SIZE).save(path, quality=95)
    return raw


def bars(seed: int) -> Image.Image:
    """Return random grey bars, in which no face is detected."""
    greys = np.random.default_rng(seed).integers(0, 256, 9, dtype=np.uint8).repeat(10)
    return Image.fromarray(np.broadcast_to(greys[np.newaxis, :, np.newaxis], (80, 90, 3)).copy())


def write_no_face(folder: Path, value: str) -> None:
    values = yaml.safe_load((folder / "params.yaml").read_text(encoding="utf-8"))
    values["preprocess"]["no_face"] = value
    (folder / "params.yaml").write_text(yaml.safe_dump(values), encoding="utf-8")


def face_problems() -> tuple[tuple[str, ...], str]:
    error = refusal()
    return error.problems, error.advice


def side_by_side(*seeds: int, sizes: tuple[int, ...]) -> Image.Image:
    sheet = Image.new("RGB", (sum(sizes), max(sizes)), "grey")
    for number, (seed, size) in enumerate(zip(seeds, sizes, strict=True)):
        sheet.paste(drawn_face(seed, size), (sum(sizes[:number]), 0))
    return sheet


def test_manifest_has_the_position_of_each_face(drawn: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert warned() == {}
    assert capsys.readouterr() == ("", "")
    rows = manifest_rows()
    for seed, path in enumerate(sorted(drawn.rglob("*.jpg"))):
        row = rows[path.relative_to(drawn).as_posix()]
        face = Face.of([row[name] for name in manifest.FACE])
        assert row["faces"] == "1"
        assert face is not None
        eyes = drawn_eyes(100 + seed, SIZE)
        assert np.abs(np.array(face.eyes) - eyes).max() < 0.25 * np.linalg.norm(eyes[1] - eyes[0])


def test_hash_is_that_of_the_aligned_face(drawn: Path) -> None:
    # The same face at another position in a larger image is a duplicate.
    path = put(drawn / "train/glasses/row-1-column-1.jpg", drawn_face(7, 200), quality=95)
    larger = np.pad(np.asarray(drawn_face(7, 200)), ((60, 20), (30, 90), (0, 0)), mode="edge")
    put(drawn / "train/glasses/row-1-column-2.jpg", Image.fromarray(larger), quality=95)
    assert warned() == {"duplicates_within_split": 1}
    rows = manifest_rows()
    row = rows["train/glasses/row-1-column-1.jpg"]
    face = Face.of([row[name] for name in manifest.FACE])
    with Image.open(path) as image:
        aligned = faces.align(image.convert("RGB"), face.eyes, 72)
    assert row["dhash"] == f"{decoding.difference_hash(aligned):016x}"


def test_duplicate_face_at_another_position_is_a_problem(drawn: Path) -> None:
    for place, corner in (("train/glasses/row-1-column-1", (2, 4)), ("validate/glasses/row-1-column-1", (35, 30))):
        sheet = Image.new("RGB", (160, 155), "white")
        sheet.paste(drawn_face(2, 120), corner)
        put(drawn / f"{place}.jpg", sheet, quality=95)
    found, advice = face_problems()
    assert advice == ADVICE
    assert [problem.partition(" (")[0] for problem in found] == [
        "validate/glasses/row-1-column-1.jpg: nearly the same image as train/glasses/row-1-column-1.jpg"
    ]


def test_several_faces_warn_and_the_largest_is_used(drawn: Path, capsys: pytest.CaptureFixture[str]) -> None:
    put(drawn / "train/glasses/row-1-column-1.jpg", side_by_side(200, 201, sizes=(80, 140)))
    assert warned() == {"several_faces": 1}
    assert capsys.readouterr().err == (
        "warning (several_faces): train/glasses/row-1-column-1.jpg: 2 faces, the largest is used\n"
    )
    row = manifest_rows()["train/glasses/row-1-column-1.jpg"]
    assert row["faces"] == "2"
    assert float(row["left"]) > 80


def test_image_without_a_face_is_a_problem(drawn: Path) -> None:
    put(drawn / "train/glasses/row-1-column-1.jpg", bars(99))
    put(drawn / "test/noglasses-2.jpg", bars(98))
    assert face_problems() == (
        ("train/glasses/row-1-column-1.jpg: no face found", "test/noglasses-2.jpg: no face found"),
        f"To use images without a face as a whole, set preprocess.no_face: whole in params.yaml. {ADVICE}",
    )


def test_no_face_is_a_warning_if_whole_images_are_used(
    drawn: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_no_face(tmp_path, "whole")
    path = put(drawn / "train/glasses/row-1-column-1.jpg", bars(99))
    assert warned() == {"no_face": 1}
    assert capsys.readouterr().err == "warning (no_face): train/glasses/row-1-column-1.jpg: no face found\n"
    row = manifest_rows()["train/glasses/row-1-column-1.jpg"]
    assert {row[name] for name in manifest.FACE} == {""}
    assert row["faces"] == "0"
    with Image.open(path) as whole:
        assert row["dhash"] == f"{decoding.difference_hash(whole.convert('RGB')):016x}"


@pytest.mark.parametrize(("more", "last"), [(20, "no face found"), (25, "  … and 5 more")])
def test_twenty_images_without_a_face_are_listed(drawn: Path, tmp_path: Path, more: int, last: str) -> None:
    expected = {split: {"glasses": 2, "noglasses": 2} for split in SPLITS}
    expected["train"] = {"glasses": 2 + more, "noglasses": 2}
    write_params(tmp_path, crop="face", expected=expected)
    for seed in range(more):
        put(drawn / f"train/glasses/{seed:02}.png", Image.new("RGB", (40, 40), (9 * seed, 90, 90)))
    lines = str(refusal()).splitlines()[1:-1]
    assert sum(line.endswith(": no face found") for line in lines) == 20
    assert lines[-1].endswith(last)
    assert len(lines) == 20 + (more > 20)


@pytest.mark.parametrize("no_face", ["fail", "whole"])
def test_advice_if_most_images_show_no_face(drawn: Path, tmp_path: Path, no_face: str) -> None:
    write_no_face(tmp_path, no_face)
    for seed, path in enumerate(sorted(drawn.rglob("*.jpg"))[:7]):
        put(path, bars(seed))
    if no_face == "whole":
        assert warned() == {"no_face": 7}
        return
    found, advice = face_problems()
    assert len(found) == 7
    assert advice == (
        f"Most images show no face: if they are not meant to, set preprocess.crop: none in params.yaml. {ADVICE}"
    )


def test_crop_none_does_not_detect_faces(drawn: Path, tmp_path: Path) -> None:
    write_params(tmp_path, crop="none")
    put(drawn / "train/glasses/row-1-column-1.jpg", texture(99, SIZE, SIZE))
    put(drawn / "train/glasses/row-1-column-2.jpg", drawn_face(300, SIZE))
    assert warned() == {}
    assert {row["faces"] for row in manifest_rows().values()} == {"0"}


def test_photographs_of_many_sizes_are_no_warning(raw: Path) -> None:
    for number, path in enumerate(sorted(raw.rglob("*.jpg"))):
        put(path, texture(number, 32 + 8 * number, 60 + 5 * (number % 3)))
    assert warned() == {}


@pytest.mark.parametrize(("crop", "odd"), [("face", 0), ("none", 1)])
def test_sizes_are_compared_only_for_whole_images(drawn: Path, tmp_path: Path, crop: str, odd: int) -> None:
    write_params(tmp_path, crop=crop)
    put(drawn / "train/glasses/row-1-column-1.jpg", drawn_face(300, 200))
    assert verified()["warnings"] == {**NO_WARNINGS, "odd_sizes": odd}


def test_no_advice_on_faces_without_images(tmp_path: Path, raw: Path) -> None:
    write_params(tmp_path, crop="face")
    shutil.rmtree(raw)
    assert refusal().advice == ADVICE


def test_all_problems_of_faces_are_listed_at_once(drawn: Path) -> None:
    (drawn / "train/noglasses/row-1-column-1.jpg").unlink()
    (drawn / "train/glasses/row-1-column-1.jpg").write_bytes(b"")
    put(drawn / "validate/glasses/row-1-column-1.jpg", bars(99))
    assert face_problems()[0] == (
        "train/glasses/row-1-column-1.jpg: empty file (0 bytes)",
        "train/noglasses: 1 image, expected 2",
        "validate/glasses/row-1-column-1.jpg: no face found",
    )


# --- the labels of the test split


def sort_test_images_into_folders(raw: Path) -> None:
    (raw / "test_labels.csv").unlink()
    for label in ("glasses", "noglasses"):
        (raw / "test" / label).mkdir()
        for number in (1, 2):
            (raw / f"test/{label}-{number}.jpg").rename(raw / f"test/{label}/{number}.jpg")


def test_test_labels_from_folders(raw: Path) -> None:
    sort_test_images_into_folders(raw)
    metrics = verified()
    assert metrics["test"] == {"glasses": 2, "noglasses": 2}
    assert metrics["test_balance"] == "known"
    assert manifest_rows()["test/noglasses/2.jpg"]["label"] == "noglasses"


def test_wrong_counts_in_test_folders_are_problems(raw: Path) -> None:
    sort_test_images_into_folders(raw)
    (raw / "test/glasses/1.jpg").rename(raw / "test/noglasses/3.jpg")
    assert problems() == ("test/glasses: 1 image, expected 2", "test/noglasses: 3 images, expected 2")


def test_test_balance_without_labels_is_not_known(raw: Path) -> None:
    (raw / "test_labels.csv").unlink()
    metrics = verified()
    assert metrics["test"] == {"glasses": 0, "noglasses": 0, "not known": 4}
    assert metrics["test_balance"] == "not known"
    assert manifest_rows()["test/glasses-1.jpg"]["label"] == ""


def test_test_total_without_labels_is_checked(raw: Path) -> None:
    (raw / "test_labels.csv").unlink()
    (raw / "test/glasses-1.jpg").unlink()
    assert problems() == ("test: 3 images, expected 4",)


def test_table_that_agrees_with_folders_is_accepted(raw: Path) -> None:
    sort_test_images_into_folders(raw)
    write_labels(raw, "glasses/1.jpg,glasses", "test/noglasses/1.jpg,noglasses")
    assert verified()["test"] == {"glasses": 2, "noglasses": 2}


def test_table_that_contradicts_folders_is_a_problem(raw: Path) -> None:
    sort_test_images_into_folders(raw)
    write_labels(raw, "glasses/1.jpg,noglasses", "noglasses/1.jpg,glasses")
    assert problems() == (
        "test/glasses/1.jpg: in the folder of glasses, but noglasses in test_labels.csv",
        "test/noglasses/1.jpg: in the folder of noglasses, but glasses in test_labels.csv",
    )


GOOD_ROWS = ("glasses-1.jpg,glasses", "glasses-2.jpg,glasses", "noglasses-1.jpg,noglasses", "noglasses-2.jpg,noglasses")


@pytest.mark.parametrize(
    "text",
    [
        "\n".join(("file,label", *GOOD_ROWS)),
        "\r\n".join(("file,label", *GOOD_ROWS, "")),
        "\n".join(("\ufefffile,label", *GOOD_ROWS)),
        "\n".join(("file,label", *(f"test/{row}" for row in GOOD_ROWS))),
        "\n".join(("file,label", *(f" {row.replace(',', ' , ')} " for row in GOOD_ROWS))),
        "\n".join(("file,label", *GOOD_ROWS, *GOOD_ROWS)),
        "\n".join(("label,note,file", *(f"{row.split(',')[1]},x,{row.split(',')[0]}" for row in GOOD_ROWS))),
        "\n".join(("file,label", *('"' + row.replace(",", '","') + '"' for row in GOOD_ROWS))),
        "\r\n".join(("FILE;Label", *(row.replace(",", ";") for row in GOOD_ROWS), ";", "")),
        "\r\n".join(("sep=;", "file;label", *(row.replace(",", ";") for row in GOOD_ROWS))),
        "\r\n".join(("File\tLabel", *(row.replace(",", "\t") for row in GOOD_ROWS))),
        "\n".join(("file,label", *(rf"test\{row.split(',')[0]},{row.split(',')[1].upper()}" for row in GOOD_ROWS))),
        "\n".join(("", "file,label,", *(f"{row},," for row in GOOD_ROWS))),
    ],
    ids=["no-last-newline", "windows", "bom", "test-prefix", "spaces", "repeated", "other-columns", "quotes",
         "semicolons", "sep", "tabs", "backslashes-and-case", "empty-cells"],
)  # fmt: skip
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_csv_variants_are_read(raw: Path, text: str, encoding: str) -> None:
    # Excel in Spanish saves "CSV" with semicolons in Windows-1252, "CSV UTF-8" with a mark, and "Unicode" in UTF-16.
    (raw / "test/glasses-1.jpg").rename(raw / "test/año-1.jpg")
    text = re.sub(r"(?<!no)glasses-1\.jpg", "año-1.jpg", text.replace("\ufeff", ""))
    (raw / "test_labels.csv").write_bytes(text.encode(encoding))
    assert verified()["test"] == {"glasses": 2, "noglasses": 2}


def test_encoding_that_is_not_certain_must_match(raw: Path) -> None:
    (raw / "test/glasses-1.jpg").rename(raw / "test/año-1.jpg")
    (raw / "test_labels.csv").write_bytes("\n".join(("file,label", "año-1.jpg,glasses")).encode("mac_roman"))
    message = str(refusal())
    assert undocumented("Labels of test images that cannot be read", message, 1) == []
    assert message.splitlines() == [
        "test_labels.csv: not UTF-8, and wrong if it is Windows-1252",
        "  test_labels.csv, line 2: test/a–o-1.jpg: not one of the test images",
        "Save it as CSV in UTF-8 with the columns file,label: in Excel, choose “CSV UTF-8” in “Save as”.",
    ]


def test_rows_with_other_numbers_of_cells_are_rejected(raw: Path) -> None:
    write_labels(raw, "a,b.jpg,glasses", *GOOD_ROWS, "c,d.jpg,glasses")
    assert refusal().problems == (
        "test_labels.csv, line 2: 3 cells, expected 2", "test_labels.csv, line 7: 3 cells, expected 2"
    )  # fmt: skip


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        (
            (*GOOD_ROWS, "glasses-1.jpg,hats"),
            ["test_labels.csv, line 6: label 'hats', expected glasses or noglasses"],
        ),
        (
            (*GOOD_ROWS, "gone.jpg,glasses"),
            ["test_labels.csv, line 6: test/gone.jpg: not one of the test images"],
        ),
        (
            (*GOOD_ROWS, "glasses-1.jpg,noglasses"),
            ["test_labels.csv, line 6: test/glasses-1.jpg: noglasses here and glasses above"],
        ),
        (
            GOOD_ROWS[:3],
            ["test/noglasses-2.jpg: has no row in test_labels.csv"],
        ),
        (
            ("glasses-1.jpg,noglasses", *GOOD_ROWS[1:]),
            ["test/glasses: 1 image, expected 2", "test/noglasses: 3 images, expected 2"],
        ),
        (
            (*GOOD_ROWS[:3], "noglasses-2.jpg"),
            [
                "test_labels.csv, line 5: label '', expected glasses or noglasses",
                "test/noglasses-2.jpg: has no row in test_labels.csv",
            ],
        ),
        (
            (*GOOD_ROWS, "../train/glasses/row-1-column-1.jpg,glasses"),
            [
                "test_labels.csv, line 6: test/../train/glasses/row-1-column-1.jpg: not one of the test images",
            ],
        ),
        (
            (),
            [f"test/{row.split(',')[0]}: has no row in test_labels.csv" for row in GOOD_ROWS],
        ),
    ],
    ids=["label", "file", "contradiction", "missing", "counts", "half-a-row", "other-folder", "empty"],
)
def test_rows_that_do_not_match_the_images_are_problems(raw: Path, rows: tuple[str, ...], expected: list[str]) -> None:
    write_labels(raw, *rows)
    assert list(problems()) == expected


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"name,class\na.jpg,glasses\n", "test_labels.csv: has the columns name, class; expected file,label"),
        (b"file\na.jpg\n", "test_labels.csv: has the columns file; expected file,label"),
        (b"file;FILE;label\na;b;glasses\n", "test_labels.csv: has the columns file, file, label; expected file,label"),
        (b"\xff\xfef\0i\0l\0e\0", "test_labels.csv: has the columns file; expected file,label"),
        (b"a.jpg,glasses\nb.jpg,glasses\n", "test_labels.csv: has the columns a.jpg, glasses; expected file,label"),
    ],
)
def test_table_with_other_columns_is_rejected(raw: Path, content: bytes, message: str) -> None:
    (raw / "test_labels.csv").write_bytes(content)
    assert str(refusal()) == f"{message}\n{labels_table.SAVE}"


@pytest.mark.parametrize(
    "content",
    [b"", b"\n\n", bytes(range(256)), b"\xff\xfef", b'file,label\n"a.jpg,glasses\n', b"file,label\na\x81,glasses\n"],
    ids=["empty", "blank", "garbage", "utf-16", "open-quote", "encoding"],
)
def test_file_that_is_not_csv_is_rejected(raw: Path, content: bytes) -> None:
    (raw / "test_labels.csv").write_bytes(content)
    error = refusal()
    assert error.headline == "test_labels.csv: not a CSV table"
    assert len(error.problems) == 1
    assert error.advice == labels_table.SAVE


# --- everything at once


def test_all_problems_are_listed_at_once(raw: Path) -> None:
    (raw / "train/noglasses/row-1-column-1.jpg").unlink()
    (raw / "train/glasses/row-1-column-1.jpg").write_bytes(b"")
    put(raw / "train/a.jpg", texture(99))
    shutil.copy(raw / "train/glasses/row-1-column-2.jpg", raw / "validate/glasses/row-1-column-1.jpg")
    (raw / "validate/noglasses/row-1-column-2.jpg").write_bytes(b"text")
    write_labels(raw, *GOOD_ROWS[1:], "glasses-1.jpg,hats")
    assert str(refusal()) == (
        f"{Path('data/raw')} does not match params.yaml\n"
        "  train/a.jpg: not in a class folder, expected train/glasses/ or train/noglasses/\n"
        "  test_labels.csv, line 5: label 'hats', expected glasses or noglasses\n"
        "  test/glasses-1.jpg: has no row in test_labels.csv\n"
        "  train/glasses/row-1-column-1.jpg: empty file (0 bytes)\n"
        "  validate/noglasses/row-1-column-2.jpg: not an image (4 bytes)\n"
        "  train/noglasses: 1 image, expected 2\n"
        "  validate/glasses/row-1-column-1.jpg: the same image as train/glasses/row-1-column-2.jpg"
        " (0 of 64 hash bits differ)\n"
        f"{ADVICE}"
    )


def test_each_undecodable_image_is_listed(raw: Path) -> None:
    for path in raw.rglob("*.jpg"):
        path.write_bytes(b"")
    assert len(problems()) == 12


def test_stage_exits_with_the_problems_and_status_1(raw: Path, tmp_path: Path) -> None:
    (raw / "train/glasses/row-1-column-1.jpg").unlink()
    environment = {name: value for name, value in os.environ.items() if name != "DVC_STAGE"}
    done = subprocess.run(
        [sys.executable, "-m", "anteojos.stages.verify"], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr == (
        f"{Path('data/raw')} does not match params.yaml\n  train/glasses: 1 image, expected 2\n{ADVICE}\n"
    )


def test_counts_have_not_known_only_if_needed(raw: Path) -> None:
    dataset = verify.Params.load().dataset
    found = [checks.ImageFile("a.jpg", "train", "glasses"), checks.ImageFile("b.jpg", "test", "")]
    assert checks.counts(found, dataset) == {
        "train": {"glasses": 1, "noglasses": 0},
        "validate": {"glasses": 0, "noglasses": 0},
        "test": {"glasses": 0, "noglasses": 0, "not known": 1},
    }

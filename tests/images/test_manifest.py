"""Manifests are read back as they were written."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from anteojos.images import manifest
from anteojos.images.faces import Face

FACE = Face((10.5, 20.25, 90.5, 100.25), ((30.0, 50.125), (70.0, 51.0)), -0.12, 0.91)
NO_FACE = {"faces": 0, **dict.fromkeys(manifest.FACE, np.nan)}


def row(**changed: object) -> dict[str, object]:
    return {
        "file": "train/glasses/row-1-column-1.jpg",
        "split": "train",
        "label": "glasses",
        "width": 160,
        "height": 155,
        "mode": "RGB",
        "bytes": 6381,
        "sha256": "ab" * 32,
        "dhash": "00ff00ff00ff00ff",
        "faces": 1,
        **dict(zip(manifest.FACE, FACE.values, strict=True)),
    } | changed


def written_and_read(tmp_path: Path, *rows: dict[str, object]) -> list[dict[str, object]]:
    manifest.write(pd.DataFrame(rows, columns=list(manifest.COLUMNS)), tmp_path / "manifest.csv")
    return manifest.read(tmp_path / "manifest.csv").to_dict("records")


def test_manifest_is_a_plain_csv(tmp_path: Path) -> None:
    table = pd.DataFrame([row(), row(file='test/a, "b".jpg', split="test", label="", **NO_FACE)])
    manifest.write(table, tmp_path / "manifest.csv")
    assert (tmp_path / "manifest.csv").read_bytes().decode("utf-8") == (
        "file,split,label,width,height,mode,bytes,sha256,dhash,faces,"
        "left,top,right,bottom,left_eye_x,left_eye_y,right_eye_x,right_eye_y,turn,score\n"
        f"train/glasses/row-1-column-1.jpg,train,glasses,160,155,RGB,6381,{'ab' * 32},00ff00ff00ff00ff,1,"
        "10.5,20.25,90.5,100.25,30.0,50.125,70.0,51.0,-0.12,0.91\n"
        f'"test/a, ""b"".jpg",test,,160,155,RGB,6381,{"ab" * 32},00ff00ff00ff00ff,0,,,,,,,,,,\n'
    )


@pytest.mark.parametrize(
    "name",
    ["a b.jpg", "a,b.jpg", 'a"b".jpg', "ñandú 眼镜.jpg", "a'b.jpg", "a\nb.jpg", "NA", "null", "007", "1e5", " a "],
)
def test_any_file_name_is_read_back(tmp_path: Path, name: str) -> None:
    rows = [row(file=name), row(file="b.jpg")]
    assert written_and_read(tmp_path, *rows) == rows
    assert written_and_read(tmp_path, rows[0]) == rows[:1]


@pytest.mark.parametrize("label", ["glasses", "", "NA", "None", "nan", "0", "01", "true"])
def test_any_label_is_read_back(tmp_path: Path, label: str) -> None:
    assert written_and_read(tmp_path, row(label=label)) == [row(label=label)]


def test_checksums_of_digits_stay_text(tmp_path: Path) -> None:
    rows = [row(sha256="0" * 63 + "1", dhash="0000000000000012"), row(sha256="1" * 64, dhash="12345e0789012345")]
    assert written_and_read(tmp_path, *rows) == rows


def faces_of(tmp_path: Path, *rows: dict[str, object]) -> list[Face | None]:
    return [Face.of([each[name] for name in manifest.FACE]) for each in written_and_read(tmp_path, *rows)]


@pytest.mark.parametrize("found", [(FACE, None), (FACE, FACE), (None, None)])
def test_face_or_no_face_is_read_back(tmp_path: Path, found: tuple[Face | None, ...]) -> None:
    rows = [row() if face else row(**NO_FACE) for face in found]
    assert faces_of(tmp_path, *rows) == list(found)


def test_numbers_of_a_face_are_read_back_exactly(tmp_path: Path) -> None:
    face = replace(FACE, box=(0.1 + 0.2, -1 / 3, 1e-7, 123456.789), turn=0.1, score=1 / 3)
    assert faces_of(tmp_path, row(**dict(zip(manifest.FACE, face.values, strict=True)))) == [face]


def test_number_of_faces_stays_an_integer(tmp_path: Path) -> None:
    found = written_and_read(tmp_path, row(faces=3), row(**NO_FACE))
    assert [each["faces"] for each in found] == [3, 0]
    assert type(found[0]["faces"]) is int


def test_empty_manifest_has_all_columns(tmp_path: Path) -> None:
    manifest.write(pd.DataFrame(columns=list(manifest.COLUMNS)), tmp_path / "manifest.csv")
    table = manifest.read(tmp_path / "manifest.csv")
    assert tuple(table.columns) == manifest.COLUMNS
    assert len(table) == 0
    assert all(table[name].dtype == np.float64 for name in manifest.FACE)


def test_index_has_the_columns_of_later_stages() -> None:
    assert set(manifest.INDEX) == {"file", "label", "width", "height", "faces", *manifest.FACE}
    assert set(manifest.INDEX) < set(manifest.COLUMNS)


def test_index_with_some_columns_is_read(tmp_path: Path) -> None:
    (tmp_path / "index.csv").write_text("file,label\ntest/1.jpg,\ntest/2.jpg,1\n")
    assert manifest.read(tmp_path / "index.csv").to_dict("records") == [
        {"file": "test/1.jpg", "label": ""},
        {"file": "test/2.jpg", "label": "1"},
    ]


def test_only_requested_columns_are_read(tmp_path: Path) -> None:
    (tmp_path / "manifest.csv").write_text("file,split,label,width\na.jpg,test,,160\n")
    table = manifest.read(tmp_path / "manifest.csv", ("file", "label"))
    assert table.to_dict("records") == [{"file": "a.jpg", "label": ""}]

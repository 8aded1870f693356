"""Tables come back from their files as they were written."""

from pathlib import Path

import pandas as pd
import pytest

from anteojos import manifest


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
        "panel": True,
    } | changed


def written_and_read(tmp_path: Path, *rows: dict[str, object]) -> list[dict[str, object]]:
    manifest.write(pd.DataFrame(rows, columns=list(manifest.COLUMNS)), tmp_path / "manifest.csv")
    return manifest.read(tmp_path / "manifest.csv").to_dict("records")


def test_a_manifest_is_a_plain_csv(tmp_path: Path) -> None:
    table = pd.DataFrame([row(), row(file='test/a, "b".jpg', split="test", label="", panel=False)])
    manifest.write(table, tmp_path / "manifest.csv")
    assert (tmp_path / "manifest.csv").read_bytes().decode("utf-8") == (
        "file,split,label,width,height,mode,bytes,sha256,dhash,panel\n"
        f"train/glasses/row-1-column-1.jpg,train,glasses,160,155,RGB,6381,{'ab' * 32},00ff00ff00ff00ff,True\n"
        f'"test/a, ""b"".jpg",test,,160,155,RGB,6381,{"ab" * 32},00ff00ff00ff00ff,False\n'
    )


@pytest.mark.parametrize(
    "name",
    ["a b.jpg", "a,b.jpg", 'a"b".jpg', "ñandú 眼镜.jpg", "a'b.jpg", "a\nb.jpg", "NA", "null", "007", "1e5", " a "],
)
def test_any_file_name_comes_back(tmp_path: Path, name: str) -> None:
    rows = [row(file=name), row(file="b.jpg")]
    assert written_and_read(tmp_path, *rows) == rows
    assert written_and_read(tmp_path, rows[0]) == rows[:1]


@pytest.mark.parametrize("label", ["glasses", "", "NA", "None", "nan", "0", "01", "true"])
def test_any_label_comes_back(tmp_path: Path, label: str) -> None:
    assert written_and_read(tmp_path, row(label=label)) == [row(label=label)]


def test_checksums_of_digits_alone_stay_text(tmp_path: Path) -> None:
    rows = [row(sha256="0" * 63 + "1", dhash="0000000000000012"), row(sha256="1" * 64, dhash="12345e0789012345")]
    assert written_and_read(tmp_path, *rows) == rows


@pytest.mark.parametrize("panels", [(True, False), (True, True), (False, False)])
def test_whether_there_is_a_panel_comes_back_as_yes_or_no(tmp_path: Path, panels: tuple[bool, bool]) -> None:
    rows = [row(panel=panel) for panel in panels]
    assert written_and_read(tmp_path, *rows) == rows


def test_an_empty_manifest_has_its_columns(tmp_path: Path) -> None:
    manifest.write(pd.DataFrame(columns=list(manifest.COLUMNS)), tmp_path / "manifest.csv")
    table = manifest.read(tmp_path / "manifest.csv")
    assert tuple(table.columns) == manifest.COLUMNS
    assert len(table) == 0
    assert table["panel"].dtype == bool


def test_an_index_with_some_of_the_columns_is_read(tmp_path: Path) -> None:
    (tmp_path / "index.csv").write_text("file,label\ntest/1.jpg,\ntest/2.jpg,1\n")
    assert manifest.read(tmp_path / "index.csv").to_dict("records") == [
        {"file": "test/1.jpg", "label": ""},
        {"file": "test/2.jpg", "label": "1"},
    ]


def test_only_the_columns_that_are_asked_for_are_read(tmp_path: Path) -> None:
    (tmp_path / "manifest.csv").write_text("file,split,label,width\na.jpg,test,,160\n")
    table = manifest.read(tmp_path / "manifest.csv", ("file", "label"))
    assert table.to_dict("records") == [{"file": "a.jpg", "label": ""}]

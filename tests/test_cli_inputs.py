"""What the command `anteojos` reads: files of the checkout from subfolders, archives, and nothing endless."""

import csv
import io
import json
import os
import re
import resource
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from anteojos.cli import main
from anteojos.sources import unpacking
from tests.conftest import ROOT
from tests.pages import undocumented

MIB = 1 << 20


@pytest.fixture
def checkout(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout with a model for the classes bright and dark, and its subfolder `a/b`, which is the current folder."""
    folder = tmp_path / "checkout"
    (folder / "a/b").mkdir(parents=True)
    (folder / "models").mkdir()
    shutil.copy(ROOT / "dvc.yaml", folder)
    write_classes(folder, "bright", "dark")
    shutil.copy(model, folder / "models/model.tflite")
    monkeypatch.chdir(folder / "a/b")
    return folder


def write_classes(checkout: Path, first: str, second: str) -> None:
    text = (ROOT / "params.yaml").read_text(encoding="utf-8")
    text = re.sub(r"(folder: |^ +)noglasses\b", rf"\1{second}", text, flags=re.MULTILINE)
    text = re.sub(r"(folder: |^ +)glasses\b", rf"\1{first}", text, flags=re.MULTILINE)
    (checkout / "params.yaml").write_text(text, encoding="utf-8")


def noise(path: Path, low: int, high: int, seed: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.random.default_rng(seed).integers(low, high, (60, 80, 3), dtype=np.uint8)).save(path)
    return path


@pytest.fixture
def pets(tmp_path: Path) -> Path:
    """A folder with 24 images of two classes that nothing but their content tells apart, and a note."""
    for number in range(24):
        noise(tmp_path / f"pets/{('cats', 'dogs')[number % 2]}/{number}.png", 0, 255, number)
    (tmp_path / "pets/notes.txt").touch()
    return tmp_path / "pets"


def packed(folder: Path, kind: str) -> Path:
    """Pack a folder into a zip or a tar beside it."""
    path = folder.with_suffix(f".{kind}")
    files = sorted(file for file in folder.rglob("*") if file.is_file())
    if kind == "zip":
        with zipfile.ZipFile(path, "w") as archive:
            for file in files:
                archive.write(file, file.relative_to(folder.parent))
    else:
        with tarfile.open(path, "w:gz") as archive:
            for file in files:
                archive.add(file, file.relative_to(folder.parent))
    return path


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


# --- subfolders


def test_model_is_found_from_a_subfolder(checkout: Path, capsys: pytest.CaptureFixture[str]) -> None:
    noise(checkout / "a/b/1.png", 200, 255, 1)
    noise(checkout / "1.png", 0, 40, 1)
    assert main(["predict", "1.png", "../../1.png"]) == 0
    captured = capsys.readouterr()
    assert [(row["file"], row["label"]) for row in rows(captured.out)] == [("1.png", "bright"), ("../../1.png", "dark")]
    assert captured.err == ""
    assert main(["predict", "1.png", "--model", "models/model.tflite"]) == 1
    assert "models/model.tflite: No such file or directory" in capsys.readouterr().err


def test_split_is_found_from_a_subfolder(checkout: Path, capsys: pytest.CaptureFixture[str]) -> None:
    noise(checkout / "data/raw/train/bright/1.png", 0, 255, 1)
    assert main(["show"]) == 0
    assert capsys.readouterr().out == "Wrote ../../contact-sheet.png.\n"
    assert (checkout / "contact-sheet.png").is_file()
    assert main(["show", "--output", "sheet.png"]) == 0
    assert (checkout / "a/b/sheet.png").is_file()


def test_images_drawn_in_the_checkout_are_ignored_by_git() -> None:
    names = ["contact-sheet.png", "report.html", "leak.png"]
    done = subprocess.run(["git", "check-ignore", *names], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout.split() == names


@pytest.mark.parametrize("place", ["a/b", "."])
def test_model_of_other_classes_is_reported(
    place: str, checkout: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(checkout / place)
    noise(Path("1.png"), 200, 255, 1)
    write_classes(checkout, "mask", "no mask")
    assert main(["predict", "--quiet", "1.png"]) == 0
    captured = capsys.readouterr()
    shown = Path(os.path.relpath(checkout / "models/model.tflite"))
    assert captured.err == (
        f"warning: {shown} was trained for bright and dark, but the classes in params.yaml are mask and no mask: "
        "run `make repro`\n"
    )
    assert rows(captured.out)[0]["label"] == "bright"
    as_documented = captured.err.replace("../", "").replace("bright", "glasses").replace("dark", "noglasses")
    assert undocumented("A model of other classes", as_documented.replace("no mask", "nomask")) == []
    # Another model, and a params.yaml that cannot be read.
    shutil.copy(shown, "other.tflite")
    assert main(["predict", "1.png", "--model", "other.tflite"]) == 0
    (checkout / "params.yaml").write_text("dataset: [")
    assert main(["predict", "1.png"]) == 0
    assert capsys.readouterr().err == ""


# --- archives


@pytest.mark.parametrize("kind", ["zip", "tgz"])
def test_images_of_an_archive_are_labelled(
    kind: str, model: Path, pets: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    archive = packed(pets, kind)
    (pets / "dogs/1.png").write_bytes(b"no image")
    broken = packed(pets, kind)
    annotated = pets.parent / "labelled"
    arguments = ["predict", "--model", str(model), "--annotate", str(annotated)]
    assert main([*arguments, str(broken)]) == 3
    captured = capsys.readouterr()
    table = rows(captured.out)
    assert captured.err == "Skipped 1 file of other formats.\n"
    assert [row["file"] for row in table] == sorted(
        f"{archive}/pets/{('cats', 'dogs')[number % 2]}/{number}.png" for number in range(24)
    )
    assert [row["error"] for row in table if row["error"]] == ["not an image (8 bytes)"]
    assert {path.relative_to(annotated).as_posix() for path in annotated.rglob("*.png")} == {
        row["file"].removeprefix(f"{archive}/pets/") for row in table if not row["error"]
    }


def test_unsafe_archive_is_not_labelled(model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.writestr("../evil.jpg", b"")
    assert main(["predict", "--model", str(model), str(tmp_path / "x.zip")]) == 1
    assert capsys.readouterr().err == (
        f"anteojos: {tmp_path / 'x.zip'}: contains files that are not safe to import\n  ../evil.jpg: a path with `..`\n"
        "Name another archive, or extract it and name the folder.\n"
    )


def test_large_archive_is_not_unpacked(
    model: Path, pets: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    archive = packed(pets, "zip")
    monkeypatch.setattr(unpacking, "MAX_BYTES", 1000)
    assert main(["predict", "--model", str(model), str(archive)]) == 1
    assert capsys.readouterr().err == (
        f"anteojos: {archive}: too large\n  the archive has {archive.stat().st_size:,} bytes, expected at most 1,000\n"
        "Name another archive, or extract it and name the folder.\n"
    )


@pytest.mark.parametrize("kind", ["zip", "tgz"])
def test_archive_is_audited_like_its_folder(kind: str, pets: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["audit", str(pets)]) == 0
    folder = capsys.readouterr().out
    assert main(["audit", str(packed(pets, kind))]) == 0
    assert capsys.readouterr().out == folder
    (pets / "dogs/1.png").write_bytes(b"no image")
    archive = packed(pets, kind)
    assert main(["audit", str(archive)]) == 1
    assert f"\n  {archive}/pets/dogs/1.png: not an image (8 bytes)\n" in capsys.readouterr().err


def test_archive_of_three_classes_is_not_audited(pets: Path, capsys: pytest.CaptureFixture[str]) -> None:
    noise(pets / "birds/1.png", 0, 255, 1)
    archive = packed(pets, "zip")
    assert main(["audit", str(archive)]) == 1
    assert f"anteojos: {archive}: images of 3 classes; exactly two are possible\n" in capsys.readouterr().err


# --- audit and show


def test_audit_without_a_leak_ends_with_a_conclusion(pets: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["audit", str(pets), "--fail"]) == 0
    assert capsys.readouterr().out.endswith(
        "\n\nNo leak was found in 24 images: neither their border nor the files predict the label. 24 images are too "
        "few to find any but large differences.\n"
    )


def test_audit_prints_json(pets: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["audit", str(pets), "--format", "json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["classes"] == ["cats", "dogs"]
    assert found["probes"]["border"].keys() == {"accuracy", "chance", "p_value", "n", "verdict"}
    assert found["probes"]["border"]["n"] == 24
    assert found["findings"][0].startswith("No leak was found")
    for file in (pets / "dogs").iterdir():
        noise(file, 0, 60, 1)
    assert main(["audit", str(pets), "--format", "json", "--fail"]) == 4
    found = json.loads(capsys.readouterr().out)
    assert found["probes"]["border"]["verdict"] == "leak"
    assert "The label can be predicted without the middle" in found["findings"][0]


@pytest.mark.parametrize(("arguments", "images"), [(["pets"], 24), (["7", "pets"], 7), (["7", "7/"], 1), (["./7"], 1)])
def test_number_of_images_may_be_omitted(
    arguments: list[str], images: int, pets: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(pets.parent)
    noise(Path("7/1.png"), 0, 255, 1)
    assert main(["show", *arguments]) == 0
    cells = json.loads(Image.open("contact-sheet.png").text["cells"])  # type: ignore[attr-defined]
    assert len(cells) == images
    assert capsys.readouterr().out == "Wrote contact-sheet.png.\n"


def test_arguments_of_show_are_checked(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", "pets", "20"]) == 2
    assert "found pets 20; expected a number and one place, such as 20 holidays/" in capsys.readouterr().err
    assert main(["show", "0"]) == 2
    assert "0 is not in the range 1<=x<=1000" in capsys.readouterr().err


# --- endless files


def run_limited(*arguments: str, stdin: Path = Path(os.devnull)) -> "subprocess.CompletedProcess[str]":
    """Run the command with little memory and time: whoever reads an endless file fails."""

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_DATA, (1500 * MIB, 1500 * MIB))

    with stdin.open("rb") as given:
        return subprocess.run(
            [sys.executable, "-m", "anteojos", *arguments],
            stdin=given, capture_output=True, text=True, timeout=60, preexec_fn=limit,
        )  # fmt: skip


@pytest.mark.parametrize("kind", ["device", "pipe", "huge"])
@pytest.mark.parametrize(
    "arguments",
    [
        ["predict", "--model", "MODEL", "FILE"],
        ["predict", "--model", "FILE", "x.jpg"],
        ["drift", "--model", "MODEL", "FILE"],
        ["audit", "FILE"],
        ["init", "FILE"],
        ["show", "FILE"],
    ],
    ids=lambda arguments: " ".join(arguments[:3:2]),
)
def test_endless_files_are_one_clear_error(
    arguments: list[str], kind: str, model: Path, checkout: Path, tmp_path: Path
) -> None:
    file = Path("/dev/zero") if kind == "device" else tmp_path / kind
    if kind == "pipe":
        os.mkfifo(file)
    elif kind == "huge":
        file.touch()
        os.truncate(file, 1 << 40)
    done = run_limited(*(each.replace("MODEL", str(model)).replace("FILE", str(file)) for each in arguments))
    assert done.returncode in (1, 3)
    message = done.stdout + done.stderr
    assert "Traceback" not in message
    assert message.count(str(file)) == 1
    reasons = ("a device, pipe or socket; expected a regular file", "too large", "neither a f", "no such folder")
    assert any(reason in message for reason in reasons)


def test_endless_list_is_an_error(model: Path) -> None:
    done = run_limited("predict", "--model", str(model), "-", stdin=Path("/dev/zero"))
    assert done.returncode == 1
    assert done.stderr.startswith("anteojos: standard input: more than 400,000,000 bytes; expected a list of paths\n")


def test_huge_images_in_folders_are_not_read(pets: Path, capsys: pytest.CaptureFixture[str]) -> None:
    os.truncate(pets / "cats/0.png", 1 << 40)
    assert main(["audit", str(pets)]) == 1
    message = capsys.readouterr().err
    assert f"  {pets}/cats/0.png: too large: 1,099,511,627,776 bytes, expected" in message
    assert undocumented("A file that is not read", message, 1) == []
    assert main(["show", str(pets), "--output", str(pets.parent / "sheet.png")]) == 3

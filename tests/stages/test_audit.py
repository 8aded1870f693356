"""The stage audit and the command `anteojos audit` say what they found, and stop where they are told to."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image

from anteojos.cli import main
from anteojos.evaluation import leak, leak_sheet
from anteojos.images import checks, manifest
from anteojos.runtime.errors import InputError
from anteojos.stages import audit, preprocess
from tests.conftest import ROOT, drawn_face

PROBES = ["border", "position_rows", "position_columns", "corners", "width", "height", "bytes", "quantisation"]
NAMES = ("glasses", "noglasses")


def draw_images(folder: Path, telling: str) -> None:
    """Write 20 training and 8 validation images of noise, their label in the border, in the files or nowhere."""
    rng = np.random.default_rng(0)
    for split, count in (("train", 10), ("validate", 4), ("test", 1)):
        for label in NAMES:
            for number in range(count):
                pixels = rng.integers(0, 256, (48, 48, 3), dtype=np.uint8)
                if telling == "border" and label == "glasses":
                    pixels[:5, 10:30] = 0
                path = folder / split / label / f"{number}.jpg"
                path.parent.mkdir(parents=True, exist_ok=True)
                quality = 60 if telling == "quantisation" and label == "glasses" else 90
                Image.fromarray(pixels).save(path, quality=quality)


@pytest.fixture(params=["border", "quantisation", "nothing"])
def telling(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, telling: str) -> Path:
    """A folder with what the stage reads, made of `draw_images` by the stages before it."""
    monkeypatch.chdir(tmp_path)
    draw_images(Path("data/raw"), telling)
    write_params()
    findings = checks.Findings()
    table = checks.examine(Path("data/raw"), checks.find_images(Path("data/raw"), NAMES, findings), "none", findings)
    manifest.write(table[list(manifest.COLUMNS)], Path("data/manifest.csv"))
    preprocess.main()
    return tmp_path


def write_params(**knobs: Any) -> None:
    values = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    values["preprocess"] |= {"crop": "none", "size": 48}
    values["audit"] |= knobs
    Path("params.yaml").write_text(yaml.safe_dump(values), encoding="utf-8")


def outputs() -> dict[str, bytes]:
    files = ("metrics/audit.json", "metrics/plots/leak.png", "data/audited.txt")
    return {file: Path(file).read_bytes() for file in files if Path(file).exists()}


def test_the_metrics_have_every_probe_with_its_figures(project: Path, telling: str) -> None:
    audit.main()
    metrics = json.loads(Path("metrics/audit.json").read_text())
    assert list(metrics) == PROBES
    for probe in metrics.values():
        assert list(probe) == ["accuracy", "chance", "p_value", "n", "verdict"]
        assert (probe["n"], probe["chance"]) == (28, 0.5)
        assert 0.000999 <= probe["p_value"] <= 1
    leaks = [name for name, probe in metrics.items() if probe["verdict"] == "leak"]
    # A mark in the border changes its columns' brightness, and how well the file compresses.
    if telling == "border":
        assert {"border", "position_columns"} <= set(leaks) <= {"border", *PROBES[1:4], "bytes"}
    else:
        assert set(leaks) == {"quantisation": {"quantisation", "bytes"}, "nothing": set()}[telling]
    assert Image.open("metrics/plots/leak.png").width > 500


def test_what_was_found_is_a_warning_with_the_image_that_shows_it(
    project: Path, telling: str, capsys: pytest.CaptureFixture[str]
) -> None:
    audit.main()
    warnings = capsys.readouterr().err.splitlines()
    assert all(line.startswith("warning (leak): ") for line in warnings)
    assert ("con lentes and sin lentes are classified" in "".join(warnings)) == (telling == "border")
    assert ("quantisation predicts the label" in "".join(warnings)) == (telling == "quantisation")
    if telling == "border":
        assert "; metrics/plots/leak.png shows how." in warnings[0]
        # Of noise, and so not to be aligned by its faces.
        assert "Find out what it is, and crop the images" in warnings[0]
        assert "preprocess.crop" not in warnings[0]
    if telling == "nothing":
        assert warnings == []


@pytest.mark.parametrize("telling", ["border"], indirect=True)
def test_on_leak_fail_stops_and_keeps_earlier_outputs(project: Path, telling: str) -> None:
    write_params(on_leak="fail", accuracy=1.0)
    audit.main()
    before = outputs()
    assert len(before) == 3
    write_params(on_leak="fail")
    with pytest.raises(InputError) as caught:
        audit.main()
    assert "con lentes and sin lentes are classified with an accuracy of 1.000" in caught.value.headline
    assert "anteojos audit data/raw --crop none --border 22 --image leak.png" in caught.value.advice
    assert " shows how" not in caught.value.headline
    assert outputs() == before


@pytest.mark.parametrize("telling", ["quantisation", "nothing"], indirect=True)
def test_on_leak_fail_passes_if_the_border_does_not_leak(project: Path, telling: str) -> None:
    write_params(on_leak="fail")
    audit.main()
    assert len(outputs()) == 3


def test_the_parameters_are_the_limits(project: Path, telling: str, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = {}

    def probes(*_: object, **limits: float) -> dict[str, leak.Probe]:
        asked.update(limits)
        return {"border": leak.Probe(0.5, 0.5, 1.0, 28, "none")}

    monkeypatch.setattr(leak, "probes", probes)
    write_params(border=10, accuracy=0.7, p_value=0.05)
    audit.main()
    assert asked == {"border": 10, "accuracy": 0.7, "p_value": 0.05}


def test_what_other_stages_wait_for_is_the_same_whatever_was_found(project: Path, telling: str) -> None:
    audit.main()
    assert Path("data/audited.txt").read_bytes() == b"What the audit found is in metrics/audit.json.\n"


def test_the_image_is_of_the_classes_in_their_order(
    project: Path, telling: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    values = yaml.safe_load(Path("params.yaml").read_text(encoding="utf-8"))
    values["dataset"]["classes"].reverse()
    Path("params.yaml").write_text(yaml.safe_dump(values), encoding="utf-8")
    drawn = []
    monkeypatch.setattr(leak_sheet, "draw", lambda *asked: drawn.extend(asked) or Image.new("RGB", (1, 1)))
    audit.main()
    images, first, names, probe, border = drawn
    index = [manifest.read(Path("data/processed", split, "index.csv")) for split in ("train", "validate")]
    assert first.tolist() == [label == "noglasses" for table in index for label in table["label"]]
    assert names == ("sin lentes", "con lentes")
    assert (len(images), probe.n, border) == (28, 28, 22)


def test_the_same_images_make_the_same_bytes(project: Path, telling: str) -> None:
    audit.main()
    before = outputs()
    audit.main()
    assert outputs() == before


def test_a_sample_of_very_many_is_the_same_images_in_the_arrays_and_in_the_files(
    project: Path, telling: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leak, "MOST_IMAGES", 20)
    rows, images = audit.load()
    assert len(rows) == len(images) == 20
    for file, image in zip(rows["file"], images, strict=True):
        expected = Image.open(Path("data/raw", file)).resize((48, 48), Image.Resampling.BILINEAR)
        np.testing.assert_array_equal(image, np.asarray(expected))
        assert file.split("/")[1] == rows.set_index("file").loc[file, "label"]
    facts = audit.file_facts(rows["file"])
    assert facts["bytes"].tolist() == [Path("data/raw", file).stat().st_size for file in rows["file"]]
    audit.main()
    assert json.loads(Path("metrics/audit.json").read_text())["bytes"]["n"] == 20


def test_the_command_prints_every_probe_and_what_was_found(
    tmp_path: Path, telling: str, capsys: pytest.CaptureFixture[str]
) -> None:
    draw_images(tmp_path, telling)
    assert main(["audit", str(tmp_path), "--size", "48"]) == 0
    table, _, paragraphs = capsys.readouterr().out.partition("\n\n")
    header, *rows = [line.split() for line in table.splitlines()]
    assert header == ["accuracy", "chance", "p", "value", "images", "verdict"]
    assert [row[0] for row in rows] == PROBES
    probes = {name: (verdict, images) for name, _, _, _, images, verdict in rows}
    assert probes["border"] == ("leak" if telling == "border" else "none", "28")
    assert probes["quantisation"] == ("leak" if telling == "quantisation" else "none", "28")
    assert ("glasses and noglasses are classified" in paragraphs) == (telling == "border")
    assert (paragraphs == "") == (telling == "nothing")
    assert " shows how" not in paragraphs


def test_the_command_fails_only_where_asked_to_and_the_border_leaks(tmp_path: Path, telling: str) -> None:
    draw_images(tmp_path, telling)
    assert main(["audit", str(tmp_path), "--fail"]) == (4 if telling == "border" else 0)


def test_the_command_looks_at_the_border_it_is_told_to(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rng = np.random.default_rng(0)
    for label in NAMES:
        for number in range(20):
            pixels = rng.integers(0, 256, (80, 80, 3), dtype=np.uint8)
            pixels[15:30, 15:65] //= 1 + 3 * (label == "glasses")
            path = tmp_path / label / f"{number}.png"
            path.parent.mkdir(exist_ok=True)
            Image.fromarray(pixels).save(path)
    # 15 of 80 px are 30 of 160.
    assert main(["audit", str(tmp_path), "--fail", "--border", "30"]) == 0
    assert main(["audit", str(tmp_path), "--fail", "--border", "40"]) == 4
    assert main(["audit", str(tmp_path), "--border", "73"]) == 2
    assert "73 is not in the range 4<=x<=72" in capsys.readouterr().err


def draw_faces(folder: Path) -> None:
    """Write 12 drawn faces of each label, one of which is printed above its faces."""
    for label in NAMES:
        for number in range(12):
            canvas = Image.new("RGB", (160, 155), "white")
            canvas.paste(drawn_face(100 * (label == "glasses") + number, 120), (20, 30))
            if label == "glasses":
                canvas.paste("black", (50, 2, 90, 12))
            path = folder / label / f"{number}.png"
            path.parent.mkdir(exist_ok=True)
            canvas.save(path)


def test_the_command_looks_at_the_face_alone_where_it_is_told_to(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    draw_faces(tmp_path)
    assert main(["audit", str(tmp_path), "--fail"]) == 4
    assert "Set `preprocess.crop: face` in params.yaml" in capsys.readouterr().out
    assert main(["audit", str(tmp_path), "--fail", "--crop", "face"]) == 0
    assert main(["audit", str(tmp_path), "--crop", "panel"]) == 2


def test_the_command_names_the_images_without_a_face(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    draw_images(tmp_path, "nothing")
    assert main(["audit", str(tmp_path), "--crop", "face"]) == 1
    assert f"{tmp_path / 'train/glasses/0.jpg'}: no face found" in capsys.readouterr().err


def test_the_command_brings_images_to_the_size_it_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    draw_images(tmp_path, "nothing")
    shapes = []

    def probes(images: list[np.ndarray], *_: object, **__: object) -> dict[str, leak.Probe]:
        shapes.extend(image.shape for image in images)
        return {"border": leak.Probe(0.5, 0.5, 1.0, 28, "none")}

    monkeypatch.setattr(leak, "probes", probes)
    main(["audit", str(tmp_path), "--size", "64"])
    main(["audit", str(tmp_path)])
    assert shapes == [(64, 64, 3)] * 28 + [(160, 160, 3)] * 28


def test_the_command_draws_where_it_is_asked_to(tmp_path: Path) -> None:
    draw_images(tmp_path / "images", "border")
    assert main(["audit", str(tmp_path / "images"), "--size", "48", "--image", str(tmp_path / "sheet")]) == 0
    with Image.open(tmp_path / "sheet") as sheet:
        assert (sheet.format, sheet.size) == ("PNG", (16 + 4 * 256, 44 + 2 * 276 + 36))


def test_the_command_says_what_is_wrong_with_a_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["audit", str(tmp_path)]) == 1
    assert "does not contain images of two classes" in capsys.readouterr().err
    draw_images(tmp_path, "nothing")
    (tmp_path / "train/glasses/3.jpg").write_text("no image")
    assert main(["audit", str(tmp_path)]) == 1
    assert "train/glasses/3.jpg: not an image (8 bytes)" in capsys.readouterr().err


def test_help_waits_for_no_numpy() -> None:
    code = "import sys, anteojos.cli\nanteojos.cli.main(['audit', '--help'])\nprint('numpy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "False"

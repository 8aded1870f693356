"""The stage audit and the command `anteojos audit` report leaks, and fail if a leak is to be an error."""

import contextlib
import io
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
from anteojos.images import checks, class_folders, manifest
from anteojos.runtime.errors import InputError
from anteojos.stages import audit, preprocess
from tests.conftest import ROOT, drawn_face

pytestmark = pytest.mark.slow

PROBES = ["border", "position_rows", "position_columns", "corners", "width", "height", "bytes", "quantisation"]
NAMES = ("glasses", "noglasses")


def draw_images(folder: Path, leaking: str) -> None:
    """Write 20 training and 8 validation images of noise. `leaking` is where they have their label."""
    rng = np.random.default_rng(0)
    for split, count in (("train", 10), ("validate", 4), ("test", 1)):
        for label in NAMES:
            for number in range(count):
                pixels = rng.integers(0, 256, (48, 48, 3), dtype=np.uint8)
                if leaking == "border" and label == "glasses":
                    pixels[:5, 10:30] = 0
                path = folder / split / label / f"{number}.jpg"
                path.parent.mkdir(parents=True, exist_ok=True)
                quality = 60 if leaking == "quantisation" and label == "glasses" else 90
                Image.fromarray(pixels).save(path, quality=quality)


@pytest.fixture(scope="module", params=["border", "quantisation", "nothing"])
def leaking(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, leaking: str) -> Path:
    """A folder with the inputs of the stage, written by the earlier stages from `draw_images`."""
    monkeypatch.chdir(tmp_path)
    prepare(leaking)
    return tmp_path


def prepare(leaking: str) -> None:
    draw_images(Path("data/raw"), leaking)
    write_params()
    findings = checks.Findings()
    table = checks.examine(Path("data/raw"), checks.find_images(Path("data/raw"), NAMES, findings), "none", findings)
    manifest.write(table[list(manifest.COLUMNS)], Path("data/manifest.csv"))
    preprocess.main()


@pytest.fixture(scope="module")
def audited(leaking: str, tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, bytes], list[str]]:
    """The outputs of the stage, and the lines that it printed to stderr."""
    printed = io.StringIO()
    with contextlib.chdir(tmp_path_factory.mktemp("audited")):
        prepare(leaking)
        with contextlib.redirect_stderr(printed):
            audit.main()
        return outputs(), printed.getvalue().splitlines()


def write_params(**changes: Any) -> None:
    values = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    values["preprocess"] |= {"crop": "none", "size": 48}
    values["audit"] |= changes
    Path("params.yaml").write_text(yaml.safe_dump(values), encoding="utf-8")


def outputs() -> dict[str, bytes]:
    files = ("metrics/details/audit.json", "metrics/plots/leak.png", "data/audited.txt")
    return {file: Path(file).read_bytes() for file in files if Path(file).exists()}


def test_metrics_contain_all_probes(audited: tuple[dict[str, bytes], list[str]], leaking: str) -> None:
    metrics = json.loads(audited[0]["metrics/details/audit.json"])
    assert list(metrics) == PROBES
    for probe in metrics.values():
        assert list(probe) == ["accuracy", "chance", "p_value", "n", "verdict"]
        assert (probe["n"], probe["chance"]) == (28, 0.5)
        assert 0.000999 <= probe["p_value"] <= 1
    leaks = [name for name, probe in metrics.items() if probe["verdict"] == "leak"]
    # A mark in the border changes its columns' brightness, and how well the file compresses.
    if leaking == "border":
        assert {"border", "position_columns"} <= set(leaks) <= {"border", *PROBES[1:4], "bytes"}
    else:
        assert set(leaks) == {"quantisation": {"quantisation", "bytes"}, "nothing": set()}[leaking]
    assert Image.open(io.BytesIO(audited[0]["metrics/plots/leak.png"])).width > 500


def test_leaks_are_warnings_that_name_the_image(audited: tuple[dict[str, bytes], list[str]], leaking: str) -> None:
    warnings = audited[1]
    assert all(line.startswith("warning (leak): ") for line in warnings)
    assert ("con lentes and sin lentes are classified" in "".join(warnings)) == (leaking == "border")
    assert ("quantisation predicts the label" in "".join(warnings)) == (leaking == "quantisation")
    if leaking == "border":
        assert "; metrics/plots/leak.png shows how." in warnings[0]
        # Noise contains no faces to align.
        assert "Find out what it is, and crop the images" in warnings[0]
        assert "preprocess.crop" not in warnings[0]
    if leaking == "nothing":
        assert warnings == []


@pytest.mark.parametrize("leaking", ["border"], indirect=True)
def test_on_leak_fail_stops_and_keeps_earlier_outputs(project: Path, leaking: str) -> None:
    write_params(on_leak="fail", accuracy=1.0)
    audit.main()
    before = outputs()
    assert len(before) == 3
    write_params(on_leak="fail")
    with pytest.raises(InputError) as caught:
        audit.main()
    assert "con lentes and sin lentes are classified with a balanced accuracy of 1.000" in caught.value.headline
    assert "anteojos audit data/raw --crop none --border 22 --image leak.png" in caught.value.advice
    assert " shows how" not in caught.value.headline
    assert outputs() == before


@pytest.mark.parametrize("leaking", ["quantisation", "nothing"], indirect=True)
def test_on_leak_fail_passes_if_the_border_does_not_leak(project: Path, leaking: str) -> None:
    write_params(on_leak="fail")
    audit.main()
    assert len(outputs()) == 3


@pytest.mark.parametrize("leaking", ["border"], indirect=True)
def test_verdicts_follow_the_parameters(project: Path, leaking: str) -> None:
    table = manifest.read(Path("data/manifest.csv"))
    for label, count in (("glasses", 11), ("noglasses", 3)):  # an accuracy of 22 / 28
        rows = table.index[(table["label"] == label) & (table["split"] != "test")]
        table.loc[rows[:count], "width"] += 1
    manifest.write(table, Path("data/manifest.csv"))
    for limits, border, width in (
        ({}, "leak", "none"),
        ({"accuracy": 1.0}, "none", "none"),
        ({"p_value": 0.5}, "leak", "leak"),
        ({"p_value": 0.5, "accuracy": 0.8}, "leak", "none"),
    ):
        write_params(**limits)
        audit.main()
        metrics = json.loads(Path("metrics/details/audit.json").read_text())
        assert (metrics["border"]["verdict"], metrics["width"]["verdict"]) == (border, width), limits


@pytest.mark.parametrize("leaking", ["nothing"], indirect=True)
def test_width_of_the_border_follows_the_parameter(project: Path, leaking: str) -> None:
    for split in ("train", "validate"):
        folder = Path("data/processed", split)
        images, labels = np.load(folder / "images.npy"), manifest.read(folder / "index.csv")["label"]
        images[labels == "glasses", 10:14, 10:38] = 0  # 33 to 46 of 160
        np.save(folder / "images.npy", images)
    for border, verdict in ((22, "none"), (66, "leak")):
        write_params(border=border)
        audit.main()
        assert json.loads(Path("metrics/details/audit.json").read_text())["border"]["verdict"] == verdict


def test_audited_txt_does_not_depend_on_the_result(audited: tuple[dict[str, bytes], list[str]]) -> None:
    assert audited[0]["data/audited.txt"] == b"What the audit found is in metrics/details/audit.json.\n"


@pytest.mark.parametrize("leaking", ["border"], indirect=True)
def test_leak_image_has_the_classes_in_their_order(project: Path, leaking: str) -> None:
    values = yaml.safe_load(Path("params.yaml").read_text(encoding="utf-8"))
    values["dataset"]["classes"].reverse()
    Path("params.yaml").write_text(yaml.safe_dump(values), encoding="utf-8")
    audit.main()
    rows, images = audit.load()
    first = (rows["label"] == "noglasses").to_numpy()
    probe = leak.Probe(**json.loads(Path("metrics/details/audit.json").read_text())["border"])
    expected = leak_sheet.draw(images, first, ("sin lentes", "con lentes"), probe, 22)
    with Image.open("metrics/plots/leak.png") as sheet:
        assert sheet.tobytes() == expected.tobytes()


def test_outputs_are_deterministic(audited: tuple[dict[str, bytes], list[str]], project: Path) -> None:
    audit.main()
    assert outputs() == audited[0]


def test_sample_of_many_images_has_matching_files_and_arrays(
    project: Path, leaking: str, monkeypatch: pytest.MonkeyPatch
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
    assert json.loads(Path("metrics/details/audit.json").read_text())["bytes"]["n"] == 20


def test_command_prints_all_probes_and_leaks(tmp_path: Path, leaking: str, capsys: pytest.CaptureFixture[str]) -> None:
    draw_images(tmp_path, leaking)
    assert main(["audit", str(tmp_path), "--size", "48"]) == 0
    table, _, paragraphs = capsys.readouterr().out.partition("\n\n")
    header, *rows = [line.split() for line in table.splitlines()]
    assert header == ["accuracy", "chance", "p", "value", "images", "verdict"]
    assert [row[0] for row in rows] == PROBES
    probes = {name: (verdict, images) for name, _, _, _, images, verdict in rows}
    assert probes["border"] == ("leak" if leaking == "border" else "none", "28")
    assert probes["quantisation"] == ("leak" if leaking == "quantisation" else "none", "28")
    assert ("glasses and noglasses are classified" in paragraphs) == (leaking == "border")
    assert paragraphs.startswith("No leak was found in 28 images") == (leaking == "nothing")
    assert " shows how" not in paragraphs


def test_command_fails_only_with_fail_and_a_leaking_border(tmp_path: Path, leaking: str) -> None:
    draw_images(tmp_path, leaking)
    assert main(["audit", str(tmp_path), "--fail"]) == (4 if leaking == "border" else 0)


def test_command_uses_the_given_border(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
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
    """Write 12 drawn faces of each label, with a black mark above those with glasses."""
    for label in NAMES:
        for number in range(12):
            canvas = Image.new("RGB", (160, 155), "white")
            canvas.paste(drawn_face(100 * (label == "glasses") + number, 120), (20, 30))
            if label == "glasses":
                canvas.paste("black", (50, 2, 90, 12))
            path = folder / label / f"{number}.png"
            path.parent.mkdir(exist_ok=True)
            canvas.save(path)


def test_command_with_crop_face_ignores_the_surroundings(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    draw_faces(tmp_path)
    assert main(["audit", str(tmp_path), "--fail"]) == 4
    assert "Set `preprocess.crop: face` in params.yaml" in capsys.readouterr().out
    assert main(["audit", str(tmp_path), "--fail", "--crop", "face"]) == 0
    assert main(["audit", str(tmp_path), "--crop", "panel"]) == 2


def test_command_names_images_without_a_face(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    draw_images(tmp_path, "nothing")
    assert main(["audit", str(tmp_path), "--crop", "face"]) == 1
    assert f"{tmp_path / 'train/glasses/0.jpg'}: no face found" in capsys.readouterr().err


def test_command_resizes_images_to_the_given_size(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    draw_images(tmp_path, "nothing")
    files, labels = class_folders.find(tmp_path)
    for size, options in ((64, ["--size", "64"]), (160, [])):
        main(["audit", str(tmp_path), *options])
        accuracies = [float(line.split()[1]) for line in capsys.readouterr().out.splitlines()[1:5]]
        probes = leak.probes(*class_folders.read(files, size, "none")[:1], labels, {})
        assert accuracies == [round(probe.accuracy, 3) for probe in probes.values()], size


def test_command_writes_the_image(tmp_path: Path) -> None:
    draw_images(tmp_path / "images", "border")
    assert main(["audit", str(tmp_path / "images"), "--size", "48", "--image", str(tmp_path / "sheet")]) == 0
    with Image.open(tmp_path / "sheet") as sheet:
        assert (sheet.format, sheet.size) == ("PNG", (16 + 4 * 256, 44 + 2 * 276 + 36))


def test_command_reports_problems_of_the_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["audit", str(tmp_path)]) == 1
    assert "does not contain images of two classes" in capsys.readouterr().err
    draw_images(tmp_path, "nothing")
    (tmp_path / "train/glasses/3.jpg").write_text("no image")
    assert main(["audit", str(tmp_path)]) == 1
    assert "train/glasses/3.jpg: not an image (8 bytes)" in capsys.readouterr().err


def test_help_does_not_import_numpy() -> None:
    code = "import sys, anteojos.cli\nanteojos.cli.main(['audit', '--help'])\nprint('numpy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "False"

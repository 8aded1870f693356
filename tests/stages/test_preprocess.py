"""Each split is written as one array of prepared images, and an index of its rows."""

import json
import os
import subprocess
import sys
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
import yaml
from PIL import Image

from anteojos.images import detector, manifest
from anteojos.images.decoding import ImageError
from anteojos.images.faces import Face, align
from anteojos.params import Params
from anteojos.stages import preprocess
from tests.conftest import ROOT, drawn_face

pytestmark = pytest.mark.slow

HEADER = ",".join(("file,label,width,height,faces", *manifest.FACE)) + "\n"

SIZE = 80  # px, of the images


def texture(seed: int, width: int, height: int) -> Image.Image:
    """Return a random image without white."""
    cells = np.random.default_rng(seed).integers(20, 200, (8, 8, 3), dtype=np.uint8)
    return Image.fromarray(cells).resize((width, height), Image.Resampling.BICUBIC)


def face_in(seed: int) -> Face:
    """Return a face in an image of 80 × 80 px; its position depends on the seed."""
    x, y = 26 + seed, 33 - seed
    return Face((x - 12.0, y - 10.0, x + 38.0, y + 40.0), ((float(x), float(y)), (x + 24.5, y + 3.25)), 0.1, 0.9)


# Not sorted by name or label.
FILES = {
    "train/noglasses/b.png": "noglasses",
    "train/glasses/c, d.png": "glasses",
    "train/noglasses/a.png": "noglasses",
    "train/glasses/ñandú.png": "glasses",
    "validate/glasses/1.png": "glasses",
    "test/2.png": "",
    "test/1.png": "",
}


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the inputs of the stage: params.yaml, data/manifest.csv and the images."""
    monkeypatch.chdir(tmp_path)
    write_params(size=48)
    for seed, file in enumerate(FILES):
        path = Path("data/raw", file)
        path.parent.mkdir(parents=True, exist_ok=True)
        texture(seed, SIZE, SIZE).save(path)
    write_manifest(FILES)
    return tmp_path


def write_params(**preprocess: Any) -> None:
    values = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    values["preprocess"] |= preprocess
    Path("params.yaml").write_text(yaml.safe_dump(values), encoding="utf-8")


def write_manifest(files: dict[str, str], *, faces: bool = True) -> None:
    """Write a manifest of `files`, with the face of `face_in` for each, or without faces."""
    rows = []
    for number, (file, label) in enumerate(files.items()):
        seed = list(FILES).index(file) if file in FILES else number
        place = dict(zip(manifest.FACE, face_in(seed).values, strict=True)) if faces else {}
        known = {"width": SIZE, "height": SIZE, "faces": int(faces), **place}
        rows.append({"file": file, "split": file.split("/")[0], "label": label, **known})
    Path("data").mkdir(exist_ok=True)
    manifest.write(pd.DataFrame(rows, columns=list(manifest.COLUMNS)), Path("data/manifest.csv"))


def processed(split: str) -> npt.NDArray[np.uint8]:
    return np.load(Path("data/processed", split, "images.npy"), mmap_mode="r")


def files_in(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_each_split_has_an_array_and_an_index(project: Path) -> None:
    preprocess.main()
    assert sorted(files_in(project / "data/processed")) == [
        f"{split}/{name}" for split in ("test", "train", "validate") for name in ("images.npy", "index.csv")
    ]
    for split, images in (("train", 4), ("validate", 1), ("test", 2)):
        array = np.load(Path("data/processed", split, "images.npy"))
        assert array.shape == (images, 48, 48, 3)
        assert array.dtype == np.uint8
        assert array.flags.c_contiguous


def test_index_has_the_order_of_the_manifest(project: Path) -> None:
    preprocess.main()
    assert Path("data/processed/train/index.csv").read_bytes().decode("utf-8") == (
        f"{HEADER}"
        "train/noglasses/b.png,noglasses,80,80,1,14.0,23.0,64.0,73.0,26.0,33.0,50.5,36.25,0.1,0.9\n"
        '"train/glasses/c, d.png",glasses,80,80,1,15.0,22.0,65.0,72.0,27.0,32.0,51.5,35.25,0.1,0.9\n'
        "train/noglasses/a.png,noglasses,80,80,1,16.0,21.0,66.0,71.0,28.0,31.0,52.5,34.25,0.1,0.9\n"
        "train/glasses/ñandú.png,glasses,80,80,1,17.0,20.0,67.0,70.0,29.0,30.0,53.5,33.25,0.1,0.9\n"
    )


def test_unknown_labels_stay_empty(project: Path) -> None:
    preprocess.main()
    index = manifest.read(Path("data/processed/test/index.csv"))
    assert index[["file", "label"]].to_numpy().tolist() == [["test/2.png", ""], ["test/1.png", ""]]


@pytest.mark.parametrize("size", [48, 160])
def test_rows_are_the_aligned_faces_of_the_manifest(project: Path, size: int) -> None:
    write_params(size=size)
    preprocess.main()
    for split in ("train", "validate", "test"):
        array = processed(split)
        files = [file for file in FILES if file.startswith(split)]
        for row, file in enumerate(files):
            face = face_in(list(FILES).index(file))
            expected = np.asarray(align(Image.open(Path("data/raw", file)), face.eyes, size))
            np.testing.assert_array_equal(array[row], expected, file)


def test_stage_does_not_import_the_detector() -> None:
    code = "import sys; from anteojos.stages import preprocess; print('anteojos.images.detector' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "False\n"


def test_rows_without_faces_are_whole_images(project: Path) -> None:
    write_manifest(FILES, faces=False)
    preprocess.main()
    for row, file in enumerate(file for file in FILES if file.startswith("train")):
        expected = np.asarray(Image.open(Path("data/raw", file)).resize((48, 48), Image.Resampling.BILINEAR))
        np.testing.assert_array_equal(processed("train")[row], expected, file)
    assert Path("data/processed/test/index.csv").read_text() == (
        f"{HEADER}test/2.png,,80,80,0,,,,,,,,,,\ntest/1.png,,80,80,0,,,,,,,,,,\n"
    )


def test_single_image_without_a_face_is_resized_whole(project: Path) -> None:
    table = manifest.read(Path("data/manifest.csv"))
    table.loc[1, ["faces", *manifest.FACE]] = [0, *[np.nan] * 10]
    manifest.write(table, Path("data/manifest.csv"))
    preprocess.main()
    files = list(FILES)[:2]
    aligned = align(Image.open(Path("data/raw", files[0])), face_in(0).eyes, 48)
    whole = Image.open(Path("data/raw", files[1])).resize((48, 48), Image.Resampling.BILINEAR)
    np.testing.assert_array_equal(processed("train")[:2], np.stack([np.asarray(aligned), np.asarray(whole)]))


def test_face_of_a_large_rotated_jpeg_is_aligned(project: Path) -> None:
    # In a JPEG that is decoded to a half, the face would be elsewhere.
    upright = texture(5, 1600, 1400)
    exif = Image.Exif()
    exif[0x0112] = 6
    upright.transpose(Image.Transpose.ROTATE_90).save("data/raw/train/noglasses/b.jpg", quality=95, exif=exif)
    face = Face((700.0, 500.0, 900.0, 700.0), ((750.0, 570.0), (850.0, 580.0)), 0.0, 0.9)
    known = {"file": "train/noglasses/b.jpg", "split": "train", "label": "noglasses", "width": 1600, "height": 1400}
    row = {**known, "faces": 1, **dict(zip(manifest.FACE, face.values, strict=True))}
    manifest.write(pd.DataFrame([row], columns=list(manifest.COLUMNS)), Path("data/manifest.csv"))
    preprocess.main()
    expected = np.asarray(align(upright, face.eyes, 48)).astype(int)
    assert np.abs(processed("train")[0].astype(int) - expected).mean() < 2


@pytest.mark.parametrize("faces", [True, False])
def test_images_of_any_mode_and_size_are_converted(project: Path, faces: bool) -> None:
    texture(1, 300, 20).convert("L").save("data/raw/train/noglasses/b.png")
    Image.new("RGBA", (7, 9), (0, 0, 0, 0)).save("data/raw/train/glasses/c, d.png")
    texture(2, 33, 100).quantize(9).save("data/raw/train/noglasses/a.png")
    write_manifest(FILES, faces=faces)
    preprocess.main()
    array = processed("train")
    assert array.shape == (4, 48, 48, 3)
    assert (array[0][..., 0] == array[0][..., 2]).all()
    assert (array[1] == 255).all()


def test_split_without_images_is_empty(project: Path) -> None:
    write_manifest({file: label for file, label in FILES.items() if not file.startswith("validate")})
    preprocess.main()
    assert processed("validate").shape == (0, 48, 48, 3)
    assert Path("data/processed/validate/index.csv").read_text() == HEADER
    assert len(processed("train")) == 4


def test_arrays_can_be_memory_mapped(project: Path) -> None:
    preprocess.main()
    assert isinstance(processed("train"), np.memmap)


def test_same_images_give_the_same_bytes(project: Path) -> None:
    preprocess.main()
    before = files_in(project)
    preprocess.main()
    assert files_in(project) == before


def test_outputs_of_an_earlier_run_are_replaced(project: Path) -> None:
    preprocess.main()
    Path("data/processed/train/left over.txt").touch()
    write_manifest({"train/glasses/c, d.png": "glasses", "validate/glasses/1.png": "glasses"})
    preprocess.main()
    assert len(processed("train")) == 1
    assert sorted(path.name for path in Path("data/processed/train").iterdir()) == ["images.npy", "index.csv"]


def test_broken_image_keeps_the_earlier_outputs(project: Path) -> None:
    preprocess.main()
    before = files_in(project / "data/processed")
    Path("data/raw/train/noglasses/a.png").write_bytes(b"broken")
    write_params(size=64)
    with pytest.raises(ImageError, match=r"not an image \(6 bytes\)"):
        preprocess.main()
    assert files_in(project / "data/processed") == before
    assert sorted(path.name for path in Path("data/processed").iterdir()) == ["test", "train", "validate"]


def test_four_training_images_of_each_class_are_drawn(project: Path) -> None:
    files = {f"train/{label}/{number}.png": label for label in ("noglasses", "glasses") for number in range(6)}
    for seed, file in enumerate(files):
        texture(seed, 160, 160).save(Path("data/raw", file))
    write_manifest(files, faces=False)
    write_params(size=160)
    preprocess.main()
    with Image.open("metrics/plots/samples.png") as sheet:
        assert sheet.size == (720, 436)
        # A row of the first class above one of the second, 160 px wide and high, 16 px apart.
        corners = [(16 + 176 * column, top) for top in (44, 240) for column in range(4)]
        shown = [sheet.crop((left, top, left + 160, top + 160)) for left, top in corners]
    expected = [Image.open(f"data/raw/train/{label}/{n}.png") for label in ("glasses", "noglasses") for n in range(4)]
    assert [face.tobytes() for face in shown] == [face.tobytes() for face in expected]


@pytest.mark.parametrize("face", [None, face_in(0)])
def test_peak_memory_is_independent_of_the_number_of_images(project: Path, face: Face | None) -> None:
    texture(0, 160, 155).save("data/raw/one.jpg")
    place = dict(zip(manifest.FACE, face.values if face else [np.nan] * 10, strict=True))

    def peak(images: int) -> int:
        folder = project / str(images)
        folder.mkdir()
        known = {"label": "glasses", "width": 160, "height": 155, "faces": 1, **place}
        rows = pd.DataFrame({"file": ["one.jpg"] * images, **known})
        tracemalloc.start()
        preprocess.write_split(rows, folder, 160, "")
        _, highest = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert (folder / "images.npy").stat().st_size > images * 160 * 160 * 3
        return highest

    peak(5)
    # 150 images more are 12 MB more on disk.
    assert peak(200) - peak(50) < 2_000_000


def test_stage_runs_on_the_outputs_of_verify(project: Path) -> None:
    values = yaml.safe_load(Path("params.yaml").read_text())
    values["dataset"]["drawn"] = None
    values["dataset"]["expected"] = {
        "train": {"glasses": 2, "noglasses": 2},
        "validate": {"glasses": 1, "noglasses": 0},
        "test": {"glasses": 1, "noglasses": 1},
    }
    Path("params.yaml").write_text(yaml.safe_dump(values))
    for seed, file in enumerate(FILES):
        drawn_face(seed, SIZE).save(Path("data/raw", file))
    environment = {name: value for name, value in os.environ.items() if name != "DVC_STAGE"}
    for stage in ("verify", "preprocess"):
        command = [sys.executable, "-m", f"anteojos.stages.{stage}"]
        done = subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert json.loads(Path("metrics/details/verify.json").read_text())["images"] == 7
    index = manifest.read(Path("data/processed/test/index.csv"))
    assert index[["file", "label", "width", "height", "faces"]].to_numpy().tolist() == [
        ["test/1.png", "", 80, 80, 1],
        ["test/2.png", "", 80, 80, 1],
    ]
    image = Image.open("data/raw/test/2.png")
    (face,) = detector.default()(image)
    assert tuple(index.loc[1, list(manifest.FACE)]) == face.values
    np.testing.assert_array_equal(processed("test")[1], np.asarray(align(image, face.eyes, 48)))


@pytest.mark.parametrize(("glasses", "noglasses", "columns"), [(6, 5, 4), (2, 5, 2), (5, 1, 1)])
def test_samples_are_a_row_of_each_class(tmp_path: Path, glasses: int, noglasses: int, columns: int) -> None:
    labels = ["glasses"] * glasses + ["noglasses"] * noglasses
    np.save(tmp_path / "images.npy", np.zeros((len(labels), 8, 8, 3), np.uint8))
    pd.DataFrame({"file": "x.jpg", "label": labels}).to_csv(tmp_path / "index.csv", index=False)
    sheet = preprocess.draw_samples(tmp_path, Params.load(ROOT / "params.yaml").dataset)
    assert sheet.size == (16 + columns * 176, 44 + 2 * (160 + 20 + 16))

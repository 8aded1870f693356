"""The benchmarks measure what they say and write their tables; README repeats the measured figures."""

import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from PIL import Image

import cold
import crossvalidate
import drawn
import everyday
import label
import machine
import many
import measure
import on_paper
import prepare
import readme
import shortcut
import train_many
import versioning
import ways
from anteojos.evaluation.scores import wilson_interval
from anteojos.images import detector, manifest
from anteojos.model import networks
from anteojos.sources import drawing
from anteojos.stages import verify
from anteojos.vocabulary import GLASSES, SPLITS
from measure import Cost
from tests.conftest import ROOT, drawn_face
from tests.pages import table
from tests.project import Project, RunWith, clone, commit
from tests.team.remote.servers import S3

pytestmark = pytest.mark.slow


def test_readme_table_repeats_measured_figures() -> None:
    measured = (ROOT / "docs/explanation/measurements.md").read_text(encoding="utf-8")
    drawn_faces = (ROOT / "docs/explanation/drawn-faces.md").read_text(encoding="utf-8")
    assert "has an accuracy of 0.993" in measured
    assert "| `baseline` | 222,210 | 0.715 |" in measured
    assert "| all | 164 | 0.963 (0.963 to 0.963) |" in drawn_faces
    rows = table(ROOT / "README.md", "anteojos")
    assert [row[3].split()[0] for row in rows] == ["0.993", "0.715", "0.963"]
    for *_, counts, accuracy, command in rows:
        correct, n = map(int, counts.split(" of "))
        low, high = wilson_interval(correct, n)
        assert accuracy == f"{correct / n:.3f} ({low:.3f} to {high:.3f})"
        assert command.startswith(("`anteojos audit", "`make "))


def test_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 120


def test_folds_have_equal_shares_of_both_classes() -> None:
    first = np.arange(144) % 3 == 0
    folds = crossvalidate.folds_of(first, np.random.default_rng(1))
    assert np.bincount(folds).tolist() == [36] * 4
    assert np.bincount(folds[first]).tolist() == [12] * 4


def test_other_camera_keeps_position_and_loses_detail() -> None:
    image = np.zeros((160, 160, 3), np.uint8)
    image[60:100, 60:100] = 255
    for seed in range(20):
        view = crossvalidate.seen_by_another_camera(image, np.random.default_rng(seed))
        assert view.shape == image.shape
        bright = view.mean(axis=2) > (int(view.min()) + int(view.max())) / 2
        assert 0.9 < bright.sum() / 1600 < 1.06**2 * 1.2
        assert [indices.mean() for indices in np.nonzero(bright)] == pytest.approx([79.5, 79.5], abs=4)
        assert np.abs(np.diff(view.astype(int), axis=1)).max() < 200  # 255 in the image


def test_one_tower_has_fewer_parameters() -> None:
    names = {variant.network for variant in crossvalidate.VARIANTS.values()}
    found = {name: networks.build(name, 160, rescale=True) for name in names}
    assert [found[name].count_params() for name in ("edge", "one tower", "baseline")] == [42_376, 14_470, 222_210]


def test_images_are_labelled_by_networks_trained_without_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Bright and dark images. Two have a bar and a wrong label, which only a network trained on them can predict.
    first = np.arange(16) % 2 == 0
    images = np.where(first, 220, 30).astype(np.uint8)[:, np.newaxis, np.newaxis, np.newaxis]
    images = np.broadcast_to(images, (16, 48, 48, 3)).copy()
    first[:2] = [False, True]
    images[0, 20:28], images[1, :, 20:28] = 0, 255
    views = np.stack([images] * crossvalidate.VIEWS, axis=1)
    arrays = tmp_path / "images.npz"
    np.savez(arrays, images=images, first=first, views=views)
    quick = crossvalidate.Variant("sigmoid", crossvalidate.Recipe(epochs=60, rescale=True))
    monkeypatch.setitem(crossvalidate.VARIANTS, "quick", quick)
    tasks = [crossvalidate.Task("quick", 1, fold) for fold in range(crossvalidate.FOLDS)]
    results = pd.concat([crossvalidate.label_fold(task, arrays) for task in tasks])
    assert results.groupby("camera")["correct"].agg(["size", "sum"]).to_dict("index") == {
        "same": {"size": 16, "sum": 14},
        "other": {"size": 64, "sum": 56},
    }


def test_crossvalidation_table_has_mean_lowest_and_highest() -> None:
    rows = [
        {
            "variant": name,
            "seed": seed,
            "parameters": 26822,
            "camera": camera,
            "correct": number < correct,
            "loss": 0.25,
        }
        for name in crossvalidate.VARIANTS
        for seed, correct in ((1, 10), (2, 8))
        for camera, views in (("same", 1), ("other", crossvalidate.VIEWS))
        for _ in range(views)
        for number in range(10)
    ]
    text = crossvalidate.table_of(pd.DataFrame(rows), "drawn", [1, 2])
    assert text.count("| 26,822 | 0.900 (0.800 to 1.000) | 0.250 | 0.900 (0.800 to 1.000) | 0.250 |") == len(
        crossvalidate.VARIANTS
    )
    assert "in 4 folds of 10 labelled images (drawn): mean over seeds 1, 2, with the lowest and highest." in text


def test_one_seed_has_no_range() -> None:
    assert readme.mean_and_range(pd.Series([0.5], index=[7])) == "0.500"
    assert readme.over([7]) == "seed 7"


def test_shortcut_removes_one_thing_and_keeps_the_rest() -> None:
    face = drawn_face(3, 125)
    sheet = Image.new("RGB", (160, 155), "white")
    sheet.paste(face, (30, 25))
    sheet.paste("black", (70, 2, 100, 9))  # a word
    image = np.asarray(sheet)
    (found,) = detector.default()(sheet)
    rows, columns = shortcut.around(found, image)
    word, inner = (slice(2, 9), slice(70, 100)), (slice(rows.start, rows.stop), slice(columns.start, columns.stop))
    # About the size and position of the drawn face.
    assert (rows.start, rows.stop, columns.start, columns.stop) == pytest.approx((25, 150, 30, 155), abs=9)

    assert (shortcut.hide_words(image, found)[word] == 255).all()
    np.testing.assert_array_equal(shortcut.hide_words(image, found)[inner], image[inner])
    assert (shortcut.hide_face(image, found)[inner] == 128).all()
    assert (shortcut.hide_face(image, found)[word] == 0).all()
    moved = shortcut.move_face(image, found)
    assert (moved[word] == 255).all()
    (again,) = detector.default()(Image.fromarray(moved))
    eyes = np.array(again.eyes)
    # In the middle, horizontally.
    assert eyes.mean(axis=0)[0] == pytest.approx(80, abs=3)
    assert eyes[1, 1] - eyes[0, 1] == pytest.approx(0, abs=2.5)


@pytest.mark.pipeline
def test_cold_run_is_measured_in_clones_and_by_stage(
    run_with: RunWith, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The parameters of the 2024 report. The cache in the configuration makes the runs of the clones quicker.
    whole = run_with("preprocess.crop", "none")
    origin = clone(whole.path, tmp_path / "origin")
    origin.must("dvc", "config", "cache.dir", str(whole.path / ".dvc/cache"))
    commit(origin, "Another cache")
    monkeypatch.setattr(cold, "STAGES", ("fetch", "train", "describe"))
    results = cold.measure_all(origin.path, tmp_path, 1, cold.SAMPLE)
    assert list(results) == ["notebook", "repro", "default", "nothing", "empty", "tensorflow", *cold.STAGES]
    assert (tmp_path / "warm/data/predictions.csv").exists()
    assert not (tmp_path / "cold").exists()
    assert (tmp_path / "empty/6.txt").read_text() == "nothing\n"
    # The original checkout does not change.
    assert origin.must("git", "status", "--porcelain") == ""
    assert {name for name, costs in results.items() if costs[0].mebibytes} == {*list(results)[:5], "train"}
    assert "| `describe` |" in cold.text_of(results, 1)


@pytest.mark.pipeline
@pytest.mark.timeout(600)
def test_everyday_changes_are_made_in_a_clone(small_project: Project, tmp_path: Path) -> None:
    project = everyday.Project(small_project.path, tmp_path, cold.SAMPLE)
    jobs = project.jobs()
    assert {"notebook", "nothing", "one more image"} < jobs.keys()
    runs = {}
    for name in jobs.keys() & {
        "nothing",
        "one more image",
        *(job for job in jobs if job.startswith(("back", "the br"))),
    }:
        assert jobs[name]() > 0
        lock = yaml.safe_load((project.path / "dvc.lock").read_text(encoding="utf-8"))["stages"]
        runs[name.split()[0]] = lock["train"]["outs"][0]["md5"]
    # Back to yesterday's parameters gives yesterday's model; more images, or the seed of a colleague, give another.
    assert runs["back"] == runs["nothing"]
    assert len(set(runs.values())) == 3
    seconds, idle = project.sweep(1)
    assert seconds > 0
    assert 0 <= idle <= 1


def test_everyday_table_has_ratios_and_their_median() -> None:
    text = everyday.text_of({"the seed": 0.5, "nothing": 0.04, "a comment": 0.1}, 20.0, 3)
    assert text.splitlines()[2:5] == ["| nothing | 0.04 |", "| a comment | 0.10 |", "| the seed | 0.50 |"]
    assert "The notebook takes 20.0 s. The median of the ratios is 0.10 (goal: 0.2)." in text
    sweep = everyday.sweep_text(54, 0.1, 4, 27)
    assert "takes 54 s, 0.50 times as long as running the notebook 27 times (goal: 0.5)" in sweep
    assert sweep.endswith("the CPU is idle for 10% of the time.")


def test_cold_table_has_ratios_of_medians_and_the_rest_for_dvc() -> None:
    seconds = {
        "notebook": (40.0, 20.0, 10.0),
        "repro": (10.0, 9.0, 30.0),
        "default": (8.0,),
        "nothing": (1.2,),
        "empty": (1.0,),
    }
    results = {name: [Cost(each, 500.0) for each in found] for name, found in seconds.items()}
    results |= {name: [Cost(1.0, 250.0)] for name in ("tensorflow", *cold.STAGES)}
    text = cold.text_of(results, 3)
    row = f"| 10.00 s, 500 MiB | the notebook: 20.00 s, 500 MiB | 0.50 | {cold.goal()} | 1.00 | at most 1.0 |"
    assert row in text
    assert "| 8.00 s, 500 MiB | the notebook: 20.00 s, 500 MiB | 0.40 | at most 1.2 | 1.00 |  |" in text
    assert "| 1.20 s, 500 MiB | a pipeline of 6 empty stages: 1.00 s, 500 MiB | 1.20 | at most 1.3 |" in text
    assert "| `fetch` | 1.00 | 10% |" in text
    assert "`dvc.lock` | 0.00 | 0% |" in text
    assert "without `fetch` the pipeline takes 0.45 times as long" in text


@pytest.mark.remote
def test_files_and_archive_are_measured_in_dvc(s3: S3, tmp_path: Path) -> None:
    costs = versioning.measure_size(30, 1, True, s3, tmp_path)
    assert {operation: list(forms) for operation, forms in costs.items()} == {
        operation: ["files", "archive"] for operation in versioning.OPERATIONS
    }
    assert list(tmp_path.iterdir()) == []
    # One object more for the change. For files, also a list of the files before and after.
    assert len(s3.names("30-0-files")) == 31 + 2
    assert len(s3.names("30-0-archive")) == 2


def test_archive_contains_the_same_images_as_the_files(tmp_path: Path) -> None:
    images = versioning.draw(2)
    versioning.write_files(images, 5, tmp_path / "files")
    versioning.write_archive(images, 5, tmp_path / "archive.zip")
    with zipfile.ZipFile(tmp_path / "archive.zip") as archive:
        packed = {name: archive.read(name) for name in archive.namelist()}
    files = {path.name: path.read_bytes() for path in (tmp_path / "files").iterdir()}
    assert packed == files
    assert len(set(files.values())) == 5


def test_push_time_is_extrapolated_linearly() -> None:
    def size(n: int, seconds: float, *operations: str) -> versioning.Size:
        both = {"files": Cost(seconds, 1.0), "archive": Cost(2.0, 1.0)}
        return versioning.Size(n, dict.fromkeys(operations, both))

    every = tuple(versioning.OPERATIONS)
    sizes = [size(1_000, 4.0, *every), size(10_000, 40.0, *every), size(100_000, 90.0, "add", "status", "checkout")]
    text = versioning.text_of(sizes, 3)
    assert "| 4.0 s / 2.0 s = 2.0 | 40.0 s / 2.0 s = 20.0 | not measured; extrapolated: 400 s as files |" in text
    assert "Medians of 3 rounds; one round with 100,000 images." in text
    figures = versioning.figures_of(sizes)
    assert (figures["add_files"], figures["add_images"]) == (90.0, 100_000)
    assert (figures["push_files"], figures["push_archive"], figures["push_images"]) == (40.0, 2.0, 10_000)


def test_results_are_stored_by_script(tmp_path: Path) -> None:
    results = tmp_path / "results.json"
    readme.record("label", {"label_per_second": 1}, results)
    readme.record("cold", {"repro": 1.23456789}, results)
    readme.record("label", {"label_per_second": 2}, results)
    assert json.loads(results.read_text()) == {"cold": {"repro": 1.235}, "label": {"label_per_second": 2}}


def test_estimates_are_computed_from_results() -> None:
    results = {
        "versioning": {
            "bytes_per_image": 5_000.0,
            **{f"{operation}_images": 10_000.0 for operation in ("add", "status", "push")},
            **{f"{operation}_files": 36.0 for operation in ("add", "status", "push")},
            **{f"{operation}_archive": 3.6 for operation in ("add", "status", "push")},
        },
        "prepare": {"verify_per_second": 1_000.0, "preprocess_per_second": 500.0},
        "train_many": {"train_per_second": 100.0},
        "label": {"label_per_second": 2_000.0},
    }
    assert on_paper.missing(results) == []
    lines = on_paper.text_of(results, 2).splitlines()
    assert "| images | N × 5,000 bytes | 5 GB | 500 GB |" in lines
    assert "| `images.npy` | N × 76,800 bytes | 76.8 GB | 7.68 TB |" in lines
    assert "| `dvc push` of the images as files | N × 3.6 ms | 60 min | 4.17 days |" in lines
    assert "| `dvc push` of the images as one archive | N × 0.36 ms | 6 min | 10 h |" in lines
    assert "| `preprocess` | N / 500 per second | 33.3 min | 55.6 h (7) |" in lines
    assert "| `train`, 10 epochs of `baseline` | N × 10 / 100 per second | 27.8 h (4) | 116 days (348) |" in lines
    del results["label"]["label_per_second"]
    assert on_paper.missing(results) == ["label.label_per_second"]


def test_machine_is_described_by_cores_memory_and_versions() -> None:
    assert re.search(r"^Measured on .+: \d+ cores, \d+ GiB of memory; \w+, Python 3\.\d+", machine.describe())
    assert f"numpy {np.__version__}" in machine.describe()


def test_training_from_disk_reports_rate_and_waiting_time(tmp_path: Path) -> None:
    train_many.write_images(tmp_path / "images.npy", 80)
    images = np.load(tmp_path / "images.npy")
    assert (images.shape, images.dtype) == ((80, 160, 160, 3), np.uint8)
    assert images[0].mean() > images[1].mean() + 40
    # In a new process, as in the benchmark, because it patches the training.
    measure.run([sys.executable, str(train_many.__file__), "--train", tmp_path, "edge"])
    found = json.loads((tmp_path / "found.json").read_text())
    assert found["images_per_second"] > 0
    assert 0 <= found["waited"] < 1


def make_many(folder: Path, drawn: int, count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Write `count` images of `drawn` faces to `folder`, and change to this folder."""
    monkeypatch.setattr(many, "DRAWN", drawn)
    many.make(folder, count)
    monkeypatch.chdir(folder)


def test_copies_have_other_bytes_and_pass_verify(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_many(tmp_path, drawn=20, count=50, monkeypatch=monkeypatch)
    verify.main()
    images = manifest.read(Path("data/manifest.csv"))
    assert len(images) == images["sha256"].nunique() == 50
    assert images["dhash"].nunique() <= 20
    assert set(images["split"]) == {"train", "validate", "test"}


def measured(script: str, folder: Path, *options: str) -> str:
    """Run a benchmark in a copy of benchmarks/ and params.yaml. Return the page that it writes."""
    shutil.copytree(ROOT / "benchmarks", folder / "benchmarks", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "params.yaml", folder)
    command = [sys.executable, f"benchmarks/{script}", *options]
    source = os.pathsep.join([str(ROOT / "src"), *sys.path])
    environment = {**os.environ, "PYTHONPATH": source, "TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    return (folder / "benchmarks/README.md").read_text(encoding="utf-8")


def test_label_table_compares_with_tensorflow(tmp_path: Path) -> None:
    page = measured("label.py", tmp_path, "--images", "30", "--rounds", "1")
    figures = r"(\| [\d.]+ ){4}\|\n"
    assert re.search(r"\| `anteojos predict photo.jpg` " + figures, page)
    assert re.search(r"\| TensorFlow: import, load, predict \| [\d.]+ \| 1.0 \| \d+ \| 1.0 \|\n", page)
    assert re.search(r"\| `baseline` \| [\d.]+ \| -?[\d.]+ \| 3 \| [\d,]+ \|  \| \d+ \|\n", page)
    assert re.search(r"\| `edge` \| [\d.]+ \| -?[\d.]+ \|  \| [\d,]+ \| 300 \| \d+ \|\n", page)


def test_service_is_compared_with_the_library(tmp_path: Path, face_model: Path) -> None:
    (tmp_path / "models").mkdir()
    shutil.copy(face_model, tmp_path / "models")
    page = measured("serve.py", tmp_path, "--images", "20", "--requests", "40", "--rounds", "1", "--seconds", "2")
    for line in (
        r"images/s, direct library calls \| \d+ \|  \|",
        r"images/s, service, one image per request \| \d+ \| \d+ or more \|",
        r"images/s, service, 16 images per request \| \d+ \| \d+ or more \|",
        r"\d+ clients: accepted, 99th percentile, s \| [\d.]+ \| 1 or less \|",
        r"\d+ clients: 503, share \| 0\.\d+ \|  \|",
        r"\d+ clients: other answers \| none \| none \|",
        r"memory after 40 requests, MiB \| \d+ \| \d+ to \d+ \|",
    ):
        assert re.search(rf"^\| {line}$", page, re.MULTILINE), line


def test_drawn_reads_labelled_images_of_all_splits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawing.draw_dataset(tmp_path / "faces", 0, {split: dict.fromkeys(GLASSES, 2) for split in SPLITS}, width=48)
    own = tmp_path / "labels.csv"
    own.write_text((tmp_path / "faces/test_labels.csv").read_text().replace("noglasses", "glasses"), encoding="utf-8")
    shutil.copy(ROOT / "params.yaml", tmp_path)
    monkeypatch.chdir(tmp_path)
    for labels, with_glasses in ((None, 2), (own, 4)):
        read = drawn.read(tmp_path / "faces", labels)
        assert {split: len(images) for split, images in read.items()} == {"train": 4, "validate": 4, "test": 4}
        assert sum(image.first for image in read["test"]) == with_glasses


def test_drawn_measures_accuracy_auc_and_calibration() -> None:
    first = np.array([True, True, False, False])
    assert drawn.measured(first, np.array([1.0, 1.0, 0.0, 0.0])) == [1.0, 1.0, 0.0]
    accuracy, auc, error = drawn.measured(first, np.array([0.9, 0.3, 0.4, 0.1]))
    assert (accuracy, auc) == (0.75, 0.75)
    assert error == pytest.approx((0.1 + 0.7 + 0.4 + 0.1) / 4)


def test_prepare_tables_compare_with_loops_and_the_detector(tmp_path: Path) -> None:
    options = ("--rounds", "1", "--hashes", "1000", "--images", "20", "24", "28", "--photographs", "1", "2", "3")
    page = measured("prepare.py", tmp_path, *options)
    for kind, number in (("images of 160 px", 24), ("photographs of 12 megapixels", 2)):
        assert f"| {kind} per second | {number}, 1 core | {number}, 2 cores |" in page
    for stage in prepare.STAGES:
        figures = r"( [\d.,]+ \|){3}( [\d.]+ \|){2} \d+ / \d+ / \d+ \| -?[\d.]+ \|\n"
        assert len(re.findall(re.escape(f"| `{stage}` |") + figures, page)) == 2
    assert len(re.findall(r"\| \(a\) .+ \| [\d.,]+ \|  \|  \|  \|  \|  \|  \|\n", page)) == 6
    assert len(re.findall(r"\| \(b\) .+ \| [\d.,]+ \| [\d.,]+ \|  \|", page)) == 2
    assert "its faces (12 of 12) are found in" in page
    results = json.loads((tmp_path / "benchmarks/results.json").read_text(encoding="utf-8"))
    assert set(results["prepare"]) == {f"{stage}_per_second" for stage in prepare.STAGES}


def test_prepare_expects_three_numbers(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="--images: expected three different numbers, such as 1000 10000 100000"):
        measured("prepare.py", tmp_path, "--images", "20", "20", "24")


def test_prepare_table_has_rates_ratios_memory_and_growth() -> None:
    # Seconds for each image.
    seconds = {"verify": 0.004, "preprocess": 0.001, "plain_verify": 0.006, "plain_preprocess": 0.0019, "detect": 0.003}
    results = {
        count: {
            (way, cores): [Cost(seconds.get(way, 0.1) * share * 2 / cores, 50.0 + row)]
            for way in prepare.NAMES
            for cores in (1, 2)
        }
        for row, (count, share) in enumerate(((1000, 1.0), (10_000, 1.0), (100_000, 1.2)))
    }
    text = prepare.table_of("images", results, 2)
    assert "| images of 160 px per second | 10,000, 1 core | 10,000, 2 cores | 100,000, 2 cores |" in text
    assert "| MiB: 1,000 / 10,000 / 100,000 |" in text
    assert "| `verify` | 125 | 250 | 208 | 3.00 | 0.75 | 50 / 51 / 52 | 1.22 |" in text
    assert "| `preprocess` | 500 | 1,000 | 833 | 3.80 | 3.00 | 50 / 51 / 52 | 1.22 |" in text
    assert "| `predict` | 5.00 | 10.00 | 8.33 | 2.00 | 0.03 |" in text
    goals = "| goal, at least |  | `preprocess`: 300 | `preprocess`: 300 | 1.9 | 0.75 | at most 300 | 0.90 to 1.10 |"
    assert goals in text
    assert "300 | 1.9" not in prepare.table_of("photographs", results, 2)


def test_programs_of_prepare_write_the_same_tables_and_arrays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_many(tmp_path, drawn=16, count=20, monkeypatch=monkeypatch)
    label.build("edge", tmp_path)
    Path("models").mkdir()
    Path("edge.tflite").rename("models/model.tflite")
    for way in prepare.NAMES:
        assert ways.main(way) > 0
    ours = manifest.read(Path("data/manifest.csv"))
    assert (len(ours), set(ours["faces"])) == (20, {1})
    columns = ["file", "width", "height", "mode", "bytes", "sha256", "dhash", *manifest.FACE[4:8]]
    plain = pd.read_csv("plain.csv", names=columns, dtype={"dhash": str})
    pd.testing.assert_frame_equal(plain, ours.sort_values("file", ignore_index=True)[columns], check_dtype=False)
    arrays = [np.load(f"data/processed/{split}/images.npy") for split in SPLITS]
    np.testing.assert_array_equal(np.concatenate(arrays), np.load("plain.npy"))
    probabilities = pd.read_csv("data/predictions.csv")["first_class_probability"]
    assert len(probabilities) == 16
    np.testing.assert_array_equal(np.loadtxt("plain_predictions.csv", np.float32), probabilities.astype(np.float32))


def test_detector_alone_searches_as_many_images_as_there_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_many(tmp_path, drawn=8, count=20, monkeypatch=monkeypatch)
    numbers: list[int] = []
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0})
    monkeypatch.setattr(ways, "detect_one", numbers.append)
    ways.main("detect")
    assert (len(ways.different), numbers) == (8, list(range(20)))


def test_photographs_have_12_megapixels_and_one_face(tmp_path: Path) -> None:
    many.make(tmp_path, 3, photographs=True)
    for file in (tmp_path / "data/raw").rglob("*.jpg"):
        with Image.open(file) as photograph:
            assert photograph.size == (4000, 3000)
            assert len(detector.default()(photograph.convert("RGB"))) == 1

"""Errors of all stages, and the sources of fetch."""

import json
import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
import yaml
from PIL import Image

from anteojos.model import checkpoints
from anteojos.model.recipes import RECIPES
from anteojos.model.training import Epoch, Scores
from anteojos.params import Params
from anteojos.runtime import environment
from anteojos.stages import train
from anteojos.vocabulary import SPLITS
from tests.conftest import ROOT
from tests.kaggle_server import HANDLE, dataset_files, kaggle_server
from tests.pages import undocumented
from tests.project import STAGES

pytestmark = pytest.mark.slow


def run_stage(stage: str, folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if name != "DVC_STAGE"}
    return subprocess.run(
        [sys.executable, "-m", f"anteojos.stages.{stage}"],
        cwd=folder,
        env={**environment, **variables},
        capture_output=True,
        text=True,
    )


def params(folder: Path, **dataset: object) -> None:
    """Write a params.yaml with one image per class and split."""
    values = yaml.safe_load((ROOT / "params.yaml").read_text())
    one_each = {"glasses": 1, "noglasses": 1}
    values["dataset"] |= {
        "expected": dict.fromkeys(("train", "validate", "test"), one_each),
        "drawn": None,
        "size": 96,
        **dataset,
    }
    (folder / "params.yaml").write_text(yaml.safe_dump(values, sort_keys=False))


def images(folder: Path) -> Path:
    """Create a folder with one image per class and split; those of the test split have no labels."""
    for number, file in enumerate(
        f"{split}/{label}.png"
        for split in ("train/glasses", "train/noglasses", "validate/glasses", "validate/noglasses", "test")
        for label in (("a", "b") if split == "test" else ("a",))
    ):
        path = folder / file
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.effect_noise((40, 40), 50 + 10 * number).save(path)
    return folder


def files(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_fetch_draws_sample(tmp_path: Path) -> None:
    params(tmp_path)
    assert run_stage("fetch", tmp_path).returncode == 0
    found = files(tmp_path / "data/raw")
    assert len(found) == 7
    assert found["test_labels.csv"].startswith(b"file,label\n")
    assert run_stage("verify", tmp_path).returncode == 0
    assert json.loads((tmp_path / "metrics/details/verify.json").read_text())["test_balance"] == "known"


def test_fetch_imports_archive_and_test_labels(tmp_path: Path) -> None:
    source = images(tmp_path / "source")
    (tmp_path / "labels.csv").write_text("file,label\na.png,glasses\nb.png,noglasses\n")
    params(tmp_path, source="archive", archive="source", test_labels="labels.csv")
    assert run_stage("fetch", tmp_path).returncode == 0
    labels = (tmp_path / "labels.csv").read_bytes()
    assert files(tmp_path / "data/raw") == {**files(source), "test_labels.csv": labels}


def test_fetch_downloads_from_kaggle_and_keeps_it_after_error(tmp_path: Path) -> None:
    params(tmp_path, source="kaggle", kaggle=HANDLE)
    variables = {"KAGGLE_API_ENVIRONMENT": "TEST", "KAGGLEHUB_CACHE": str(tmp_path / "cache"), "HOME": str(tmp_path)}
    with kaggle_server():
        done = run_stage("fetch", tmp_path, **variables)
        assert done.returncode == 0, done.stderr
        assert files(tmp_path / "data/raw") == dataset_files()
        params(tmp_path, source="kaggle", kaggle="someone/else/versions/1")
        failed = run_stage("fetch", tmp_path, **variables)
    assert failed.returncode == 1
    assert "Kaggle dataset someone/else/versions/1: there is no such dataset or version" in failed.stderr
    assert files(tmp_path / "data/raw") == dataset_files()


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"archive": "nowhere.zip"}, "nowhere.zip"),
        ({"archive": "source", "test_labels": "none.csv"}, "dataset.test_labels: none.csv: No such file or directory"),
        ({"archive": "source", "test_labels": "/dev/zero"}, "/dev/zero: a device, pipe or socket; expected a regular"),
        ({"archive": "source", "sha256": "0" * 64}, "a folder has no sha256"),
        ({"archive": "source", "max_bytes": 100}, "dataset.max_bytes"),
    ],
)
def test_failed_fetch_has_message_and_keeps_data_raw(tmp_path: Path, setting: dict[str, object], message: str) -> None:
    images(tmp_path / "source")
    params(tmp_path, source="archive", archive="source")
    assert run_stage("fetch", tmp_path).returncode == 0
    before = files(tmp_path / "data")
    params(tmp_path, source="archive", **setting)
    failed = run_stage("fetch", tmp_path)
    assert failed.returncode == 1
    assert message in failed.stderr
    assert "Traceback" not in failed.stderr
    assert files(tmp_path / "data") == before


def test_folder_that_cannot_be_created_is_named(tmp_path: Path) -> None:
    params(tmp_path)
    (tmp_path / "data").write_text("a file where the folder should be")
    failed = run_stage("fetch", tmp_path)
    assert failed.returncode == 1
    assert failed.stderr == "data: File exists\n"


@pytest.mark.parametrize(
    ("code", "last"),
    [
        ("open('/dev/full', 'wb', buffering=0).write(b'x')", "writing: No space left on device"),
        ("raise PermissionError(errno.EACCES, 'Permission denied', 'x.csv')", "x.csv: Permission denied"),
        ("open('x.csv')", "FileNotFoundError: [Errno 2] No such file or directory: 'x.csv'"),
        ("raise TimeoutError(errno.ETIMEDOUT, 'timed out')", "TimeoutError: [Errno 110] timed out"),
    ],
)
def test_only_errors_of_the_machine_have_no_traceback(tmp_path: Path, code: str, last: str) -> None:
    program = f"import errno; from anteojos.runtime.runner import run\ndef main(): {code}\nrun(main)"
    failed = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True)
    assert failed.returncode == 1
    assert failed.stderr.splitlines()[-1] == last
    assert ("Traceback" in failed.stderr) == (last.split(":")[0] in ("FileNotFoundError", "TimeoutError"))


# Run a stage in one folder after the other; print how it exits, and the slow modules that it has imported.
IN_FOLDERS = """
import os, runpy, sys
stage, *folders = sys.argv[1:]
for folder in folders:
    os.chdir(folder)
    try:
        runpy.run_module(f"anteojos.stages.{stage}", run_name="__main__")
    except SystemExit as ended:
        print(ended.code)
    print("end", file=sys.stderr)
print([name for name in ("tensorflow", "keras") if name in sys.modules])
"""


@pytest.mark.parametrize("stage", STAGES)
def test_stage_stops_without_params_and_at_a_wrong_one(tmp_path: Path, stage: str) -> None:
    other, wrong = tmp_path / "other", tmp_path / "wrong"
    other.mkdir()
    wrong.mkdir()
    text = (ROOT / "params.yaml").read_text(encoding="utf-8")
    (wrong / "params.yaml").write_text(f"{text}  treshold: 0.4\n", encoding="utf-8")
    environment = {name: value for name, value in os.environ.items() if name != "DVC_STAGE"}
    command = [sys.executable, "-c", IN_FOLDERS, stage, other, wrong]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    # Only `train` waits for TensorFlow.
    assert done.stdout.splitlines() == ["1", "1", "['tensorflow', 'keras']" if stage == "train" else "[]"]
    in_other, in_wrong, _ = done.stderr.split("end\n")
    assert in_other.splitlines()[-2:] == [
        "params.yaml: No such file or directory",
        "Run it in the checkout of anteojos, the folder that holds dvc.yaml: `cd` there first.",
    ]
    assert list(other.iterdir()) == []
    assert in_wrong.splitlines()[-3:] == [
        "params.yaml is wrong in 1 place",
        "  predict.treshold: is no parameter; found 0.4; did you mean predict.threshold?",
        "Correct params.yaml and run `dvc repro` again.",
    ]


def test_drawn_faces_with_other_class_names_are_warned_of(tmp_path: Path) -> None:
    classes = [{"folder": name, "name": name} for name in ("mask", "nomask")]
    params(tmp_path, classes=classes, expected={split: {"mask": 1, "nomask": 1} for split in SPLITS})
    stderr = run_stage("fetch", tmp_path).stderr
    assert undocumented("Your own classes with drawn faces", stderr) == []
    params(tmp_path)
    assert run_stage("fetch", tmp_path).stderr == ""


def test_tensorflow_start_logs_nothing() -> None:
    code = "import anteojos.model.training; import tensorflow; print(tensorflow.constant(1).numpy())"
    clean = {name: value for name, value in os.environ.items() if not name.startswith("TF_")}
    done = subprocess.run([sys.executable, "-c", code], env=clean, capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("1\n", "")


@pytest.mark.parametrize(("epochs", "lines"), [(3, [1, 2, 3]), (20, [*range(1, 21)]), (90, [1, *range(5, 91, 5)])])
def test_train_prints_about_20_epochs(epochs: int, lines: list[int], capsys: pytest.CaptureFixture[str]) -> None:
    scores = Scores(0.5, 0.75)
    for number in range(1, epochs + 1):
        train.print_epoch(epochs, Epoch(number, scores, scores))
    printed = [line for line in capsys.readouterr().out.splitlines() if line.startswith("epoch")]
    assert [int(line.split()[1].partition("/")[0]) for line in printed] == lines


def test_history_has_all_epochs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "metrics").mkdir()
    monkeypatch.chdir(tmp_path)
    train.write_history([Epoch(1, Scores(0.5, 0.75), Scores(0.6, 0.7)), Epoch(2, Scores(0.25, 1.0), Scores(0.3, 0.8))])
    files = {path.relative_to("metrics/history").as_posix(): path.read_text() for path in Path().rglob("*.tsv")}
    assert files == {
        "train/loss.tsv": "epoch\tloss\n1\t0.5\n2\t0.25\n",
        "train/accuracy.tsv": "epoch\taccuracy\n1\t0.75\n2\t1.0\n",
        "validate/loss.tsv": "epoch\tloss\n1\t0.6\n2\t0.3\n",
        "validate/accuracy.tsv": "epoch\taccuracy\n1\t0.7\n2\t0.8\n",
    }


def test_checkpoint_key_changes_with_each_input(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("images.npy", "index.csv"):
        (tmp_path / name).write_text(name)
    settings = Params.load(ROOT / "params.yaml").train
    recipe = RECIPES[settings.network]
    keys = {
        "here": checkpoints.key([tmp_path], settings, recipe),
        "another seed": checkpoints.key([tmp_path], replace(settings, seed=2), recipe),
        "another recipe": checkpoints.key([tmp_path], settings, replace(recipe, label_smoothing=0.1)),
        "other images": checkpoints.key([tmp_path, tmp_path], settings, recipe),
    }
    assert checkpoints.key([tmp_path], settings, recipe) == keys["here"]
    with monkeypatch.context() as patch:
        patch.setattr(environment, "describe", lambda: {"keras": "another"})
        keys["another version"] = checkpoints.key([tmp_path], settings, recipe)
    with monkeypatch.context() as patch:
        code = tmp_path / "networks.py"
        code.write_text("# other code")
        patch.setattr(sys.modules["anteojos.model.networks"], "__file__", str(code))
        keys["other code"] = checkpoints.key([tmp_path], settings, recipe)
    (tmp_path / "index.csv").write_text("other labels")
    keys["other labels"] = checkpoints.key([tmp_path], settings, recipe)
    assert len(set(keys.values())) == len(keys) == 7


@pytest.mark.skipif(sys.platform != "linux", reason="other systems draw in one process")
def test_drawing_processes_end_with_killed_fetch(tmp_path: Path) -> None:
    many = {"glasses": 5000, "noglasses": 5000}
    params(tmp_path, expected=dict.fromkeys(("train", "validate", "test"), many))
    fetch = subprocess.Popen([sys.executable, "-m", "anteojos.stages.fetch"], cwd=tmp_path)
    watched = psutil.Process(fetch.pid)
    while not (drawing := watched.children()) and fetch.poll() is None:
        time.sleep(0.02)
    fetch.kill()
    fetch.wait()
    assert drawing
    _, alive = psutil.wait_procs(drawing, timeout=20)
    assert alive == []


@pytest.mark.skipif(sys.platform != "linux", reason="other systems draw in one process")
def test_drawing_uses_available_cores_only(tmp_path: Path) -> None:
    few = {"glasses": 10, "noglasses": 10}
    params(tmp_path, expected=dict.fromkeys(("train", "validate", "test"), few))
    one_core = ["taskset", "--cpu-list", str(min(os.sched_getaffinity(0)))]
    fetch = subprocess.Popen([*one_core, sys.executable, "-m", "anteojos.stages.fetch"], cwd=tmp_path)
    most = 0
    while fetch.poll() is None:
        most = max(most, len(psutil.Process(fetch.pid).children()))
        time.sleep(0.01)
    assert (fetch.returncode, most) == (0, 1)

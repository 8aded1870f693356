"""`dvc repro` rebuilds only what has changed, and loses nothing."""

import io
import json
import os
import shutil
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

from anteojos.images import detector_models
from anteojos.model.classifier import Classifier
from anteojos.model.metadata import Metadata
from anteojos.model.statistics import TrainingRanges, measure_training
from anteojos.team.commands import leaves
from tests.project import STAGES, Project, RunWith

pytestmark = pytest.mark.pipeline


def stages(**named: str) -> dict[str, str]:
    return {**dict.fromkeys(STAGES, "unchanged"), **named}


def ran_from(first: str) -> dict[str, str]:
    return stages(**dict.fromkeys(STAGES[STAGES.index(first) :], "ran"))


def setting(key: str, value: Any) -> Callable[[Project], None]:
    return lambda project: project.set(key, value)


def damage_a_raw_image(project: Project) -> None:
    image = next((project.path / "data/raw/train/glasses").iterdir())
    image.chmod(0o644)
    image.write_bytes(image.read_bytes()[:-100])


def comment_on_evaluate(project: Project) -> None:
    with (project.path / "src/anteojos/stages/evaluate.py").open("a") as source:
        source.write("# A remark.\n")


@pytest.mark.parametrize(
    ("key", "value", "first"),
    [
        ("train.network", "sigmoid", "train"),
        ("train.epochs", 2, "train"),
        ("preprocess.crop", "none", "verify"),
        ("dataset.seed", 7, "fetch"),
    ],
)
def test_stages_after_a_change_run(run_with: RunWith, key: str, value: Any, first: str) -> None:
    assert run_with(key, value).ran == ran_from(first)


CHANGES: dict[str, tuple[Callable[[Project], None], dict[str, str]]] = {
    "nothing": (lambda project: None, {}),
    "predict.threshold": (setting("predict.threshold", 0.9), {"package": "ran", "predict": "ran"}),
    "evaluate.threshold": (setting("evaluate.threshold", 0.9), {"evaluate": "ran"}),
    "predict.uncertain": (setting("predict.uncertain", [0, 1]), {"package": "ran", "predict": "ran"}),
    "audit.p_value": (setting("audit.p_value", 0.5), {"audit": "ran", "describe": "ran"}),
    "a comment in stages/evaluate.py": (comment_on_evaluate, {"evaluate": "ran"}),
    "audit.on_leak": (setting("audit.on_leak", "fail"), {"audit": "ran"}),
    "a raw image changed by hand": (damage_a_raw_image, {"fetch": "restored"}),
    "nothing again": (lambda project: None, {}),
}


def test_only_what_a_change_concerns_runs(project: Project) -> None:
    for name, (change, expected) in CHANGES.items():
        change(project)
        assert project.repro() == stages(**expected), name
    project.set("preprocess.size", 47)
    ran = {"fetch": "unchanged", "verify": "unchanged", "preprocess": "ran", "audit": "ran"}
    assert project.repro("audit") == ran


COUNT_SEARCHES = """
import os, pathlib
from hashlib import sha256
if "DVC_STAGE" in os.environ:
    from anteojos.images.detector import Detector
    search = Detector.__call__
    def counted(self, image, *arguments, **named):
        with pathlib.Path("searches.txt").open("a") as searches:
            print(os.environ["DVC_STAGE"], sha256(image.tobytes()).hexdigest(), file=searches)
        return search(self, image, *arguments, **named)
    Detector.__call__ = counted
"""


def test_each_image_is_searched_for_faces_once_in_a_whole_run(project: Project) -> None:
    # Python imports this file at its start, in each stage.
    (project.path / "src/sitecustomize.py").write_text(COUNT_SEARCHES)
    assert project.repro("--force") == stages(**dict.fromkeys(STAGES, "ran"))
    searches = (project.path / "searches.txt").read_text().splitlines()
    images = pd.read_csv(project.path / "data/manifest.csv")
    assert len(searches) == len(set(searches)) == len(images) == 24
    assert {line.split()[0] for line in searches} == {"verify"}


def test_training_that_gives_the_same_model_stops_there(project: Project) -> None:
    # The recipe of "baseline" does not rescale: with the same value in params.yaml, training gives the same bytes.
    project.set("train.rescale", False)
    assert project.repro() == stages(train="ran", crossvalidate="ran")


def test_a_parameter_set_back_to_its_old_value_runs_nothing(
    small_project: Project, other_images: Project, tmp_path: Path
) -> None:
    before = (small_project.path / "dvc.lock").read_text()
    project = other_images.copy_to(tmp_path / "a project")
    assert (project.path / "dvc.lock").read_text() != before
    project.set("dataset.seed", 2024)
    assert "ran" not in project.repro().values()
    assert (project.path / "dvc.lock").read_text() == before
    assert project.must("git", "status", "--porcelain") in (" M params.yaml\n", "")


def test_deleted_outputs_are_restored_from_cache(project: Project) -> None:
    shutil.rmtree(project.path / "data")
    shutil.rmtree(project.path / "models")
    project.must("git", "checkout", "data", "models")
    assert "ran" not in project.repro().values()
    assert project.must("dvc", "status").strip() == "Data and pipelines are up to date."


@pytest.mark.parametrize("locked_out", ["none there", "not a zip"])
def test_failed_fetch_keeps_previous_images(project: Project, locked_out: str) -> None:
    archive = project.path / "broken.zip"
    if locked_out == "not a zip":
        archive.write_bytes(b"no zip at all")
    before = files_below(project.path / "data/raw")
    project.set("dataset.source", "archive")
    project.set("dataset.archive", "broken.zip")
    failed = project.run("dvc", "repro")
    assert failed.returncode != 0
    assert "broken.zip" in failed.stderr
    assert "Traceback" not in failed.stderr
    assert files_below(project.path / "data/raw") == before


def test_failed_verify_keeps_manifest_and_metrics(project: Project) -> None:
    before = {file: (project.path / file).read_bytes() for file in ("data/manifest.csv", "metrics/details/verify.json")}
    project.set("dataset.near_duplicate_bits", 9)
    failed = project.run("dvc", "repro", "verify")
    assert failed.returncode != 0
    assert "dataset.near_duplicate_bits: found 9" in failed.stderr
    assert {file: (project.path / file).read_bytes() for file in before} == before


def test_failure_in_fresh_clone_keeps_metrics(project: Project, tmp_path: Path) -> None:
    project.must("git", "clone", "--quiet", str(project.path), str(tmp_path / "a clone"))
    clone = Project(tmp_path / "a clone")
    counts = {"glasses": 7, "noglasses": 6}
    clone.must("dvc", "repro", "fetch")
    found = yaml.safe_load((clone.path / "params.yaml").read_text())["dataset"]["expected"]
    # The images of before, and another number expected of them.
    clone.set("dataset.expected", {**found, "train": counts})
    clone.set("dataset.source", "archive")
    clone.set("dataset.archive", str(project.path / "data/raw"))
    failed = clone.run("dvc", "repro")
    assert failed.returncode != 0
    assert "train/glasses: 6 images, expected 7" in failed.stderr
    assert "dvc repro --force fetch" in failed.stderr
    assert "Traceback" not in failed.stderr
    assert clone.must("git", "status", "--porcelain").split() == ["M", "dvc.lock", "M", "params.yaml"]


def test_interrupted_training_keeps_previous_model(project: Project) -> None:
    model = (project.path / "models/model.keras").read_bytes()
    project.set("train.epochs", 10_000)
    command = project.started("dvc", "repro")
    assert command.stdout is not None
    for line in command.stdout:
        if line.startswith("epoch"):
            break
    error = interrupt(command)
    assert command.returncode != 0
    assert "train: interrupted" in error
    assert (project.path / "models/model.keras").read_bytes() == model
    project.set("train.epochs", 1)
    assert "ran" not in project.repro().values()


def interrupt(command: subprocess.Popen[str]) -> str:
    """Press Ctrl-C until the command ends; return its stderr. Python ignores a Ctrl-C that arrives in a destructor."""
    for _ in range(4):
        os.killpg(command.pid, signal.SIGINT)
        try:
            return command.communicate(timeout=30)[1]
        except subprocess.TimeoutExpired:
            continue
    raise AssertionError("the command does not end")


def files_below(folder: Path) -> dict[str, bytes]:
    return {file.relative_to(folder).as_posix(): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def test_stages_run_code_of_checkout(project: Project) -> None:
    with (project.path / "src/anteojos/stages/predict.py").open("a") as source:
        source.write("print(f'run from {__file__}')\n")
    here = f"run from {project.path / 'src/anteojos/stages/predict.py'}"
    assert here in project.must("dvc", "repro")


def test_dvc_diff_and_experiments_show_changes(run_with: RunWith, tmp_path: Path) -> None:
    project = run_with("train.network", "sigmoid").copy_to(tmp_path / "a project")
    metrics = json.loads(project.must("dvc", "metrics", "diff", "--json"))
    # The last layer sees 8 × 8 × 64, and has one output less.
    assert metrics["metrics/train.json"]["parameters"] == {"old": 64_514, "new": 60_417, "diff": -4_097}
    params = json.loads(project.must("dvc", "params", "diff", "--json"))
    assert params == {"params.yaml": {"train.network": {"old": "baseline", "new": "sigmoid"}}}

    shown = json.loads(project.must("dvc", "metrics", "show", "--json"))[""]["data"]
    # Only the figures that people compare, so that a table of all of them is readable.
    assert {Path(file).stem: len(list(leaves(of["data"]))) for file, of in shown.items()} == {
        "audit": 4,
        "train": 3,
        "evaluate": 16,
        "predict": 3,
    }
    assert shown["metrics/evaluate.json"]["data"]["validate"]["n"] == 8
    experiments = json.loads(project.must("dvc", "exp", "show", "--json"))
    assert [row["rev"] for row in experiments] == ["workspace", project.must("git", "rev-parse", "HEAD").strip()]

    page = project.must("dvc", "plots", "show", "--out", "plots")
    assert page.strip().endswith("index.html")
    html = (project.path / "plots/index.html").read_text()
    for title in ("Accuracy by epoch", "Loss by epoch", "Confusion matrix", "ROC", "Calibration"):
        assert title in html, title
    images = {file.name for file in (project.path / "plots/static").iterdir()}
    names = ("samples", "leak", "mistakes", "attention", "doubtful_labels", "test")
    assert images == {f"workspace_metrics_plots_{name}.png" for name in names}


def test_dag_has_all_edges_and_artifacts_can_be_copied(project: Project) -> None:
    dag = project.must("dvc", "dag", "--dot")
    for edge in (
        ("fetch", "verify"),
        ("verify", "preprocess"),
        ("preprocess", "audit"),
        ("audit", "train"),
        ("train", "package"),
        ("train", "evaluate"),
        ("package", "predict"),
    ):
        assert '"{}" -> "{}"'.format(*edge) in dag
    artifacts = yaml.safe_load((project.path / "dvc.yaml").read_text())["artifacts"]
    assert {artifact["path"] for artifact in artifacts.values()} == {"models/model.tflite", "models/model.keras"}
    for artifact in artifacts.values():
        assert artifact["type"] == "model"
        assert artifact["desc"]
        assert "image-classification" in artifact["labels"]
        project.must("dvc", "get", ".", artifact["path"], "--out", "got")
        assert (project.path / "got").read_bytes() == (project.path / artifact["path"]).read_bytes()
        (project.path / "got").unlink()


def test_an_experiment_changes_the_network_and_is_listed(project: Project, run_with: RunWith) -> None:
    project.add_runs_of(run_with("train.network", "sigmoid"))
    project.must("dvc", "exp", "run", "--name", "sigmoid", "-S", "train.network=sigmoid")
    experiments = json.loads(project.must("dvc", "exp", "show", "--json"))
    [experiment] = experiments[1]["experiments"]
    assert experiment["name"] == "sigmoid"
    [revision] = experiment["revs"]
    assert revision["data"]["params"]["params.yaml"]["data"]["train"]["network"] == "sigmoid"
    # 139,265 parameters at 160 px; at 48 px the last layer sees 8 × 8 × 64.
    assert revision["data"]["metrics"]["metrics/train.json"]["data"]["parameters"] == 896 + 18_496 + 36_928 + 4_097


def test_predictions_have_a_row_for_each_test_image(project: Project) -> None:
    predictions = pd.read_csv(project.path / "data/predictions.csv")
    assert list(predictions.columns) == ["file", "label", "probability", "first_class_probability", "warning"]
    on_disk = sorted(path.name for path in (project.path / "data/raw/test").iterdir())
    assert [file.removeprefix("test/") for file in predictions["file"]] == on_disk
    assert predictions["probability"].between(0, 1).all()
    first = predictions["first_class_probability"]
    expected = first.ge(0.5).map({True: "glasses", False: "noglasses"})
    assert predictions["label"].tolist() == expected.tolist()
    metrics = json.loads((project.path / "metrics/details/predict.json").read_text())
    assert metrics["expected"] == {"glasses": 2, "noglasses": 2}
    assert metrics["predicted"] == {label: int((expected == label).sum()) for label in ("glasses", "noglasses")}
    of_label = first.where(first >= 0.5, 1 - first)
    assert predictions["probability"].tolist() == pytest.approx(of_label.tolist(), abs=1e-6)
    uncertain = first.between(0.2, 0.8, inclusive="neither")
    assert predictions["warning"].fillna("").str.contains("uncertain").tolist() == uncertain.tolist()
    assert set(metrics["warnings"]) == {"small_face", "turned", "unlike", "size", "uncertain"}
    assert (metrics["warnings"]["size"], metrics["warnings"]["uncertain"]) == (0, int(uncertain.sum()))


def test_metadata_describes_training_images(project: Project) -> None:
    metadata = Metadata.read(project.path / "models/model.tflite")
    assert (metadata.crop, metadata.notice) == ("face", detector_models.NOTICE)
    assert metadata.detector == detector_models.installed()
    assert (metadata.labels, metadata.names) == (("glasses", "noglasses"), ("con lentes", "sin lentes"))
    table = pd.read_csv(project.path / "data/manifest.csv")
    train = table[table["split"] == "train"]
    assert (table["faces"] == 1).all()
    images = np.load(project.path / "data/processed/train/images.npy")
    assert metadata.ranges == TrainingRanges.of(
        measure_training(images, train["width"].tolist(), train["height"].tolist())
    )


def test_pipeline_command_and_library_use_the_same_thresholds(project: Project) -> None:
    names = [{"folder": "glasses", "name": "with"}, {"folder": "noglasses", "name": "without"}]
    project.set("dataset.classes", names)
    before = pd.read_csv(project.path / "data/predictions.csv")
    project.set("predict.threshold", 0.0)
    project.set("predict.uncertain", [0.0, 1.0])
    ran = project.repro()
    assert (ran["train"], ran["package"], ran["predict"]) == ("unchanged", "ran", "ran")

    predictions = pd.read_csv(project.path / "data/predictions.csv")
    assert predictions["first_class_probability"].tolist() == before["first_class_probability"].tolist()
    assert set(before["label"]) != set(predictions["label"]) == {"glasses"}
    assert predictions["warning"].str.contains("uncertain").all()
    test = project.path / "data/raw/test"
    printed = project.must("python", "-m", "anteojos", "predict", str(test), PYTHONPATH="src")
    by_command = pd.read_csv(io.StringIO(printed))
    classifier = Classifier.load(project.path / "models/model.tflite")
    by_library = [classifier(path) for path in sorted(test.iterdir())]
    assert by_command["label"].tolist() == [found.label for found in by_library] == predictions["label"].tolist()
    assert {found.name for found in by_library} == {"with"}
    for warnings in (by_command["warning"].tolist(), [found.warning for found in by_library]):
        assert warnings == predictions["warning"].tolist()


def test_two_classes_of_ones_own_need_only_parameters(project: Project) -> None:
    project.set("dataset.classes", [{"folder": "smile", "name": "smiling"}, {"folder": "plain", "name": "not smiling"}])
    counts = {"train": 4, "validate": 2, "test": 2}
    project.set("dataset.expected", {split: {"smile": n, "plain": n} for split, n in counts.items()})
    project.repro("predict")
    assert set(pd.read_csv(project.path / "data/predictions.csv")["label"]) <= {"smile", "plain"}
    assert json.loads((project.path / "metrics/details/verify.json").read_text())["test"] == {"smile": 2, "plain": 2}


def test_unlabelled_test_images_have_unknown_balance(project: Project) -> None:
    source = project.path / "of my own"
    shutil.copytree(project.path / "data/raw", source)
    (source / "test_labels.csv").unlink()
    project.set("dataset.source", "archive")
    project.set("dataset.archive", "of my own")
    project.repro()
    assert json.loads((project.path / "metrics/details/verify.json").read_text())["test_balance"] == "not known"
    assert list(json.loads((project.path / "metrics/evaluate.json").read_text())) == ["validate"]
    assert len(pd.read_csv(project.path / "data/predictions.csv")) == 4


def test_a_clean_checkout_stays_clean_after_a_run(project: Project) -> None:
    (project.path / "dvc.lock").unlink()
    project.repro()
    assert project.must("git", "status", "--porcelain") == ""

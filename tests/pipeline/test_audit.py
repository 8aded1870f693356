"""The audit stands between the images and the training: it warns, or lets nothing be trained."""

import json

import pytest

from tests.project import Project

pytestmark = pytest.mark.pipeline


def with_titles(project: Project) -> Project:
    """Let the network see the whole canvas, which has the label printed on it."""
    project.set("preprocess.crop", "none")
    return project


def test_leak_warns_and_training_continues(project: Project) -> None:
    done = with_titles(project).run("dvc", "repro")
    assert done.returncode == 0
    assert "warning (leak): The label can be predicted without the face" in done.stderr
    border = json.loads((project.path / "metrics/audit.json").read_text())["border"]
    assert (border["accuracy"] >= 0.9, border["verdict"], border["n"]) == (True, "leak", 20)
    assert f"an accuracy of {border['accuracy']:.3f}" in done.stderr
    assert (project.path / "metrics/plots/leak.png").exists()
    assert "Running stage 'train'" in done.stdout


@pytest.mark.parametrize("command", [("dvc", "repro"), ("dvc", "repro", "train"), ("dvc", "repro", "--keep-going")])
def test_told_to_fail_nothing_is_trained_on_a_leak(project: Project, command: tuple[str, ...]) -> None:
    outputs = ("metrics/audit.json", "metrics/plots/leak.png", "data/audited.txt", "models/model.tflite")
    before = {file: (project.path / file).read_bytes() for file in outputs}
    project.set("audit.on_leak", "fail")
    failed = with_titles(project).run(*command)
    assert failed.returncode != 0
    assert "audit: The label can be predicted without the face" in failed.stderr
    assert "Set `preprocess.crop: face` in params.yaml" in failed.stderr
    assert "Traceback" not in failed.stderr
    assert "Running stage 'audit'" in failed.stdout
    assert "Running stage 'train'" not in failed.stdout
    assert {file: (project.path / file).read_bytes() for file in outputs} == before

    project.set("preprocess.crop", "face")
    assert project.repro()["train"] == "unchanged"


def test_the_advice_of_a_failed_audit_can_be_followed(project: Project) -> None:
    project.set("audit.on_leak", "fail")
    failed = with_titles(project).run("dvc", "repro", "audit")
    command = next(part for part in failed.stderr.split("`") if part.startswith("anteojos audit"))
    shown = project.must("sh", "-c", command)
    assert "border" in shown
    assert (project.path / "leak.png").exists()


def test_other_figures_of_the_audit_train_nothing_anew(project: Project) -> None:
    before = json.loads((project.path / "metrics/audit.json").read_text())
    project.set("audit.border", 40)
    assert project.repro() == dict.fromkeys(
        ("fetch", "verify", "preprocess", "train", "package", "crossvalidate", "evaluate", "predict"), "unchanged"
    ) | {"audit": "ran", "describe": "ran"}
    assert json.loads((project.path / "metrics/audit.json").read_text()) != before

"""Before training, the audit warns of a leak, or stops the pipeline."""

import json
from pathlib import Path

import pytest

from tests.project import Project, RunWith

pytestmark = pytest.mark.pipeline


def test_leak_warns_and_training_continues(run_with: RunWith, tmp_path: Path) -> None:
    # The network sees the whole canvas, which has the label printed on it.
    whole = run_with("preprocess.crop", "none")
    assert (whole.ran["audit"], whole.ran["train"]) == ("ran", "ran")
    border = json.loads((whole.path / "metrics/details/audit.json").read_text())["border"]
    assert (border["accuracy"] >= 0.9, border["verdict"], border["n"]) == (True, "leak", 20)
    assert (whole.path / "metrics/plots/leak.png").exists()
    done = whole.copy_to(tmp_path / "a project").run("dvc", "repro", "--force", "--single-item", "audit")
    assert done.returncode == 0
    assert "warning (leak): The label can be predicted without the face" in done.stderr
    assert f"a balanced accuracy of {border['accuracy']:.3f}" in done.stderr


def test_told_to_fail_nothing_is_trained_on_a_leak(project: Project) -> None:
    outputs = ("metrics/details/audit.json", "metrics/plots/leak.png", "data/audited.txt", "models/model.tflite")
    before = {file: (project.path / file).read_bytes() for file in outputs}
    project.set("audit.on_leak", "fail")
    project.set("preprocess.crop", "none")
    for arguments in ((), ("train",), ("--keep-going",)):
        failed = project.run("dvc", "repro", *arguments)
        assert failed.returncode != 0
        assert "audit: The label can be predicted without the face" in failed.stderr
        assert "Set `preprocess.crop: face` in params.yaml" in failed.stderr
        assert "Traceback" not in failed.stderr
        assert "Running stage 'audit'" in failed.stdout
        assert "Running stage 'train'" not in failed.stdout
        assert {file: (project.path / file).read_bytes() for file in outputs} == before
    # The advice can be followed.
    command = next(part for part in failed.stderr.split("`") if part.startswith("anteojos audit"))
    assert "border" in project.must("sh", "-c", command)
    assert (project.path / "leak.png").exists()

    project.set("preprocess.crop", "face")
    assert project.repro()["train"] == "unchanged"


def test_other_figures_of_the_audit_train_nothing_anew(project: Project) -> None:
    before = json.loads((project.path / "metrics/details/audit.json").read_text())
    project.set("audit.border", 40)
    assert project.repro() == dict.fromkeys(
        ("fetch", "verify", "preprocess", "train", "package", "crossvalidate", "evaluate", "predict"), "unchanged"
    ) | {"audit": "ran", "describe": "ran"}
    assert json.loads((project.path / "metrics/details/audit.json").read_text()) != before

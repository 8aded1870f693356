"""The targets of the Makefile, in a checkout with a space in its path."""

import json
import re
import sys

import pytest

from tests.conftest import ROOT
from tests.project import Project, RunWith, commit

pytestmark = pytest.mark.pipeline


def test_make_repro_runs_the_pipeline_with_its_environment(project: Project) -> None:
    # Use the environment of these tests: a new one takes minutes (.ci/run makes one).
    (project.path / ".venv").symlink_to(sys.prefix)
    project.set("predict.threshold", 0.9)
    output = project.must("make", "--old-file", ".venv/installed", "repro", PATH="/usr/bin:/bin")
    assert "Running stage 'predict'" in output
    assert "Stage 'train' didn't change, skipping" in output
    *_, validate, test, audit, stages, results, _, files, following = output.splitlines()
    assert re.fullmatch(r"validate: \d of 8 labels are correct, accuracy .*larger class \(0\.500\).*", validate)
    assert test.startswith("test: ")
    assert audit.startswith("audit: the border of the images alone does not leak the label (accuracy ")
    assert re.fullmatch(r"stages: package \d s, predict \d s; \d s in all", stages)
    assert re.fullmatch(
        r"results: \d of \d+ outputs differ from the last commit, because of .*predict.threshold.*", results
    )
    assert files.startswith("files: ")
    assert following.startswith("next: `make report`")
    assert "dvc push" not in output
    only_one = project.must("make", "--old-file", ".venv/installed", "repro", "ARGS=--single-item predict")
    assert "Stage 'predict' didn't change, skipping" in only_one
    assert "train" not in only_one
    # The metrics may be older than what ran.
    assert "accuracy" not in only_one


def test_results_of_another_cpu_are_explained(project: Project) -> None:
    """The committed results are changed, as if another kind of CPU had computed them."""
    (project.path / ".venv").symlink_to(sys.prefix)
    lock, environment = project.path / "dvc.lock", project.path / "metrics/environment.json"
    text = lock.read_text()
    [checksum] = re.findall(r"- path: models/model.keras\n +hash: md5\n +md5: (\w+)", text)
    lock.write_text(text.replace(checksum, checksum[::-1]))
    environment.write_text(json.dumps(json.loads(environment.read_text()) | {"instructions": "X86_V4"}))
    commit(project, "Results of another CPU")
    lock.write_text(text)
    output = project.must("make", "--old-file", ".venv/installed", "repro")
    assert "results: 1 of 33 outputs differ from the last commit, which was computed on another kind of CPU" in output
    assert "(instructions X86_V4, here " in output
    project.must("git", "restore", "dvc.lock", "metrics")
    assert project.must("git", "status", "--porcelain", "--untracked-files=no") == ""


def test_make_clean_removes_only_outputs(project: Project) -> None:
    made = (
        "data/raw",
        "data/processed/train",
        "data/predictions.csv",
        "models/model.keras",
        "metrics/plots/test.png",
        "dvc_plots",
        "comparison",
    )
    written = ("notes.txt", "data/my faces.zip", "models/notes.md", ".dvc/config.local", "src/anteojos/mine.py")
    (project.path / ".venv/bin").mkdir(parents=True)
    project.must("dvc", "plots", "show")
    (project.path / "comparison").mkdir()
    for file in written:
        (project.path / file).write_text("# mine\n")
    assert all((project.path / path).exists() for path in made)
    project.must("make", "clean")
    assert [path for path in (*made, ".venv") if (project.path / path).exists()] == []
    assert [path for path in written if not (project.path / path).exists()] == []
    assert project.must("git", "diff", "--name-only") == ""
    # DVC restores the outputs from its cache.
    assert "ran" not in project.repro().values()


def test_make_help_lists_every_target(project: Project) -> None:
    shown = project.must("make")
    assert shown == project.must("make", "help")
    targets = {line.split()[1] for line in shown.splitlines()}
    phony = [line for line in (ROOT / "Makefile").read_text().splitlines() if line.startswith(".PHONY")]
    assert targets == {target for line in phony for target in line.split()[1:]}


def test_experiments_table_shows_the_experiments_in_dvc(project: Project, run_with: RunWith) -> None:
    (project.path / ".venv").symlink_to(sys.prefix)
    project.add_runs_of(run_with("train.network", "sigmoid"))
    project.must("dvc", "exp", "run", "-S", "train.network=sigmoid")
    # The experiment, the commit, and nothing twice; it was restored, so that it took no time here.
    head, _, *rows = project.must("make", "--old-file", ".venv/installed", "results").splitlines()
    assert head.split(" | ")[1].strip() == "validate"
    assert sorted(row.split("|")[-2].strip() for row in rows) == ["train.network=sigmoid", "–"]
    training = {row.split("|")[-2].strip(): row.split("|")[-3].strip() for row in rows}
    assert re.fullmatch(r"\d+ s", training["–"])
    assert training["train.network=sigmoid"] == "–"
    code = (
        "import sys; sys.path.insert(0, 'benchmarks'); from networks import *;"
        "write_part('networks', 'make experiments', table_of(collect()) + '\\n\\nOne run.')"
    )
    project.must("python", "-c", code)
    page = (project.path / "docs/explanation/measurements.md").read_text()
    line = next(line for line in page.splitlines() if line.startswith("| `sigmoid` | `face` |"))
    evaluated = json.loads((project.path / "metrics/evaluate.json").read_text())
    accuracies = {split: f"{score['accuracy']:.3f}" for split, score in evaluated.items()}
    cells = [cell.strip() for cell in line.split("|")[4:6]]
    assert cells == [accuracies[split] for split in ("validate", "test")]
    assert "One run." in page
    assert page.count("| network | crop |") == 1
    committed = (ROOT / "docs/explanation/measurements.md").read_text()
    assert committed.partition("<!-- networks")[0] == page.partition("<!-- networks")[0]

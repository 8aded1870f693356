"""The whole pipeline on real pictures, where they are beside the checkout."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.project import Project

pytestmark = [pytest.mark.pipeline, pytest.mark.shared]


def test_the_pipeline_runs_on_the_real_pictures(project: Project, shared_data: Path) -> None:
    counts = {"train": 52, "validate": 20, "test": 10}
    for key, value in {
        "dataset.source": "archive",
        "dataset.archive": str(shared_data / "glasses-noglasses.zip"),
        "dataset.test_labels": str(shared_data / "test_labels.csv"),
        "dataset.expected": {split: {"glasses": n, "noglasses": n} for split, n in counts.items()},
        "preprocess.size": 160,
    }.items():
        project.set(key, value)
    assert set(project.repro().values()) == {"ran"}

    metrics = {file.stem: json.loads(file.read_text()) for file in (project.path / "metrics").glob("*.json")}
    for split, n in counts.items():
        assert metrics["verify"][split] == {"glasses": n, "noglasses": n}
        assert np.load(project.path / f"data/processed/{split}/images.npy", mmap_mode="r").shape == (2 * n, 160, 160, 3)
    assert metrics["verify"]["test_balance"] == "known"
    assert set(metrics["verify"]["warnings"].values()) == {0}
    assert metrics["audit"]["border"]["verdict"] == "none"
    assert metrics["audit"]["border"]["accuracy"] <= 0.65
    assert metrics["train"]["parameters"] == 222_210
    assert {split: score["n"] for split, score in metrics["evaluate"].items()} == {"validate": 40, "test": 20}
    assert sum(metrics["predict"]["predicted"].values()) == 20
    assert (metrics["predict"]["warnings"]["no_canvas"], metrics["predict"]["warnings"]["size"]) == (0, 0)

    labels = pd.read_csv(shared_data / "test_labels.csv")
    predictions = pd.read_csv(project.path / "data/predictions.csv")
    assert predictions["file"].tolist() == ("test/" + labels["file"]).tolist()

"""Images of one's own: from a folder or an archive with any usual layout to a model, with `anteojos init` and dvc."""

import csv
import json
import shutil
import subprocess
import unicodedata
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image

from tests.pages import undocumented
from tests.project import Project, check_out, commit

pytestmark = pytest.mark.pipeline

GRASS, MEADOW = "Césped Verde", "草地"
SMALL = {"preprocess.size": 48, "train.network": "baseline", "train.epochs": 1}


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[Project]:
    """A checkout as it is cloned, in which nothing has run."""
    project = check_out(tmp_path / "a checkout")
    (project.path / "dvc.lock").unlink(missing_ok=True)
    commit(project, "A checkout")
    yield project
    shutil.rmtree(project.path)


def put(folder: Path, counts: Mapping[str, int], start: int = 0) -> Path:
    """Write small images without faces, this many into each folder. The first letter of a folder gives the colour."""
    for place, count in counts.items():
        (folder / place).mkdir(parents=True, exist_ok=True)
        for number in range(start, start + count):
            rng = np.random.default_rng([*place.encode(), number])
            cells = rng.integers(0, 90, (6, 6, 3), dtype=np.uint8) + (150 if Path(place).name[0] == "C" else 0)
            image = Image.fromarray(cells.astype(np.uint8)).resize((60, 60), Image.Resampling.BICUBIC)
            image.save(folder / place / f"{number}.png")
    return folder


def init(project: Project, source: str, *options: str) -> str:
    return project.must("anteojos", "init", source, *options, PYTHONPATH="src")


def metrics(project: Project, name: str) -> Any:
    return json.loads((project.path / f"metrics/details/{name}.json").read_text())


def manifest(project: Project) -> list[dict[str, str]]:
    with (project.path / "data/manifest.csv").open(encoding="utf-8", newline="") as table:
        return list(csv.DictReader(table))


def raw(project: Project) -> set[str]:
    folder = project.path / "data/raw"
    return {file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.is_file()}


@pytest.mark.timeout(600)
def test_two_folders_in_any_script_become_a_model(fresh: Project) -> None:
    place = unicodedata.normalize("NFD", GRASS)
    assert place != GRASS
    put(fresh.path.parent / "my photos", {place: 20, MEADOW: 14})
    assert "make repro" in init(fresh, "../my photos")
    written = (fresh.path / "params.yaml").read_text(encoding="utf-8")
    assert f"  - folder: {GRASS}\n    name: {GRASS}\n  - folder: {MEADOW}\n" in written
    for key, value in SMALL.items():
        fresh.set(key, value)
    fresh.must("dvc", "repro")
    assert raw(fresh) == {
        f"unsplit/{label}/{n}.png" for label, count in ((GRASS, 20), (MEADOW, 14)) for n in range(count)
    }
    counted = metrics(fresh, "verify")
    assert all(counted[split][label] for split in ("train", "validate", "test") for label in (GRASS, MEADOW))
    assert sum(counted[split][label] for split in ("train", "validate", "test") for label in (GRASS, MEADOW)) == 34
    assert set(metrics(fresh, "predict")["predicted"]) == {GRASS, MEADOW}
    with (fresh.path / "data/predictions.csv").open(encoding="utf-8", newline="") as table:
        predicted = {row["file"]: row["label"] for row in csv.DictReader(table)}
    assert set(predicted) == {row["file"] for row in manifest(fresh) if row["split"] == "test"}
    assert (fresh.path / "models/README.md").read_text(encoding="utf-8").startswith(f"# {GRASS} or {MEADOW}\n")
    for command in (("show", "9", "validate"), ("audit", "data/raw"), ("predict", "../my photos"), ("report",)):
        fresh.must("anteojos", *command, PYTHONPATH="src")
    # The second run has nothing to do.
    assert set(fresh.repro().values()) == {"unchanged"}


def test_added_images_keep_the_splits_of_the_others(fresh: Project) -> None:
    pets = put(fresh.path.parent / "pets", {"Cats": 24, "dogs/2023/05": 4})
    init(fresh, "../pets")
    fresh.must("dvc", "repro", "verify")
    before = {row["file"]: row["split"] for row in manifest(fresh)}
    counts = metrics(fresh, "verify")
    assert all(counts[split][label] >= 1 for split in ("train", "validate", "test") for label in ("Cats", "dogs"))
    put(pets, {"Cats": 40}, start=100)
    assert "dvc repro --force fetch" in init(fresh, "../pets")
    fresh.must("dvc", "repro", "--force", "fetch")
    fresh.must("dvc", "repro", "verify")
    after = {row["file"]: row["split"] for row in manifest(fresh)}
    assert len(after) == 68
    assert {file: after[file] for file in before} == before


@pytest.mark.parametrize("kind", ["folder", "tar.gz", "zip"])
def test_train_and_val_in_each_kind_of_source(fresh: Project, kind: str) -> None:
    pets = fresh.path.parent / "pets"
    put(pets / "v1", {"Train/cats": 6, "Train/Dogs/a b": 5, "val/Cats": 3, "val/dogs": 2, "test": 2})
    if kind == "tar.gz":
        subprocess.run(["tar", "--create", "--gzip", "--file", "../pets.tar.gz", "."], cwd=pets, check=True)
    elif kind == "zip":
        with zipfile.ZipFile(pets.parent / "pets.zip", "w") as archive:
            for file in sorted(pets.rglob("*.png")):
                archive.write(file, file.relative_to(pets))
    init(fresh, "../pets" if kind == "folder" else f"../pets.{kind}")
    # The case of the first folder is used for both.
    fresh.must("dvc", "repro", "preprocess")
    label = yaml.safe_load((fresh.path / "params.yaml").read_text())["dataset"]["classes"]
    cats, dogs = (each["folder"] for each in label)
    assert {file.rpartition("/")[0] for file in raw(fresh)} == {
        f"train/{cats}", f"train/{dogs}/a b", f"validate/{cats}", f"validate/{dogs}", "test",
    }  # fmt: skip
    counted = metrics(fresh, "verify")
    assert counted["train"] == {cats: 6, dogs: 5}
    assert counted["validate"] == {cats: 3, dogs: 2}
    assert counted["test"] == {cats: 0, dogs: 0, "not known": 2}


def test_three_classes_are_explained_by_init_fetch_and_verify(fresh: Project) -> None:
    pets = put(fresh.path.parent / "pets", {"birds": 9, "cats": 5, "dogs": 6})
    before = (fresh.path / "params.yaml").read_bytes()
    refused = fresh.run("anteojos", "init", "../pets", PYTHONPATH="src")
    assert (refused.returncode, refused.stdout) == (1, "")
    listed = "  birds: 9 images\n  dogs: 6 images\n  cats: 5 images\n"
    assert f"images of 3 classes; exactly two are possible\n{listed}To use two of them, for example: " in refused.stderr
    assert (fresh.path / "params.yaml").read_bytes() == before

    init(fresh, "../pets", "--classes", "cats", "dogs")
    fresh.must("dvc", "repro", "verify")
    assert {file.split("/")[1] for file in raw(fresh)} == {"cats", "dogs"}
    fresh.set("dataset.ignored", [])
    refused = fresh.run("dvc", "repro", "verify")
    assert undocumented("More than two classes", refused.stderr) == []
    assert f"exactly two are possible, and dataset.classes are cats and dogs\n{listed}" in refused.stderr

    shutil.copytree(pets / "birds", fresh.path / "data/raw/unsplit/birds")
    refused = fresh.run("python", "-m", "anteojos.stages.verify", PYTHONPATH="src")
    assert f"  images of 3 classes; exactly two are possible, and dataset.classes are cats and dogs\n{listed}" in (
        refused.stderr
    )
    assert "anteojos init SOURCE --classes birds dogs\n" in refused.stderr


def test_archive_that_cannot_be_read_is_explained(fresh: Project) -> None:
    for which, content in enumerate((b"<!DOCTYPE html>", b"\x1f\x8b\x08\x00\x00")):
        (fresh.path / "pets").write_bytes(content)
        assert undocumented("An archive that cannot be read", fetch(fresh, "pets"), which) == []


def fetch(project: Project, source: str) -> str:
    project.set("dataset.source", "archive")
    project.set("dataset.archive", source)
    return project.run("python", "-m", "anteojos.stages.fetch", PYTHONPATH="src", DVC_STAGE="fetch").stderr

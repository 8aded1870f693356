"""dvc.yaml lists exactly what each stage reads."""

import ast
import copy
from collections.abc import Callable
from dataclasses import fields
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import yaml
from dvc.repo import Repo

from anteojos import params
from anteojos.params import Params
from anteojos.vocabulary import GLASSES
from tests.conftest import ROOT
from tests.import_graph import imported_files

STAGES = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
PARAMS = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
FOLDERS = {"dataset.classes.0.folder", "dataset.classes.1.folder"}
# Properties of params.Dataset, and the parameters that they are computed from.
DERIVED = {
    "labels": FOLDERS,
    "names": {"dataset.classes"},
    "name": {"dataset.classes"},
    "counts": {"dataset.drawn", "dataset.expected", "dataset.source"},
}
# Sections that stages pass as a whole to the library; `dataset` is read key by key.
WHOLE = ("preprocess", "train")


# Files of the folders that stages depend on, which some of these stages do not import.
NOT_IMPORTED = {
    "src/anteojos/images/class_folders.py",
    "src/anteojos/runtime/environment.py",
    "src/anteojos/runtime/files.py",
    "src/anteojos/runtime/litert.py",
    "src/anteojos/runtime/parallel.py",
    "src/anteojos/runtime/threads.py",
    "src/anteojos/sources/unpacking.py",
}


@pytest.mark.parametrize("stage", STAGES)
def test_deps_are_the_imported_source_files(stage: str) -> None:
    imported = imported_files(f"anteojos.stages.{stage}")
    deps = [dep for dep in STAGES[stage]["deps"] if dep.startswith("src/")]
    assert deps == sorted(deps)
    folders = [dep for dep in deps if (ROOT / dep).is_dir()]
    in_folders = set().union(*(files_of(folder) for folder in folders))
    assert {dep for dep in deps if dep not in folders} == imported - in_folders
    assert in_folders - imported <= NOT_IMPORTED


def files_of(folder: str) -> set[str]:
    """Return the paths of the files on which a stage depends if it depends on `folder`, without empty `__init__.py`."""
    with Repo(str(ROOT)) as repo:
        paths = {Path(path).relative_to(ROOT) for path in repo.dvcignore.find(repo.fs, str(ROOT / folder))}
    return {path.as_posix() for path in paths if len((ROOT / path).read_text(encoding="utf-8").splitlines()) > 1}


def test_files_that_change_no_output_are_ignored() -> None:
    # Otherwise stages that depend on their folder would run again.
    ignored = {"src/anteojos/runtime/checkout.py", "src/anteojos/runtime/cluster.py"}
    listed = {path.relative_to(ROOT).as_posix() for path in (ROOT / "src/anteojos/runtime").glob("*.py")}
    assert ignored <= listed
    assert not ignored & files_of("src/anteojos/runtime")
    with Repo(str(ROOT)) as repo:
        assert repo.dvcignore.is_ignored_dir(str(ROOT / "src/anteojos/runtime/__pycache__"))


# Parameters that no output depends on.
CHANGE_NO_OUTPUT = {"train.timeout"}


@pytest.mark.parametrize("stage", STAGES)
def test_params_are_the_parameters_read(stage: str) -> None:
    files = imported_files(f"anteojos.stages.{stage}") - {"src/anteojos/params.py"}
    read = set().union(*(parameters_read(ROOT / file) for file in files if file.endswith(".py")))
    if "dataset.classes" in read:
        read -= FOLDERS
    assert set(STAGES[stage]["params"]) == read - CHANGE_NO_OUTPUT


@pytest.mark.slow
def test_no_stage_reads_an_unlisted_parameter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Unlike parameters_read, this also finds parameters that are read through other names.
    monkeypatch.chdir(tmp_path)
    counts = {"train": 4, "validate": 2, "test": 1}
    values = copy.deepcopy(PARAMS)
    values["dataset"]["expected"] = {split: dict.fromkeys(GLASSES, n) for split, n in counts.items()}
    values["dataset"]["drawn"] = None
    values["train"] |= {"epochs": 1, "network": "sigmoid"}
    Path("params.yaml").write_text(yaml.safe_dump(values), encoding="utf-8")

    read: set[str] = set()
    for section in (field.name for field in fields(Params)):
        kind = getattr(params, section.capitalize())
        monkeypatch.setattr(kind, "__getattribute__", recording(section, read))
    monkeypatch.setattr(params.ClassLabel, "__getattribute__", recording_class(read))
    load = Params.load

    def loaded() -> Params:
        values = load()
        read.clear()  # ignore what was read to check params.yaml itself
        return values

    monkeypatch.setattr(Params, "load", loaded)
    for stage, definition in STAGES.items():
        import_module(f"anteojos.stages.{stage}").main()
        assert read, f"{stage} reads no parameter"
        listed = set(definition["params"]) | (FOLDERS if "dataset.classes" in definition["params"] else set())
        assert read - CHANGE_NO_OUTPUT <= listed, stage


def recording(section: str, read: set[str]) -> Callable[[object, str], object]:
    """Return a `__getattribute__` that adds each parameter of `section` that is read to `read`."""

    def get(self: object, name: str) -> object:
        if name in PARAMS[section] and name != "classes":
            read.add(f"{section}.{name}")
        return object.__getattribute__(self, name)

    return get


def recording_class(read: set[str]) -> Callable[[object, str], object]:
    """Return a `__getattribute__` for ClassLabel: `name` counts as all of dataset.classes, `folder` as the folders."""

    def get(self: object, name: str) -> object:
        read.update({"name": {"dataset.classes"}, "folder": FOLDERS}.get(name, set()))
        return object.__getattribute__(self, name)

    return get


def test_no_section_is_listed_whole() -> None:
    # See dvc.yaml: the run cache would ignore a change of `size` in a section.
    sections = {name for name, value in PARAMS.items() if isinstance(value, dict)}
    assert not [param for stage in STAGES.values() for param in stage["params"] if param in sections]


@pytest.mark.parametrize("kind", ["outs", "plots"])
def test_all_outputs_except_metrics_are_cached(kind: str) -> None:
    # See dvc.yaml: otherwise DVC would never restore the stage from its run cache.
    assert all(isinstance(out, str) for stage in STAGES.values() for out in stage.get(kind, []))
    metrics = [metric for stage in STAGES.values() for metric in stage.get("metrics", [])]
    assert all(list(metric.values()) == [{"cache": False}] for metric in metrics)


def parameters_read(path: Path) -> set[str]:
    """Return the parameters that a file's code reads, such as "train.epochs"; all of a section that it passes on.

    A section is recognised by its name, as an attribute or a variable: params.train, dataset, evaluate.
    """
    tree = ast.parse(path.read_text(encoding="utf-8"))
    keys: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            holder = node.value
            section = holder.attr if isinstance(holder, ast.Attribute) else getattr(holder, "id", "")
            if section == "dataset" and node.attr in DERIVED:
                keys |= DERIVED[node.attr]
            elif node.attr in PARAMS.get(section, ()):
                keys.add(f"{section}.{node.attr}")
        elif isinstance(node, ast.Call):
            passed = [argument.attr for argument in node.args if isinstance(argument, ast.Attribute)]
            keys |= {f"{section}.{key}" for section in passed if section in WHOLE for key in PARAMS[section]}
    return keys


@pytest.mark.parametrize("stage", STAGES)
def test_committed_lock_matches_code_and_params(stage: str) -> None:
    # Otherwise the first `make repro` of a clone would change dvc.lock. If this fails, run `make repro` and commit it.
    locked = yaml.safe_load((ROOT / "dvc.lock").read_text(encoding="utf-8"))["stages"][stage]
    code = {dep["path"]: dep["md5"] for dep in locked["deps"] if dep["path"].startswith("src/")}
    with Repo(str(ROOT)) as repo:
        deps = {dep.def_path: dep for dep in repo.stage.load_one(name=stage).deps if dep.def_path in code}
        assert code == {path: dep.get_hash().value for path, dep in deps.items()}
    assert locked["params"]["params.yaml"] == {key: parameter(key) for key in STAGES[stage]["params"]}


def parameter(key: str) -> Any:
    value: Any = PARAMS
    for part in key.split("."):
        value = value[int(part) if part.isdigit() else part]
    return value


def test_import_graph_follows_packages() -> None:
    files = imported_files("anteojos.stages.verify")
    assert {"src/anteojos/stages/verify.py", "src/anteojos/images/duplicates.py"} <= files
    assert "src/anteojos/sources/drawing/__init__.py" in imported_files("anteojos.stages.fetch")
    assert "src/anteojos/model/training.py" not in files
    assert not {"src/anteojos/runtime/cluster.py", "src/anteojos/runtime/environment.py"} & files
    # This file has only a docstring.
    assert "src/anteojos/stages/__init__.py" not in files

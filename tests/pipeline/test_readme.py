"""What the README tells people to type works as it stands there."""

import re
import shutil
import sys

import pytest

from tests.conftest import ROOT
from tests.project import Project

pytestmark = pytest.mark.pipeline

README = (ROOT / "README.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"^\$ (.+)$", README, re.MULTILINE)
# `make repro` and `make test` are run by .ci/run; test_benchmarks.py and test_make.py test what the tables come from.
ELSEWHERE = {"make repro", "make test"}


def test_every_command_of_the_readme_runs(project: Project) -> None:
    (project.path / ".venv").symlink_to(sys.prefix)
    pictures = sorted((project.path / "data/raw/test").iterdir())
    shutil.copy(pictures[0], project.path / "photo.jpg")
    shutil.copytree(project.path / "data/raw/validate", project.path / "holidays")
    commands = [command for command in COMMANDS if command not in ELSEWHERE and "ARCHIVE=" not in command]
    assert len(commands) > 8
    for command in commands:
        # A folder stands for the bucket; the environment beside the checkout is not installed anew.
        command = command.replace("s3://bucket/anteojos", "'../the bucket'")
        project.must("sh", "-c", re.sub(r"^make ", "make --old-file .venv/installed ", command))
    assert list((project.path.parent / "the bucket").rglob("*.dir"))

    snippet = "\n".join(re.findall(r"```python\n(.*?)```", README, re.DOTALL))
    label, probability, *_ = project.must("python", "-c", snippet).split(maxsplit=2)
    assert label == ("glasses" if float(probability) >= 0.5 else "noglasses")


def test_every_link_and_target_of_the_readme_exists() -> None:
    links = re.findall(r"\]\(([^)#:]+)\)", README)
    assert len(links) >= 4
    assert [link for link in links if not (ROOT / link).exists()] == []
    targets = re.findall(r"^([\w-]+):.*##", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    assert [target for target in re.findall(r"`make ([\w-]+)", README) if target not in targets] == []

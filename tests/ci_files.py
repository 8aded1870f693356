"""What .github/workflows/pipeline.yml and .gitlab-ci.yml say, as the tests of both read it."""

import re
from dataclasses import dataclass
from typing import Any

import yaml

from tests.conftest import ROOT

GITHUB_FILE, GITLAB_FILE = ROOT / ".github/workflows/pipeline.yml", ROOT / ".gitlab-ci.yml"
GITHUB: dict[Any, Any] = yaml.safe_load(GITHUB_FILE.read_text(encoding="utf-8"))
GITLAB: dict[str, Any] = yaml.safe_load(GITLAB_FILE.read_text(encoding="utf-8"))
# The jobs that run the project; `comment` runs nothing of it.
JOBS = ("lint", "test", "pipeline")
OWN = "github.event.pull_request.head.repo.full_name == github.repository"


@dataclass(frozen=True)
class Step:
    """A step that runs something: `condition` is its `if`, "" where it has none; `name` is its id or what it runs."""

    name: str
    run: str
    condition: str

    def wanted(self, outcomes: dict[str, str], fork: bool) -> bool:
        """Return whether GitHub would run the step after those before it came out so."""
        if not self.condition:
            return "failure" not in outcomes.values()
        terms = self.condition.removeprefix("${{").removesuffix("}}").split("&&")
        return all(_holds(term.strip(), outcomes, fork) for term in terms)


def _holds(term: str, outcomes: dict[str, str], fork: bool) -> bool:
    if term == "!cancelled()":
        return True
    if term == "github.event_name == 'pull_request'":
        return True
    if term == OWN.replace("==", "!="):
        return fork and "failure" not in outcomes.values()
    step, sign, outcome = re.fullmatch(r"steps\.(\w+)\.outcome (==|!=) '(\w+)'", term).groups()  # type: ignore[union-attr]
    return (outcomes.get(step, "skipped") == outcome) == (sign == "==")


def github_steps(job: str) -> list[Step]:
    """Return the steps of a job that run something, in their order."""
    return [
        Step(step.get("id", step["run"]), step["run"], step.get("if", ""))
        for step in GITHUB["jobs"][job]["steps"]
        if "run" in step
    ]


def gitlab_lines(job: str) -> list[str]:
    """Return the shell lines of a job, in their order."""
    return [*GITLAB["default"]["before_script"], *GITLAB[job]["script"]]


def targets(lines: list[str]) -> list[str]:
    """Return the make targets that are called, in their order, with what is passed on to them."""
    return [line.removeprefix("make ") for line in lines if line.startswith("make ")]

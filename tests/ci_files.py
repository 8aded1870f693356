"""Read .github/workflows/pipeline.yml and .gitlab-ci.yml."""

import re
from dataclasses import dataclass
from typing import Any

import yaml

from tests.conftest import ROOT

GITHUB_FILE, GITLAB_FILE = ROOT / ".github/workflows/pipeline.yml", ROOT / ".gitlab-ci.yml"
GITHUB: dict[Any, Any] = yaml.safe_load(GITHUB_FILE.read_text(encoding="utf-8"))
GITLAB: dict[str, Any] = yaml.safe_load(GITLAB_FILE.read_text(encoding="utf-8"))
JOBS = ("lint", "test", "pipeline")  # without `comment`, which runs no code of the project
OWN = "github.event.pull_request.head.repo.full_name == github.repository"


@dataclass(frozen=True)
class Step:
    """A GitHub step with a command; `name` is its id or the command, `condition` its `if` or ""."""

    name: str
    run: str
    condition: str

    def is_wanted(self, outcomes: dict[str, str], fork: bool) -> bool:
        """Return whether GitHub runs the step in a pull request, given the outcomes of earlier steps."""
        if not self.condition:
            return "failure" not in outcomes.values()
        terms = self.condition.removeprefix("${{").removesuffix("}}").split("&&")
        return all(_is_true(term.strip(), outcomes, fork) for term in terms)


def _is_true(term: str, outcomes: dict[str, str], fork: bool) -> bool:
    if term in ("!cancelled()", "github.event_name == 'pull_request'"):
        return True
    if term == OWN.replace("==", "!="):
        return fork and "failure" not in outcomes.values()
    step, sign, outcome = re.fullmatch(r"steps\.(\w+)\.outcome (==|!=) '(\w+)'", term).groups()  # type: ignore[union-attr]
    return (outcomes.get(step, "skipped") == outcome) == (sign == "==")


def github_steps(job: str) -> list[Step]:
    """Return the steps of a job that have a command, in their order."""
    return [
        Step(step.get("id", step["run"]), step["run"], step.get("if", ""))
        for step in GITHUB["jobs"][job]["steps"]
        if "run" in step
    ]


def github_lines(job: str) -> list[str]:
    """Return the shell lines of a job, in their order."""
    return [line for step in github_steps(job) for line in step.run.splitlines()]


def gitlab_lines(job: str) -> list[str]:
    """Return the shell lines of a job, in their order."""
    return [*GITLAB["default"]["before_script"], *GITLAB[job]["script"]]

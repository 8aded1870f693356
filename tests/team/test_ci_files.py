"""The CI files are valid, call make's targets and give away nothing; tests/pipeline/test_ci.py runs what they say."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.ci_files import GITHUB, GITHUB_FILE, GITLAB, GITLAB_FILE, JOBS, OWN, github_steps, gitlab_lines, targets
from tests.conftest import ROOT

TEXT = GITHUB_FILE.read_text(encoding="utf-8")
# What a line may be that is no target of the Makefile.
GITHUB_LINES = {
    '.venv/bin/dvc config --local core.remote ""',
    'cat comparison/report.md >> "$GITHUB_STEP_SUMMARY"',
}
GITLAB_LINES = {
    'test "$CI_MERGE_REQUEST_SOURCE_PROJECT_ID" = "$CI_MERGE_REQUEST_PROJECT_ID" '
    '|| .venv/bin/dvc config --local core.remote ""',
    "apt-get update --quiet --quiet",
    "apt-get install --quiet --quiet --yes --no-install-recommends openssh-server",
}


@pytest.mark.parametrize(
    ("file", "schema"), [(GITHUB_FILE, "vendor.github-workflows"), (GITLAB_FILE, "vendor.gitlab-ci")], ids=str
)
def test_the_file_fits_the_schema(file: Path, schema: str) -> None:
    checked = subprocess.run(
        [sys.executable, "-m", "check_jsonschema", "--builtin-schema", schema, file], capture_output=True, text=True
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr


@pytest.mark.skipif(shutil.which("actionlint") is None, reason="actionlint is not installed")
def test_actionlint_finds_nothing() -> None:
    found = subprocess.run(["actionlint", GITHUB_FILE], cwd=ROOT, capture_output=True, text=True)
    assert (found.returncode, found.stdout) == (0, "")


def test_both_files_call_the_same_targets_and_each_of_them_exists() -> None:
    makefile = set(re.findall(r"^([a-z-]+):.*##", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    for job in JOBS:
        github = targets([line for step in github_steps(job) for line in step.run.splitlines()])
        # On GitHub, a job of its own posts the comparison.
        assert github == [target for target in targets(gitlab_lines(job)) if target != "note"]
        assert {target.split()[0] for target in targets(gitlab_lines(job))} <= makefile
    assert github == ["setup", 'repro ARGS="--pull --allow-missing"', "compare", "check-committed", "gate"]


def test_all_else_that_runs_is_known() -> None:
    github = {line for job in JOBS for step in github_steps(job) for line in step.run.splitlines()}
    gitlab = {line for job in JOBS for line in gitlab_lines(job)}
    assert {line for line in github if not line.startswith("make ")} == GITHUB_LINES
    assert {line for line in gitlab if not line.startswith("make ")} == GITLAB_LINES
    assert set(GITHUB["jobs"]) == {*JOBS, "comment"}
    keywords = {"workflow", "stages", "variables", "default"}
    assert set(GITLAB) - keywords == set(JOBS)


def test_each_action_is_pinned_to_one_commit_and_says_its_version() -> None:
    used = re.findall(r"uses: *(.*)", TEXT)
    pinned = [re.fullmatch(r"(actions/[a-z-]+)@([0-9a-f]{40})  # (v\d+\.\d+\.\d+)", use) for use in used]
    assert len(used) > 4
    assert [use for use, pin in zip(used, pinned, strict=True) if not pin] == []
    assert len({pin.groups() for pin in pinned if pin}) == len({pin[1] for pin in pinned if pin})


def test_only_the_comment_may_be_written_and_its_job_runs_nothing_of_the_pull_request() -> None:
    assert GITHUB["permissions"] == {"contents": "read"}
    may = {name: job["permissions"] for name, job in GITHUB["jobs"].items() if "permissions" in job}
    assert may == {"comment": {"pull-requests": "write"}}
    comment = GITHUB["jobs"]["comment"]
    assert [step["uses"].split("@")[0] for step in comment["steps"] if "uses" in step] == ["actions/download-artifact"]
    assert not targets(comment["steps"][-1]["run"].splitlines())
    assert OWN in comment["if"]
    assert "github.token" not in str([job for name, job in GITHUB["jobs"].items() if name != "comment"])


def test_forks_get_no_secret() -> None:
    # YAML takes the key `on` for true. `pull_request_target` would run a fork's pull request with the secrets.
    assert set(GITHUB[True]) == {"push", "pull_request"}
    holders = {name for name, job in GITHUB["jobs"].items() if "secrets." in str(job)}
    assert holders == {"pipeline"}
    expressions = [line.split(": ", 1)[1] for line in TEXT.splitlines() if "secrets." in line]
    for expression in expressions:
        form = rf"\$\{{\{{ \(github\.event_name == 'push' \|\| {re.escape(OWN)}\) && secrets\.\w+ \|\| '' \}}\}}"
        assert re.fullmatch(form, expression), expression
    without = next(step for step in github_steps("pipeline") if "core.remote" in step.run)
    assert without.condition == f"github.event_name == 'pull_request' && {OWN.replace('==', '!=')}"

    requests = [rule["if"] for rule in GITLAB["workflow"]["rules"] if "merge_request_event" in rule["if"]]
    assert len(requests) == 1
    assert requests[0].endswith(" && $CI_MERGE_REQUEST_SOURCE_PROJECT_ID == $CI_PROJECT_ID")
    assert not re.search("TOKEN|KEY", str({key: value for key, value in GITLAB.items() if key != "workflow"}))


def test_no_text_of_a_stranger_gets_into_a_shell_line() -> None:
    runs = [step["run"] for job in GITHUB["jobs"].values() for step in job["steps"] if "run" in step]
    assert [run for run in runs if "${{" in run] == []


def test_jobs_end_in_time_make_way_for_newer_ones_and_leave_no_credentials_behind() -> None:
    assert all("timeout-minutes" in job for job in GITHUB["jobs"].values())
    assert all("timeout" in GITLAB[job] for job in JOBS)
    assert GITHUB["concurrency"]["cancel-in-progress"] == "${{ github.event_name == 'pull_request' }}"
    assert GITLAB["default"]["interruptible"]
    checkouts = [
        step["with"]
        for job in GITHUB["jobs"].values()
        for step in job["steps"]
        if step.get("uses", "").startswith("actions/checkout@")
    ]
    assert len(checkouts) == len(JOBS)
    assert all(checkout["persist-credentials"] is False for checkout in checkouts)


def test_what_pip_downloads_is_cached_by_system_python_and_lock() -> None:
    python = [
        step["with"]
        for job in GITHUB["jobs"].values()
        for step in job["steps"]
        if step.get("uses", "").startswith("actions/setup-python@")
    ]
    expected = {"python-version": "3.11", "cache": "pip", "cache-dependency-path": "requirements.lock"}
    assert python == [expected] * len(JOBS)
    assert GITLAB["default"]["image"] == "python:3.11"
    assert GITLAB["default"]["cache"]["key"] == {"prefix": "python-3.11", "files": ["requirements.lock"]}
    assert GITLAB["variables"]["PIP_CACHE_DIR"] == "$CI_PROJECT_DIR/" + GITLAB["default"]["cache"]["paths"][0]


def test_the_target_branch_is_there_to_compare_with() -> None:
    checkout = next(step for step in GITHUB["jobs"]["pipeline"]["steps"] if "checkout" in step.get("uses", ""))
    assert checkout["with"]["fetch-depth"] == 0
    assert GITLAB["pipeline"]["variables"]["GIT_DEPTH"] == "0"
    assert GITHUB["jobs"]["pipeline"]["env"]["BASE"] == (
        "${{ github.base_ref && format('origin/{0}', github.base_ref) || github.event.before }}"
    )
    bases = [rule["variables"]["BASE"] for rule in GITLAB["workflow"]["rules"]]
    assert bases == ["origin/$CI_MERGE_REQUEST_TARGET_BRANCH_NAME", "$CI_COMMIT_BEFORE_SHA"]

"""The CI files are valid, run existing targets and protect secrets; tests/pipeline/test_ci.py runs their commands."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.ci_files import GITHUB, GITHUB_FILE, GITLAB, GITLAB_FILE, JOBS, OWN, github_lines, gitlab_lines
from tests.conftest import ROOT

TEXT = GITHUB_FILE.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("file", "schema"), [(GITHUB_FILE, "vendor.github-workflows"), (GITLAB_FILE, "vendor.gitlab-ci")], ids=str
)
def test_file_matches_the_schema(file: Path, schema: str) -> None:
    checked = subprocess.run(
        [sys.executable, "-m", "check_jsonschema", "--builtin-schema", schema, file], capture_output=True, text=True
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr


@pytest.mark.skipif(shutil.which("actionlint") is None, reason="actionlint is not installed")
def test_actionlint_finds_nothing() -> None:
    found = subprocess.run(["actionlint", GITHUB_FILE], cwd=ROOT, capture_output=True, text=True)
    assert (found.returncode, found.stdout) == (0, "")


@pytest.mark.parametrize("job", JOBS)
def test_both_services_run_the_same_existing_targets(job: str) -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    github, gitlab = (
        [line.split()[1] for line in lines if line.startswith("make ")]
        for lines in (github_lines(job), gitlab_lines(job))
    )
    # On GitHub, the job `comment` writes the comparison.
    assert github == [target for target in gitlab if target != "note"]
    assert len(github) > 1
    assert [target for target in gitlab if not re.search(rf"^{target}:", makefile, re.MULTILINE)] == []


def test_every_action_is_pinned_to_one_commit() -> None:
    used = re.findall(r"uses: *(.*)", TEXT)
    assert len(used) > 4
    assert [use for use in used if not re.fullmatch(r"actions/[a-z-]+@[0-9a-f]{40}  # v\d+\.\d+\.\d+", use)] == []


def test_only_the_comment_job_may_write_and_runs_no_code() -> None:
    assert GITHUB["permissions"] == {"contents": "read"}
    permissions = {name: job["permissions"] for name, job in GITHUB["jobs"].items() if "permissions" in job}
    assert permissions == {"comment": {"pull-requests": "write"}}
    comment = GITHUB["jobs"]["comment"]
    assert OWN in comment["if"]
    assert [step["uses"].split("@")[0] for step in comment["steps"] if "uses" in step] == ["actions/download-artifact"]
    assert "make " not in comment["steps"][-1]["run"].replace("make compare", "")
    assert "github.token" not in str([job for name, job in GITHUB["jobs"].items() if name != "comment"])
    checkouts = [
        step["with"] for name in JOBS for step in GITHUB["jobs"][name]["steps"] if "checkout" in step.get("uses", "")
    ]
    assert [checkout["persist-credentials"] for checkout in checkouts] == [False] * len(JOBS)


def test_forks_get_no_secret() -> None:
    # YAML reads the key `on` as true. `pull_request_target` would run a fork's pull request with the secrets.
    assert set(GITHUB[True]) == {"push", "pull_request"}
    assert {name for name, job in GITHUB["jobs"].items() if "secrets." in str(job)} == {"pipeline"}
    expressions = [line.split(": ", 1)[1] for line in TEXT.splitlines() if "secrets." in line]
    form = rf"\$\{{\{{ \(github\.event_name == 'push' \|\| {re.escape(OWN)}\) && secrets\.\w+ \|\| '' \}}\}}"
    assert [expression for expression in expressions if not re.fullmatch(form, expression)] == []
    requests = [rule["if"] for rule in GITLAB["workflow"]["rules"] if "merge_request_event" in rule["if"]]
    assert all(rule.endswith(" && $CI_MERGE_REQUEST_SOURCE_PROJECT_ID == $CI_PROJECT_ID") for rule in requests)
    assert len(requests) == 1


def test_no_command_prints_a_secret_or_contains_text_of_others() -> None:
    github = [step["run"] for job in GITHUB["jobs"].values() for step in job["steps"] if "run" in step]
    commands = "\n".join([*github, *(line for job in JOBS for line in gitlab_lines(job))])
    # ${{ … }} would insert the name of a branch into a command.
    assert (
        re.findall(r"\$\{\{|TOKEN|_KEY|\bset -\w*x|xtrace|\bprintenv\b|^\s*(?:env|set|export)\s*$", commands, re.M)
        == []
    )
    assert not re.search("TOKEN|_KEY", str({key: value for key, value in GITLAB.items() if key != "workflow"}))


def test_compare_has_all_branches() -> None:
    checkout = next(step for step in GITHUB["jobs"]["pipeline"]["steps"] if "checkout" in step.get("uses", ""))
    assert checkout["with"]["fetch-depth"] == 0
    assert GITLAB["pipeline"]["variables"]["GIT_DEPTH"] == "0"


def test_every_job_has_a_time_limit() -> None:
    assert all("timeout-minutes" in job for job in GITHUB["jobs"].values())
    assert all("timeout" in GITLAB[job] for job in JOBS)

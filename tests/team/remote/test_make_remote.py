"""`make remote` sets up a working remote or changes nothing, and keeps keys out of git."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.project import Project, clone, commit
from tests.team.remote.conftest import TRIED, outputs, share, verified
from tests.team.remote.servers import KEY, S3, SECRET, SSH, Folder, aws

pytestmark = [pytest.mark.pipeline, pytest.mark.remote]

UNTOUCHED = "[core]\n    analytics = false\n"


def make_remote(project: Project, url: str, endpoint: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
    """Call `make remote` with the environment of these tests."""
    if not (project.path / ".venv").exists():
        (project.path / ".venv").symlink_to(sys.prefix)
    address = [f"ENDPOINT={endpoint}"] if endpoint else []
    return project.run("make", "--old-file", ".venv/installed", "remote", f"URL={url}", *address, **environment)


def config(project: Project) -> str:
    return (project.path / ".dvc/config").read_text()


def mentions(text: str, project: Project) -> list[str]:
    """Return the files of a checkout, and "git log", that contain a text."""
    files = [file for file in project.path.rglob("*") if file.is_file() and ".venv" not in file.parts]
    found = [str(file) for file in files if text.encode() in file.read_bytes()]
    return found + (["git log"] if text in project.must("git", "log", "--patch", "--all") else [])


def test_printed_steps_share_the_data_through_s3(project: Project, s3: S3, tmp_path: Path) -> None:
    project.must("git", "clone", "--quiet", "--bare", str(project.path), str(tmp_path / "origin"))
    project.must("git", "remote", "add", "origin", str(tmp_path / "origin"))
    project.must("git", "push", "--quiet", "--set-upstream", "origin", "main")
    done = make_remote(project, s3.url("steps"), s3.endpoint, **s3.environment)
    assert done.returncode == 0, done.stderr
    assert config(project) == (
        "[core]\n    analytics = false\n    remote = team\n"
        f"['remote \"team\"']\n    url = s3://team/steps\n    verify = true\n    endpointurl = {s3.endpoint}\n"
    )
    # The test file of `make remote` was removed.
    files, root = s3.files("steps")
    assert [file for file in files.find(root) if "anteojos-" in file] == []

    mine, _, theirs = done.stdout.partition("A colleague")
    colleague = clone(tmp_path / "origin", tmp_path / "colleague")
    output = done.stdout + done.stderr
    for text, member in ((mine, project), (theirs, colleague)):
        if member is colleague:
            colleague.must("git", "pull", "--quiet")
        for command in re.findall(r"^  (.+)$", text, re.MULTILINE):
            if command.startswith("make setup"):
                continue  # installs for minutes; .ci/run does it
            command = command.replace("make ", "make --old-file .venv/installed ")
            ran = member.run("sh", "-c", command, **s3.environment)
            assert ran.returncode == 0, ran.stderr
            output += ran.stdout + ran.stderr
            TRIED["pushes"] += command.endswith(" push") and not command.startswith("git")
            TRIED["pulls"] += command == "dvc pull"
    assert outputs(colleague) == outputs(project)
    assert set(colleague.repro().values()) == {"unchanged"}
    assert len(verified(s3, "steps")) > 40
    for secret in (KEY, SECRET):
        assert secret not in output
        assert mentions(secret, project) == mentions(secret, colleague) == []


WITH_A_KEY = {
    "a key in S3": (f"s3://{KEY}:{SECRET}@bucket/path", ""),
    "a key with a slash": (f"s3://{KEY}:half/{SECRET}@bucket/path", ""),
    "a signed URL": (f"s3://bucket/path?X-Amz-Signature={SECRET}", ""),
    "a password": (f"ssh://user:{SECRET}@host/path", ""),
    "a password like a port": (f"ssh://user:12/{SECRET}@host/path", ""),
    "as for scp": (f"user:{SECRET}@host:/path", ""),
    "another kind": (f"https://user:{SECRET}@host/path", ""),
    "a key in ENDPOINT": ("s3://bucket/path", f"http://{KEY}:{SECRET}@localhost:9000"),
    "a query in ENDPOINT": ("s3://bucket/path", f"http://localhost:9000/?key={SECRET}"),
}


@pytest.mark.parametrize(("url", "endpoint"), WITH_A_KEY.values(), ids=WITH_A_KEY.keys())
def test_url_with_a_key_is_refused_and_not_repeated(project: Project, url: str, endpoint: str) -> None:
    refused = make_remote(project, url, endpoint)
    TRIED["refusals"] += 1
    assert refused.returncode != 0
    assert f"{'ENDPOINT' if endpoint else 'URL'} is not of a form that can be committed" in refused.stderr
    assert SECRET not in refused.stdout + refused.stderr
    assert config(project) == UNTOUCHED
    assert mentions(SECRET, project) == []


def test_url_that_dvc_cannot_write_is_refused(project: Project) -> None:
    refused = make_remote(project, "../el año")
    TRIED["refusals"] += 1
    assert "URL: found ../el año, expected ASCII characters only" in refused.stderr
    assert config(project) == UNTOUCHED
    assert not (project.path.parent / "el año").exists()


def test_unwritable_storage_is_named_and_changes_nothing(project: Project, s3: S3, ssh: SSH, tmp_path: Path) -> None:
    (tmp_path / "a file").touch()
    attempts = [
        (s3.url("x"), s3.endpoint, aws(KEY, "wrong"), "signature we calculated does not match", "AWS_ACCESS_KEY_ID"),
        (s3.url("x"), s3.endpoint, aws("NOBODY", SECRET), "access key ID you provided does not exist", "~/.aws"),
        ("s3://nobodys/x", s3.endpoint, s3.environment, "The specified bucket does not exist", "AWS_ACCESS_KEY_ID"),
        (s3.url("x"), "http://127.0.0.1:9", s3.environment, "Could not connect to the endpoint", "ENDPOINT="),
        (
            ssh.url("x"),
            "",
            {"HOME": str(tmp_path), "SSH_AUTH_SOCK": ""},
            "Permission denied for user",
            "log in without asking",
        ),
        ("ssh://127.0.0.1:9/x", "", ssh.environment, "Connect call failed", "~/.ssh/config"),
        (str(tmp_path / "a file/x"), "", {}, "Not a directory", "that you may write to it"),
    ]
    for url, endpoint, environment, reason, advice in attempts:
        failed = make_remote(project, url, endpoint, **environment)
        TRIED["refusals"] += 1
        assert failed.returncode != 0
        assert f"cannot write to {url}; .dvc/config is unchanged" in failed.stderr
        assert reason in failed.stderr
        assert advice in failed.stderr
        assert "Traceback" not in failed.stderr
        assert SECRET not in failed.stdout + failed.stderr
        assert config(project) == UNTOUCHED


def test_existing_remote_is_not_replaced(project: Project, tmp_path: Path) -> None:
    project.must("dvc", "remote", "add", "--default", "mine", str(tmp_path / "mine"))
    done = make_remote(project, "../the team's")
    assert "The default was mine" in done.stdout
    assert "url = ../../the team's" in config(project)
    project.must("dvc", "remote", "modify", "team", "jobs", "3")
    before = config(project)
    refused = make_remote(project, "../elsewhere")
    assert refused.returncode != 0
    assert "the remote team already exists" in refused.stderr
    assert "asked for ../elsewhere" in refused.stderr
    assert config(project) == before
    assert not (project.path.parent / "elsewhere").exists()
    # With the same URL, other settings are kept.
    assert make_remote(project, "../the team's").returncode == 0
    assert config(project) == before


def test_local_keys_stay_out_of_git_and_of_the_output(project: Project, s3: S3, place: str) -> None:
    shared = share(project, s3, place)
    nothing = {"HOME": "/nonexistent", **aws("", "")}
    del nothing["AWS_ACCESS_KEY_ID"], nothing["AWS_SECRET_ACCESS_KEY"]
    alone = Project(shared.path, nothing)
    assert "Unable to locate credentials" in alone.run("dvc", "push").stderr
    for option, value in (("access_key_id", KEY), ("secret_access_key", SECRET)):
        alone.must("dvc", "remote", "modify", "--local", "team", option, value)
    TRIED["pushes"] += 1
    pushed = alone.run("dvc", "push", "--verbose")
    assert pushed.returncode == 0, pushed.stderr
    assert SECRET not in pushed.stdout + pushed.stderr
    assert mentions(SECRET, alone) == [str(alone.path / ".dvc/config.local")]
    commit_all = alone.run("git", "add", "--all")
    assert commit_all.returncode == 0
    assert alone.must("git", "status", "--porcelain") == ""


def test_folder_shares_the_data(project: Project, folder: Folder, place: str, tmp_path: Path) -> None:
    done = make_remote(project, folder.url(place))
    assert done.returncode == 0, done.stderr
    assert f"url = {folder.url(place)}" in config(project)
    assert list(Path(folder.url(place)).iterdir()) == []
    commit(project, "Share")
    TRIED["pushes"] += 1
    project.must("dvc", "push")
    other = clone(project.path, tmp_path / "other")
    TRIED["pulls"] += 1
    other.must("dvc", "pull")
    assert outputs(other) == outputs(project)

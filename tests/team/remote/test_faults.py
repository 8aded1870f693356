"""Servers that crash, refuse, run out of space or damage data: no data are lost, and no incomplete file is used."""

import os
import random
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml

from tests.project import Project, clone, commit
from tests.team.remote.conftest import TRIED, md5, outputs, pull, push, share, verified
from tests.team.remote.servers import KEY, S3, SECRET, SSH, Folder, Server, aws, damaged

pytestmark = [pytest.mark.pipeline, pytest.mark.remote]

FILES = 60


@pytest.fixture(scope="session")
def heavy(small_project: Project, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """Return the small project with 60 files of 1 MB: enough time to kill a server during a transfer."""
    project = small_project.copy_to(tmp_path_factory.mktemp("heavy") / "a project")
    ballast = project.path / "data/ballast"
    ballast.mkdir()
    for number in range(FILES):
        (ballast / str(number)).write_bytes(random.Random(number).randbytes(1_000_000))
    project.must("dvc", "add", "data/ballast")
    commit(project, "Ballast")
    yield project
    shutil.rmtree(project.path)


def ballast(project: Project) -> set[str]:
    """Return the names of the objects with the big files."""
    return {md5((project.path / f"data/ballast/{number}").read_bytes()) for number in range(FILES)}


def in_cache(project: Project) -> set[str]:
    """Return the names of the objects in a checkout's cache, after comparing each with its checksum."""
    files = [file for file in (project.path / ".dvc/cache/files/md5").rglob("*") if file.is_file()]
    named = {file.parent.name + file.name: file for file in files if file.suffix != ".tmp"}
    assert [name for name, file in named.items() if md5(file.read_bytes()) != name.removesuffix(".dir")] == []
    return set(named)


def cut_off(command: subprocess.Popen[str], arrived: Callable[[], int], kill: Callable[[], None]) -> None:
    """Kill a server, or `command` itself, when some of the big files have arrived."""
    deadline = time.monotonic() + 120
    while arrived() < 3 and command.poll() is None and time.monotonic() < deadline:
        time.sleep(0.001)
    kill()
    TRIED["kills"] += 1
    stdout, stderr = command.communicate(timeout=200)
    assert command.returncode != 0, stdout + stderr


def test_interrupted_push_and_pull_complete_when_repeated(
    storage: Folder, heavy: Project, tmp_path: Path, place: str
) -> None:
    project = share(heavy.copy_to(tmp_path / "a project"), storage, place)
    big = ballast(project)
    # No second attempt: the client must not wait until the server is back.
    once = {"AWS_MAX_ATTEMPTS": "1"}

    def cut(command: subprocess.Popen[str], arrived: Callable[[], int]) -> None:
        if isinstance(storage, Server):
            cut_off(command, arrived, storage.kill)
            storage.start()
        else:
            cut_off(command, arrived, command.kill)
        assert 0 < arrived() < FILES, "not in the middle"

    cut(project.started("dvc", "push", "--jobs", "2", **once), lambda: len(big & storage.names(place)))
    arrived = verified(storage, place)
    push(project)
    assert verified(storage, place) > arrived
    assert big <= verified(storage, place)

    other = clone(project.path, tmp_path / "other", **storage.environment)
    cache = other.path / ".dvc/cache/files/md5"
    cut(
        other.started("dvc", "pull", "--jobs", "2", **once),
        lambda: sum((cache / name[:2] / name[2:]).exists() for name in big),
    )
    arrived = in_cache(other)
    pull(other)
    assert in_cache(other) > arrived
    assert ballast(other) == big
    assert outputs(other) == outputs(project)
    assert set(other.repro().values()) == {"unchanged"}


@pytest.mark.parametrize("command", ["push", "pull"])
def test_wrong_keys_or_missing_bucket_are_one_clear_message(
    small_project: Project, s3: S3, ssh: SSH, tmp_path: Path, command: str
) -> None:
    on_s3 = share(small_project.copy_to(tmp_path / "s3"), s3, "refused")
    on_ssh = share(small_project.copy_to(tmp_path / "ssh"), ssh, "refused")
    nobody = {"HOME": str(tmp_path), "SSH_AUTH_SOCK": ""}
    attempts = [
        (on_s3, aws(KEY, f"{SECRET}x"), "Forbidden|signature we calculated does not match"),
        (on_s3, aws(f"{KEY}x", SECRET), "Forbidden|access key ID you provided does not exist"),
        (on_ssh, nobody, "Permission denied for user"),
    ]
    for project, environment, reason in attempts:
        refused(project, command, environment, reason)
    on_s3.must("dvc", "remote", "modify", "team", "url", "s3://nobodys/path")
    refused(on_s3, command, s3.environment, "The specified bucket does not exist")
    assert s3.names("refused") == ssh.names("refused") == set()


def refused(project: Project, command: str, environment: dict[str, str], reason: str) -> None:
    """Push or pull, and check that it fails with a short message without keys, and changes nothing."""
    before = outputs(project)
    if command == "pull":
        shutil.rmtree(project.path / ".dvc/cache", ignore_errors=True)
    done = project.run("dvc", command, **environment)
    TRIED["refusals"] += 1
    assert done.returncode != 0
    problems = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
    assert re.search(reason, problems[0])
    assert len(problems) <= 2
    assert "Traceback" not in done.stderr
    output = done.stdout + done.stderr
    kept = [file.read_bytes() for file in project.path.rglob("*") if file.is_file()]
    for secret in (KEY, SECRET):
        assert secret not in output
        assert not any(secret.encode() in content for content in kept)
    assert outputs(project) == before


@contextmanager
def small_disk(path: Path) -> Iterator[Callable[[], None]]:
    """Mount a disk of 12 MB at a folder; yield a function that makes it larger."""
    path.mkdir(parents=True, exist_ok=True)
    if os.geteuid() != 0 or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=12m", "tmpfs", path]).returncode:
        pytest.skip("mounting a small disk needs root")
    try:
        yield lambda: subprocess.run(["mount", "-o", "remount,size=200m", path], check=True) and None
    finally:
        subprocess.run(["umount", path], check=True)


def test_full_disk_is_an_error_and_stored_files_are_complete(
    storage: Folder, heavy: Project, tmp_path: Path, place: str
) -> None:
    with small_disk(tmp_path / "data") as make_larger:
        # Start another server: the disk of a running one cannot be replaced.
        full = type(storage)(tmp_path) if isinstance(storage, Server) else Folder(tmp_path / "data")
        try:
            if isinstance(full, Server):
                full.start()
            project = share(heavy.copy_to(tmp_path / "a project"), full, place)
            TRIED["pushes to a full disk"] += 1
            failed = project.run("dvc", "push", AWS_MAX_ATTEMPTS="1")
            assert failed.returncode != 0
            # SFTP and S3 have no error code for a full disk.
            reason = {"a folder": "No space left on device", "SSH": "Failure", "S3": "internal error"}[full.name]
            assert reason in failed.stderr
            assert re.search(r"failed to push data to the cloud - \d+ files failed to upload", failed.stderr)
            assert "Traceback" not in failed.stderr
            fits = verified(full, place)
            assert 0 < len(ballast(project) & fits) < FILES
            # DVC writes the list of a folder after all of its files.
            assert yaml.safe_load((project.path / "data/ballast.dvc").read_text())["outs"][0]["md5"] not in fits

            make_larger()
            deadline = time.monotonic() + 60
            while project.run("dvc", "push").returncode and time.monotonic() < deadline:
                time.sleep(1)
            TRIED["pushes"] += 1
            assert verified(full, place) > fits
            other = clone(project.path, tmp_path / "other", **full.environment)
            pull(other)
            assert ballast(other) == ballast(project)
        finally:
            if isinstance(full, Server):
                full.stop()


def test_damaged_object_is_named_and_old_outputs_stay(
    storage: Folder, with_branches: Project, tmp_path: Path, place: str
) -> None:
    project = share(with_branches.copy_to(tmp_path / "a project"), storage, place)
    project.must("git", "checkout", "--quiet", "longer")
    project.must("git", "merge", "--quiet", "--message", "The remote", "main")
    project.must("dvc", "checkout")
    push(project, "--all-branches")
    other = clone(project.path, tmp_path / "other", **storage.environment)
    other.must("git", "checkout", "--quiet", "main")
    pull(other)
    before = outputs(other)

    targets = {"models/model.tflite": "models/model.tflite"}
    history = next(file for file in outputs(project) if file.startswith("metrics/history/") and file.endswith(".tsv"))
    targets["metrics/history"] = history
    damaged_names = {md5((project.path / file).read_bytes()) for file in targets.values()}
    assert not damaged_names & set(before.values())
    for name in damaged_names:
        storage.write(place, name, damaged(storage.read(place, name)))
    TRIED["objects damaged"] += len(damaged_names)

    other.must("git", "checkout", "--quiet", "longer")
    refused = other.run("dvc", "pull")
    assert refused.returncode != 0
    assert "Traceback" not in refused.stderr
    named = refused.stderr.partition("Checkout failed for following targets:\n")[2].partition("\nIs your cache")[0]
    assert set(named.split()) == targets.keys()
    missing = re.findall(r"deleted: +(.+)", other.must("dvc", "status", "--cloud"))
    assert set(missing) == set(targets.values())
    assert not damaged_names & in_cache(other)
    expected = outputs(project)
    there = outputs(other)
    assert {file: there[file] for file in there if there[file] not in (expected[file], before.get(file))} == {}
    other.must("git", "checkout", "--quiet", "main")
    other.must("dvc", "checkout")
    assert outputs(other) == before

    # DVC compares names only, so it does not push the objects again. Use another place.
    assert "Everything is up to date" in push(project)
    project.must("dvc", "remote", "remove", "team")
    moved = share(project, storage, f"{place}-2")
    push(moved)
    other.must("git", "checkout", "--quiet", "longer")
    other.must("git", "pull", "--quiet")
    pull(other)
    assert outputs(other) == expected
    verified(storage, f"{place}-2")


def test_damaged_model_is_accepted_without_verify(project: Project, folder: Folder, tmp_path: Path, place: str) -> None:
    """This is why `make remote` sets `verify`. If this test fails, DVC verifies by default."""
    project = share(project, folder, place)
    push(project)
    model = md5((project.path / "models/model.tflite").read_bytes())
    folder.write(place, model, damaged(folder.read(place, model)))
    other = clone(project.path, tmp_path / "other")
    other.must("dvc", "remote", "modify", "team", "verify", "false")
    pull(other)
    assert outputs(other)["models/model.tflite"] != model
    assert "up to date" in other.must("dvc", "status")

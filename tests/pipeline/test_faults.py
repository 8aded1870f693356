"""After a kill, damaged files, a full disk or two runs at once, `dvc repro` gives the same bytes or a clear error."""

import fcntl
import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml

from anteojos.runtime.runner import FOLDERS
from anteojos.team.fsck import is_alive
from tests.conftest import ROOT
from tests.pages import undocumented
from tests.project import Project

pytestmark = pytest.mark.pipeline

STAGES: dict[str, list[str]] = {
    name: [*stage["outs"], *(path for metric in stage.get("metrics", []) for path in metric)]
    for name, stage in yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"].items()
}
OUTPUTS = [path for outputs in STAGES.values() for path in outputs]

# Code of sitecustomize.py, which Python imports when it starts, from PYTHONPATH. At the event of Python's audit hooks
# that the variable MOMENTS describes, it kills the whole process group, or waits while a file exists. So faults always
# happen at the same moment.
FAULT_HOOK = r"""
import json, os, pathlib, re, signal, sys, time

def hook_for(process, event, arguments, nth=1, cut=None, wait=""):
    def hook(happened, with_arguments):
        nonlocal nth
        if happened != event or not re.search(arguments, " -> ".join(map(str, with_arguments))):
            return
        nth -= 1
        if nth:
            return
        if wait:
            pathlib.Path(wait).touch()
            while pathlib.Path(wait).exists():
                time.sleep(0.05)
            return
        path = pathlib.Path(str(with_arguments[0]))
        if cut is not None:  # as if it was killed in the middle of writing
            for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
                if file.is_file():
                    os.truncate(file, int(file.stat().st_size * cut))
        os.killpg(0, signal.SIGKILL)
    return hook

for moment in json.loads(os.environ.get("MOMENTS", "[]")):
    if moment["process"] == os.environ.get("DVC_STAGE", "dvc"):
        sys.addaudithook(hook_for(**moment))
"""


def with_fault_hook(project: Project) -> Project:
    (project.path / "src/sitecustomize.py").write_text(FAULT_HOOK)
    ignore(project, "/src/sitecustomize.py")
    return project


def on_other_images(project: Project, other_images: Project, *run: str) -> Project:
    """Prepare a run on other images. `dvc repro` then runs the stages `run` and restores all others."""
    with_fault_hook(project).set("dataset.seed", 7)
    project.add_runs_of(other_images, *run)
    return project


def ignore(project: Project, pattern: str) -> None:
    with (project.path / ".git/info/exclude").open("a") as file:
        file.write(f"{pattern}\n")


def content(project: Project, path: str) -> dict[str, bytes]:
    """Return the content of the files of an output, by path."""
    place = project.path / path
    files = place.rglob("*") if place.is_dir() else [place]
    return {file.relative_to(project.path).as_posix(): file.read_bytes() for file in files if file.is_file()}


def contents(project: Project) -> dict[str, dict[str, bytes]]:
    return {path: content(project, path) for path in (*OUTPUTS, "dvc.lock")}


def kill(
    project: Project,
    process: str,
    event: str,
    arguments: str,
    command: tuple[str, ...] = ("dvc", "repro"),
    **more: float,
) -> None:
    """Run `dvc repro` and kill all its processes when `process`, a stage or "dvc", reaches an event of audit hooks."""
    moment = json.dumps([{"process": process, "event": event, "arguments": arguments, **more}])
    killed = project.run(*command, MOMENTS=moment, PYTHONPATH="src")
    assert killed.returncode == -signal.SIGKILL, f"{moment}\n{killed.stdout}\n{killed.stderr}"


def left_over(project: Project) -> list[str]:
    """Return temporary files in the folders of outputs, and other changed files that git lists."""
    changed = [line[3:] for line in project.must("git", "status", "--porcelain").splitlines()]
    expected = ("params.yaml", "dvc.lock", "metrics/environment.json", *OUTPUTS)
    beside = [str(left) for folder in FOLDERS for left in (project.path / folder).glob(".*.tmp")]
    return [path for path in changed if path not in expected] + beside


def make(project: Project, target: str) -> tuple[str, ...]:
    """Return the command for a target; it uses the environment of these tests as .venv."""
    if not (project.path / ".venv").exists():
        (project.path / ".venv").symlink_to(sys.prefix)
    return ("make", "--old-file", ".venv/installed", target)


# The last step of a write is a rename from the temporary folder.
IN_PLACE = r"\.tmp/new/\S+ -> (?!.*\.tmp)"
MOMENTS = {
    "when it has read its parameters": {"event": "open", "arguments": r"^params\.yaml"},
    "when its first output is half written": {"event": "os.rename", "arguments": IN_PLACE, "cut": 0.5},
    "between its first output and its second": {"event": "os.rename", "arguments": IN_PLACE, "nth": 2, "cut": 0.5},
}


@pytest.mark.timeout(900)  # it runs each stage four times
def test_killed_in_any_stage_next_repro_completes(
    project: Project, small_project: Project, other_images: Project
) -> None:
    on_other_images(project, other_images, *STAGES)
    before, after = contents(small_project), contents(other_images)
    for stage, outputs in STAGES.items():
        for when, moment in MOMENTS.items():
            if "second" in when and len(outputs) == 1:
                continue
            kill(project, stage, **moment)
            for path in OUTPUTS:
                assert content(project, path) in ({}, before[path], after[path]), (stage, when, path)
    project.repro()
    assert contents(project) == after
    assert left_over(project) == []


IN_THE_CACHE = r"\.tmp -> .*/\.dvc/cache/files/md5/../\w+"
DVC_MOMENTS = {
    "while it removes the old images": {"event": "os.remove", "arguments": r"\.jpg", "nth": 3},
    "while it hashes the new ones": {"event": "open", "arguments": r"data/raw/.*\.jpg -> r", "nth": 3},
    "while it copies them into the cache": {"event": "os.rename", "arguments": IN_THE_CACHE, "nth": 3, "cut": 0.5},
    "while it writes their list into the cache": {
        "event": "os.rename",
        "arguments": IN_THE_CACHE + r"\.dir",
        "cut": 0.5,
    },
    "while it adds the run to the run cache": {"event": "os.rename", "arguments": r"\.dvc/cache/runs/", "cut": 0},
}


def test_killed_dvc_next_repro_completes(project: Project, other_images: Project) -> None:
    on_other_images(project, other_images, "fetch", "verify")
    for moment in DVC_MOMENTS.values():
        kill(project, "dvc", **moment)
    project.repro()
    assert contents(project) == contents(other_images)
    assert left_over(project) == []


# Files that DVC does not write atomically. If DVC is killed while it writes them, it cannot read them any more.
HALF_WRITTEN_BY_DVC = {
    "dvc.lock": {"event": "open", "arguments": r"dvc\.lock -> w", "cut": 0},
    "its list of files in use": {"event": "open", "arguments": r"/rwlock -> w", "cut": 0, "nth": 20},
    "its run cache": {"event": "os.chmod", "arguments": r"\.dvc/cache/runs/../\w+ -> "},
}


def test_damage_by_killed_dvc_is_repaired(project: Project, other_images: Project) -> None:
    on_other_images(project, other_images, "fetch", "verify")
    for what, moment in HALF_WRITTEN_BY_DVC.items():
        kill(project, "dvc", command=make(project, "repro"), **moment)
        assert project.run("dvc", "repro").returncode not in (0, -signal.SIGKILL), what
    project.must(*make(project, "repro"), PYTHONPATH="src")
    assert (project.path / ".dvc/tmp/damaged/dvc.lock").exists()
    assert contents(project) == contents(other_images)
    assert left_over(project) == []


def in_cache(project: Project, path: str) -> Path:
    """Return the file in the cache of an output, or of a file in an output."""
    output = next(output for output in OUTPUTS if path == output or path.startswith(f"{output}/"))
    lock = yaml.safe_load((project.path / "dvc.lock").read_text())
    oid = next(out["md5"] for stage in lock["stages"].values() for out in stage["outs"] if out["path"] == output)
    if path != output:
        files = json.loads(in_cache(project, output).read_text())
        oid = next(file["md5"] for file in files if f"{output}/{file['relpath']}" == path)
    return project.path / ".dvc/cache/files/md5" / oid[:2] / oid[2:]


def damage(file: Path, how: str) -> None:
    """Damage a file as a failing disk does: its modification time and permissions do not change."""
    before, content = file.stat(), bytearray(file.read_bytes())
    if how == "deleted":
        file.unlink()
        return
    middle = len(content) // 2
    if how == "flipped":
        content[middle] ^= 1
    else:
        del content[middle:]
    file.chmod(0o644)
    file.write_bytes(content)
    file.chmod(before.st_mode)
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))


def fsck(project: Project) -> tuple[int, str]:
    """Run `make fsck`; return its exit status and output."""
    done = project.run(*make(project, "fsck"), PYTHONPATH="src")
    return done.returncode, done.stdout + done.stderr


def damaged_in_cache(project: Project) -> list[Path]:
    """Return the files of the cache whose checksum differs from their name."""
    files = (project.path / ".dvc/cache/files/md5").glob("*/*")
    return [f for f in files if hashlib.md5(f.read_bytes()).hexdigest() != (f.parent.name + f.name).split(".")[0]]


# For each kind of damage, files to damage: an image, a table or array, and a model.
DAMAGED = {
    "flipped": [
        "data/raw/train/glasses/row-1-column-1.jpg",
        "data/processed/train/images.npy",
        "models/model.tflite",
    ],
    "truncated": ["data/raw/train/glasses/row-1-column-2.jpg", "data/processed/train/index.csv", "models/model.keras"],
    "deleted": ["data/raw/validate/glasses/row-1-column-3.jpg", "data/predictions.csv", "models/network.tflite"],
}


def test_damaged_outputs_are_named_and_repaired_by_repro(project: Project, small_project: Project) -> None:
    project.must("dvc", "status")
    for how, files in DAMAGED.items():
        for file in files:
            damage(project.path / file, how)
        if how == "flipped":  # DVC does not notice it
            assert "up to date" in project.must("dvc", "status")
    status, printed = fsck(project)
    assert status != 0
    assert "9 of " in printed
    for how, files in DAMAGED.items():
        for file in files:
            assert (f"  {file}: missing" if how == "deleted" else f"  {file}: differs from dvc.lock") in printed
    assert "ran" not in project.repro().values()
    assert contents(project) == contents(small_project)
    assert "no damage" in fsck(project)[1]


# Folders whose list of files in the cache is damaged.
LISTS = {
    "flipped": "data/processed/test",
    "truncated": "data/processed/validate",
    "deleted": "metrics/history",
}


def test_damaged_cache_is_named_and_repaired(project: Project, small_project: Project) -> None:
    cached = {path: in_cache(project, path) for how, files in DAMAGED.items() for path in (*files, LISTS[how])}
    for how, files in DAMAGED.items():
        for path in (*files, LISTS[how]):
            damage(cached[path], how)
    status, printed = fsck(project)
    assert status != 0
    assert f"{len(cached)} of " in printed
    for path, file in cached.items():
        name = file.relative_to(project.path)
        deleted = path in (*DAMAGED["deleted"], LISTS["deleted"])
        assert (f"  {path}: missing in the cache" if deleted else f"  {name}, {path}: damaged") in printed
        assert not file.exists()
    project.repro()
    assert contents(project) == contents(small_project)
    assert damaged_in_cache(project) == []
    assert "no damage" in fsck(project)[1]


def test_cleaned_folders_are_those_of_outputs() -> None:
    assert set(FOLDERS) == {str(Path(output).parent) for output in OUTPUTS}


def test_damaged_files_are_restored_from_the_remote(project: Project, small_project: Project) -> None:
    project.must("dvc", "remote", "add", "--local", "--default", "team", str(project.path.parent / "team"))
    project.must("dvc", "push")
    files = DAMAGED["flipped"]
    cached = [in_cache(project, path) for path in (*files, LISTS["flipped"])]
    for file in cached:
        damage(file, "flipped")
    damage(project.path / files[0], "flipped")
    status, printed = fsck(project)
    assert status != 0
    assert all(str(file.relative_to(project.path)) in printed for file in cached)
    project.must("dvc", "pull")
    assert contents(project) == contents(small_project)
    assert all(file.exists() for file in cached)
    assert damaged_in_cache(project) == []
    assert set(project.repro().values()) == {"unchanged"}


def test_damaged_run_cache_does_not_stop_repro(project: Project, small_project: Project) -> None:
    runs = sorted(file for file in (project.path / ".dvc/cache/runs").glob("*/*/*"))
    for number, run in enumerate(runs):
        if number % 2:
            damage(run, "truncated")
        else:  # Change a checksum, not a size: sizes are not part of DVC's checksum, and are not used.
            run.write_bytes(run.read_bytes().replace(b"md5: ", b"md5: f", 1))
    shutil.rmtree(project.path / "data/raw")
    # Do not repeat the stages that take longest.
    kept = {"train", "evaluate"}
    lock = yaml.safe_load((project.path / "dvc.lock").read_text())
    lock["stages"] = {name: stage for name, stage in lock["stages"].items() if name in kept}
    (project.path / "dvc.lock").write_text(yaml.safe_dump(lock))
    status, printed = fsck(project)
    assert status != 0
    assert all(f"{run.relative_to(project.path)}, an entry of the run cache: damaged" in printed for run in runs)
    assert {stage for stage, happened in project.repro().items() if happened == "ran"} == STAGES.keys() - kept
    for path in OUTPUTS:
        assert content(project, path) == content(small_project, path)
    # Compared as dictionaries, because the stages have another order.
    assert yaml.safe_load((project.path / "dvc.lock").read_text()) == yaml.safe_load(
        (small_project.path / "dvc.lock").read_text()
    )


BUSY = "is busy, it is being blocked by:"
# Where the first `dvc repro` waits, and the error of the second one.
MEETINGS = {
    "in fetch": ("fetch", "open", r"^params\.yaml", BUSY),
    "hashing": ("dvc", "open", r"data/raw/.*\.jpg -> r", "Unable to acquire lock. Most likely another DVC process"),
    "in train": ("train", "open", r"^params\.yaml", BUSY),
    "in predict": ("predict", "os.rename", IN_PLACE, BUSY),
}


def test_second_repro_at_once_is_refused(project: Project, other_images: Project) -> None:
    on_other_images(project, other_images, "fetch", "train", "predict")
    waits = [project.path / ".dvc/tmp" / f"waits {when}" for when in MEETINGS]
    moments = [
        {"process": process, "event": event, "arguments": arguments, "wait": str(wait)}
        for wait, (process, event, arguments, _) in zip(waits, MEETINGS.values(), strict=True)
    ]
    first = project.started("dvc", "repro", MOMENTS=json.dumps(moments), PYTHONPATH="src")
    try:
        for wait, (process, _, _, message) in zip(waits, MEETINGS.values(), strict=True):
            wait_until(wait.exists, first)
            before = contents(project)
            second = project.run("dvc", "repro")
            assert second.returncode != 0, wait
            assert message in second.stderr, second.stderr
            if process != "dvc":
                assert f"(PID {first.pid})" in second.stderr
                made = project.run(*make(project, "repro"), PYTHONPATH="src")
                assert made.returncode != 0
                assert f"a stage is running in this checkout already: {process} (process" in made.stderr
            if process == "train":
                refuse_another_stage(project)
            assert contents(project) == before
            wait.unlink()
        _, errors = first.communicate(timeout=240)
    finally:
        if first.poll() is None:
            os.killpg(first.pid, signal.SIGKILL)
    assert first.returncode == 0, errors
    assert contents(project) == contents(other_images)
    assert left_over(project) == []


def refuse_another_stage(project: Project) -> None:
    """Check that `fetch`, whose code has changed, does not run during `train`; DVC would allow this."""
    source = project.path / "src/anteojos/stages/fetch.py"
    text = source.read_text()
    source.write_text(text + "# A comment.\n")
    refused = project.run("dvc", "repro")
    source.write_text(text)
    assert refused.returncode != 0
    assert "fetch: a stage is running in this checkout already: train (process" in refused.stderr


def wait_until(condition: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    """Wait until `condition()` is true. Fails if the process ends before, or after 120 s."""
    deadline = time.monotonic() + 120
    while not condition():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline, "the condition is still false after 120 s"
        time.sleep(0.05)


def test_a_stage_whose_dvc_alone_is_killed_ends_with_it(project: Project, other_images: Project) -> None:
    on_other_images(project, other_images, "fetch")
    wait = project.path / ".dvc/tmp/waits"
    moment = {"process": "fetch", "event": "os.rename", "arguments": IN_PLACE, "wait": str(wait)}
    dvc = project.started("dvc", "repro", MOMENTS=json.dumps([moment]))
    wait_until(wait.exists, dvc)
    stage = int(re.findall(r"process (\d+)", (project.path / ".dvc/tmp/stage.lock").read_text())[0])
    assert is_alive(stage)
    os.kill(dvc.pid, signal.SIGKILL)
    dvc.communicate(timeout=60)
    project.repro()
    assert not is_alive(stage)
    assert contents(project) == contents(other_images)
    assert left_over(project) == []


def test_make_repro_waits_for_another_dvc(project: Project) -> None:
    with_fault_hook(project)
    project.set("predict.threshold", 0.9)
    wait = project.path / ".dvc/tmp/waits"
    moment = {"process": "predict", "event": "os.rename", "arguments": IN_PLACE, "wait": str(wait)}
    first = project.started(*make(project, "repro"), MOMENTS=json.dumps([moment]), PYTHONPATH="src")
    wait_until(wait.exists, first)
    with (project.path / ".dvc/tmp/lock").open("r+") as lock:
        # `dvc status` holds this lock for longer if there are many files. By default, DVC gives up after 3 s.
        fcntl.flock(lock, fcntl.LOCK_EX)
        wait.unlink()
        with pytest.raises(subprocess.TimeoutExpired):
            first.communicate(timeout=8)
    _, errors = first.communicate(timeout=120)
    assert first.returncode == 0, errors
    assert set(project.repro().values()) == {"unchanged"}


def mount(*arguments: str) -> None:
    done = subprocess.run(["mount", *arguments], capture_output=True, text=True)
    if done.returncode != 0:
        pytest.skip(f"needs root to mount a file system: {done.stderr.strip()}")


@contextmanager
def small_disk(folder: Path, spare: int) -> Iterator[Callable[[], None]]:
    """Move a folder to a disk of its own with `spare` KiB of free space; yield a function that adds space."""
    contents = folder.with_name(f"{folder.name} before")
    folder.rename(contents)
    folder.mkdir()
    mount("-t", "tmpfs", "-o", "size=1g", "none", str(folder))
    try:
        shutil.copytree(contents, folder, symlinks=True, dirs_exist_ok=True)
        shutil.rmtree(contents)
        disk = os.statvfs(folder)
        used = (disk.f_blocks - disk.f_bfree) * disk.f_frsize // 1024
        mount("-o", f"remount,size={used + spare}k", str(folder))
        yield lambda: mount("-o", "remount,size=1g", str(folder))
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.mark.parametrize(
    ("folder", "spare", "key", "value", "message"),
    [
        ("data", 16, "dataset.size", 160, "fetch: data/raw: No space left on device"),
        ("data", 300, "preprocess.size", 160, "preprocess: data/processed/train: No space left on device"),
        ("models", 100, "train.seed", 2, r"train: models/\.checkpoints/\w+\.npz: No space left on device"),
    ],
)
def test_full_disk_names_output_and_keeps_previous(
    project: Project, small_project: Project, folder: str, spare: int, key: str, value: object, message: str
) -> None:
    with small_disk(project.path / folder, spare) as make_room:
        project.set(key, value)
        failed = project.run("dvc", "repro")
        assert failed.returncode != 0
        assert re.search(f"^{message}$", failed.stderr, re.MULTILINE), failed.stderr
        if message.startswith("fetch"):
            assert undocumented("Disk full", failed.stderr) == []
        assert "Traceback" not in failed.stderr
        assert contents(project) == contents(small_project)
        assert left_over(project) == []
        make_room()
        stage = message.partition(":")[0]
        assert project.repro(stage)[stage] == "ran"


@pytest.mark.parametrize(("folder", "spare"), [(".dvc/cache", 40), (".", 0)])
def test_full_disk_in_dvc_then_repro_completes(
    project: Project, small_project: Project, other_images: Project, folder: str, spare: int
) -> None:
    on_other_images(project, other_images, "fetch")
    with small_disk(project.path / folder, spare) as make_room:
        failed = project.run("dvc", "repro")
        assert failed.returncode != 0
        if folder == ".dvc/cache":
            assert f"No space left on device: '{project.path}" in failed.stderr
            # The previous outputs can be restored, although the disk is still full.
            project.must("git", "stash", "--quiet")
            project.must("dvc", "checkout", "--force")
            assert contents(project) == contents(small_project)
            project.must("git", "stash", "pop", "--quiet")
        make_room()
        # Not `dvc repro`: on a full disk, DVC may write only a part of its rwlock, which it then cannot read.
        project.must(*make(project, "repro"), PYTHONPATH="src")
        assert contents(project) == contents(other_images)
        assert left_over(project) == []


@pytest.mark.parametrize(
    ("folder", "key", "stage"), [("data", "dataset.seed", "fetch"), ("models", "train.seed", "train")]
)
def test_read_only_folder_is_named_and_unchanged(
    project: Project, small_project: Project, folder: str, key: str, stage: str
) -> None:
    # Root ignores permissions, but cannot write to a read-only file system.
    place = str(project.path / folder)
    mount("--bind", place, place)
    try:
        mount("-o", "remount,bind,ro", place)
        project.set(key, 7)
        failed = project.run("dvc", "repro")
        assert failed.returncode != 0
        assert f"failed to reproduce '{stage}': [Errno 30] Read-only file system: '{place}/" in failed.stderr
        assert contents(project) == contents(small_project)
        assert left_over(project) == []
        mount("-o", "remount,bind,rw", place)
        assert project.repro(stage)[stage] == "ran"
    finally:
        subprocess.run(["umount", "--lazy", place], check=True)

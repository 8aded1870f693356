"""A cluster that is missing, has other versions or fails: one clear error in bounded time, and outputs stay."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from PIL import Image

from anteojos.images import manifest
from anteojos.runtime import parallel
from anteojos.runtime.cluster import MAX_IMAGES
from anteojos.runtime.errors import InputError
from tests.conftest import ROOT
from tests.runtime.cluster.conftest import Dask, until
from tests.team.remote.servers import free_ports

pytestmark = pytest.mark.cluster

BATCHES = 8
# Dask's setting for the connection timeout.
SOON = {"DASK_DISTRIBUTED__COMM__TIMEOUTS__CONNECT": "2s"}


# Where the largest face of each image is.
FACE = {"faces": 1, **dict(zip(manifest.FACE, (150, 150, 450, 450, 230, 250, 370, 260, 0, 0.9), strict=True))}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder for the stage preprocess, with large images, so that a batch takes a worker a while."""
    folder = tmp_path / "project"
    raw = folder / "data/raw"
    raw.mkdir(parents=True)
    for number in range(7):
        cells = np.random.default_rng(number).integers(20, 200, (8, 8, 3), dtype=np.uint8)
        Image.fromarray(cells).resize((600, 600), Image.Resampling.BICUBIC).save(raw / f"{number}.jpg")
    of_split = {"train": BATCHES * MAX_IMAGES, "validate": 2, "test": 2}
    rows = [
        {"file": f"{number % 7}.jpg", "split": split, "label": ("glasses", "noglasses")[number % 2], **FACE}
        for split, count in of_split.items()
        for number in range(count)
    ]
    table = pd.DataFrame(rows, columns=list(manifest.COLUMNS)).fillna({"width": 600, "height": 600})
    manifest.write(table.astype({"width": int, "height": int}), folder / "data/manifest.csv")
    values = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    values["preprocess"] |= {"crop": "face", "size": 48}
    (folder / "params.yaml").write_text(yaml.safe_dump(values), encoding="utf-8")
    return folder


def preprocess(folder: Path, **environment: str) -> subprocess.Popen[str]:
    """Start the stage preprocess."""
    return subprocess.Popen(
        [sys.executable, "-m", "anteojos.stages.preprocess"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT / "src"), **environment},
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def files(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def error_of(stage: subprocess.Popen[str]) -> str:
    """Return the error message of a failed stage, after checking that it prints nothing else."""
    stdout, stderr = stage.communicate(timeout=60)
    assert (stage.returncode, stdout) == (1, ""), stderr
    assert "Traceback" not in stderr
    assert len(stderr.splitlines()) <= 4, stderr
    return stderr


def test_killed_worker_costs_only_its_batches(start: Callable[..., Dask], project: Path) -> None:
    alone = preprocess(project)
    assert alone.wait(60) == 0
    expected = files(project)
    shutil.rmtree(project / "data/processed")

    dask = start(2)
    killed, other = dask.workers
    running = preprocess(project, ANTEOJOS_SCHEDULER=dask.address)
    until(lambda: len(killed.batches()) >= 1, killed)
    killed.kill()
    assert running.poll() is None
    assert running.wait(60) == 0
    assert running.communicate() == ("", "")
    assert files(project) == expected

    assert len(set(killed.batches() + other.batches())) == BATCHES + 2  # train, and the two small splits
    twice = set(killed.batches()) & set(other.batches())
    assert dask.batches() == BATCHES + 2 + len(twice)
    assert len(twice) <= len(killed.batches()) < BATCHES


def test_killed_scheduler_is_one_error_and_outputs_stay(start: Callable[..., Dask], project: Path) -> None:
    for split in ("train", "validate", "test"):
        (project / "data/processed" / split).mkdir(parents=True)
        (project / "data/processed" / split / "images.npy").write_bytes(b"before")
    before = files(project)
    dask = start(2)
    running = preprocess(project, ANTEOJOS_SCHEDULER=dask.address)
    until(lambda: dask.batches() >= 2, *dask.workers)
    dask.scheduler.kill()
    message = error_of(running)
    assert message.startswith(
        f"ANTEOJOS_SCHEDULER={dask.address}: the cluster is lost\n  the scheduler does not answer"
    )
    assert "then run `dvc repro` again, or without ANTEOJOS_SCHEDULER" in message
    assert files(project) == before


def test_restarted_scheduler_is_one_error(start: Callable[..., Dask], project: Path) -> None:
    dask = start(1)
    running = preprocess(project, ANTEOJOS_SCHEDULER=dask.address)
    until(lambda: dask.batches() >= 1, *dask.workers)
    running.send_signal(signal.SIGSTOP)  # it does not see the restart
    dask.scheduler.kill()
    dask.scheduler = dask.start_scheduler("restarted scheduler")
    running.send_signal(signal.SIGCONT)
    assert "the cluster is lost\n" in error_of(running)
    assert list((project / "data/processed").iterdir()) == []


def test_work_that_kills_all_workers_is_one_error(start: Callable[..., Dask]) -> None:
    dask = start(4)
    with pytest.raises(InputError, match=r"4 different workers, but all those workers died"):
        spread(dask.address, os._exit)


def test_hanging_scheduler_is_one_error(start: Callable[..., Dask], project: Path) -> None:
    dask = start(1)
    running = preprocess(project, ANTEOJOS_SCHEDULER=dask.address, **SOON)
    until(lambda: dask.batches() >= 2, *dask.workers)
    dask.scheduler.process.send_signal(signal.SIGSTOP)
    assert "the cluster is lost\n  the scheduler does not answer any more" in error_of(running)
    assert not (project / "data/processed/train").exists()


def test_last_worker_killed_is_one_error(start: Callable[..., Dask], project: Path) -> None:
    dask = start(1)
    running = preprocess(project, ANTEOJOS_SCHEDULER=dask.address, **SOON)
    until(lambda: dask.batches() >= 2, *dask.workers)
    dask.workers[0].kill()
    assert "the cluster has no worker\n  no worker joined within 2 s" in error_of(running)
    assert list((project / "data/processed").iterdir()) == []


def test_new_worker_replaces_killed_worker(start: Callable[..., Dask], project: Path) -> None:
    dask = start(1)
    running = preprocess(project, ANTEOJOS_SCHEDULER=dask.address)
    until(lambda: dask.batches() >= 2, *dask.workers)
    dask.workers[0].kill()
    later = dask.start_worker()
    assert running.wait(60) == 0, running.communicate()
    assert len(later.batches()) > 0
    assert dask.batches() <= BATCHES + 2 + len(dask.workers[0].batches())


def test_interrupt_ends_stage_at_once(start: Callable[..., Dask], project: Path) -> None:
    dask = start(1)
    running = preprocess(project, ANTEOJOS_SCHEDULER=dask.address)
    until(lambda: dask.batches() >= 1, *dask.workers)
    running.send_signal(signal.SIGINT)
    assert error_of(running) == "interrupted\n"
    assert dask.batches() < BATCHES
    assert list((project / "data/processed").iterdir()) == []


@pytest.fixture
def other_code(tmp_path: Path) -> dict[str, str]:
    """The environment of a worker whose code differs in a comment."""
    shutil.copytree(ROOT / "src", tmp_path / "src")
    with (tmp_path / "src/anteojos/images/decoding.py").open("a") as code:
        print("# Another version.", file=code)
    return {"PYTHONPATH": str(tmp_path / "src")}


def test_workers_with_other_code_are_all_named(start: Callable[..., Dask], other_code: dict[str, str]) -> None:
    dask = start(1)
    for _ in range(2):
        dask.add_worker(**other_code)
    with pytest.raises(InputError) as caught:
        spread(dask.address)
    headline, *problems, advice = str(caught.value).splitlines()
    assert headline == f"ANTEOJOS_SCHEDULER={dask.address}: other versions there than here"
    assert len(problems) == 2
    for problem in problems:
        assert problem.startswith("  worker tcp://127.0.0.1:")
        assert "anteojos" in problem
        assert "numpy" not in problem
    assert "the same commit there and run `make setup`" in advice


def test_new_worker_with_other_code_gets_no_work(
    start: Callable[..., Dask], project: Path, other_code: dict[str, str]
) -> None:
    dask = start(1)
    running = preprocess(project, ANTEOJOS_SCHEDULER=dask.address)
    until(lambda: dask.batches() >= 1, *dask.workers)
    dask.workers[0].kill()
    later = dask.start_worker(**other_code)
    message = error_of(running)
    assert "other versions there than here\n  worker tcp://127.0.0.1:" in message
    assert later.batches() == []
    assert list((project / "data/processed").iterdir()) == []


def test_workers_without_anteojos_are_named(start: Callable[..., Dask], tmp_path: Path) -> None:
    # An empty package of the same name hides the installed one.
    (tmp_path / "empty/anteojos").mkdir(parents=True)
    (tmp_path / "empty/anteojos/__init__.py").touch()
    bare_path = {"PYTHONPATH": str(tmp_path / "empty")}
    dask = start(1)
    dask.add_worker(**bare_path)
    with pytest.raises(InputError, match=r"worker tcp://.*: cannot report its versions \(.*No module named"):
        spread(dask.address)
    dask.scheduler.kill()
    bare = Dask(tmp_path / "bare", **bare_path)
    try:
        bare.add_worker()
        with pytest.raises(InputError, match=r"the scheduler: cannot import anteojos \(.*No module named"):
            spread(bare.address)
    finally:
        bare.close()


def test_scheduler_without_workers_is_one_error(start: Callable[..., Dask], project: Path) -> None:
    dask = start(0)
    message = error_of(preprocess(project, ANTEOJOS_SCHEDULER=dask.address, **SOON))
    assert f"ANTEOJOS_SCHEDULER={dask.address}: the cluster has no worker\n" in message
    assert "start workers with `dask worker" in message


def test_wrong_address_is_one_error(project: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        nobody, other = free_ports(1)[0], silent.getsockname()[1]
        threading.Thread(target=answer_as_a_web_server, args=(silent,), daemon=True).start()
        for address, reason in (
            (f"tcp://127.0.0.1:{nobody}", "Timed out trying to connect"),
            (f"tcp://127.0.0.1:{other}", "another program does"),
            (f"tls://127.0.0.1:{nobody}", "TLS configuration"),
            ("tcp://127.0.0.1", "missing port number"),
            ("tcp://127.0.0.1:port", "'port'"),
            ("gopher://127.0.0.1:70", "unknown address scheme 'gopher'"),
        ):
            message = error_of(preprocess(project, ANTEOJOS_SCHEDULER=address, **SOON))
            assert message.startswith(f"ANTEOJOS_SCHEDULER={address}: no Dask scheduler answers there\n  ")
            assert reason in message
    assert list((project / "data/processed").iterdir()) == []


def answer_as_a_web_server(server: socket.socket) -> None:
    while True:
        try:
            connection, _ = server.accept()
        except OSError:
            return
        with connection:
            connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")


def test_missing_distributed_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(InputError, match=r"distributed is not installed.*\nRun `make setup`, or `pip install"):
        spread("tcp://127.0.0.1:8786")


def spread(address: str, work: Callable[[int], Any] = abs) -> list[Any]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(parallel.SCHEDULER, address)
        return list(parallel.spread(int, work, "12", total=2, description=""))

"""A Dask cluster returns the same bytes as one machine, with only a few batches in flight."""

import io
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from distributed import Client

from anteojos.images import decoding
from anteojos.model.classifier import Classifier
from anteojos.runtime import parallel, threads
from anteojos.runtime.cluster import MAX_BYTES, MAX_IMAGES, batches
from tests.pipeline.test_same_bytes import outputs
from tests.project import Project
from tests.runtime.cluster.conftest import Dask

pytestmark = pytest.mark.cluster

TWO_DIGITS = "from anteojos.runtime import parallel; print([*parallel.spread(int, abs, '12', total=2, description='')])"


@pytest.fixture
def on(dask: Dask, monkeypatch: pytest.MonkeyPatch) -> Dask:
    """The shared cluster, set as the scheduler."""
    monkeypatch.setenv(parallel.SCHEDULER, dask.address)
    return dask


def test_stages_write_same_bytes_on_cluster(dask: Dask, project: Project) -> None:
    before, done = outputs(project), dask.batches()
    stages = ("verify", "preprocess", "predict")
    project.must("dvc", "repro", "--force", "--single-item", *stages, ANTEOJOS_SCHEDULER=dask.address)
    assert dask.batches() - done == 1 + 3 + 1  # preprocess sends each split separately
    assert outputs(project) == before
    assert set(project.repro().values()) == {"unchanged"}
    assert project.must("git", "status", "--porcelain") == ""
    # No file was sent to the workers.
    left = {path.name for worker in dask.workers for path in worker.folder.iterdir()}
    assert left <= {"log", "batches", "dask-scratch-space"}


def test_both_workers_return_results_in_order_with_progress_bar(on: Dask, monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    before = [len(worker.batches()) for worker in on.workers]
    monkeypatch.setattr(sys, "stderr", terminal := Terminal())
    numbers = range(10 * MAX_IMAGES + 1)
    found = parallel.spread(
        str.encode, bytes.upper, map("n{}".format, numbers), total=len(numbers), description="verify"
    )
    assert list(found) == [f"N{n}".encode() for n in numbers]
    shown = terminal.getvalue().split("\r")[-1]
    assert shown.startswith("verify: 100%")
    assert f"{len(numbers)}/{len(numbers)}" in shown
    done = [len(worker.batches()) - earlier for worker, earlier in zip(on.workers, before, strict=True)]
    assert sum(done) == 11
    assert min(done) > 0


def test_no_items_return_no_results(on: Dask) -> None:
    assert list(parallel.spread(str, str, [], total=0, description="")) == []


def test_batches_have_limited_images_and_bytes() -> None:
    small = list(batches([b"1"] * (2 * MAX_IMAGES + 1)))
    assert [len(batch) for batch in small] == [MAX_IMAGES, MAX_IMAGES, 1]
    large = list(batches([bytes(MAX_BYTES // 3)] * 5 + [bytes(2 * MAX_BYTES)] + [b"1"] * 2))
    assert [len(batch) for batch in large] == [2, 2, 1, 1, 2]
    assert all(sum(map(len, batch)) <= MAX_BYTES for batch in large if len(batch) > 1)


def test_cluster_reads_only_a_few_batches_ahead(on: Dask) -> None:
    taken = 0

    def items() -> Iterator[bytes]:
        nonlocal taken
        for _ in range(40 * MAX_IMAGES):
            taken += 1
            yield b"12"

    most = 0
    for returned, _ in enumerate(parallel.spread(bytes, len, items(), total=1, description="")):
        most = max(most, taken - returned)
    assert taken == 40 * MAX_IMAGES
    # Two for each of two threads, the one whose results are read, and the one that is being filled.
    assert 2 * MAX_IMAGES <= most <= (2 * 2 + 2) * MAX_IMAGES


def test_error_of_work_is_raised_unchanged(on: Dask, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(decoding.ImageError, match=r"not an image \(4 bytes\)"):
        list(parallel.spread(bytes, decoding.decode, [b"text"], total=1, description=""))
    with pytest.raises(FileNotFoundError):
        list(parallel.spread(Path.read_bytes, len, [Path("nowhere")], total=1, description=""))
    assert capfd.readouterr() == ("", "")
    assert list(parallel.spread(bytes, len, [b"text"], total=1, description="")) == [4]


def test_worker_loads_model_once_and_returns_the_same(on: Dask, model: Path) -> None:
    classifier = Classifier.load(model)
    images = np.random.default_rng(0).integers(0, 256, (8 * MAX_IMAGES, 48, 48, 3), dtype=np.uint8)
    alone = classifier.probabilities(images)
    before = networks_held(on)
    for _ in range(2):
        found = parallel.spread(np.asarray, classifier.network.probability, images, total=len(images), description="")
        assert np.array_equal(list(found), alone)
    assert [now - earlier for now, earlier in zip(networks_held(on), before, strict=True)] == [1, 1]


def networks_held(dask: Dask) -> list[int]:
    count = "sum(type(held).__name__ == 'LiteNetwork' for held in __import__('gc').get_objects())"
    with Client(dask.address, set_as_default=False) as client:
        return [number for _, number in sorted(client.run(eval, count).items())]


def test_local_processes_return_same_bits_as_one(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(parallel.SCHEDULER, raising=False)
    monkeypatch.setattr(threads, "cores", lambda: 5)
    classifier = Classifier.load(model)
    images = np.random.default_rng(0).integers(0, 256, (500, 48, 48, 3), dtype=np.uint8)
    found = parallel.spread(np.asarray, classifier.network.probability, images, total=len(images), description="")
    assert np.array_equal(list(found), classifier.probabilities(images))


def test_dask_is_imported_only_with_a_scheduler() -> None:
    code = f"import sys; {TWO_DIGITS}; print([name for name in ('dask', 'distributed') if name in sys.modules])"
    environment = {name: value for name, value in os.environ.items() if name != parallel.SCHEDULER}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert done.stdout == "[1, 2]\n[]\n"


def test_certificates_of_dask_configuration_are_used(
    start: Callable[..., Dask], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    openssl = shutil.which("openssl")
    if not openssl:
        pytest.skip("openssl is not installed")
    certificate, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
    subprocess.run(
        [openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=localhost"]
        + ["-keyout", key, "-out", certificate],
        check=True,
        capture_output=True,
    )
    names = {"ca-file": certificate}
    for role in ("client", "scheduler", "worker"):
        names |= {f"{role}__cert": certificate, f"{role}__key": key}
    tls = {f"DASK_DISTRIBUTED__COMM__TLS__{name.upper()}": str(path) for name, path in names.items()}
    dask = start(1, protocol="tls", **tls)
    with_them, without = (
        subprocess.run(
            [sys.executable, "-c", TWO_DIGITS],
            env={**os.environ, parallel.SCHEDULER: dask.address, **more},
            capture_output=True,
            text=True,
        )
        for more in (tls, {})
    )
    assert with_them.stdout == "[1, 2]\n"
    assert without.returncode == 1
    assert "no Dask scheduler answers there" in without.stderr

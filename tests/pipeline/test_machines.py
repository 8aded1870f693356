"""Training on several machines, which are processes here, and on several devices of one machine."""

import json
import os
import signal
import socket
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import keras
import numpy as np
import pytest

from tests.project import Project, built_once

pytestmark = pytest.mark.pipeline

Machine = subprocess.Popen[str]


def tf_configs(machines: int) -> list[str]:
    """Return the TF_CONFIG of each machine; their addresses are free ports of this machine."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(machines)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        cluster = {"worker": [f"127.0.0.1:{each.getsockname()[1]}" for each in sockets]}
    return [json.dumps({"cluster": cluster, "task": {"type": "worker", "index": index}}) for index in range(machines)]


@contextmanager
def killed_at_the_end(*machines: Machine) -> Iterator[None]:
    try:
        yield
    finally:
        for machine in machines:
            if machine.poll() is None:
                os.killpg(machine.pid, signal.SIGKILL)
            machine.communicate()


def follow(project: Project, config: str) -> Machine:
    """Start the stage as on a machine that is not the chief."""
    return project.started(sys.executable, "-m", "anteojos.stages.train", TF_CONFIG=config, PYTHONPATH="src")


def contents(project: Project) -> dict[str, bytes]:
    """Return all files of a checkout by name, except checkpoints, src/ and the files of DVC and git."""
    files = (path for path in project.path.rglob("*") if path.is_file())
    inside = {str(path.relative_to(project.path)): path for path in files}
    skipped = (".dvc/", ".git/", "src/", "models/.checkpoints/")
    return {name: path.read_bytes() for name, path in inside.items() if not name.startswith(skipped)}


def weights(project: Project) -> list[np.ndarray]:
    return keras.saving.load_model(project.path / "models/model.keras").get_weights()


@pytest.fixture(scope="module")
def trained(small_project: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A small project with several epochs, trained on one machine. The last batch is smaller, of an odd size."""

    def build(folder: Path) -> None:
        project = small_project.copy_to(folder / "a project")
        project.set("train.epochs", 3)
        project.set("train.batch_size", 5)
        project.set("train.network", "deep")
        project.set("train.timeout", 60)
        project.repro("train")

    return Project(built_once(tmp_path_factory, "trained", build) / "a project")


@pytest.fixture
def larger(trained: Project, tmp_path: Path) -> Project:
    """A copy of `trained`, which a test may change."""
    return trained.copy_to(tmp_path / "a project")


def test_two_machines_train_same_weights_as_one(larger: Project, tmp_path: Path) -> None:
    other, alone = larger.copy_to(tmp_path / "another machine"), weights(larger)
    before = contents(other)
    history = json.loads((larger.path / "metrics/details/train.json").read_text())
    one, two = tf_configs(2)
    follower = follow(other, two)
    with killed_at_the_end(follower):
        printed = larger.must("dvc", "repro", "--force", "--single-item", "train", TF_CONFIG=one)
        follower_printed, errors = follower.communicate(timeout=60)
    assert follower.returncode == 0, errors
    epochs = [line for line in printed.splitlines() if line.startswith("epoch")]
    assert len(epochs) == 3
    assert [line for line in follower_printed.splitlines() if line.startswith("epoch")] == epochs
    assert contents(other) == before
    assert not list((other.path / "models/.checkpoints").glob("*"))
    for ours, whole in zip(weights(larger), alone, strict=True):
        assert np.abs(ours - whole).max() < 1e-4
    together = json.loads((larger.path / "metrics/details/train.json").read_text())
    assert together["last"]["loss"] == pytest.approx(history["last"]["loss"], rel=1e-4)
    assert together["last"]["val_accuracy"] == history["last"]["val_accuracy"]


def test_interrupted_machines_resume_from_checkpoint(larger: Project, tmp_path: Path) -> None:
    alone = weights(larger)
    other = larger.copy_to(tmp_path / "another machine")
    one, two = tf_configs(2)
    chief, follower = follow(larger, one), follow(other, two)
    with killed_at_the_end(chief, follower):
        assert chief.stdout is not None
        # An epoch is printed after its checkpoint was written.
        assert any(line.startswith("epoch 1/3") for line in chief.stdout)
    assert [path.suffix for path in (larger.path / "models/.checkpoints").glob("[!.]*")] == [".npz"]
    one, two = tf_configs(2)
    follower = follow(other, two)
    with killed_at_the_end(follower):
        printed = larger.must(sys.executable, "-m", "anteojos.stages.train", TF_CONFIG=one, PYTHONPATH="src")
        follower_printed, errors = follower.communicate(timeout=60)
    assert follower.returncode == 0, errors
    assert "resuming after epoch" in printed
    assert "resuming after epoch" in follower_printed
    for ours, whole in zip(weights(larger), alone, strict=True):
        assert np.abs(ours - whole).max() < 1e-4


def test_missing_machine_is_error_and_keeps_outputs(larger: Project) -> None:
    before = contents(larger)
    larger.set("train.timeout", 10)
    one, _ = tf_configs(2)
    done = larger.run("dvc", "repro", "--force", "--single-item", "train", TF_CONFIG=one)
    assert done.returncode != 0
    assert "training on 2 machines: no step finished within 10 s" in done.stderr
    assert "other machines: 127.0.0.1:" in done.stderr
    assert "Traceback" not in done.stderr
    after = contents(larger)
    assert {name for name in before if before[name] != after.get(name)} == {"params.yaml"}


@pytest.mark.parametrize("number", [0, 1])
def test_a_machine_that_dies_is_an_error_on_the_others(number: int, larger: Project, tmp_path: Path) -> None:
    larger.set("train.epochs", 10_000)
    other = larger.copy_to(tmp_path / "another machine")
    places = larger, other
    before = contents(places[1 - number])
    machines = [follow(place, config) for place, config in zip(places, tf_configs(2), strict=True)]
    with killed_at_the_end(*machines):
        dies, lives = machines[number], machines[1 - number]
        assert dies.stdout is not None
        assert any(line.startswith("epoch ") for line in dies.stdout)
        os.killpg(dies.pid, signal.SIGKILL)
        _, printed = lives.communicate(timeout=100)
        assert lives.returncode == 1
        assert "training on 2 machines" in printed
        assert "Traceback" not in printed
    assert contents(places[1 - number]) == before


def test_dvc_runs_stage_on_chief_only(larger: Project) -> None:
    before = contents(larger)
    _, two = tf_configs(2)
    done = larger.run("dvc", "repro", "--force", "--single-item", "train", TF_CONFIG=two)
    assert done.returncode != 0
    assert "machine 2 of 2 writes no outputs" in done.stderr
    assert contents(larger) == before


# Three devices: the report's network, whose last batch leaves one of them without an image, and another that
# normalises over its batches.
ON_DEVICES = """
    import sys
    from dataclasses import replace

    import numpy as np

    from anteojos.model import batches, networks, training
    from anteojos.model.recipes import RECIPES
    from keras import layers
    import keras

    devices, network, path = int(sys.argv[1]), sys.argv[2], sys.argv[3]
    tf = training.tf
    if devices > 1:
        [cpu] = tf.config.list_physical_devices("CPU")
        tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * devices)

    def normalised(size, rescale):
        # Its bias would have no effect, and a gradient of rounding errors alone.
        convolution = layers.Conv2D(4, 3, 2, use_bias=False)
        stack = [layers.Rescaling(1 / 255), convolution, layers.BatchNormalization(), layers.Flatten()]
        stack.append(layers.Dense(1, activation="sigmoid"))
        return keras.Sequential([keras.Input((size, size, 3)), *stack])

    networks.NETWORKS["sigmoid"] = normalised
    rng = np.random.default_rng(0)
    first = np.arange(20) % 2 == 0
    images = rng.integers(0, 120, (20, 48, 48, 3), dtype=np.uint8)
    images[first] += 130
    images = batches.LabelledImages(images, first)
    batch_size = {"baseline": 9, "sigmoid": 8}[network]
    recipe = replace(RECIPES["edge"], epochs=3, batch_size=batch_size, weight_decay=0.01)
    trained, history = training.train(images, images, network, recipe, 3, lambda epoch: None)
    np.savez(path, *trained.get_weights(), losses=[epoch.train.loss for epoch in history])
    training.save_tflite(trained, training.Path(path).with_suffix(".tflite"))
"""


@pytest.mark.parametrize("network", ["baseline", "sigmoid"])
def test_several_devices_train_same_weights_as_one(network: str, tmp_path: Path) -> None:
    found = {}
    for devices in (1, 3):
        path = tmp_path / f"{devices}.npz"
        command = [sys.executable, "-c", textwrap.dedent(ON_DEVICES), str(devices), network, str(path)]
        subprocess.run(command, check=True, timeout=120)
        with np.load(path) as file:
            found[devices] = {name: file[name] for name in file}
        assert path.with_suffix(".tflite").stat().st_size > 1000
    assert found[3]["losses"] == pytest.approx(found[1]["losses"], rel=1e-4)
    for name, value in found[1].items():
        assert np.abs(found[3][name] - value).max() < 1e-4

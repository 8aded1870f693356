"""Training does what plain Keras does, the same every time, and what it writes says the same."""

import mmap
import time
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import keras
import numpy as np
import numpy.typing as npt
import pytest

from anteojos.model import networks, training
from anteojos.model.augmentation import draw_transforms
from anteojos.model.classifier import Classifier
from anteojos.model.metadata import Card
from anteojos.model.recipes import RECIPES, Augmentation, Recipe
from anteojos.runtime.errors import InputError
from anteojos.vocabulary import Network, Precision
from tests.conftest import SEEN

SIZE = 48
RECIPE = Recipe(epochs=2, batch_size=8)
SEED = 3


def bright_and_dark(count: int, seed: int = 0) -> training.LabelledImages:
    """Noise, brighter where the label is the first class: a task that a network learns in an epoch or two."""
    rng = np.random.default_rng(seed)
    first = np.arange(count) % 2 == 0
    images = rng.integers(0, 120, (count, SIZE, SIZE, 3), dtype=np.uint8)
    images[first] += 130
    return training.LabelledImages(images, first)


def batches(
    pictures: training.LabelledImages, order: npt.NDArray[np.intp], batch_size: int, outputs: int
) -> Iterator[training.Batch]:
    for start in range(0, len(order), batch_size):
        rows = order[start : start + batch_size]
        yield training.batch_of(pictures, rows, outputs, [slice(0, len(rows))])


def train(
    network: Network = "baseline", recipe: Recipe = RECIPE, count: int = 20, seed: int = SEED
) -> tuple[keras.Model, list[training.Epoch]]:
    pictures, validate = bright_and_dark(count), bright_and_dark(10, seed=1)
    return training.train(pictures, validate, network, recipe, seed, lambda epoch: None)


def test_a_network_learns_what_can_be_learnt() -> None:
    _, history = train(recipe=replace(RECIPE, epochs=8, rescale=True), count=40)
    assert history[-1].train.loss < history[0].train.loss / 2
    assert history[-1].validate.accuracy == 1.0


@pytest.mark.parametrize("network", ["baseline", "sigmoid", "deep"])
def test_the_first_epochs_are_those_of_plain_keras(network: Network) -> None:
    pictures, validate = bright_and_dark(20), bright_and_dark(10, seed=1)
    _, ours = training.train(pictures, validate, network, RECIPE, SEED, lambda epoch: None)

    keras.utils.set_random_seed(SEED)
    model = networks.build(network, SIZE, RECIPE.rescale)
    outputs = model.output_shape[-1]
    model.compile(keras.optimizers.Adam(RECIPE.learning_rate), loss="binary_crossentropy", metrics=["accuracy"])
    shuffler = np.random.default_rng(SEED)
    for epoch in ours:
        order = shuffler.permutation(len(pictures.images))
        whole = batches(pictures, order, RECIPE.batch_size, outputs)
        data = [(batch.images[0].astype(np.float32), batch.targets[0]) for batch in whole]
        rights = np.zeros(2)
        for images, targets in data:
            rights += len(images) * np.array(model.train_on_batch(images, targets))
            model.reset_metrics()  # else Keras gives the mean over all batches so far
        loss, accuracy = rights / len(pictures.images)
        assert epoch.train.loss == pytest.approx(loss, rel=1e-4)
        assert epoch.train.accuracy == pytest.approx(accuracy)
        targets = np.stack((validate.first, ~validate.first), axis=1)[:, :outputs].astype(np.float32)
        loss, accuracy = model.evaluate(validate.images.astype(np.float32), targets, batch_size=8, verbose=0)
        assert epoch.validate.loss == pytest.approx(loss, rel=1e-4)
        assert epoch.validate.accuracy == pytest.approx(accuracy)


@pytest.mark.parametrize("network", ["dropout", "edge"])
def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(network: Network, tmp_path: Path) -> None:
    recipe = replace(RECIPES[network], epochs=2, batch_size=8)
    files: dict[str, list[bytes]] = {}
    for name, seed in (("one", 3), ("same", 3), ("other", 4)):
        trained, _ = train(network, recipe, seed=seed)
        training.save_keras(trained, tmp_path / "model.keras")
        training.save_tflite(trained, tmp_path / "model.tflite")
        files[name] = [(tmp_path / f"model.{suffix}").read_bytes() for suffix in ("keras", "tflite")]
        assert sorted(path.name for path in tmp_path.iterdir()) == ["model.keras", "model.tflite"]
    assert files["one"] == files["same"]
    assert files["one"][0] != files["other"][0]
    assert files["one"][1] != files["other"][1]


def test_no_file_in_a_keras_archive_tells_when_it_was_written(tmp_path: Path) -> None:
    network, _ = train()
    training.save_keras(network, tmp_path / "model.keras")
    with zipfile.ZipFile(tmp_path / "model.keras") as archive:
        assert {entry.date_time for entry in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
        assert b"1980-01-01" in archive.read("metadata.json")


@pytest.mark.parametrize("network", ["baseline", "sigmoid", "deep", "dropout", "edge"])
def test_both_model_files_give_the_same_probabilities(network: Network, tmp_path: Path) -> None:
    trained, _ = train(network, replace(RECIPE, rescale=True, mirrored=RECIPES[network].mirrored))
    training.save_keras(trained, tmp_path / "model.keras")
    training.save_tflite(trained, tmp_path / "model.tflite")
    Card(("a", "b"), ("A", "B"), "none", SEEN).attach(tmp_path / "model.tflite")
    images = bright_and_dark(30, seed=5).images
    by_keras = keras.saving.load_model(tmp_path / "model.keras").predict(images.astype(np.float32), verbose=0)[:, 0]
    by_litert = Classifier.load(tmp_path / "model.tflite").probabilities(images)
    assert by_litert.dtype == np.float32
    assert by_litert == pytest.approx(by_keras, abs=1e-5)
    assert by_keras.max() - by_keras.min() > 1e-3


@pytest.mark.parametrize("mirrored", [True, False])
def test_a_network_of_a_mirrored_recipe_labels_an_image_as_its_mirror_image(mirrored: bool) -> None:
    trained, history = train("sigmoid", replace(RECIPE, rescale=True, mirrored=mirrored))
    images = bright_and_dark(10, seed=1).images.astype(np.float32)
    probabilities, of_mirror_images = (np.asarray(trained(shown)) for shown in (images, images[:, :, ::-1]))
    assert np.allclose(probabilities, of_mirror_images, atol=1e-6) == mirrored
    loss = -np.log(np.where(bright_and_dark(10, seed=1).first, probabilities[:, 0], 1 - probabilities[:, 0])).mean()
    assert history[-1].validate.loss == pytest.approx(loss, rel=1e-4)


def test_a_batch_has_the_images_of_its_rows_with_their_labels() -> None:
    pictures, rows = bright_and_dark(10), np.array([9, 3, 0])
    batch = training.batch_of(pictures, rows, 2, [slice(0, 3)])
    assert batch.pictures == 3
    assert np.array_equal(batch.images[0], pictures.images[rows])
    assert batch.targets[0].tolist() == [[0, 1], [0, 1], [1, 0]]
    assert training.batch_of(pictures, rows, 1, [slice(0, 3)]).targets[0].tolist() == [[0], [0], [1]]


def test_replicas_share_a_batch_and_its_moves_as_if_there_were_one() -> None:
    pictures, rows = bright_and_dark(10), np.arange(5)
    moves = draw_transforms(5, SIZE, Augmentation(shift=0.3, zoom=(0.5, 2), rotation=30), np.random.default_rng(0))
    whole = training.batch_of(pictures, rows, 2, [slice(0, 5)], moves)
    shared = training.batch_of(pictures, rows, 2, [slice(0, 2), slice(2, 2), slice(2, 5)], moves)
    assert [weights.tolist() for weights in shared.weights] == [[1, 1], [0], [1, 1, 1]]
    counted = np.concatenate(shared.weights) > 0
    assert np.array_equal(np.concatenate(shared.images)[counted], whole.images[0])
    assert np.array_equal(np.concatenate(shared.targets)[counted], whole.targets[0])
    assert not np.array_equal(whole.images[0], pictures.images[rows])


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="asks Linux how much of a file is in memory")
def test_what_was_read_of_a_memory_map_is_let_go(tmp_path: Path) -> None:
    def mapped() -> int:
        return int(Path("/proc/self/statm").read_text().split()[2]) * mmap.PAGESIZE

    np.save(tmp_path / "images.npy", np.ones((1000, 160, 160, 3), np.uint8))  # 77 MB
    images = np.load(tmp_path / "images.npy", mmap_mode="r")
    pictures = training.LabelledImages(images, np.ones(1000, bool))
    before = mapped()
    assert images.sum() == images.size
    assert mapped() - before > 70e6
    training.batch_of(pictures, np.arange(8), 2, [slice(0, 8)])
    for start in range(0, 1000, 40):
        training.batch_of(pictures, np.arange(start, start + 40), 2, [slice(0, 40)])
        assert mapped() - before < 10e6


def test_batches_made_ahead_come_in_order_and_an_error_in_one_arrives() -> None:
    asked_for = 0

    def make(number: int) -> training.Batch:
        if number == 8:
            raise OSError("the disk is gone")
        time.sleep(0.05 * (number % 2))  # the next one is done before this one
        return training.Batch(number, [], [], [])

    def makers() -> Iterator[Callable[[], training.Batch]]:
        nonlocal asked_for
        for asked_for in range(1, 101):
            yield partial(make, asked_for - 1)

    coming = training.ahead(makers())
    assert [next(coming).pictures for _ in range(8)] == list(range(8))
    with pytest.raises(OSError, match="the disk is gone"):
        next(coming)
    assert 8 < asked_for < 50  # some are made ahead of what is wanted, not all


def test_training_that_breaks_down_stops_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    def exploding(size: int, rescale: bool) -> keras.Model:
        huge = keras.initializers.Constant(1e38)
        layers = [keras.layers.Flatten(), keras.layers.Dense(2, kernel_initializer=huge), keras.layers.Softmax()]
        return keras.Sequential([keras.Input((size, size, 3)), *layers])

    monkeypatch.setitem(networks.NETWORKS, "baseline", exploding)
    with pytest.raises(InputError, match=r"broke down in epoch 1: the loss is no longer a number\nTry a lower"):
        train()


@pytest.mark.parametrize("empty", ["train", "validate"])
def test_a_split_without_images_is_named(empty: str) -> None:
    splits = {split: bright_and_dark(0 if split == empty else 4) for split in ("train", "validate")}
    with pytest.raises(InputError, match=f"data/processed/{empty} has no images"):
        training.train(splits["train"], splits["validate"], "baseline", RECIPE, SEED, lambda epoch: None)


def test_every_epoch_is_told_as_it_ends() -> None:
    told: list[training.Epoch] = []
    _, history = training.train(bright_and_dark(8), bright_and_dark(4), "baseline", RECIPE, SEED, told.append)
    assert told == history
    assert [epoch.number for epoch in history] == [1, 2]


def test_the_learning_rate_rises_and_falls_as_the_recipe_says() -> None:
    recipe = replace(RECIPE, learning_rate=0.002, warm_up=0.1, weight_decay=0.02)
    optimizer = training.optimizer_of(recipe, steps=100)
    assert isinstance(optimizer, keras.optimizers.AdamW)
    assert optimizer.weight_decay == 0.02
    rates = [float(optimizer._learning_rate(step)) for step in (0, 5, 10, 55, 100)]
    assert rates == pytest.approx([0, 0.001, 0.002, 0.001, 0], abs=1e-6)


def test_without_warm_up_and_decay_the_optimizer_is_the_reports() -> None:
    optimizer = training.optimizer_of(RECIPE, steps=100)
    assert type(optimizer) is keras.optimizers.Adam
    assert float(optimizer.learning_rate) == pytest.approx(0.001)
    assert not optimizer.weight_decay


def test_label_smoothing_counts_in_training_and_not_in_validation() -> None:
    # A network whose weights do not move gives the same probabilities in both.
    still = replace(RECIPE, epochs=1, batch_size=20, learning_rate=0.0)
    pictures = bright_and_dark(20)
    losses = {}
    for smoothing in (0.0, 0.5):
        recipe = replace(still, label_smoothing=smoothing)
        _, [epoch] = training.train(pictures, pictures, "sigmoid", recipe, SEED, lambda epoch: None)
        losses[smoothing] = epoch
    assert losses[0.0].validate.loss == losses[0.5].validate.loss == pytest.approx(losses[0.0].train.loss, rel=1e-5)
    assert losses[0.5].train.loss != pytest.approx(losses[0.0].train.loss, rel=1e-3)


def test_the_loss_is_the_mean_over_the_towers_and_validation_is_of_their_mean(monkeypatch: pytest.MonkeyPatch) -> None:
    def two_towers(size: int, rescale: bool) -> keras.Model:
        images = keras.Input((size, size, 3), name="images")
        features = keras.layers.Rescaling(1 / 255)(keras.layers.GlobalAveragePooling2D()(images))
        kernels = [keras.initializers.Constant(value) for value in (-1.0, 2.0)]
        outputs = [keras.layers.Dense(1, "sigmoid", kernel_initializer=kernel)(features) for kernel in kernels]
        return keras.Model(images, outputs)

    monkeypatch.setitem(networks.NETWORKS, "sigmoid", two_towers)
    pictures = bright_and_dark(20)
    still = replace(RECIPE, epochs=1, learning_rate=0.0)
    trained, [epoch] = training.train(pictures, pictures, "sigmoid", still, SEED, lambda epoch: None)

    images = pictures.images.astype(np.float32)
    of_first = np.stack([np.asarray(output)[:, 0] for output in two_towers(SIZE, rescale=False)(images)])
    of_label = np.where(pictures.first, of_first, 1 - of_first)
    assert np.abs(of_first[0] - of_first[1]).min() > 0.1
    assert epoch.train.loss == pytest.approx(-np.log(of_label).mean(), rel=1e-4)
    assert epoch.validate.loss == pytest.approx(-np.log(of_label.mean(axis=0)).mean(), rel=1e-4)
    assert epoch.train.accuracy == epoch.validate.accuracy == (of_label.mean(axis=0) >= 0.5).mean()
    assert np.asarray(trained(images))[:, 0] == pytest.approx(of_first.mean(axis=0), abs=1e-6)


def test_augmentation_changes_what_is_trained_on_and_not_what_is_validated() -> None:
    still = replace(RECIPE, epochs=1, learning_rate=0.0)
    moved = replace(still, augmentation=Augmentation(shift=0.3, zoom=(2, 3), rotation=30))
    _, [plain] = train(recipe=still)
    _, [varied] = train(recipe=moved)
    assert varied.validate == plain.validate
    assert varied.train.loss != plain.train.loss


@pytest.mark.parametrize("precision", ["mixed_float16", "mixed_bfloat16"])
def test_a_network_trained_in_16_bits_learns_and_ships_in_32(precision: Precision) -> None:
    recipe = replace(RECIPE, epochs=6, rescale=True, precision=precision)
    trained, history = train("sigmoid", recipe, count=40)
    assert history[-1].validate.accuracy == 1.0
    assert history[-1].train.loss < history[0].train.loss / 2
    _, in_32_bits = train("sigmoid", replace(recipe, precision="float32"), count=40)
    assert history[0].train.loss != in_32_bits[0].train.loss
    assert {layer.dtype_policy.name for layer in trained.layers} == {"float32"}
    assert {variable.dtype for variable in trained.variables} == {"float32"}
    validate = bright_and_dark(10, seed=1)
    probability = np.asarray(trained(validate.images.astype(np.float32)))[:, 0]
    assert np.array_equal(probability > 0.5, validate.first)


class BrokenOffError(Exception):
    """Stands for whatever ends a training early."""


def train_from(
    checkpoint: Path | None, network: Network, until: int | None = None
) -> tuple[bytes, list[training.Epoch]]:
    """Train for four epochs, or break off after `until` of them; give the weights and the epochs that were told."""
    told: list[training.Epoch] = []

    def on_epoch(epoch: training.Epoch) -> None:
        told.append(epoch)
        if epoch.number == until:
            raise BrokenOffError

    recipe = replace(RECIPES[network], epochs=4, batch_size=8)
    pictures, validate = bright_and_dark(20), bright_and_dark(10, seed=1)
    trained, _ = training.train(pictures, validate, network, recipe, SEED, on_epoch, checkpoint)
    return b"".join(weights.tobytes() for weights in trained.get_weights()), told


# With dropout; with augmentation, normalization, a learning rate that falls and the mean with the mirror image.
@pytest.mark.parametrize("network", ["dropout", "edge"])
def test_a_training_broken_off_goes_on_to_the_same_weights_and_history(
    network: Network, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    unbroken = train_from(None, network)
    checkpoint = tmp_path / "a folder/checkpoint.npz"
    for until in (1, 3):
        with pytest.raises(BrokenOffError):
            train_from(checkpoint, network, until)
    capsys.readouterr()
    assert train_from(checkpoint, network) == unbroken
    assert capsys.readouterr().out == f"going on after epoch 3, from {checkpoint}\n"
    # Of a training that had ended, but for its outputs.
    assert train_from(checkpoint, network) == unbroken
    assert [path.name for path in checkpoint.parent.iterdir()] == ["checkpoint.npz"]


def test_a_damaged_checkpoint_is_named_and_not_taken(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    unbroken = train_from(None, "baseline")
    checkpoint = tmp_path / "checkpoint.npz"
    with pytest.raises(BrokenOffError):
        train_from(checkpoint, "baseline", until=2)
    content = bytearray(checkpoint.read_bytes())
    content[len(content) // 2] ^= 1
    for damaged in (content, content[: len(content) // 2], b""):
        checkpoint.write_bytes(damaged)
        capsys.readouterr()
        assert train_from(checkpoint, "baseline") == unbroken
        output = capsys.readouterr()
        assert f"warning: {checkpoint} is damaged" in output.err
        assert "going on" not in output.out

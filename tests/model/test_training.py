"""Training gives the results of plain Keras, deterministically, and its files give the same probabilities."""

import zipfile
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest

from anteojos.model import batches, networks, training
from anteojos.model.classifier import Classifier
from anteojos.model.recipes import RECIPES, Augmentation, Recipe
from anteojos.runtime.errors import InputError
from anteojos.vocabulary import Network, Precision
from tests.conftest import METADATA

pytestmark = pytest.mark.slow

SIZE = 48
RECIPE = Recipe(epochs=2, batch_size=8)
SEED = 3


def bright_and_dark(count: int, seed: int = 0) -> batches.LabelledImages:
    """Noise, brighter where the label is the first class: a task that a network learns in an epoch or two."""
    rng = np.random.default_rng(seed)
    first = np.arange(count) % 2 == 0
    images = rng.integers(0, 120, (count, SIZE, SIZE, 3), dtype=np.uint8)
    images[first] += 130
    return batches.LabelledImages(images, first)


def one_share(images: int) -> list[slice]:
    """Return the share of a single replica."""
    return [slice(0, images)]


def train(
    network: Network = "baseline", recipe: Recipe = RECIPE, count: int = 20, seed: int = SEED
) -> tuple[keras.Model, list[training.Epoch]]:
    split, validate = bright_and_dark(count), bright_and_dark(10, seed=1)
    return training.train(split, validate, network, recipe, seed, lambda epoch: None)


def test_loss_falls_and_accuracy_rises() -> None:
    _, history = train(recipe=replace(RECIPE, epochs=8, rescale=True), count=40)
    assert history[-1].train.loss < history[0].train.loss / 2
    assert history[-1].validate.accuracy == 1.0


@pytest.mark.parametrize("network", ["baseline", "sigmoid", "deep"])
def test_epochs_are_those_of_plain_keras(network: Network) -> None:
    split, validate = bright_and_dark(20), bright_and_dark(10, seed=1)
    _, ours = training.train(split, validate, network, RECIPE, SEED, lambda epoch: None)

    keras.utils.set_random_seed(SEED)
    model = networks.build(network, SIZE, RECIPE.rescale)
    outputs = model.output_shape[-1]
    model.compile(keras.optimizers.Adam(RECIPE.learning_rate), loss="binary_crossentropy", metrics=["accuracy"])
    shuffler = np.random.default_rng(SEED)
    for epoch in ours:
        order = shuffler.permutation(len(split.images))
        tasks = batches.tasks(RECIPE.batch_size, outputs, one_share, shuffler, split, order, None)
        data = [(batch.images[0].astype(np.float32), batch.targets[0]) for batch in (task() for task in tasks)]
        rights = np.zeros(2)
        for images, targets in data:
            rights += len(images) * np.array(model.train_on_batch(images, targets))
            model.reset_metrics()  # else Keras gives the mean over all batches so far
        loss, accuracy = rights / len(split.images)
        assert epoch.train.loss == pytest.approx(loss, rel=1e-4)
        assert epoch.train.accuracy == pytest.approx(accuracy)
        targets = np.stack((validate.first, ~validate.first), axis=1)[:, :outputs].astype(np.float32)
        loss, accuracy = model.evaluate(validate.images.astype(np.float32), targets, batch_size=8, verbose=0)
        assert epoch.validate.loss == pytest.approx(loss, rel=1e-4)
        assert epoch.validate.accuracy == pytest.approx(accuracy)


@pytest.mark.parametrize("network", ["baseline", "sigmoid"])
def test_class_weights_are_those_of_keras(network: Network) -> None:
    split = bright_and_dark(8)
    recipe = replace(RECIPE, epochs=1, class_weights=(0.25, 1.75))
    _, [epoch] = training.train(split, split, network, recipe, SEED, lambda epoch: None)

    keras.utils.set_random_seed(SEED)
    model = networks.build(network, SIZE, recipe.rescale)
    model.compile(keras.optimizers.Adam(recipe.learning_rate), loss="binary_crossentropy", metrics=["accuracy"])
    targets = np.stack((split.first, ~split.first), axis=1)[:, : model.output_shape[-1]].astype(np.float32)
    weights = np.where(split.first, *recipe.class_weights)
    loss, accuracy = model.train_on_batch(split.images.astype(np.float32), targets, sample_weight=weights)
    # Keras 3 divides by the sum of the weights, which is the number of images here.
    assert weights.sum() == len(weights)
    assert epoch.train.loss == pytest.approx(loss, rel=1e-4)
    assert epoch.train.accuracy == pytest.approx(accuracy)
    loss, _ = model.evaluate(split.images.astype(np.float32), targets, verbose=0)
    assert epoch.validate.loss == pytest.approx(loss, rel=1e-4)


@pytest.mark.parametrize("network", ["dropout", "edge"])
def test_same_seed_gives_the_same_bytes(network: Network, tmp_path: Path) -> None:
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
    # Those of the last training, which is the same for both files.
    assert_same_probabilities(tmp_path)


def test_keras_file_contains_no_time(tmp_path: Path) -> None:
    network, _ = train()
    training.save_keras(network, tmp_path / "model.keras")
    with zipfile.ZipFile(tmp_path / "model.keras") as archive:
        assert {entry.date_time for entry in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
        assert b"1980-01-01" in archive.read("metadata.json")


@pytest.mark.parametrize("network", ["baseline", "sigmoid", "deep"])
def test_both_model_files_give_the_same_probabilities(network: Network, tmp_path: Path) -> None:
    trained, _ = train(network, replace(RECIPE, rescale=True))
    training.save_keras(trained, tmp_path / "model.keras")
    training.save_tflite(trained, tmp_path / "model.tflite")
    assert_same_probabilities(tmp_path)


def assert_same_probabilities(folder: Path) -> None:
    """Check that model.keras and model.tflite of a folder give the same probabilities."""
    METADATA.attach(folder / "model.tflite")
    images = bright_and_dark(30, seed=5).images
    by_keras = keras.saving.load_model(folder / "model.keras").predict(images.astype(np.float32), verbose=0)[:, 0]
    by_litert = Classifier.load(folder / "model.tflite").probabilities(images)
    assert by_litert.dtype == np.float32
    assert by_litert == pytest.approx(by_keras, abs=1e-5)
    assert by_keras.max() - by_keras.min() > 1e-3


@pytest.mark.parametrize("mirrored", [True, False])
def test_mirrored_recipe_labels_mirror_images_alike(mirrored: bool) -> None:
    trained, history = train("sigmoid", replace(RECIPE, rescale=True, mirrored=mirrored))
    images = bright_and_dark(10, seed=1).images.astype(np.float32)
    probabilities, of_mirror_images = (np.asarray(trained(shown)) for shown in (images, images[:, :, ::-1]))
    assert np.allclose(probabilities, of_mirror_images, atol=1e-6) == mirrored
    loss = -np.log(np.where(bright_and_dark(10, seed=1).first, probabilities[:, 0], 1 - probabilities[:, 0])).mean()
    assert history[-1].validate.loss == pytest.approx(loss, rel=1e-4)


def test_infinite_loss_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def exploding(size: int, rescale: bool) -> keras.Model:
        huge = keras.initializers.Constant(1e38)
        layers = [keras.layers.Flatten(), keras.layers.Dense(2, kernel_initializer=huge), keras.layers.Softmax()]
        return keras.Sequential([keras.Input((size, size, 3)), *layers])

    monkeypatch.setitem(networks.NETWORKS, "baseline", exploding)
    with pytest.raises(InputError, match=r"training failed in epoch 1: the loss is not finite\nTry a lower"):
        train()


@pytest.mark.parametrize("empty", ["train", "validate"])
def test_split_without_images_is_an_error(empty: str) -> None:
    splits = {split: bright_and_dark(0 if split == empty else 4) for split in ("train", "validate")}
    with pytest.raises(InputError, match=f"data/processed/{empty} has no images"):
        training.train(splits["train"], splits["validate"], "baseline", RECIPE, SEED, lambda epoch: None)


def test_every_epoch_is_reported() -> None:
    reported: list[training.Epoch] = []
    _, history = training.train(bright_and_dark(8), bright_and_dark(4), "baseline", RECIPE, SEED, reported.append)
    assert reported == history
    assert [epoch.number for epoch in history] == [1, 2]


def test_learning_rate_rises_and_falls() -> None:
    recipe = replace(RECIPE, learning_rate=0.002, warm_up=0.1, weight_decay=0.02)
    optimizer = training.make_optimizer(recipe, steps=100)
    assert isinstance(optimizer, keras.optimizers.AdamW)
    assert optimizer.weight_decay == 0.02
    rates = [float(optimizer._learning_rate(step)) for step in (0, 5, 10, 55, 100)]
    assert rates == pytest.approx([0, 0.001, 0.002, 0.001, 0], abs=1e-6)


def test_default_optimizer_is_that_of_the_report() -> None:
    optimizer = training.make_optimizer(RECIPE, steps=100)
    assert type(optimizer) is keras.optimizers.Adam
    assert float(optimizer.learning_rate) == pytest.approx(0.001)
    assert not optimizer.weight_decay


def test_label_smoothing_changes_only_the_training_loss() -> None:
    # A network whose weights do not move gives the same probabilities in both.
    still = replace(RECIPE, epochs=1, batch_size=20, learning_rate=0.0)
    split = bright_and_dark(20)
    losses = {}
    for smoothing in (0.0, 0.5):
        recipe = replace(still, label_smoothing=smoothing)
        _, [epoch] = training.train(split, split, "sigmoid", recipe, SEED, lambda epoch: None)
        losses[smoothing] = epoch
    assert losses[0.0].validate.loss == losses[0.5].validate.loss == pytest.approx(losses[0.0].train.loss, rel=1e-5)
    assert losses[0.5].train.loss != pytest.approx(losses[0.0].train.loss, rel=1e-3)


def test_towers_have_own_losses_and_are_scored_by_their_mean(monkeypatch: pytest.MonkeyPatch) -> None:
    def two_towers(size: int, rescale: bool) -> keras.Model:
        images = keras.Input((size, size, 3), name="images")
        features = keras.layers.Rescaling(1 / 255)(keras.layers.GlobalAveragePooling2D()(images))
        kernels = [keras.initializers.Constant(value) for value in (-1.0, 2.0)]
        outputs = [keras.layers.Dense(1, "sigmoid", kernel_initializer=kernel)(features) for kernel in kernels]
        return keras.Model(images, outputs)

    monkeypatch.setitem(networks.NETWORKS, "sigmoid", two_towers)
    split = bright_and_dark(20)
    still = replace(RECIPE, epochs=1, learning_rate=0.0)
    trained, [epoch] = training.train(split, split, "sigmoid", still, SEED, lambda epoch: None)

    images = split.images.astype(np.float32)
    of_first = np.stack([np.asarray(output)[:, 0] for output in two_towers(SIZE, rescale=False)(images)])
    of_label = np.where(split.first, of_first, 1 - of_first)
    assert np.abs(of_first[0] - of_first[1]).min() > 0.1
    assert epoch.train.loss == pytest.approx(-np.log(of_label).mean(), rel=1e-4)
    assert epoch.validate.loss == pytest.approx(-np.log(of_label.mean(axis=0)).mean(), rel=1e-4)
    assert epoch.train.accuracy == epoch.validate.accuracy == (of_label.mean(axis=0) >= 0.5).mean()
    assert np.asarray(trained(images))[:, 0] == pytest.approx(of_first.mean(axis=0), abs=1e-6)


def test_augmentation_changes_only_the_training_images() -> None:
    still = replace(RECIPE, epochs=1, learning_rate=0.0)
    moved = replace(still, augmentation=Augmentation(shift=0.3, zoom=(2, 3), rotation=30))
    _, [plain] = train(recipe=still)
    _, [varied] = train(recipe=moved)
    assert varied.validate == plain.validate
    assert varied.train.loss != plain.train.loss


def test_network_trained_in_16_bits_is_float32_afterwards() -> None:
    recipe = replace(RECIPE, epochs=6, rescale=True)
    _, in_32_bits = train("sigmoid", replace(recipe, epochs=1), count=40)
    validate = bright_and_dark(10, seed=1)
    precisions: tuple[Precision, ...] = ("mixed_float16", "mixed_bfloat16")
    for precision in precisions:
        trained, history = train("sigmoid", replace(recipe, precision=precision), count=40)
        assert history[-1].validate.accuracy == 1.0
        assert history[-1].train.loss < history[0].train.loss / 2
        assert history[0].train.loss != in_32_bits[0].train.loss
        assert {layer.dtype_policy.name for layer in trained.layers} == {"float32"}
        assert {variable.dtype for variable in trained.variables} == {"float32"}
        probability = np.asarray(trained(validate.images.astype(np.float32)))[:, 0]
        assert np.array_equal(probability > 0.5, validate.first)


class StoppedError(Exception):
    """Any reason for which a training ends early."""


def train_from(
    checkpoint: Path | None, network: Network, until: int | None = None
) -> tuple[bytes, list[training.Epoch]]:
    """Train for four epochs, or stop after `until` of them; return the weights and the reported epochs."""
    reported: list[training.Epoch] = []

    def on_epoch(epoch: training.Epoch) -> None:
        reported.append(epoch)
        if epoch.number == until:
            raise StoppedError

    recipe = replace(RECIPES[network], epochs=4, batch_size=8)
    split, validate = bright_and_dark(20), bright_and_dark(10, seed=1)
    trained, _ = training.train(split, validate, network, recipe, SEED, on_epoch, checkpoint)
    return b"".join(weights.tobytes() for weights in trained.get_weights()), reported


# With dropout; with augmentation, normalization, a learning rate that falls and the mean with the mirror image.
@pytest.mark.parametrize("network", ["dropout", "edge"])
def test_resumed_training_gives_the_same_weights(
    network: Network, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    uninterrupted = train_from(None, network)
    checkpoint = tmp_path / "a folder/checkpoint.npz"
    for until in (1, 3):
        with pytest.raises(StoppedError):
            train_from(checkpoint, network, until)
    capsys.readouterr()
    assert train_from(checkpoint, network) == uninterrupted
    assert capsys.readouterr().out == f"resuming after epoch 3, from {checkpoint}\n"
    # Of a training that had ended, but for its outputs.
    assert train_from(checkpoint, network) == uninterrupted
    assert [path.name for path in checkpoint.parent.iterdir()] == ["checkpoint.npz"]


def test_damaged_checkpoint_is_reported_and_not_used(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    uninterrupted = train_from(None, "baseline")
    checkpoint = tmp_path / "checkpoint.npz"
    with pytest.raises(StoppedError):
        train_from(checkpoint, "baseline", until=2)
    content = bytearray(checkpoint.read_bytes())
    content[len(content) // 2] ^= 1
    for damaged in (content, content[: len(content) // 2], b""):
        checkpoint.write_bytes(damaged)
        capsys.readouterr()
        assert train_from(checkpoint, "baseline") == uninterrupted
        output = capsys.readouterr()
        assert f"warning: {checkpoint} is damaged" in output.err
        assert "resuming" not in output.out

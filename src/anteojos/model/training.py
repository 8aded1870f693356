"""Train a network by its recipe, and save it."""

import io
import json
import math
import os
import re
import sys
import zipfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from anteojos.model import batches, tf_config
from anteojos.model.batches import Batch, LabelledImages
from anteojos.model.recipes import Recipe
from anteojos.runtime.errors import InputError
from anteojos.runtime.outputs import ZIP_EPOCH, replacing
from anteojos.runtime.quiet import quiet_stderr
from anteojos.vocabulary import Network

# oneDNN's kernels take half the time of TensorFlow's own kernels, which are the default on some kinds of CPU.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
# Silence TensorFlow's start-up log, except for errors, such as those of a GPU that cannot be used.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
# Prevent Keras from importing scikit-learn, which takes 1.5 s, for wrappers that are not used here.
without_sklearn = sys.modules.setdefault("sklearn", None) is None  # type: ignore[arg-type]
with quiet_stderr():
    import keras
    import tensorflow as tf

    from anteojos.model import distribution, networks
if without_sklearn:
    del sys.modules["sklearn"]

# TensorFlow splits sums among its threads, so their last bits depend on the number of threads. A fixed number gives the
# same bytes on any number of cores. On one core, training takes 10 % longer with 8 threads than with 1.
tf.config.threading.set_intra_op_parallelism_threads(8)

Floats = npt.NDArray[np.float32]
LossAndCorrect = tuple[tf.Tensor, tf.Tensor]


@dataclass(frozen=True)
class Scores:
    """Mean loss (nats) and accuracy over the images of a split."""

    loss: float
    accuracy: float


@dataclass(frozen=True)
class Epoch:
    """The scores of an epoch: `train` with the weights at each step, `validate` with the weights at its end."""

    number: int
    train: Scores
    validate: Scores


def train(
    train: LabelledImages,
    validate: LabelledImages,
    network_name: Network,
    recipe: Recipe,
    seed: int,
    on_epoch: Callable[[Epoch], None],
    checkpoint: Path | None = None,
    timeout: float = 600,
) -> tuple[keras.Model, list[Epoch]]:
    """Train a network by a recipe; return it with the scores of its epochs.

    The loss is binary cross-entropy on the network's outputs, as in the report: with one output, the first class is 1;
    with two, labels are one-hot. With several towers, it is the mean of their losses. In training, the loss of an image
    is multiplied by the weight of its class. The same images, recipe, seed and kind of CPU give the same weights, to
    the last bit.

    After each epoch, the state is written to the file `checkpoint`. If that file exists, training resumes from it, and
    gives the same weights and history as without the interruption. Its path must identify images, recipe and seed.

    If `distribution.strategy` finds several devices or machines, they share each batch. Each machine gets the network
    and the history; only the chief writes the checkpoint.

    Raises InputError if a split is empty, if the loss is not finite, or if several machines do not finish a step within
    `timeout` seconds.
    """
    for name, split in (("train", train), ("validate", validate)):
        if not len(split.images):
            raise InputError(
                f"data/processed/{name} has no images",
                advice=f"Add images to {name}, or set dataset.split in params.yaml.",
            )
    fit = partial(_fit, train, validate, network_name, recipe, seed, checkpoint)
    if tf_config.read() is None:
        return fit(on_epoch)
    values, history = distribution.in_child(partial(_fit_in_child, fit), on_epoch, timeout)
    return for_inference(network_name, train.images.shape[1], recipe, values), history


def for_inference(network_name: Network, size: int, recipe: Recipe, values: Sequence[Floats]) -> keras.Model:
    """Return a trained network in float32 on one device, from the values of its variables."""
    network = networks.build(network_name, size, recipe.rescale)
    for variable, value in zip(network.variables, values, strict=True):
        variable.assign(value)
    return networks.averaged(network, recipe.mirrored)


def _fit_in_child(fit: Callable[..., tuple[keras.Model, list[Epoch]]], send: distribution.Send) -> Any:
    network, history = fit(send, on_step=partial(send, None))
    return [variable.numpy() for variable in network.variables], history


def _fit(
    train: LabelledImages,
    validate: LabelledImages,
    network_name: Network,
    recipe: Recipe,
    seed: int,
    checkpoint: Path | None,
    on_epoch: Callable[[Epoch], None],
    on_step: Callable[[], None] = lambda: None,
) -> tuple[keras.Model, list[Epoch]]:
    strategy = make_deterministic(seed)
    is_single = strategy.num_replicas_in_sync == 1
    size = train.images.shape[1]
    with strategy.scope():
        network = networks.build(network_name, size, recipe.rescale, recipe.precision, synchronized=not is_single)
        averaged = networks.averaged(network, recipe.mirrored)
        optimizer = make_optimizer(recipe, recipe.epochs * math.ceil(len(train.images) / recipe.batch_size))
        optimizer.build(network.trainable_variables)
    steps = Steps(strategy, network, averaged, optimizer, recipe)

    rng = np.random.default_rng(seed)
    # The variables of the network include the state of dropout's random numbers.
    state = [*network.variables, *optimizer.variables]
    history = restore_checkpoint(checkpoint, strategy, state, rng) if checkpoint else []
    for epoch in history:
        on_epoch(epoch)

    shares = partial(distribution.shares, strategy)
    tasks = partial(batches.tasks, recipe.batch_size, averaged.output_shape[-1], shares, rng)
    for number in range(len(history) + 1, recipe.epochs + 1):
        shuffled, in_order = rng.permutation(len(train.images)), np.arange(len(validate.images))
        train_scores = run_epoch(steps.train, tasks(train, shuffled, recipe.augmentation), on_step)
        validate_scores = run_epoch(steps.validate, tasks(validate, in_order, None), on_step)
        epoch = Epoch(number, train_scores, validate_scores)
        check_finite(epoch, recipe)
        history.append(epoch)
        if checkpoint and distribution.is_chief():
            save_checkpoint(checkpoint, state, rng, history)
        on_epoch(epoch)

    if is_single and recipe.precision == "float32":
        return averaged, history
    return for_inference(network_name, size, recipe, [variable.numpy() for variable in network.variables]), history


def make_deterministic(seed: int) -> tf.distribute.Strategy:
    """Seed all random numbers, require deterministic operations, and return the strategy."""
    # Reset the counter that Keras uses to name unnamed objects.
    keras.backend.clear_session()
    strategy = distribution.strategy()
    keras.utils.set_random_seed(seed)
    tf.config.experimental.enable_op_determinism()
    return strategy


def make_optimizer(recipe: Recipe, steps: int) -> keras.Optimizer:
    """Return the optimizer of `recipe` for a training of this many steps."""
    learning_rate: float | keras.optimizers.schedules.LearningRateSchedule = recipe.learning_rate
    if recipe.warm_up:
        warm_up = math.ceil(recipe.warm_up * steps)
        learning_rate = keras.optimizers.schedules.CosineDecay(
            0.0, max(1, steps - warm_up), warmup_target=recipe.learning_rate, warmup_steps=warm_up
        )
    optimizer = (
        keras.optimizers.AdamW(learning_rate, weight_decay=recipe.weight_decay)
        if recipe.weight_decay
        else keras.optimizers.Adam(learning_rate)
    )
    # Scale the loss, so that small gradients do not become 0 in 16 bits.
    return keras.optimizers.LossScaleOptimizer(optimizer) if recipe.precision == "mixed_float16" else optimizer


class Steps:
    """A training step and a validation step on a batch that all replicas share. Each is compiled only once."""

    def __init__(
        self,
        strategy: tf.distribute.Strategy,
        network: keras.Model,
        averaged: keras.Model,
        optimizer: keras.Optimizer,
        recipe: Recipe,
    ) -> None:
        self.strategy, self.network, self.averaged, self.optimizer = strategy, network, averaged, optimizer
        self.class_weights = recipe.class_weights
        # The sum, because each replica sees only a share of the images; `_train_on_share` divides by their number.
        self.smoothed_loss = keras.losses.BinaryCrossentropy(label_smoothing=recipe.label_smoothing, reduction="sum")
        self.loss = keras.losses.BinaryCrossentropy(reduction="sum")
        # With a signature, a batch of another size is not compiled again, which would take seconds. Values that are
        # spread over replicas cannot have a signature.
        signature = [
            tf.TensorSpec(averaged.input_shape, tf.uint8),
            tf.TensorSpec(averaged.output_shape, tf.float32),
            tf.TensorSpec((None,), tf.float32),
            tf.TensorSpec((), tf.float32),
        ]
        is_single = strategy.num_replicas_in_sync == 1
        # Without AutoGraph, which is not needed here and takes seconds to convert Keras's own code.
        compiled = partial(
            tf.function,
            input_signature=signature if is_single else None,
            reduce_retracing=not is_single,
            autograph=False,
        )
        self.train = partial(self._run, compiled(lambda *share: strategy.run(self._train_on_share, args=share)))
        self.validate = partial(self._run, compiled(lambda *share: strategy.run(self._score_share, args=share)))

    def _run(self, compiled: Callable[..., LossAndCorrect], batch: Batch) -> tuple[float, int]:
        """Return the mean loss and the number of correct labels of a batch."""
        parts = (distribution.per_replica(self.strategy, part) for part in (batch.images, batch.targets, batch.weights))
        results = compiled(*parts, tf.constant(batch.count, tf.float32))
        loss, correct = (self.strategy.experimental_local_results(result)[0] for result in results)
        return float(loss), round(float(correct))

    def _train_on_share(
        self, images: tf.Tensor, targets: tf.Tensor, weights: tf.Tensor, count: tf.Tensor
    ) -> LossAndCorrect:
        first, other = self.class_weights
        weighted = weights * tf.where(targets[:, 0] > 0.5, first, other) if first != other else weights
        with tf.GradientTape() as tape:
            towers = keras.tree.flatten(self.network(tf.cast(images, tf.float32), training=True))
            loss = sum(self.smoothed_loss(targets, tower, weighted) for tower in towers) / (len(towers) * count)
            scaled = self.optimizer.scale_loss(loss)
        variables = self.network.trainable_variables
        self.optimizer.apply(tape.gradient(scaled, variables), variables)
        correct = count_correct(targets, sum(towers) / len(towers), weights)
        return distribution.total(loss), distribution.total(correct)

    def _score_share(
        self, images: tf.Tensor, targets: tf.Tensor, weights: tf.Tensor, count: tf.Tensor
    ) -> LossAndCorrect:
        probabilities = self.averaged(tf.cast(images, tf.float32), training=False)
        loss = self.loss(targets, probabilities, weights) / count
        return distribution.total(loss), distribution.total(count_correct(targets, probabilities, weights))


def count_correct(targets: tf.Tensor, probabilities: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
    """Return the sum of the weights, float32 (B,), of the images whose more probable class is their label.

    `targets` and `probabilities` are float32 (B, 1) or (B, 2).
    """
    is_first, predicts_first = (
        values[:, 0] > (values[:, 1] if values.shape[1] == 2 else 0.5) for values in (targets, probabilities)
    )
    return tf.reduce_sum(tf.cast(tf.equal(is_first, predicts_first), tf.float32) * weights)


def run_epoch(
    step: Callable[[Batch], tuple[float, int]], tasks: Iterable[Callable[[], Batch]], on_step: Callable[[], None]
) -> Scores:
    """Run `step` on each batch, at least one; return the scores over all images."""
    loss_sum, correct, images = 0.0, 0, 0
    for batch in batches.prefetch(tasks):
        batch_loss, batch_correct = step(batch)
        loss_sum += batch_loss * batch.count
        correct += batch_correct
        images += batch.count
        on_step()
    return Scores(loss_sum / images, correct / images)


def check_finite(epoch: Epoch, recipe: Recipe) -> None:
    """Raise InputError if a loss of the epoch is NaN or infinite."""
    if not np.isfinite([epoch.train.loss, epoch.validate.loss]).all():
        raise InputError(
            f"training failed in epoch {epoch.number}: the loss is not finite",
            advice=f"Try a lower train.learning_rate than {recipe.learning_rate}, or train.rescale: true.",
        )


def save_checkpoint(
    path: Path, state: Sequence[keras.Variable], rng: np.random.Generator, history: Sequence[Epoch]
) -> None:
    """Write what the next epoch depends on: the variables, the state of the random numbers, and the history."""
    other = json.dumps({"rng": rng.bit_generator.state, "history": [asdict(epoch) for epoch in history]})
    with replacing(path) as written, written.open("wb") as file:
        np.savez(file, *(variable.numpy() for variable in state), other=np.array(other), allow_pickle=False)


def restore_checkpoint(
    path: Path, strategy: tf.distribute.Strategy, state: Sequence[keras.Variable], rng: np.random.Generator
) -> list[Epoch]:
    """Set `state` and `rng` from the chief's checkpoint, and return its history.

    If there is no checkpoint, or it is damaged, nothing is set and the history is empty.
    """
    data = distribution.from_chief(strategy, path.read_bytes() if path.exists() else None)
    if data is None:
        return []
    try:
        # Read everything, which verifies its checksums, before anything is set.
        with np.load(io.BytesIO(data)) as file:
            other = json.loads(str(file["other"]))
            values = [file[f"arr_{number}"] for number in range(len(state))]
    except Exception as error:  # damaged input can raise many exception types
        print(f"warning: {path} is damaged ({error}); training starts from the first epoch", file=sys.stderr)
        return []
    for variable, value in zip(state, values, strict=True):
        variable.assign(value)
    rng.bit_generator.state = other["rng"]
    epochs = other["history"]
    print(f"resuming after epoch {len(epochs)}, from {path}", flush=True)
    return [Epoch(epoch["number"], Scores(**epoch["train"]), Scores(**epoch["validate"])) for epoch in epochs]


def save_keras(network: keras.Model, path: Path) -> None:
    """Write `network` as a .keras file with a fixed date, so that the same network gives the same bytes."""
    dated_path = path.with_suffix(".dated.keras")
    network.save(dated_path)
    with zipfile.ZipFile(dated_path) as dated, zipfile.ZipFile(path, "w") as undated:
        for name in sorted(dated.namelist()):
            data = dated.read(name)
            if name == "metadata.json":
                data = json.dumps({**json.loads(data), "date_saved": "1980-01-01@00:00:00"}).encode()
            elif name == "config.json":
                data = _number_shared_objects(data)
            undated.writestr(zipfile.ZipInfo(name, ZIP_EPOCH), data)
    dated_path.unlink()


def _number_shared_objects(config: bytes) -> bytes:
    """Replace the memory addresses, which Keras uses as IDs of objects that layers share, by the numbers 0, 1, …."""
    numbers: dict[bytes, int] = {}
    return re.sub(
        rb'(?<="shared_object_id": )\d+', lambda address: b"%d" % numbers.setdefault(address[0], len(numbers)), config
    )


def save_tflite(network: keras.Model, path: Path) -> None:
    """Write `network` as a .tflite file: `images`, uint8 (N, size, size, 3) -> `probability`, float32 (N, 1).

    The probability is that of the first class, for networks with one output and with two.
    """
    images = tf.TensorSpec(network.input_shape, tf.uint8, name="images")
    signature = tf.function(partial(_first_class_probability, network), input_signature=[images], autograph=False)
    # The converter makes constants of the variables of the module. It does not find those of Keras 3 itself.
    module = tf.Module()
    module.weights = [variable.value for variable in network.variables]
    converter = tf.lite.TFLiteConverter.from_concrete_functions([signature.get_concrete_function()], module)
    path.write_bytes(converter.convert())


def _first_class_probability(network: keras.Model, images: tf.Tensor) -> dict[str, tf.Tensor]:
    return {"probability": network(tf.cast(images, tf.float32), training=False)[:, :1]}

"""Training: shuffled batches from memory-mapped arrays, one loop, and the trained network as files."""

import io
import json
import math
import mmap
import os
import re
import sys
import zipfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from anteojos.model import augmentation, tf_config
from anteojos.model.recipes import Recipe
from anteojos.runtime import threads
from anteojos.runtime.errors import InputError
from anteojos.runtime.outputs import ZIP_EPOCH, replacing
from anteojos.runtime.quiet import quiet_stderr
from anteojos.vocabulary import Network, Pixels

# oneDNN's kernels take half the time of TensorFlow's own, which are the default on some kinds of CPU.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
# Silence TensorFlow's start-up log, except for errors, such as those of a GPU that cannot be used.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
with quiet_stderr():
    import keras
    import tensorflow as tf

    from anteojos.model import distribution, networks

# Sums are split among the threads, and so depend in their last bits on how many there are: always as many, whatever the
# number of processors, for the same bytes from a laptop and a server. With one processor 8 take a tenth longer than 1.
tf.config.threading.set_intra_op_parallelism_threads(8)

# Threads that make batches while the network is trained on another; each has its batch in memory.
_MOST_AHEAD = 16

Floats = npt.NDArray[np.float32]
Rows = npt.NDArray[np.intp]
Step = Callable[[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor], tuple[tf.Tensor, tf.Tensor]]


@dataclass(frozen=True)
class LabelledImages:
    """A split: `images`, uint8 (N, size, size, 3), and `first`, bool (N,), true where the label is the first class."""

    images: Pixels
    first: npt.NDArray[np.bool_]


class Batch(NamedTuple):
    """What a step is done on: `images` of them on all machines together, and here those of each of its replicas.

    A replica has an item of `images`, uint8 (B, size, size, 3), of `targets`, float32 (B, outputs), and of `weights`,
    float32 (B,): what an image counts for. That is 1; but TensorFlow's kernels do not bear a batch of none, so that a
    replica for which there is no image gets one that counts for 0.
    """

    pictures: int
    images: list[Pixels]
    targets: list[Floats]
    weights: list[Floats]


@dataclass(frozen=True)
class Scores:
    """Mean loss (nats) and accuracy over the images of a split."""

    loss: float
    accuracy: float


@dataclass(frozen=True)
class Epoch:
    """What an epoch came to: `train` as met on the way, with weights that still changed; `validate` at its end."""

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
    """Train a network by a recipe and give it with its history.

    The loss is binary cross-entropy on the network's outputs (one-hot labels for two, the first class as 1 for one),
    as the report has it; with several towers, the mean of their losses. `recipe` says the rest. Same images, recipe,
    seed and kind of processor: same weights, to the last bit. After each epoch all that the next one goes on from is
    written to the file `checkpoint`; where it is there already, training goes on from it, to the weights and the
    history that it would have come to without a break. Whose checkpoint it is must be known from its path. Raises
    InputError where a split is empty or the loss is no longer a number.

    Where `distribution.strategy` finds several devices or machines, they share each batch, and every one of them gets
    the network and the history; the checkpoint is the chief's. InputError where several machines come to nothing for
    `timeout` seconds.
    """
    for name, pictures in (("train", train), ("validate", validate)):
        if not len(pictures.images):
            raise InputError(f"data/processed/{name} has no images", advice=f"See dataset.expected.{name}.")
    if tf_config.read() is None:
        return _train(train, validate, network_name, recipe, seed, on_epoch, checkpoint)

    def in_child(tell: Callable[[Epoch | None], None]) -> tuple[list[Floats], list[Epoch]]:
        network, history = _train(
            train, validate, network_name, recipe, seed, tell, checkpoint, on_step=lambda: tell(None)
        )
        return [variable.numpy() for variable in network.variables], history

    def hear(told: Epoch | None) -> None:
        if told:
            on_epoch(told)

    values, history = distribution.in_child(in_child, hear, timeout)
    return shipped(network_name, train.images.shape[1], recipe, values), history


def shipped(network_name: Network, size: int, recipe: Recipe, values: Sequence[Floats]) -> keras.Model:
    """Return a trained network for inference, on one device and in float32, from the values of its variables."""
    network = networks.build(network_name, size, recipe.rescale)
    for variable, value in zip(network.variables, values, strict=True):
        variable.assign(value)
    return networks.averaged(network, recipe.mirrored)


def _train(
    train: LabelledImages,
    validate: LabelledImages,
    network_name: Network,
    recipe: Recipe,
    seed: int,
    on_epoch: Callable[[Epoch], None],
    checkpoint: Path | None,
    on_step: Callable[[], None] = lambda: None,
) -> tuple[keras.Model, list[Epoch]]:
    # Keras numbers what it is not told a name of, by a counter: from the start again.
    keras.backend.clear_session()
    strategy = distribution.strategy()
    keras.utils.set_random_seed(seed)
    tf.config.experimental.enable_op_determinism()
    size = train.images.shape[1]
    alone = strategy.num_replicas_in_sync == 1
    with strategy.scope():
        network = networks.build(network_name, size, recipe.rescale, recipe.precision, synchronized=not alone)
        trained = networks.averaged(network, recipe.mirrored)
        outputs = trained.output_shape[-1]
        optimizer = optimizer_of(recipe, recipe.epochs * math.ceil(len(train.images) / recipe.batch_size))
        optimizer.build(network.trainable_variables)
    # Sums, for each replica sees but a share of the images that the mean is over.
    loss_of = keras.losses.BinaryCrossentropy(reduction="sum")
    smoothed_loss_of = keras.losses.BinaryCrossentropy(label_smoothing=recipe.label_smoothing, reduction="sum")

    def learn(
        images: tf.Tensor, targets: tf.Tensor, weights: tf.Tensor, pictures: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        with tf.GradientTape() as tape:
            towers = keras.tree.flatten(network(tf.cast(images, tf.float32), training=True))
            loss = sum(smoothed_loss_of(targets, tower, weights) for tower in towers) / (len(towers) * pictures)
            scaled = optimizer.scale_loss(loss)
        variables = network.trainable_variables
        optimizer.apply(tape.gradient(scaled, variables), variables)
        probabilities = sum(towers) / len(towers)
        return distribution.total(loss), distribution.total(count_right(targets, probabilities, weights))

    def look(
        images: tf.Tensor, targets: tf.Tensor, weights: tf.Tensor, pictures: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        probabilities = trained(tf.cast(images, tf.float32), training=False)
        loss = loss_of(targets, probabilities, weights) / pictures
        return distribution.total(loss), distribution.total(count_right(targets, probabilities, weights))

    # One signature for every batch, the last and smaller one of an epoch too: each shape of its own costs seconds.
    signature = [
        tf.TensorSpec((None, size, size, 3), tf.uint8),
        tf.TensorSpec((None, outputs), tf.float32),
        tf.TensorSpec((None,), tf.float32),
        tf.TensorSpec((), tf.float32),
    ]

    def on_batches(function: Step) -> Callable[[Batch], tuple[float, int]]:
        # What is spread over replicas has no signature that could be written down beforehand.
        @tf.function(input_signature=signature if alone else None, reduce_retracing=not alone)
        def run(*arguments: tf.Tensor) -> Any:
            return strategy.run(function, args=arguments)

        def on_batch(batch: Batch) -> tuple[float, int]:
            parts = (distribution.spread(strategy, part) for part in (batch.images, batch.targets, batch.weights))
            results = run(*parts, tf.constant(batch.pictures, tf.float32))
            loss, right = (strategy.experimental_local_results(result)[0] for result in results)
            on_step()
            return float(loss), round(float(right))

        return on_batch

    step, score = on_batches(learn), on_batches(look)
    rng = np.random.default_rng(seed)

    def batches_of(pictures: LabelledImages, order: Rows, vary: bool) -> Iterator[Callable[[], Batch]]:
        amounts = recipe.augmentation if vary else None
        for start in range(0, len(order), recipe.batch_size):
            rows = order[start : start + recipe.batch_size]
            # For all machines, so that each draws the same; it moves only the images that are its own.
            moves = augmentation.draw_transforms(len(rows), size, amounts, rng) if amounts else None
            yield partial(batch_of, pictures, rows, outputs, distribution.shares(strategy, len(rows)), moves)

    # With the state of dropout's random numbers.
    state = [*network.variables, *optimizer.variables]
    history = []
    if checkpoint:
        history = resume(distribution.from_chief(strategy, read_if_there(checkpoint)), checkpoint, state, rng)
    for epoch in history:
        on_epoch(epoch)
    task = tf_config.read()
    for number in range(len(history) + 1, recipe.epochs + 1):
        shuffled, in_order = rng.permutation(len(train.images)), np.arange(len(validate.images))
        epoch = Epoch(
            number,
            mean_over(ahead(batches_of(train, shuffled, vary=True)), step),
            mean_over(ahead(batches_of(validate, in_order, vary=False)), score),
        )
        if not np.isfinite([epoch.train.loss, epoch.validate.loss]).all():
            raise InputError(
                f"training broke down in epoch {number}: the loss is no longer a number",
                advice=f"Try a lower train.learning_rate than {recipe.learning_rate}, or train.rescale: true.",
            )
        history.append(epoch)
        if checkpoint and (task is None or task.is_chief):
            save_checkpoint(checkpoint, state, rng, history)
        on_epoch(epoch)
    if alone and recipe.precision == "float32":
        return trained, history
    return shipped(network_name, size, recipe, [variable.numpy() for variable in network.variables]), history


def save_checkpoint(
    path: Path, state: Sequence[keras.Variable], rng: np.random.Generator, history: Sequence[Epoch]
) -> None:
    """Write what the next epoch goes on from: variables, the state of the random numbers and the epochs so far."""
    told = json.dumps({"rng": rng.bit_generator.state, "history": [asdict(epoch) for epoch in history]})
    with replacing(path) as written, written.open("wb") as file:
        np.savez(file, *(variable.numpy() for variable in state), told=np.array(told), allow_pickle=False)


def read_if_there(path: Path) -> bytes | None:
    """Read a file; None where there is none."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None


def resume(data: bytes | None, path: Path, state: Sequence[keras.Variable], rng: np.random.Generator) -> list[Epoch]:
    """Set `state` and `rng` to what a checkpoint holds, whose `data` are those of the file `path`; give its history.

    Where there is none, or none that can be read whole, nothing is set and the history is empty.
    """
    if data is None:
        return []
    try:
        # Read to its end, against its checksums, before anything is set.
        with np.load(io.BytesIO(data)) as file:
            told = json.loads(str(file["told"]))
            values = [file[f"arr_{number}"] for number in range(len(state))]
    except Exception as error:  # of many kinds, as it pleases the damaged bytes
        print(f"warning: {path} is damaged ({error}); training starts from the first epoch", file=sys.stderr)
        return []
    for variable, value in zip(state, values, strict=True):
        variable.assign(value)
    rng.bit_generator.state = told["rng"]
    epochs = told["history"]
    print(f"going on after epoch {len(epochs)}, from {path}", flush=True)
    return [Epoch(epoch["number"], Scores(**epoch["train"]), Scores(**epoch["validate"])) for epoch in epochs]


def optimizer_of(recipe: Recipe, steps: int) -> keras.Optimizer:
    """Return the optimizer of `recipe`, for a training of so many steps."""
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
    # Gradients smaller than what 16 bits can tell from 0 are kept by scaling the loss.
    return keras.optimizers.LossScaleOptimizer(optimizer) if recipe.precision == "mixed_float16" else optimizer


def count_right(targets: tf.Tensor, probabilities: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
    """Count, as a float32 scalar, the images whose label is the likelier one, each by its weight, float32 (B,).

    `targets` and `probabilities` are float32 (B, 1) or (B, 2).
    """

    def is_first(outputs: tf.Tensor) -> tf.Tensor:
        return outputs[:, 0] > (outputs[:, 1] if outputs.shape[1] == 2 else 0.5)

    return tf.reduce_sum(tf.cast(tf.equal(is_first(targets), is_first(probabilities)), tf.float32) * weights)


def mean_over(batches: Iterator[Batch], function: Callable[[Batch], tuple[float, int]]) -> Scores:
    """Run `function`, which gives a batch's mean loss and number of right labels, over at least one batch."""
    loss_sum, right_sum, pictures = 0.0, 0, 0
    for batch in batches:
        loss, right = function(batch)
        loss_sum += loss * batch.pictures
        right_sum += right
        pictures += batch.pictures
    return Scores(loss_sum / pictures, right_sum / pictures)


def batch_of(
    pictures: LabelledImages,
    rows: Rows,
    outputs: int,
    shares: Sequence[slice],
    moves: npt.NDArray[np.float64] | None = None,
) -> Batch:
    """Read the images of `rows`, (B,), of which each replica here gets a share, moved by its part of `moves`, (B, 7).

    They are read from disk where `images.images` is memory-mapped, and the map holds nothing of them afterwards.
    """
    images, targets, weights = [], [], []
    for share in shares:
        counts = share.start < share.stop
        here = share if counts else slice(0, 1)
        first = pictures.first[rows[here]].astype(np.float32)
        targets.append(np.stack((first, 1 - first), axis=1)[:, :outputs])
        weights.append(np.full(len(first), counts, np.float32))
        read = pictures.images[rows[here]]
        images.append(read if moves is None else augmentation.vary(read, moves[here]))
    if isinstance(pictures.images.base, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
        # Else the process would seem to hold, and in the end would hold, all that it has ever read.
        pictures.images.base.madvise(mmap.MADV_DONTNEED)
    return Batch(len(rows), images, targets, weights)


def ahead(batches: Iterable[Callable[[], Batch]]) -> Iterator[Batch]:
    """Yield what each of `batches` gives, in their order, made by threads while those before it are used."""
    workers = min(threads.cores(), _MOST_AHEAD)
    with ThreadPoolExecutor(workers) as executor:
        yield from threads.in_turn(executor, lambda batch: batch(), batches, workers + 1)


def save_keras(network: keras.Model, path: Path) -> None:
    """Write `network` as a .keras file that holds no time of writing: the same network gives the same bytes."""
    written = path.with_suffix(".dated.keras")
    network.save(written)
    with zipfile.ZipFile(written) as dated, zipfile.ZipFile(path, "w") as undated:
        for name in sorted(dated.namelist()):
            data = dated.read(name)
            if name == "metadata.json":
                data = json.dumps({**json.loads(data), "date_saved": "1980-01-01@00:00:00"}).encode()
            elif name == "config.json":
                data = _number_shared_objects(data)
            undated.writestr(zipfile.ZipInfo(name, ZIP_EPOCH), data)
    written.unlink()


def _number_shared_objects(config: bytes) -> bytes:
    """Number the objects that layers share 0, 1, …, where Keras writes the addresses that they had in memory."""
    numbers: dict[bytes, int] = {}
    return re.sub(
        rb'(?<="shared_object_id": )\d+', lambda address: b"%d" % numbers.setdefault(address[0], len(numbers)), config
    )


def save_tflite(network: keras.Model, path: Path) -> None:
    """Write `network` as a .tflite file: `images`, uint8 (N, size, size, 3) -> `probability`, float32 (N, 1).

    The probability is that of the first class, whatever the network's own outputs are.
    """

    class Labeller(tf.Module):
        """The network behind the one contract that every model keeps."""

        @tf.function(input_signature=[tf.TensorSpec((None, *network.input_shape[1:]), tf.uint8, name="images")])
        def label(self, images: tf.Tensor) -> dict[str, tf.Tensor]:
            return {"probability": network(tf.cast(images, tf.float32), training=False)[:, :1]}

    labeller = Labeller()
    # The converter makes constants of the variables that it finds on the module, and it does not look into Keras 3.
    labeller.weights = [variable.value for variable in network.variables]
    signature = labeller.label.get_concrete_function()
    path.write_bytes(tf.lite.TFLiteConverter.from_concrete_functions([signature], labeller).convert())

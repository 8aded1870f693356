"""Training on several devices and machines: each has the network whole and a share of every batch."""

import atexit
import os
import threading
import time
from collections.abc import Callable
from itertools import pairwise
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from anteojos import tf_config
from anteojos.errors import InputError

Result = TypeVar("Result")


def strategy() -> tf.distribute.Strategy:
    """Give the way to train here: all machines of TF_CONFIG, else all GPUs of this one, else its processor.

    Of several processors that TensorFlow has been told to see, all. Waits for the other machines.
    """
    if tf_config.read():
        return tf.distribute.MultiWorkerMirroredStrategy()
    devices = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
    if len(devices) > 1:
        return tf.distribute.MirroredStrategy([device.name for device in devices])
    return tf.distribute.get_strategy()


def shares(strategy: tf.distribute.Strategy, pictures: int) -> list[slice]:
    """Give what of a batch of so many pictures the replicas of this machine train on, a slice for each.

    The replicas of all machines have consecutive slices, as equal as can be, some of them empty if there are more
    replicas than pictures.
    """
    replicas = strategy.num_replicas_in_sync
    task = tf_config.read()
    here = replicas // len(task.machines) if task else replicas
    first = task.number * here if task else 0
    edges = [replica * pictures // replicas for replica in range(first, first + here + 1)]
    return [slice(start, end) for start, end in pairwise(edges)]


def spread(strategy: tf.distribute.Strategy, parts: list[npt.NDArray[Any]]) -> Any:
    """Give each replica of this machine its part of `parts`, as the arguments of `strategy.run` have it."""
    if strategy.num_replicas_in_sync == 1:
        return parts[0]
    # Called once for each replica of this machine, in their order.
    rest = iter(parts)
    return strategy.experimental_distribute_values_from_function(lambda _: tf.constant(next(rest)))


def total(value: tf.Tensor) -> tf.Tensor:
    """Sum a value over all replicas, in each of them: for use inside of `strategy.run`."""
    # An argument of a tf.function is on no device, and the sum is wanted where the value is.
    return tf.distribute.get_replica_context().all_reduce("SUM", tf.identity(value))


def from_chief(strategy: tf.distribute.Strategy, data: bytes | None) -> bytes | None:
    """Give every machine the chief's `data`; what the others came with is dropped."""
    task = tf_config.read()
    if task is None:
        return data

    def summed(value: npt.NDArray[np.int32]) -> npt.NDArray[np.int32]:
        # The others add nothing, so that the sum is what the chief has.
        mine = value if task.is_chief else np.zeros_like(value)
        here = len(shares(strategy, 0))
        parts = spread(strategy, [mine, *[np.zeros_like(mine)] * (here - 1)])
        sums = strategy.experimental_local_results(run(parts))
        return np.asarray(sums[0].numpy())

    @tf.function(reduce_retracing=True)
    def run(parts: Any) -> Any:
        return strategy.run(total, args=(parts,))

    length = int(summed(np.array([-1 if data is None else len(data)], np.int32))[0])
    if length < 0:
        return None
    sent = np.frombuffer(data or b"", np.uint8).astype(np.int32) if task.is_chief else np.zeros(length, np.int32)
    return summed(sent).astype(np.uint8).tobytes()


def unless_stuck(work: Callable[[Callable[[], None]], Result], timeout: float) -> Result:
    """Give `work(step)`, which calls `step` whenever it gets on; on one machine that is all.

    On several, a machine that does not come up or is gone would keep the others waiting for good: where `step` is not
    called for `timeout` seconds, an InputError is raised here, and whatever `work` waits for is left behind. An error
    of TensorFlow's is one as well, for it comes when a machine is gone.
    """
    task = tf_config.read()
    if task is None:
        return work(lambda: None)
    others = [machine for number, machine in enumerate(task.machines) if number != task.number]
    results: list[Result] = []
    errors: list[BaseException] = []
    last = time.monotonic()

    def step() -> None:
        nonlocal last
        last = time.monotonic()

    def try_to() -> None:
        try:
            results.append(work(step))
        except BaseException as error:
            errors.append(error)

    # In a thread, for what waits inside of TensorFlow hears of nothing; it is left behind when the process ends.
    thread = threading.Thread(target=try_to, daemon=True)
    thread.start()
    while thread.is_alive():
        thread.join(0.1)
        if (waited := time.monotonic() - last) > timeout:
            # What is left behind would also keep Python from ending.
            atexit.register(os._exit, 1)
            raise InputError(
                f"training on {len(task.machines)} machines stands still: nothing has come of it for {waited:.0f} s",
                [f"{machine}: not there, gone, or waiting for another" for machine in others],
                "See to it that each runs this stage with its own TF_CONFIG and can be reached; all must be started "
                "anew. train.timeout says how long to wait.",
            )
    if not errors:
        return results[0]
    if isinstance(errors[0], tf.errors.OpError | RuntimeError):
        raise InputError(
            f"training on {len(task.machines)} machines broke off",
            [*str(errors[0]).strip().splitlines()[-3:], f"other machines: {', '.join(others)}"],
            "A machine is gone or had an error of its own: see what it printed, then start all of them anew.",
        ) from errors[0]
    raise errors[0]

"""Training on several devices and machines: each has the network whole and a share of every batch."""

import multiprocessing
from collections.abc import Callable
from itertools import pairwise
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from anteojos.model import tf_config
from anteojos.runtime.errors import InputError
from anteojos.runtime.processes import end_with_parent

Result = TypeVar("Result")


def strategy() -> tf.distribute.Strategy:
    """Return the strategy: all machines of TF_CONFIG, else all GPUs of this machine, else its CPU.

    Of several processors that TensorFlow has been told to see, all. Waits for the other machines.
    """
    if tf_config.read():
        return tf.distribute.MultiWorkerMirroredStrategy()
    devices = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
    if len(devices) > 1:
        return tf.distribute.MirroredStrategy([device.name for device in devices])
    return tf.distribute.get_strategy()


def shares(strategy: tf.distribute.Strategy, images: int) -> list[slice]:
    """Return the slice of a batch of so many images for each replica of this machine.

    The replicas of all machines have consecutive slices, as equal as can be, some of them empty if there are more
    replicas than images.
    """
    replicas = strategy.num_replicas_in_sync
    task = tf_config.read()
    here = replicas // len(task.machines) if task else replicas
    first = task.number * here if task else 0
    edges = [replica * images // replicas for replica in range(first, first + here + 1)]
    return [slice(start, end) for start, end in pairwise(edges)]


def spread(strategy: tf.distribute.Strategy, parts: list[npt.NDArray[Any]]) -> Any:
    """Return `parts` as arguments of `strategy.run`, one part for each replica of this machine."""
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
    """Return the chief's `data` on every machine; that of the others is ignored."""
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


def in_child(work: Callable[[Callable[[Any], None]], Result], hear: Callable[[Any], None], timeout: float) -> Result:
    """Return `work(tell)`, called in another process; what it passes to `tell`, this process passes to `hear`.

    A machine that does not come up or is gone would keep the others waiting for good, inside of TensorFlow, which then
    hears of nothing. So the process is ended, and an InputError raised, where it has not told anything for `timeout`
    seconds. An error of TensorFlow's is an InputError as well, for that is what comes when a machine is gone.
    """
    task = tf_config.read()
    machines = task.machines if task else ()
    others = [machine for number, machine in enumerate(machines) if task and number != task.number]
    receiver, sender = multiprocessing.Pipe(duplex=False)

    def run() -> None:
        end_with_parent()
        receiver.close()
        try:
            sender.send(("done", work(lambda told: sender.send(("told", told)))))
        except InputError as error:
            sender.send(("error", error))
        except (tf.errors.OpError, RuntimeError) as error:
            explanation = InputError(
                f"training on {len(machines)} machines broke off",
                [*str(error).strip().splitlines()[-3:], f"other machines: {', '.join(others)}"],
                "A machine is gone or had an error of its own: see what it printed, then start all of them anew.",
            )
            sender.send(("error", explanation))

    # Forked, it has the images and all that is imported; TensorFlow has only been imported yet, and not used.
    process = multiprocessing.get_context("fork").Process(target=run)
    process.start()
    sender.close()
    try:
        while receiver.poll(timeout):
            match receiver.recv():
                case "told", told:
                    hear(told)
                case "done", done:
                    result: Result = done
                    return result
                case "error", error:
                    raise error
        raise InputError(
            f"training on {len(machines)} machines stands still: nothing has come of it for {timeout:.0f} s",
            [f"{machine}: not there, gone, or waiting for another" for machine in others],
            "See to it that each runs this stage with its own TF_CONFIG and can be reached; all must be started anew. "
            "train.timeout says how long to wait.",
        )
    except EOFError:
        process.join()
        raise InputError(
            f"training on {len(machines)} machines broke off: its process ended with status {process.exitcode}",
            [f"other machines: {', '.join(others)}"],
            "See what it and the others printed, then start all of them anew.",
        ) from None
    finally:
        process.kill()
        process.join()

"""Training on several devices and machines: each has a copy of the network and a share of every batch."""

import multiprocessing
from collections.abc import Callable, Sequence
from itertools import pairwise
from multiprocessing.connection import Connection
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from anteojos.model import tf_config
from anteojos.runtime.errors import InputError
from anteojos.runtime.processes import end_with_parent

Result = TypeVar("Result")
Send = Callable[[Any], None]


def strategy() -> tf.distribute.Strategy:
    """Return the strategy for all machines of TF_CONFIG, or else for all GPUs of this machine, or else for its CPUs.

    With TF_CONFIG, wait for the other machines.
    """
    if tf_config.read():
        return tf.distribute.MultiWorkerMirroredStrategy()
    devices = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
    if len(devices) > 1:
        return tf.distribute.MirroredStrategy([device.name for device in devices])
    return tf.distribute.get_strategy()


def is_chief() -> bool:
    """Return whether this machine trains alone or is the chief, which writes the outputs."""
    task = tf_config.read()
    return task is None or task.is_chief


def shares(strategy: tf.distribute.Strategy, images: int) -> list[slice]:
    """Return the slice of a batch of this many `images` for each replica of this machine.

    The replicas of all machines have consecutive slices of almost equal size. Some are empty if there are more replicas
    than images.
    """
    replicas = strategy.num_replicas_in_sync
    task = tf_config.read()
    here = replicas // len(task.machines) if task else replicas
    first = task.number * here if task else 0
    edges = [replica * images // replicas for replica in range(first, first + here + 1)]
    return [slice(start, end) for start, end in pairwise(edges)]


def per_replica(strategy: tf.distribute.Strategy, parts: list[npt.NDArray[Any]]) -> Any:
    """Return `parts` as an argument of `strategy.run`, one part for each replica of this machine."""
    if strategy.num_replicas_in_sync == 1:
        return parts[0]
    # TensorFlow calls the function once for each replica of this machine, in order.
    rest = iter(parts)
    return strategy.experimental_distribute_values_from_function(lambda _: tf.constant(next(rest)))


def total(value: tf.Tensor) -> tf.Tensor:
    """Sum a value over all replicas, inside `strategy.run`."""
    # The sum needs a tensor on the device of the replica, but an argument of a tf.function has no device.
    return tf.distribute.get_replica_context().all_reduce("SUM", tf.identity(value))


def from_chief(strategy: tf.distribute.Strategy, data: bytes | None) -> bytes | None:
    """Return the chief's `data` on every machine; those of the others are ignored."""
    task = tf_config.read()
    if task is None:
        return data
    [length] = _from_chief(strategy, np.array([-1 if data is None else len(data)], np.int32), task.is_chief)
    if length < 0:
        return None
    values = np.frombuffer(data or b"", np.uint8).astype(np.int32) if task.is_chief else np.zeros(length, np.int32)
    return _from_chief(strategy, values, task.is_chief).astype(np.uint8).tobytes()


def _from_chief(
    strategy: tf.distribute.Strategy, values: npt.NDArray[np.int32], is_chief: bool
) -> npt.NDArray[np.int32]:
    """Return the chief's `values`, int32 (N,): a sum over all replicas, in which all others have zeros."""
    zeros = np.zeros_like(values)
    parts = [values if is_chief else zeros, *[zeros] * (len(shares(strategy, 0)) - 1)]
    run = tf.function(lambda parts: strategy.run(total, args=(parts,)))
    return np.asarray(strategy.experimental_local_results(run(per_replica(strategy, parts)))[0].numpy())


def in_child(work: Callable[[Send], Result], on_message: Send, timeout: float) -> Result:
    """Call `work(send)` in a child process and return its result; pass the messages that it sends to `on_message`.

    If another machine does not start or disappears, TensorFlow waits forever and cannot be interrupted. Therefore the
    child is killed, and InputError raised, if it sends nothing for `timeout` seconds; the message None only shows that
    it is still working. Errors that TensorFlow raises if a machine disappears are InputErrors too.
    """
    receiver, sender = multiprocessing.Pipe(duplex=False)
    # A forked process shares the images and all imports. It is safe to fork, because TensorFlow has not been used yet.
    process = multiprocessing.get_context("fork").Process(target=_run_child, args=(work, receiver, sender))
    process.start()
    sender.close()
    try:
        while receiver.poll(timeout):
            match receiver.recv():
                case "message", message:
                    if message is not None:
                        on_message(message)
                case "result", value:
                    result: Result = value
                    return result
                case "input error", error:
                    raise error
                case "error", lines:
                    raise _failure("a machine stopped or had an error", lines)
        raise _failure(f"no step finished within {timeout:.0f} s (train.timeout)")
    except EOFError:
        process.join()
        raise _failure(f"the process ended with status {process.exitcode}") from None
    finally:
        process.kill()
        process.join()


def _run_child(work: Callable[[Send], Any], receiver: Connection, sender: Connection) -> None:
    end_with_parent()
    receiver.close()
    try:
        sender.send(("result", work(lambda message: sender.send(("message", message)))))
    except InputError as error:
        sender.send(("input error", error))
    except (tf.errors.OpError, RuntimeError) as error:
        sender.send(("error", str(error).strip().splitlines()[-3:]))


def _failure(reason: str, lines: Sequence[str] = ()) -> InputError:
    task = tf_config.read()
    assert task is not None
    others = [machine for number, machine in enumerate(task.machines) if number != task.number]
    return InputError(
        f"training on {len(task.machines)} machines: {reason}",
        [*lines, f"other machines: {', '.join(others)}"],
        "Check what each machine printed, that each has its own TF_CONFIG, and that they can reach each other. Then "
        "start all of them again.",
    )

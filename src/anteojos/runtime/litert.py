"""Models in LiteRT's format, run from any thread."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from ai_edge_litert.interpreter import Interpreter

from anteojos.runtime.quiet import quiet_stderr

Array = npt.NDArray[Any]


class LiteModel:
    """A .tflite model with one input of a batch of one. Threads may share it; pickled, it is the model's bytes.

    `shape` is that of the input, without the batch.
    """

    def __init__(self, model: bytes) -> None:
        """Raises ValueError or RuntimeError if `model` is not a .tflite file."""
        self._model = model
        self._idle: list[Interpreter] = []
        with self._interpreter() as interpreter:
            details = interpreter.get_input_details()[0]
            self._input = details["index"]
            self._outputs = [output["index"] for output in interpreter.get_output_details()]
        self.shape: tuple[int, ...] = tuple(int(side) for side in details["shape"][1:])

    def __reduce__(self) -> tuple[type[Self], tuple[bytes]]:
        """Pickle the model's bytes; interpreters cannot be pickled."""
        return type(self), (self._model,)

    @contextmanager
    def _interpreter(self) -> Iterator[Interpreter]:
        """Lend an interpreter: two threads may not use one at once, so there are as many as threads at work."""
        try:
            interpreter = self._idle.pop()
        except IndexError:
            with quiet_stderr():
                interpreter = Interpreter(model_content=self._model)
                interpreter.allocate_tensors()
        yield interpreter
        # After an exception its state is unknown, and it is dropped.
        self._idle.append(interpreter)

    def __call__(self, item: Array) -> list[Array]:
        """Return the outputs for one item of `shape`, each without its batch dimension."""
        with self._interpreter() as interpreter:
            interpreter.set_tensor(self._input, item[np.newaxis])
            interpreter.invoke()
            return [interpreter.get_tensor(output)[0] for output in self._outputs]

"""Models in LiteRT's format that threads can share."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from ai_edge_litert.interpreter import Interpreter

from anteojos.runtime.quiet import quiet_stderr

Array = npt.NDArray[Any]


class LiteModel:
    """A .tflite model with one input, of batch size 1. Threads may share it; it is pickled as the bytes of the model.

    `shape` is the shape of the input without the batch dimension.
    """

    def __init__(self, model: bytes) -> None:
        """Raise ValueError or RuntimeError if `model` is not a .tflite file."""
        self._model = model
        self._idle: list[Interpreter] = []
        with self._interpreter() as interpreter:
            details = interpreter.get_input_details()[0]
            self._input = details["index"]
            self._outputs = [output["index"] for output in interpreter.get_output_details()]
        self.shape: tuple[int, ...] = tuple(int(side) for side in details["shape"][1:])

    def __reduce__(self) -> tuple[type[Self], tuple[bytes]]:
        """Pickle the bytes of the model, because interpreters cannot be pickled."""
        return type(self), (self._model,)

    @contextmanager
    def _interpreter(self) -> Iterator[Interpreter]:
        """Yield an interpreter that no other thread is using."""
        try:
            interpreter = self._idle.pop()
        except IndexError:
            with quiet_stderr():
                interpreter = Interpreter(model_content=self._model)
                interpreter.allocate_tensors()
        yield interpreter
        # After an exception the state of the interpreter is unknown, so it is dropped.
        self._idle.append(interpreter)

    def __call__(self, item: Array) -> list[Array]:
        """Return the outputs for one item of `shape`, without their batch dimensions."""
        with self._interpreter() as interpreter:
            interpreter.set_tensor(self._input, item[np.newaxis])
            interpreter.invoke()
            return [interpreter.get_tensor(output)[0] for output in self._outputs]

"""The trained model as people use it: pictures in, probabilities out, without TensorFlow."""

import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
import numpy.typing as npt
from ai_edge_litert.interpreter import Interpreter

from anteojos import images, likeness
from anteojos.card import Card
from anteojos.errors import InputError


@dataclass(frozen=True)
class Prediction:
    """The `label` of a picture and the `probability` of the first class that it comes from.

    `warning` says why the label should not be relied on, "" where nothing speaks against it: see likeness.warnings.
    """

    label: str
    probability: float
    warning: str


class Classifier:
    """A model.tflite with its card.

    Threads may share it, for each gets an interpreter of its own; pickled, it is the model's bytes and the card.
    """

    def __init__(self, model: bytes, card: Card) -> None:
        """Take a model that maps uint8 (N, size, size, 3) to float32 (N, 1), the probability of the first class."""
        self.card = card
        self._model = model
        self._of_thread = threading.local()
        self.size = int(self._interpreter().get_input_details()[0]["shape"][1])

    def __reduce__(self) -> tuple[type[Self], tuple[bytes, Card]]:
        """Say to pickle what it is made of."""
        return type(self), (self._model, self.card)

    def _interpreter(self) -> Interpreter:
        """Give this thread's interpreter: none may be used by two at once."""
        if not hasattr(self._of_thread, "interpreter"):
            interpreter = Interpreter(model_content=self._model)
            interpreter.allocate_tensors()
            self._of_thread.interpreter = interpreter
        return self._of_thread.interpreter

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read a model.tflite. Raises InputError where there is none or it is not one of anteojos."""
        try:
            return cls(path.read_bytes(), Card.read(path))
        except OSError as error:
            raise InputError(
                f"{path}: {error.strerror}", advice="Train a model with `dvc repro`, or bring one with `dvc pull`."
            ) from error
        except (ValueError, RuntimeError) as error:
            raise InputError(
                f"{path}: not a model of anteojos ({error})",
                advice="Name a model.tflite that `dvc repro` made; an older one must be trained anew.",
            ) from error

    def probabilities(self, pictures: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """Give the probability of the first class, float32 (N,), for prepared pictures, uint8 (N, size, size, 3)."""
        return np.fromiter(map(self.probability_of_prepared, pictures), np.float32, count=len(pictures))

    def probability_of_prepared(self, picture: npt.NDArray[np.uint8]) -> np.float32:
        """Give the probability of the first class for a prepared picture, uint8 (size, size, 3).

        One picture at a time: its probability is then the same to the bit, whatever others are asked for with it.
        """
        interpreter = self._interpreter()
        interpreter.set_tensor(interpreter.get_input_details()[0]["index"], picture[np.newaxis])
        interpreter.invoke()
        return np.float32(interpreter.get_tensor(interpreter.get_output_details()[0]["index"])[0, 0])

    def predict(self, data: bytes, threshold: float = 0.5, uncertain: tuple[float, float] = (0.2, 0.8)) -> Prediction:
        """Label an encoded picture, treated as the training pictures were, and say where it is unlike them.

        It is called the first class from a probability of `threshold` on; a probability between the two of `uncertain`
        is warned of. Raises PictureError where `data` is no whole picture.
        """
        pixels = images.decode(data).pixels
        face = images.crop_to_panel(pixels)
        picture = images.prepare(face if self.card.crop == "panel" else pixels, self.size, "none")
        probability = float(self.probabilities(picture[np.newaxis])[0])
        height, width, _ = pixels.shape
        warnings = likeness.warnings(
            self.card.seen,
            width=width,
            height=height,
            canvas=face is not pixels,
            probability=probability,
            uncertain=uncertain,
        )
        return Prediction(self.label(probability, threshold), probability, likeness.in_words(warnings))

    def probability(self, data: bytes) -> float:
        """Give the probability of the first class for an encoded picture, treated as the training pictures were.

        Raises PictureError where `data` is no whole picture.
        """
        return self.predict(data).probability

    def label(self, probability: float, threshold: float) -> str:
        """Give the label that a probability of the first class stands for."""
        return self.card.labels[0 if probability >= threshold else 1]

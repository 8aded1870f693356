"""The trained model as people use it: pictures in, probabilities out, without TensorFlow."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self, TypeVar, overload

import numpy as np
import numpy.typing as npt
from ai_edge_litert.interpreter import Interpreter
from PIL import Image

from anteojos import images, likeness
from anteojos.card import Card
from anteojos.errors import InputError

# A picture: the path of a file, the bytes of one, one of Pillow's, or an array, uint8 (H, W, 3).
Given = str | Path | bytes | Image.Image | images.Pixels
One = TypeVar("One", bound=Given)


@dataclass(frozen=True)
class Prediction:
    """The `label` of a picture and the `probability` of the first class that it comes from.

    `warning` says why the label should not be relied on, "" where nothing speaks against it: see likeness.warnings.
    """

    label: str
    probability: float
    warning: str


class Classifier:
    """A model.tflite with its card: called with pictures, it labels them.

    Threads may share it. Pickled, it is the model's bytes and the card.

    >>> from pathlib import Path
    >>> from anteojos import Classifier
    >>> classifier = Classifier.load("models/model.tflite")
    >>> classifier("photo.jpg").label
    'glasses'
    >>> data = Path("photo.jpg").read_bytes()
    >>> [prediction.probability > 0.5 for prediction in classifier([data, Path("photo.jpg")])]
    [True, True]
    """

    def __init__(self, model: bytes, card: Card) -> None:
        """Take a model that maps uint8 (N, size, size, 3) to float32 (N, 1), the probability of the first class."""
        self.card = card
        self._model = model
        self._idle: list[Interpreter] = []
        with self._interpreter() as interpreter:
            self._input, self._output = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
        self.size = int(self._input["shape"][1])

    def __reduce__(self) -> tuple[type[Self], tuple[bytes, Card]]:
        """Say to pickle what it is made of."""
        return type(self), (self._model, self.card)

    @contextmanager
    def _interpreter(self) -> Iterator[Interpreter]:
        """Lend an interpreter, for no two threads may use one at once; there come to be as many as work at once."""
        try:
            interpreter = self._idle.pop()
        except IndexError:
            interpreter = Interpreter(model_content=self._model)
            interpreter.allocate_tensors()
        yield interpreter
        # Not after an error, which may have left anything in it.
        self._idle.append(interpreter)

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read a model.tflite. Raises InputError where there is none or it is not one of anteojos."""
        path = Path(path)
        try:
            return cls(path.read_bytes(), Card.read(path))
        except OSError as error:
            raise InputError(
                f"{path}: {error.strerror}",
                advice="Train a model with `dvc repro` or bring one with `dvc pull`, in the checkout; or name another.",
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
        with self._interpreter() as interpreter:
            interpreter.set_tensor(self._input["index"], picture[np.newaxis])
            interpreter.invoke()
            return np.float32(interpreter.get_tensor(self._output["index"])[0, 0])

    @overload
    def __call__(
        self, picture: Given, *, threshold: float = 0.5, uncertain: tuple[float, float] = (0.2, 0.8)
    ) -> Prediction: ...
    @overload
    def __call__(
        self,
        picture: list[One] | tuple[One, ...],
        *,
        threshold: float = 0.5,
        uncertain: tuple[float, float] = (0.2, 0.8),
    ) -> list[Prediction]: ...

    def __call__(
        self,
        picture: Given | list[One] | tuple[One, ...],
        *,
        threshold: float = 0.5,
        uncertain: tuple[float, float] = (0.2, 0.8),
    ) -> Prediction | list[Prediction]:
        """Label a picture, treated as the training pictures were, and say where it is unlike them.

        `picture` is the path of a file, the bytes of one, one of Pillow's pictures, or uint8 (H, W, 3), RGB; or a list
        or tuple of these, for which the result is a list in the same order. It is called the first class from a
        probability of `threshold` on; a probability between the two of `uncertain` is warned of.

        Raises PictureError for what is no whole picture, of a list's pictures the first such, and OSError where a file
        can't be read.
        """
        if isinstance(picture, (list, tuple)):
            return [self(one, threshold=threshold, uncertain=uncertain) for one in picture]
        found = self._decoded(picture)
        face = images.crop_to_panel(found.image)
        prepared = images.prepare(face if self.card.crop == "panel" else found.image, self.size, "none")
        probability = float(self.probability_of_prepared(prepared))
        warnings = likeness.warnings(
            self.card.seen,
            width=found.width,
            height=found.height,
            canvas=face is not found.image,
            probability=probability,
            uncertain=uncertain,
        )
        return Prediction(self.label(probability, threshold), probability, likeness.in_words(warnings))

    def _decoded(self, picture: Given) -> images.Picture:
        match picture:
            case bytes():
                return images.decode(picture, self.size)
            case str() | Path():
                try:
                    return images.decode(Path(picture).read_bytes(), self.size)
                except images.PictureError as error:
                    raise images.PictureError(f"{picture}: {error}") from None
            case Image.Image():
                return images.decoded(picture)
            case np.ndarray() if picture.dtype == np.uint8 and picture.shape[2:] == (3,) and picture.size:
                return images.decoded(Image.fromarray(picture))
            case np.ndarray():
                raise images.PictureError(f"array of {picture.dtype} {picture.shape}; expected uint8 (H, W, 3)")
        raise TypeError(f"{type(picture).__name__}; expected a path, bytes, a picture of Pillow's or an array")

    def label(self, probability: float, threshold: float) -> str:
        """Give the label that a probability of the first class stands for."""
        return self.card.labels[0 if probability >= threshold else 1]

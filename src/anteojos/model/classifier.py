"""The trained model as people use it: images in, labels out, without TensorFlow."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Self, TypeVar, overload

import numpy as np
import numpy.typing as npt
from PIL import Image

from anteojos.images import decoding
from anteojos.images.detector import Detector
from anteojos.images.faces import Face, largest, prepare
from anteojos.model import likeness
from anteojos.model.metadata import Card
from anteojos.runtime.errors import InputError
from anteojos.runtime.litert import LiteModel
from anteojos.vocabulary import Pixels

# An image: the path of a file, the bytes of one, a Pillow image, or an array, uint8 (H, W, 3), RGB.
Given = str | Path | bytes | Image.Image | Pixels
One = TypeVar("One", bound=Given)


class NoFaceError(decoding.ImageError):
    """No face was found in an image."""


@dataclass(frozen=True)
class Prediction:
    """The label of a face, or of a whole image.

    `label` is the class's folder name, for programs, and `name` its display name, for people. `probability` is that of
    the label, and `first_class_probability` that of the first class, which the threshold is compared with. `warning`
    says why the label should not be relied on, "" if nothing speaks against it: see likeness.warnings. `face` is where
    the face is, None if the whole image was labelled.
    """

    label: str
    name: str
    probability: float
    first_class_probability: float
    warning: str
    face: Face | None


class Classifier:
    """A model.tflite with its card: called with images, it labels their faces.

    Threads may share it. Pickled, it is the model's bytes and the card.

    >>> from pathlib import Path
    >>> from anteojos import Classifier
    >>> classifier = Classifier.load("models/model.tflite")
    >>> classifier("photo.jpg").label
    'glasses'
    >>> data = Path("photo.jpg").read_bytes()
    >>> [prediction.probability > 0.5 for prediction in classifier([data, Path("photo.jpg")])]
    [True, True]
    >>> [face.label for face in classifier.faces("photo.jpg")]
    ['glasses']
    """

    def __init__(self, model: bytes, card: Card) -> None:
        """Take a model that maps uint8 (N, size, size, 3) to float32 (N, 1), the probability of the first class."""
        self.card = card
        self._bytes = model
        self._model = LiteModel(model)
        self.size = self._model.shape[0]

    def __reduce__(self) -> tuple[type[Self], tuple[bytes, Card]]:
        """Pickle the model's bytes and the card."""
        return type(self), (self._bytes, self.card)

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
                advice="Name a model.tflite that `dvc repro` made; an older one must be trained again.",
            ) from error

    @cached_property
    def _detector(self) -> Detector:
        return Detector(self.card.detector)

    def probabilities(self, images: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """Return the probability of the first class, float32 (N,), of prepared images, uint8 (N, size, size, 3)."""
        return np.fromiter(map(self.probability_of_prepared, images), np.float32, count=len(images))

    def probability_of_prepared(self, image: npt.NDArray[np.uint8]) -> np.float32:
        """Return the probability of the first class of a prepared image, uint8 (size, size, 3).

        One image at a time: its probability is then the same to the bit, whatever others are asked for with it.
        """
        return np.float32(self._model(image)[0][0])

    @overload
    def __call__(
        self,
        image: Given,
        *,
        threshold: float = 0.5,
        uncertain: tuple[float, float] = (0.2, 0.8),
        whole: bool = False,
    ) -> Prediction: ...
    @overload
    def __call__(
        self,
        image: list[One] | tuple[One, ...],
        *,
        threshold: float = 0.5,
        uncertain: tuple[float, float] = (0.2, 0.8),
        whole: bool = False,
    ) -> list[Prediction]: ...

    def __call__(
        self,
        image: Given | list[One] | tuple[One, ...],
        *,
        threshold: float = 0.5,
        uncertain: tuple[float, float] = (0.2, 0.8),
        whole: bool = False,
    ) -> Prediction | list[Prediction]:
        """Label the largest face of an image; or the whole image, if the model was trained on whole ones.

        `image` is the path of a file, the bytes of one, a Pillow image, or uint8 (H, W, 3), RGB; or a list or tuple
        of these, for which the result is a list in the same order. The label is the first class from a probability of
        `threshold` on; a probability between the two of `uncertain` gets a warning. With `whole`, the image is labelled
        as it is: use it for faces that are cut out already, see `cut_face`.

        Raises NoFaceError if no face is found; ImageError for what is not a whole image, of a list's the first such;
        OSError if a file can't be read.
        """
        if isinstance(image, (list, tuple)):
            return [self(one, threshold=threshold, uncertain=uncertain, whole=whole) for one in image]
        if whole or self.card.crop == "none":
            return self._labelled(self._decoded(image, self.size), None, threshold, uncertain)
        decoded = self._decoded(image)
        face = largest(self._detector(decoded.image))
        if face is None:
            raise NoFaceError(f"{image}: no face found" if isinstance(image, (str, Path)) else "no face found")
        return self._labelled(decoded, face, threshold, uncertain)

    def faces(
        self, image: Given, *, threshold: float = 0.5, uncertain: tuple[float, float] = (0.2, 0.8)
    ) -> list[Prediction]:
        """Label each face of an image, from left to right; the list is empty if there is none.

        Arguments and errors are those of a call. Raises InputError if the model was trained on whole images.
        """
        if self.card.crop == "none":
            raise InputError(
                "this model was trained on whole images (preprocess.crop: none) and finds no faces",
                advice="Call classifier(image), which labels the whole image; or train with preprocess.crop: face.",
            )
        decoded = self._decoded(image)
        return [self._labelled(decoded, face, threshold, uncertain) for face in self._detector(decoded.image)]

    def _labelled(
        self, decoded: decoding.DecodedImage, face: Face | None, threshold: float, uncertain: tuple[float, float]
    ) -> Prediction:
        prepared = prepare(decoded.image, self.size, face)
        first = float(self.probability_of_prepared(prepared))
        warnings = likeness.warnings(
            self.card.seen,
            prepared,
            width=decoded.width,
            height=decoded.height,
            crop=self.card.crop,
            face=face,
            probability=first,
            uncertain=uncertain,
        )
        number = 0 if first >= threshold else 1
        label, name = self.card.labels[number], self.card.names[number]
        return Prediction(label, name, (first, 1 - first)[number], first, likeness.in_words(warnings), face)

    def _decoded(self, image: Given, size: int | None = None) -> decoding.DecodedImage:
        match image:
            case bytes():
                return decoding.decode(image, size)
            case str() | Path():
                try:
                    return decoding.decode(Path(image).read_bytes(), size)
                except decoding.ImageError as error:
                    raise decoding.ImageError(f"{image}: {error}") from None
            case Image.Image():
                return decoding.decoded(image)
            case np.ndarray() if image.dtype == np.uint8 and image.shape[2:] == (3,) and image.size:
                return decoding.decoded(Image.fromarray(image))
            case np.ndarray():
                raise decoding.ImageError(f"array of {image.dtype} {image.shape}; expected uint8 (H, W, 3)")
        raise TypeError(f"{type(image).__name__}; expected a path, bytes, a Pillow image or an array")

"""The trained model for programs: images in, labels out, without TensorFlow."""

import hashlib
import io
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
from anteojos.model import reliability
from anteojos.model.inference import LiteNetwork
from anteojos.model.metadata import Metadata
from anteojos.runtime.errors import InputError
from anteojos.runtime.files import read
from anteojos.vocabulary import Pixels

# An image: the path or the bytes of a file, a Pillow image, or an array, uint8 (H, W, 3), RGB.
ImageInput = str | Path | bytes | Image.Image | Pixels
SomeImage = TypeVar("SomeImage", bound=ImageInput)
Uncertain = tuple[float, float]


class NoFaceError(decoding.ImageError):
    """No face was found in an image."""


@dataclass(frozen=True)
class Prediction:
    """The label of a face, or of a whole image.

    `label` is the folder name of the class, for programs, and `name` its display name. `probability` is that of the
    label, and `first_class_probability` that of the first class, which is compared with the threshold. `warning` says
    why the label may be wrong, or is "" if there is no reason: see reliability.warnings. `face` is the position of the
    face, or None if the whole image was labelled.
    """

    label: str
    name: str
    probability: float
    first_class_probability: float
    warning: str
    face: Face | None


class Classifier:
    """A model.tflite with its metadata: call it with images to label their faces.

    Threads may share a classifier. It can be pickled.

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

    def __init__(self, model: bytes, metadata: Metadata) -> None:
        """`model` has the bytes of a .tflite file, see LiteNetwork."""
        self.metadata = metadata
        self._model = model
        self.network = LiteNetwork(model)
        self.size = self.network.size

    def __reduce__(self) -> tuple[type[Self], tuple[bytes, Metadata]]:
        """Pickle the model's bytes and the metadata."""
        return type(self), (self._model, self.metadata)

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read a model.tflite. Raises InputError if there is no such file, or if anteojos did not write it."""
        path = Path(path)
        try:
            model = read(path)  # once: the file may be replaced meanwhile
            return cls(model, Metadata.read(io.BytesIO(model)))
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
    def sha256(self) -> str:
        """The SHA-256 of the file, in hex."""
        return hashlib.sha256(self._model).hexdigest()

    @cached_property
    def detector(self) -> Detector:
        """The face detector of the model, if `metadata.crop` is "face"."""
        return Detector(self.metadata.detector)

    def probabilities(self, images: Pixels) -> npt.NDArray[np.float32]:
        """Return the probability of the first class, float32 (N,), for prepared images, uint8 (N, size, size, 3)."""
        return self.network.probabilities(images)

    @overload
    def __call__(
        self,
        image: ImageInput,
        *,
        threshold: float | None = None,
        uncertain: Uncertain | None = None,
        whole: bool = False,
    ) -> Prediction: ...
    @overload
    def __call__(
        self,
        image: list[SomeImage] | tuple[SomeImage, ...],
        *,
        threshold: float | None = None,
        uncertain: Uncertain | None = None,
        whole: bool = False,
    ) -> list[Prediction]: ...

    def __call__(
        self,
        image: ImageInput | list[SomeImage] | tuple[SomeImage, ...],
        *,
        threshold: float | None = None,
        uncertain: Uncertain | None = None,
        whole: bool = False,
    ) -> Prediction | list[Prediction]:
        """Label the largest face of an image, or the whole image if the model was trained on whole images.

        `image` is the path or the bytes of a file, a Pillow image, or uint8 (H, W, 3), RGB; or a list or tuple of
        these, for which the result is a list in the same order. The label is the first class if its probability is at
        least `threshold`; a probability between the two of `uncertain` gets a warning. By default, they are those of
        the model, `metadata.threshold` and `metadata.uncertain`. With `whole`, the whole image is labelled: use it for
        faces that are already cropped, see `cut_face`.

        Raises NoFaceError if no face is found, ImageError if an image is damaged or not an image, and OSError if a file
        cannot be read. In a list, the first such image raises.
        """
        if isinstance(image, (list, tuple)):
            return [self(one, threshold=threshold, uncertain=uncertain, whole=whole) for one in image]
        if whole or self.metadata.crop == "none":
            return self._label(_decode(image, self.size), None, threshold, uncertain)
        decoded = _decode(image)
        face = largest(self.detector(decoded.image))
        if face is None:
            raise NoFaceError(f"{image}: no face found" if isinstance(image, (str, Path)) else "no face found")
        return self._label(decoded, face, threshold, uncertain)

    def faces(
        self, image: ImageInput, *, threshold: float | None = None, uncertain: Uncertain | None = None
    ) -> list[Prediction]:
        """Label each face of an image, from left to right; the list is empty if there is none.

        Arguments and errors are those of a call. Raises InputError if the model was trained on whole images.
        """
        if self.metadata.crop == "none":
            raise InputError(
                "this model was trained on whole images (preprocess.crop: none) and finds no faces",
                advice="Call classifier(image), which labels the whole image; or train with preprocess.crop: face.",
            )
        decoded = _decode(image)
        return [self._label(decoded, face, threshold, uncertain) for face in self.detector(decoded.image)]

    def _label(
        self, decoded: decoding.DecodedImage, face: Face | None, threshold: float | None, uncertain: Uncertain | None
    ) -> Prediction:
        metadata, size = self.metadata, (decoded.width, decoded.height)
        threshold = metadata.threshold if threshold is None else threshold
        prepared = prepare(decoded.image, self.size, face)
        first = float(self.network.probability(prepared))
        warnings = reliability.warnings(metadata, prepared, size, face, first, uncertain or metadata.uncertain)
        number = 0 if first >= threshold else 1
        label, name = metadata.labels[number], metadata.names[number]
        return Prediction(label, name, (first, 1 - first)[number], first, reliability.join(warnings), face)


def _decode(image: ImageInput, size: int | None = None) -> decoding.DecodedImage:
    match image:
        case bytes():
            return decoding.decode(image, size)
        case str() | Path():
            try:
                return decoding.decode(read(Path(image)), size)
            except decoding.ImageError as error:
                raise decoding.ImageError(f"{image}: {error}") from None
        case Image.Image():
            return decoding.decoded(image)
        case np.ndarray() if image.dtype == np.uint8 and image.shape[2:] == (3,) and image.size:
            return decoding.decoded(Image.fromarray(image))
        case np.ndarray():
            raise decoding.ImageError(f"array of {image.dtype} {image.shape}; expected uint8 (H, W, 3)")
    raise TypeError(f"{type(image).__name__}; expected a path, bytes, a Pillow image or an array")

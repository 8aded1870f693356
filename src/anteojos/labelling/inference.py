"""Label images: predictions for each, on all cores or on a cluster."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from anteojos.images import decoding
from anteojos.images.decoding import ImageError
from anteojos.runtime import parallel
from anteojos.runtime.files import read

if TYPE_CHECKING:
    from anteojos.model.classifier import Classifier, Prediction

_MANY = 50  # images from which a progress bar is shown


@dataclass(frozen=True)
class Options:
    """How images are labelled: see Classifier. With `annotate`, copies with boxes and labels are drawn."""

    threshold: float | None
    uncertain: tuple[float, float] | None
    whole: bool
    annotate: bool


@dataclass(frozen=True)
class Labelled:
    """The predictions for an image: one for each face, from left to right, or one for the whole image.

    `error` is the reason why the image could not be read; then there are no predictions. `annotated` is an encoded copy
    with boxes and labels, if requested.
    """

    file: Path
    predictions: tuple["Prediction", ...] = ()
    error: str = ""
    annotated: bytes = b""


def label(files: Sequence[Path], classifier: "Classifier", options: Options, progress: bool) -> Iterator[Labelled]:
    """Yield the predictions for each image, in their order, computed as parallel.spread does.

    With `progress`, many images have a progress bar.
    """
    work = partial(label_data, classifier, options)
    description = "predict" if progress and len(files) >= _MANY else ""
    return parallel.spread(_read, work, files, total=len(files), description=description)


def _read(path: Path) -> tuple[Path, bytes | OSError]:
    try:
        return path, read(path)
    except OSError as error:
        return path, error


def label_data(classifier: "Classifier", options: Options, item: tuple[Path, bytes | OSError]) -> Labelled:
    """Return the predictions for a file and its content, or the error if it could not be read."""
    file, data = item
    if isinstance(data, OSError):
        return Labelled(file, error=data.strerror or str(data))
    thresholds: dict[str, Any] = {"threshold": options.threshold, "uncertain": options.uncertain}
    try:
        # Decode here if the copy needs the image too; otherwise the classifier may decode it to a smaller size.
        image = decoding.decode(data).image if options.annotate else data
        if options.whole or classifier.metadata.crop == "none":
            predictions = [classifier(image, whole=True, **thresholds)]
        else:
            predictions = classifier.faces(image, **thresholds)
    except ImageError as error:
        return Labelled(file, error=str(error))
    if isinstance(image, bytes):
        return Labelled(file, tuple(predictions))
    from anteojos.evaluation import annotation

    annotated = annotation.annotate(image, predictions, classifier.metadata.labels[0], file.suffix)
    return Labelled(file, tuple(predictions), annotated=annotated)

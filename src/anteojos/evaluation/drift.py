"""Compare images with those that a model was trained on. If they differ, its accuracy on them is not known."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
from scipy import stats

from anteojos.images import decoding
from anteojos.images.faces import largest, prepare
from anteojos.model import statistics
from anteojos.model.classifier import Classifier
from anteojos.runtime import threads
from anteojos.runtime.files import read

P_VALUE, DISTANCE = 0.01, 0.3
_FEW = 20  # images
_FACES, _WITHOUT_FACE = "faces", "without a face"
# Statistics of the file, which do not matter if the face is cut out of it.
_OF_FILES = ("width", "height", "aspect")

Verdict = Literal["differs", "similar"]


@dataclass(frozen=True)
class Comparison:
    """How one statistic of `n` images compares with that of the training images.

    `training` and `here` are medians, or for `without a face`, shares of the images. `distance` is the largest
    difference between both distribution functions, 0 to 1 (the Kolmogorov-Smirnov statistic), or that of the shares.
    `p_value` is corrected for the number of statistics.
    """

    training: float
    here: float
    distance: float
    p_value: float
    n: int
    verdict: Verdict


def measure(classifier: Classifier, files: Sequence[Path]) -> tuple[list[dict[str, float]], list[tuple[Path, str]]]:
    """Return the statistics of each image file by name, and each file that cannot be read, with the reason.

    The statistics are those of the largest face, or of the whole image if the model was trained on whole images. If the
    model needs a face and there is none, the only statistic is `faces`, which is 0.
    """
    work = partial(_measure, classifier)
    results = list(threads.in_order(work, files, total=len(files), description="reading"))
    unreadable = [(file, of) for file, of in zip(files, results, strict=True) if isinstance(of, str)]
    return [of for of in results if isinstance(of, dict)], unreadable


def _measure(classifier: Classifier, file: Path) -> dict[str, float] | str:
    try:
        return _statistics(classifier, read(file))
    except OSError as error:
        return error.strerror or str(error)
    except decoding.ImageError as error:
        return str(error)


def _statistics(classifier: Classifier, data: bytes) -> dict[str, float]:
    by_face = classifier.metadata.crop == "face"
    decoded = decoding.decode(data, None if by_face else classifier.size)
    # As in the pipeline, unclear faces are used too.
    faces = classifier.detector(decoded.image, shows_face=True) if by_face else []
    if by_face and not faces:
        return {_FACES: 0}
    prepared = prepare(decoded.image, classifier.size, largest(faces))
    return {
        "width": decoded.width,
        "height": decoded.height,
        "aspect": decoded.width / decoded.height,
        **statistics.measure(prepared),
        "probability": float(classifier.network.probability(prepared)),
        _FACES: len(faces),
    }


def compare(training: statistics.Values, here: Sequence[Mapping[str, float]], by_face: bool) -> dict[str, Comparison]:
    """Compare the statistics of at least one image, as `measure` returns them, with `Metadata.samples`.

    A statistic differs if its distance is above 0.3 and the p-value below 0.01. Then a single threshold distinguishes
    these images from the training images with a balanced accuracy above 0.65, the limit of the leak audit. The tests
    are the Kolmogorov-Smirnov test and Fisher's exact test, with Bonferroni's correction.
    """
    names = [name for name in training if name != _FACES and not (by_face and name in _OF_FILES)]
    pairs = {name: (training[name], [values[name] for values in here if name in values]) for name in names}
    pairs = {name: pair for name, pair in pairs.items() if pair[1]}
    tests = len(pairs) + by_face
    found = {}
    for name, (before, now) in pairs.items():
        test = stats.ks_2samp(before, now)
        medians = float(np.median(before)), float(np.median(now))
        found[name] = _comparison(*medians, float(test.statistic), float(test.pvalue) * tests, len(now))
    if by_face:
        faces = training[_FACES], [values[_FACES] for values in here]
        without = [[number == 0 for number in numbers] for numbers in faces]
        before_share, share = (float(np.mean(flags)) for flags in without)
        p_value = stats.fisher_exact([[sum(flags), len(flags) - sum(flags)] for flags in without]).pvalue
        distance = abs(share - before_share)
        found[_WITHOUT_FACE] = _comparison(before_share, share, distance, float(p_value) * tests, len(here))
    return found


def _comparison(training: float, here: float, distance: float, p_value: float, n: int) -> Comparison:
    verdict: Verdict = "differs" if distance > DISTANCE and p_value < P_VALUE else "similar"
    return Comparison(training, here, distance, min(1.0, p_value), n, verdict)


def as_table(found: Mapping[str, Comparison]) -> str:
    """Return the comparison and the paragraphs of `explain` as text for a terminal."""
    lines = [f"{'':16}  training      here  distance  p value  images  verdict"]
    for name, row in found.items():
        figures = f"{row.training:8.3f}  {row.here:8.3f}  {row.distance:8.3f}  {row.p_value:7.3f}  {row.n:6,}"
        lines.append(f"{name:16}  {figures}  {row.verdict}")
    return "\n".join([*lines, *(f"\n{paragraph}" for paragraph in explain(found))])


def explain(found: Mapping[str, Comparison]) -> list[str]:
    """Return paragraphs about the statistics that differ and about the probabilities, or that nothing differs."""
    differing = [name for name, comparison in found.items() if comparison.verdict == "differs"]
    images = [name for name in differing if name != "probability"]
    paragraphs = []
    if images:
        paragraphs.append(
            f"These images differ from the training images in: {', '.join(images)}. So the accuracies in "
            "metrics/evaluate.json may not be true of them. Label some of them by hand and compare, or train with such "
            "images."
        )
    if "probability" in differing:
        paragraphs.append(
            "The probabilities differ from those of the validation images. The reason may be that one class is more "
            "frequent here" + (", or the differences above." if images else ", or that the images are of another kind.")
        )
    n = max(comparison.n for comparison in found.values())
    if n < _FEW:
        paragraphs.append(f"{n} images are too few to find any but very large differences.")
    elif not paragraphs:
        paragraphs.append("These images resemble the training images.")
    return paragraphs

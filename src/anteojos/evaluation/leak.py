"""Can the label be predicted without the face? What else could a network learn, and how well?

Each probe predicts the class of every image from one feature alone, with a ridge regression on all other images.
Randomly permuted labels show how often the same accuracy is reached by chance.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
from PIL import Image

from anteojos.runtime.errors import InputError
from anteojos.vocabulary import Crop, Pixels

Booleans = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]
Images = Sequence[Pixels] | Pixels  # N of uint8 (H, W, 3), such as views of a memory map, or an array of them
Verdict = Literal["leak", "none"]

SIDE = 160  # a border's width is given in 160ths of the image's, the same part of a face at every size
BORDER, ACCURACY, P_VALUE, PERMUTATIONS = 22, 0.65, 0.01, 1000
# More would make the answer no clearer and take minutes: of a larger set, the same sample is looked at each time.
MOST_IMAGES = 2000

_PARTS = ("position_rows", "position_columns", "corners")  # of the border: what else a network can see
_CELL = 4  # 160ths; grey cells of about this size stand for the pixels in them
_SEED = 0
# In units of the features' mean squared length. An infinite penalty, no use of the features at all, is tried as well.
_PENALTIES = np.logspace(-3, 3, 7)
_TIE = 1e-9  # differences smaller than this come from rounding, and decide nothing
_BINS = 8  # into which a number with many values is sorted
_MOST_VALUES = 64  # rarer ones of a text with more than these count as one


@dataclass(frozen=True)
class Probe:
    """How well the classes of `n` images are told apart by one thing.

    `accuracy` is the mean of the two classes' shares told rightly, so that `chance` is 0.5 whatever their sizes. Where
    leaving the thing out foretells the label better, nothing is told and the accuracy is 0.5 as well. `p_value` is the
    share of random labellings that are told as well or better; of several probes judged together, by the best of them.
    """

    accuracy: float
    chance: float
    p_value: float
    n: int
    verdict: Verdict


def border_probe(
    images: Images,
    labels: npt.ArrayLike,
    *,
    border: int = BORDER,
    accuracy: float = ACCURACY,
    p_value: float = P_VALUE,
    permutations: int = PERMUTATIONS,
) -> Probe:
    """Return how well the labels can be predicted from the border of the images alone, without their middle.

    `images` is uint8 (N, H, W, 3) or N such images of one size, `labels` (N,) has two values, of at least two
    images each; else InputError. `border` is its width in 160ths of the image's. The verdict is "leak" where the
    accuracy is above `accuracy` with a p-value below `p_value`. Of more than MOST_IMAGES a sample is taken.
    """
    first, _ = two_classes(labels)
    chosen = sample(len(first))
    features = {"border": border_values([images[row] for row in chosen], border)}
    return _judge(features, _labellings(first[chosen], permutations), accuracy, p_value)["border"]


def probes(
    images: Images,
    labels: npt.ArrayLike,
    files: Mapping[str, npt.ArrayLike],
    *,
    border: int = BORDER,
    accuracy: float = ACCURACY,
    p_value: float = P_VALUE,
    permutations: int = PERMUTATIONS,
) -> dict[str, Probe]:
    """Probe the border as `border_probe` does, then its parts and what the files give away, one by one.

    The parts are `position_rows` and `position_columns`, the brightness of the border's rows (left and right) and
    columns (above and below), which say where on a canvas a face stands, and `corners`, their mean colours. `files` has
    further things by name, each (N,) of numbers or text. All but the border are judged together. Of many images, take
    a `sample` first.
    """
    first, _ = two_classes(labels)
    labellings = _labellings(first, permutations)
    cells, width = _cells(images, border)
    parts = {
        "position_rows": np.concatenate((cells[:, :, :width], cells[:, :, -width:]), axis=2).mean(axis=2),
        "position_columns": np.concatenate((cells[:, :width], cells[:, -width:]), axis=1).mean(axis=1),
        "corners": _corners(images, border),
        **{name: _indicators(np.asarray(values)) for name, values in files.items()},
    }
    return {
        **_judge({"border": _ring(cells, width)}, labellings, accuracy, p_value),
        **_judge(parts, labellings, accuracy, p_value),
    }


def two_classes(labels: npt.ArrayLike) -> tuple[Booleans, tuple[str, str]]:
    """Return which of `labels`, (N,), are the first of two sorted values, bool (N,), and both values as text.

    Raises InputError where there are not two, or fewer than two images of one.
    """
    values, number, counts = np.unique(np.asarray(labels), return_inverse=True, return_counts=True)
    if len(values) != 2 or counts.min() < 2:
        found = ", ".join(f"{count:,} of {value}" for value, count in zip(values, counts, strict=True)) or "none"
        raise InputError(f"telling two classes apart takes two images or more of each; found {found}")
    return np.asarray(number == 0), (str(values[0]), str(values[1]))


def sample(n: int) -> npt.NDArray[np.intp]:
    """Return the sorted indices of the images to audit, of `n`: all, or always the same MOST_IMAGES."""
    if n <= MOST_IMAGES:
        return np.arange(n)
    return np.sort(np.random.default_rng(_SEED).choice(n, MOST_IMAGES, replace=False))


def border_values(images: Images, border: int) -> Floats:
    """Return the grey of each image's border, (N, D) from 0 to 1, in cells of about 4 × 4 of 160 × 160."""
    return _ring(*_cells(images, border))


def border_width(size: int, border: int) -> int:
    """Return how many whole px of an image's `size` are in a border of `border` 160ths; at least 1."""
    return max(1, size * border // SIDE)


def scores(features: Floats, labels: Floats) -> Floats:
    """Foretell each image's label from the others: positive for the first class, 0 where the features are no help.

    `features` is (N, D); `labels`, (N, K), has K labellings with 1 for the first class and -1 for the second, each with
    the same number of both. The result is (N, K): the label that a ridge regression on the N - 1 others foretells, less
    their mean label. The penalty is, for each labelling, the one with the least squared error over all images.
    """
    n = len(features)
    others = (labels.sum(axis=0) - labels) / (n - 1)
    # What is foretold without features: it stands where no penalty does better.
    best, least = others.copy(), ((labels - others) ** 2).mean(axis=0)
    vectors, squares = _factorised(features)
    for penalty in _PENALTIES:
        foretold = _left_out(vectors, squares, labels, penalty * squares.sum() / n)
        error = ((labels - foretold) ** 2).mean(axis=0)
        better = error < (1 - _TIE) * least
        best[:, better], least[better] = foretold[:, better], error[better]
    return np.asarray(best - others)


def explain(
    found: Mapping[str, Probe], names: Sequence[str], border: int, crop: Crop, faces: bool, image: str = ""
) -> tuple[str, ...]:
    """Return a paragraph on the leak of the border, with advice, and one on everything else that predicts the label.

    `names` are those of the two classes, `faces` says whether the images show faces, and `image` is the file with the
    image of the border, if any. If nothing was found there is no paragraph; that on the border comes first.
    """
    leaks = {name: probe for name, probe in found.items() if probe.verdict == "leak"}
    seen = {name: leaks[name] for name in _PARTS if name in leaks}
    hidden = {name: probe for name, probe in leaks.items() if name not in ("border", *_PARTS)}
    paragraphs = []
    if "border" in leaks:
        if crop == "face":
            remedy = "`preprocess.crop: face` did not remove it. Find out what it is; correct or remove those images."
        elif faces:
            remedy = (
                "Set `preprocess.crop: face` in params.yaml: it aligns the faces and crops away what is around them."
            )
        else:
            remedy = "Find out what it is, and crop the images to their subject, in the same way in both classes."
        paragraphs.append(
            f"The label can be predicted without the face: from the outer {border} of {SIDE} px alone, "
            f"{' and '.join(names)} are classified with {_figures(leaks['border'])}"
            + (f"; {image} shows how" if image else "")
            + ". A network learns this as easily as the faces. Then an accuracy of about "
            f"{leaks['border'].accuracy:.2f} on images of this dataset, including validate and test, does not show how "
            "well it labels other images. " + remedy
        )
    elif seen:
        paragraphs.append(
            f"{_listed(seen)}: a part of the border leaks the label, although the whole border does not. A network "
            "can see it: check what differs there between the classes."
        )
    if hidden:
        paragraphs.append(
            f"{_listed(hidden)}: the files of the two classes differ. A network does not see this, but it shows that "
            "the images were made in different ways. Check whether this is visible in the images too."
        )
    return tuple(paragraphs)


def _figures(probe: Probe) -> str:
    return f"an accuracy of {probe.accuracy:.3f} (chance {probe.chance}, p = {probe.p_value:.3f}, n = {probe.n:,})"


def _listed(found: Mapping[str, Probe]) -> str:
    return "; ".join(f"{name} predicts the label with {_figures(probe)}" for name, probe in found.items())


def _labellings(first: Booleans, permutations: int) -> Floats:
    """Return the labels as 1 and -1, (N, 1 + permutations): unchanged, then randomly permuted."""
    rng = np.random.default_rng(_SEED)
    labels = np.where(first, 1.0, -1.0)
    return np.stack([labels, *(rng.permutation(labels) for _ in range(permutations))], axis=1)


def _judge(features: Mapping[str, Floats], labellings: Floats, accuracy: float, p_value: float) -> dict[str, Probe]:
    """Probe each of `features`, (N, D), and correct the p-values for the best of several being lucky by being many.

    Source: P. H. Westfall and S. S. Young, "Resampling-Based Multiple Testing", 1993, single-step maxT.
    """
    accuracies = {name: _accuracies(scores(values, labellings), labellings) for name, values in features.items()}
    lucky = np.max([values[1:] for values in accuracies.values()], axis=0)

    def judged(reached: float) -> Probe:
        p = float((1 + np.sum(lucky >= reached - _TIE)) / (1 + len(lucky)))
        return Probe(reached, 0.5, p, len(labellings), "leak" if reached > accuracy and p < p_value else "none")

    return {name: judged(float(values[0])) for name, values in accuracies.items()}


def _accuracies(scores: Floats, labels: Floats) -> Floats:
    """Return the balanced accuracy, (K,), of `scores`, (N, K).

    The classes are parted half-way between their mean scores, for what is foretold of the smaller one lies nearer to
    the middle. A tie is half right.
    """
    classes = (labels > 0, labels < 0)
    halfway = sum((scores * inside).sum(axis=0) / inside.sum(axis=0) for inside in classes) / 2
    above = scores - halfway
    right = np.where(np.abs(above) < _TIE, 0.5, (above > 0) == classes[0])
    return np.asarray(np.mean([(right * inside).sum(axis=0) / inside.sum(axis=0) for inside in classes], axis=0))


def _factorised(features: Floats) -> tuple[Floats, Floats]:
    """Return the left singular vectors, (N, R), and squared singular values, (R,), of the centred features."""
    vectors, values, _ = np.linalg.svd(features - features.mean(axis=0), full_matrices=False)
    kept = values > 1e-9 * max(1.0, values.max(initial=0.0))
    return vectors[:, kept], values[kept] ** 2


def _left_out(vectors: Floats, squares: Floats, labels: Floats, penalty: float) -> Floats:
    """Foretell each label, (N, K), by a ridge regression with an intercept on the N - 1 others, without refitting.

    The residual of an image left out is its residual divided by one less its leverage. That the features are centred
    with it among them changes nothing, for the intercept is not penalised and takes up any shift.
    Source: R. D. Cook and S. Weisberg, "Residuals and Influence in Regression", 1982, section 2.2.
    """
    shrunk = squares / (squares + penalty)
    mean = labels.mean(axis=0)
    fitted = mean + vectors @ (shrunk[:, np.newaxis] * (vectors.T @ (labels - mean)))
    leverage = 1 / len(labels) + vectors**2 @ shrunk
    return np.asarray(labels - (labels - fitted) / (1 - leverage)[:, np.newaxis])


def _cells(images: Images, border: int) -> tuple[Floats, int]:
    """Reduce images to grey cells, (N, G, G) from 0 to 1; the border is the second result, whole cells, wide."""
    width = max(1, round(border / _CELL))
    # So many cells that those of the border never reach further in than the border does.
    size = math.ceil(SIDE * width / border)
    grey = [
        np.asarray(Image.fromarray(image).convert("L").resize((size, size), Image.Resampling.BOX)) for image in images
    ]
    return np.stack(grey) / 255.0, width


def _ring(cells: Floats, width: int) -> Floats:
    ring = np.ones(cells.shape[1:], dtype=bool)
    ring[width:-width, width:-width] = False
    return cells[:, ring]


def _corners(images: Images, border: int) -> Floats:
    """Return the mean red, green and blue of the four corners, (N, 12) from 0 to 1."""

    def corners(image: Pixels) -> Floats:
        high, wide = (border_width(side, border) for side in image.shape[:2])
        squares = [
            image[rows, columns]
            for rows in (slice(high), slice(-high, None))
            for columns in (slice(wide), slice(-wide, None))
        ]
        return np.concatenate([square.mean(axis=(0, 1)) for square in squares])

    return np.stack([corners(image) for image in images]) / 255.0


def _indicators(values: npt.NDArray[np.generic]) -> Floats:
    """Turn a thing's values, (N,), into a column of 0 and 1 for each of them, or for each of 8 bins of many numbers.

    So whatever separates the classes is found, also where one lies between two parts of the other.
    """
    known, number, counts = np.unique(values, return_inverse=True, return_counts=True)
    if values.dtype.kind in "iuf" and len(known) > _BINS:
        edges = np.quantile(values.astype(np.float64), np.linspace(0, 1, _BINS + 1)[1:-1])
        number = np.searchsorted(edges, values, side="right")
        columns = np.arange(_BINS)
    else:
        columns = np.argsort(-counts, kind="stable")[:_MOST_VALUES]
    return np.asarray(number[:, np.newaxis] == columns, dtype=np.float64)

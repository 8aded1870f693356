"""The leak audit: can the label be predicted without the face, and how well?

Each probe predicts the class of every image from one feature alone, with a ridge regression on all other images.
Randomly permuted labels show how often the same accuracy is reached by chance.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
from PIL import Image

from anteojos.runtime.errors import InputError
from anteojos.vocabulary import Crop, Pixels

Booleans = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]
Images = Sequence[Pixels] | Pixels  # N images, uint8 (H, W, 3), such as views of a memory map, or one array of them
Verdict = Literal["leak", "none"]

SIDE = 160  # widths of borders are in 160ths of the image's width, the same part of a face at every size
BORDER, ACCURACY, P_VALUE, PERMUTATIONS = 22, 0.65, 0.01, 1000
MOST_IMAGES = 2000  # more images take minutes, and change the result little

_PARTS = ("position_rows", "position_columns", "corners")  # features of the border, which a network can see
_CELL = 4  # approximate size of a grey cell, in 160ths
_SEED = 0
_PENALTIES = np.logspace(-3, 3, 7)  # in units of the features' mean squared length
_TIE = 1e-9  # smaller differences are rounding errors
_BINS = 8  # of a number with more values than this
_FEW = 40  # images
_MOST_VALUES = 64  # of a text; all rarer values count as one


@dataclass(frozen=True)
class Probe:
    """How well one feature predicts the classes of `n` images.

    `accuracy` is balanced: the mean of the two classes' accuracies, so `chance` is 0.5 for any class sizes. It is also
    0.5 if no ridge regression is better than the mean label. `p_value` is the share of random labellings with at least
    this accuracy; if several features are judged together, the best feature counts.
    """

    accuracy: float
    chance: float
    p_value: float
    n: int
    verdict: Verdict


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
    """Probe the border of the images, then its parts and the properties of the files.

    `images` is uint8 (N, H, W, 3) or N such images of one size. `labels`, (N,), must have two values, each at least
    twice; otherwise InputError is raised. `border` is the width of the border in 160ths of the image's width. Its parts
    are `position_rows` and `position_columns`, the brightness of its rows (left and right) and columns (top and
    bottom), which show the position of a face in the image, and `corners`, their mean colours. `files` has further
    features by name, each (N,) of numbers or text. All features but the border are judged together. The verdict is
    "leak" if the accuracy is above `accuracy` and the p-value below `p_value`. The time grows with N: take a `sample`
    of many images first.
    """
    first, _ = two_classes(labels)
    labellings = _labellings(first, permutations)
    cells, width = _cells(images, border)
    others = {
        "position_rows": np.concatenate((cells[:, :, :width], cells[:, :, -width:]), axis=2).mean(axis=2),
        "position_columns": np.concatenate((cells[:, :width], cells[:, -width:]), axis=1).mean(axis=1),
        "corners": _corners(images, border),
        **{name: _indicators(np.asarray(values)) for name, values in files.items()},
    }
    return {
        **_judge({"border": _ring(cells, width)}, labellings, accuracy, p_value),
        **_judge(others, labellings, accuracy, p_value),
    }


def two_classes(labels: npt.ArrayLike) -> tuple[Booleans, tuple[str, str]]:
    """Return which of `labels`, (N,), are the first of two sorted values, bool (N,), and both values as text.

    Raises InputError if there are not two values, or a value has fewer than two images.
    """
    values, number, counts = np.unique(np.asarray(labels), return_inverse=True, return_counts=True)
    if len(values) != 2 or counts.min() < 2:
        found = ", ".join(f"{count:,} of {value}" for value, count in zip(values, counts, strict=True)) or "none"
        raise InputError(f"the audit needs two classes with at least two images each; found {found}")
    return np.asarray(number == 0), (str(values[0]), str(values[1]))


def sample(n: int) -> npt.NDArray[np.intp]:
    """Return the sorted indices of the images to audit: all of `n`, or a fixed random sample of MOST_IMAGES."""
    if n <= MOST_IMAGES:
        return np.arange(n)
    return np.sort(np.random.default_rng(_SEED).choice(n, MOST_IMAGES, replace=False))


def border_values(images: Images, border: int) -> Floats:
    """Return the grey levels of each image's border, (N, D) from 0 to 1, in cells of about 4 × 4 px of 160 × 160."""
    return _ring(*_cells(images, border))


def border_width(size: int, border: int) -> int:
    """Return the width in px, at least 1, of a border of `border` 160ths in an image of `size` px."""
    return max(1, size * border // SIDE)


def scores(features: Floats, labels: Floats) -> Floats:
    """Predict each image's label from the other images: positive for the first class, 0 if the features do not help.

    `features` is (N, D). `labels`, (N, K), has K labellings with 1 for the first class and -1 for the second, all with
    the same class sizes. The result is (N, K): the prediction of a ridge regression on the N - 1 other images minus
    their mean label. For each labelling, the penalty with the lowest squared error over all images is used; if the mean
    label alone has a lower one, the result is 0.
    """
    mean_of_others = (labels.sum(axis=0) - labels) / (len(labels) - 1)
    best, least = np.zeros_like(labels), ((labels - mean_of_others) ** 2).mean(axis=0)
    vectors, values, _ = np.linalg.svd(features - features.mean(axis=0), full_matrices=False)
    kept = values > _TIE * max(1.0, values.max(initial=0.0))
    vectors, squares = vectors[:, kept], values[kept] ** 2
    for penalty in _PENALTIES * squares.sum() / len(labels):
        predicted = _leave_one_out(vectors, squares, labels, penalty)
        error = ((labels - predicted) ** 2).mean(axis=0)
        better = error < (1 - _TIE) * least
        best[:, better], least[better] = (predicted - mean_of_others)[:, better], error[better]
    return best


def _leave_one_out(vectors: Floats, squares: Floats, labels: Floats, penalty: float) -> Floats:
    """Predict each label, (N, K), by a ridge regression with an intercept on the N - 1 other images, without refitting.

    `vectors`, (N, R), and `squares`, (R,), are the left singular vectors and squared singular values of the centred
    features. The residual of an image that is left out is its residual divided by 1 - leverage. RidgeCV of scikit-learn
    returns the same, but takes 1.3 to 2.6 times as long.
    Source: R. D. Cook and S. Weisberg, "Residuals and Influence in Regression", 1982, section 2.2.
    """
    shrunk = squares / (squares + penalty)
    mean = labels.mean(axis=0)
    fitted = mean + vectors @ (shrunk[:, np.newaxis] * (vectors.T @ (labels - mean)))
    leverage = 1 / len(labels) + vectors**2 @ shrunk
    return np.asarray(labels - (labels - fitted) / (1 - leverage)[:, np.newaxis])


def explain(
    found: Mapping[str, Probe], names: Sequence[str], border: int, crop: Crop, faces: bool, image: str = ""
) -> list[str]:
    """Return a paragraph on the leak of the border, with advice, and one on everything else that predicts the label.

    `names` are those of the two classes, `faces` says whether the images show faces, and `image` is the file with the
    image of the border, or "". The list is empty if nothing leaks; the paragraph on the border comes first.
    """
    leaks = {name: probe for name, probe in found.items() if probe.verdict == "leak"}
    parts = {name: leaks[name] for name in _PARTS if name in leaks}
    files = {name: probe for name, probe in leaks.items() if name not in ("border", *_PARTS)}
    paragraphs = []
    if "border" in leaks:
        of_faces = faces or crop == "face"
        without, subject = ("the face", "faces") if of_faces else ("the middle of the images", "subject")
        shows = f"; {image} shows how" if image else ""
        paragraphs.append(
            f"The label can be predicted without {without}: from the outer {border} of {SIDE} px alone, "
            f"{' and '.join(names)} are classified with {_figures(leaks['border'])}{shows}. "
            f"{'' if of_faces else _TEXTURES}A network learns this as easily as the {subject}. "
            f"Then a balanced accuracy of about {leaks['border'].accuracy:.2f} on images of this dataset, including "
            f"validate and test, does not show how well it labels other images. {_advice(crop, faces)}"
        )
    elif parts:
        paragraphs.append(
            f"{_listed(parts)}: a part of the border leaks the label, although the whole border does not. A network "
            "can see it: check what differs there between the classes."
        )
    if files:
        paragraphs.append(
            f"{_listed(files)}: the files of the two classes differ. A network does not see this, but it shows that "
            "the images were made in different ways. Check whether this is visible in the images too."
        )
    return paragraphs


def nothing_found(found: Mapping[str, Probe]) -> str:
    """Return the conclusion if `explain` has nothing to say."""
    n = found["border"].n
    few = f" {n:,} images are too few to find any but large differences." if n < _FEW else ""
    return f"No leak was found in {n:,} images: neither their border nor the files predict the label.{few}"


def as_table(found: Mapping[str, Probe], paragraphs: Sequence[str]) -> str:
    """Return the results and the paragraphs of `explain` as text for a terminal."""
    lines = [f"{'':16}  accuracy  chance  p value  images  verdict"]
    for name, probe in found.items():
        figures = f"{probe.accuracy:8.3f}  {probe.chance:6.3f}  {probe.p_value:7.3f}  {probe.n:8,}"
        lines.append(f"{name:16}  {figures}  {probe.verdict}")
    return "\n".join([*lines, *(f"\n{paragraph}" for paragraph in paragraphs or [nothing_found(found)])])


def as_json(found: Mapping[str, Probe], names: Sequence[str], paragraphs: Sequence[str]) -> str:
    """Return the results and the paragraphs of `explain` as JSON."""
    results = {name: asdict(probe) for name, probe in found.items()}
    findings = list(paragraphs) or [nothing_found(found)]
    return json.dumps({"classes": names, "probes": results, "findings": findings}, indent=2, ensure_ascii=False)


_TEXTURES = (
    "If the subject fills the images up to their border, as a texture does, this may be the reason and is not a fault. "
    "Otherwise something other than the subject differs between the classes. "
)


def _advice(crop: Crop, faces: bool) -> str:
    if crop == "face":
        return "`preprocess.crop: face` did not remove it. Find out what it is; correct or remove those images."
    if faces:
        return "Set `preprocess.crop: face` in params.yaml: it aligns the faces and crops away what is around them."
    return "Find out what it is, and crop the images to their subject, in the same way in both classes."


def _figures(probe: Probe) -> str:
    return (
        f"a balanced accuracy of {probe.accuracy:.3f} (chance {probe.chance}, p = {probe.p_value:.3f}, n = {probe.n:,})"
    )


def _listed(found: Mapping[str, Probe]) -> str:
    return "; ".join(f"{name} predicts the label with {_figures(probe)}" for name, probe in found.items())


def _labellings(first: Booleans, permutations: int) -> Floats:
    """Return the labels as 1 and -1, (N, 1 + permutations): unchanged, then randomly permuted."""
    rng = np.random.default_rng(_SEED)
    labels = np.where(first, 1.0, -1.0)
    return np.stack([labels, *(rng.permutation(labels) for _ in range(permutations))], axis=1)


def _judge(features: Mapping[str, Floats], labellings: Floats, accuracy: float, p_value: float) -> dict[str, Probe]:
    """Probe each of `features`, (N, D), with p-values corrected for the number of features.

    scipy.stats.permutation_test does not have this correction, and would compute each labelling separately.
    Source: P. H. Westfall and S. S. Young, "Resampling-Based Multiple Testing", 1993, single-step maxT.
    """
    accuracies = {name: _accuracies(scores(values, labellings), labellings) for name, values in features.items()}
    best_by_chance = np.max([values[1:] for values in accuracies.values()], axis=0)
    found = {}
    for name, values in accuracies.items():
        reached = float(values[0])
        p = float((1 + np.sum(best_by_chance >= reached - _TIE)) / (1 + len(best_by_chance)))
        verdict: Verdict = "leak" if reached > accuracy and p < p_value else "none"
        found[name] = Probe(reached, 0.5, p, len(labellings), verdict)
    return found


def _accuracies(scores: Floats, labels: Floats) -> Floats:
    """Return the balanced accuracy, (K,), of `scores`, (N, K); a tie is half correct.

    The threshold is midway between the mean scores of the classes, not 0, because the scores of the smaller class are
    nearer to 0.
    """
    first, second = labels > 0, labels < 0
    above = scores - (_mean_of(scores, first) + _mean_of(scores, second)) / 2
    correct = np.where(np.abs(above) < _TIE, 0.5, (above > 0) == first)
    return (_mean_of(correct, first) + _mean_of(correct, second)) / 2


def _mean_of(values: Floats, inside: Booleans) -> Floats:
    """Return the column means of the values where `inside` is true; faster than np.mean with `where`."""
    return np.asarray((values * inside).sum(axis=0) / inside.sum(axis=0))


def _cells(images: Images, border: int) -> tuple[Floats, int]:
    """Reduce images to grey cells, (N, G, G) from 0 to 1; also return the width of the border in cells."""
    width = max(1, round(border / _CELL))
    size = math.ceil(SIDE * width / border)  # rounded up, so the cells of the border do not exceed it
    grey = [Image.fromarray(image).convert("L").resize((size, size), Image.Resampling.BOX) for image in images]
    return np.stack([np.asarray(image) for image in grey]) / 255.0, width


def _ring(cells: Floats, width: int) -> Floats:
    ring = np.ones(cells.shape[1:], dtype=bool)
    ring[width:-width, width:-width] = False
    return cells[:, ring]


def _corners(images: Images, border: int) -> Floats:
    """Return the mean red, green and blue of the four corners, (N, 12) from 0 to 1."""
    high, wide = (border_width(side, border) for side in images[0].shape[:2])
    rows, columns = (slice(high), slice(-high, None)), (slice(wide), slice(-wide, None))
    corners = [[image[row, column].mean(axis=(0, 1)) for row in rows for column in columns] for image in images]
    return np.reshape(corners, (len(images), -1)) / 255.0


def _indicators(values: npt.NDArray[np.generic]) -> Floats:
    """Return a column of 0 and 1 for each value of a feature, (N,), or for each of 8 bins of a number with more values.

    So a linear regression also finds a class whose values lie between those of the other class.
    """
    known, number, counts = np.unique(values, return_inverse=True, return_counts=True)
    if values.dtype.kind in "iuf" and len(known) > _BINS:
        edges = np.quantile(values.astype(np.float64), np.linspace(0, 1, _BINS + 1)[1:-1])
        number, columns = np.searchsorted(edges, values, side="right"), np.arange(_BINS)
    else:
        columns = np.argsort(-counts, kind="stable")[:_MOST_VALUES]
    return np.asarray(number[:, np.newaxis] == columns, dtype=np.float64)

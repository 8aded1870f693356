"""Label each image by a network that was trained without it."""

import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
from sklearn.model_selection import StratifiedGroupKFold

from anteojos.images import duplicates
from anteojos.model import training
from anteojos.model.batches import LabelledImages
from anteojos.model.inference import LiteNetwork
from anteojos.model.recipes import recipe_for
from anteojos.params import Train
from anteojos.runtime.errors import InputError

Booleans = npt.NDArray[np.bool_]
Rows = npt.NDArray[np.intp]


def assign_folds(first: Booleans, hashes: npt.NDArray[np.uint64], bits: int, folds: int, seed: int) -> Rows:
    """Return the fold of each image, (N,) from 0 to `folds` - 1, with about the same share of both classes in each.

    `first` is bool (N,). Images of a group of near-duplicates are in the same fold: see `duplicates.groups` for
    `hashes`, uint64 (N,), and `bits`. Raises InputError if a class has fewer groups than there are folds.
    """
    groups = duplicates.groups(hashes, bits)
    smaller = min(len(np.unique(groups[first])), len(np.unique(groups[~first])))
    if smaller < folds:
        raise InputError(
            f"evaluate.folds: found {folds}; the smaller class has {smaller} different images in train and validate",
            advice="Set evaluate.folds to at most this number in params.yaml, or to 0, or add images.",
        )
    result = np.empty(len(first), np.intp)
    splitter = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
    for number, (_, rows) in enumerate(splitter.split(first, first, groups)):
        result[rows] = number
    return result


def label(
    split: LabelledImages,
    folds: Rows,
    params: Train,
    checkpoint: Callable[[int], Path],
    on_fold: Callable[[int, npt.NDArray[np.float32]], None],
) -> npt.NDArray[np.float32]:
    """Return the probability of the first class for each image of `split`, float32 (N,).

    For each of `folds`, (N,), a network is trained as in the stage `train`, but on the images of all other folds, and
    labels the images of the fold. `on_fold` is called with the number of the fold and these probabilities. An
    interrupted training resumes from the file `checkpoint(number)`, see `training.train`.
    """
    result = np.empty(len(folds), np.float32)
    for number in range(int(folds.max()) + 1):
        inside = folds == number
        rest, held_out = (LabelledImages(split.images[rows], split.first[rows]) for rows in (~inside, inside))
        recipe = recipe_for(params, rest.counts)
        network, _ = training.train(
            rest, held_out, params.network, recipe, params.seed, lambda _: None, checkpoint(number), params.timeout
        )
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "network.tflite")
            training.save_tflite(network, path)
            result[inside] = LiteNetwork(path.read_bytes()).probabilities(held_out.images)
        on_fold(number, result[inside])
    return result

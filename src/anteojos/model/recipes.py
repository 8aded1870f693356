"""The recipe of each network: epochs, optimizer and augmentation."""

import math
from dataclasses import dataclass, replace
from typing import Any

from anteojos.params import Train
from anteojos.vocabulary import Network, Precision


@dataclass(frozen=True)
class Augmentation:
    """How training images are varied each time they are used.

    Each amount is drawn uniformly: a shift of up to `shift` of the image's side in each direction, a factor from the
    range `zoom` (on a logarithmic scale), and a rotation of up to `rotation` degrees in each direction. Half of the
    images are mirrored. Half of the images lose detail: they are resized to between `detail` and 1 of their side, and
    back.
    """

    shift: float
    zoom: tuple[float, float]
    rotation: float
    detail: float = 1.0


@dataclass(frozen=True)
class Recipe:
    """How a network is trained. The defaults are those of the report.

    `epochs` is for a small dataset. With a large one, `recipe_for` lowers it so that training takes about `most_steps`
    optimizer steps.

    The optimizer is Adam, or AdamW with `weight_decay`. During the fraction `warm_up` of all steps, the learning rate
    rises to `learning_rate`; then it falls to 0 along a cosine. Without `warm_up`, it is constant. `label_smoothing` is
    the fraction of a label that is given to the other class. If `mirrored`, the trained network returns the mean for an
    image and its mirror image. `class_weights` are the factors of the training losses of the first and the second
    class. `precision` is Keras's dtype policy during training; the trained network is float32.
    """

    epochs: int = 10
    most_steps: int | None = None
    batch_size: int = 32
    learning_rate: float = 0.001
    rescale: bool = False
    weight_decay: float = 0.0
    warm_up: float = 0.0
    label_smoothing: float = 0.0
    augmentation: Augmentation | None = None
    mirrored: bool = False
    class_weights: tuple[float, float] = (1.0, 1.0)
    precision: Precision = "float32"


# Aligned faces differ by the errors of the eye positions, the shape of the head and the resolution of the source.
FACES = Augmentation(shift=0.04, zoom=(0.88, 1.15), rotation=5, detail=0.3)

# Train for at least this many epochs, even if they take more than `most_steps`.
_LEAST_EPOCHS = 12
# By default, use class weights if one class has more than this many times the images of the other.
_UNEQUAL = 2

RECIPES: dict[Network, Recipe] = {
    "baseline": Recipe(),
    "sigmoid": Recipe(),
    "deep": Recipe(rescale=True),
    "dropout": Recipe(rescale=True),
    "edge": Recipe(
        epochs=100,
        most_steps=400,
        learning_rate=0.004,
        rescale=True,
        weight_decay=0.02,
        warm_up=0.05,
        label_smoothing=0.02,
        augmentation=FACES,
        mirrored=True,
    ),
}


def recipe_for(params: Train, counts: tuple[int, int]) -> Recipe:
    """Return the recipe of `params.network`, with the values that params.yaml sets.

    `counts` are the training images of the first and the second class.
    """
    recipe = RECIPES[params.network]
    changes: dict[str, Any] = {
        name: value
        for name in ("batch_size", "learning_rate", "rescale", "precision")
        if (value := getattr(params, name)) is not None
    }
    if params.augment is not None:
        changes["augmentation"] = (recipe.augmentation or FACES) if params.augment else None
    is_unequal = 0 < _UNEQUAL * min(counts) < max(counts)
    if is_unequal if params.class_weights is None else params.class_weights:
        changes["class_weights"] = balanced_weights(counts)
    recipe = replace(recipe, **changes)
    return replace(recipe, epochs=params.epochs or epochs_for(recipe, sum(counts)))


def balanced_weights(counts: tuple[int, int]) -> tuple[float, float]:
    """Return class weights that give both classes the same influence; the mean weight of all images is 1.

    Source: G. King and L. Zeng, "Logistic Regression in Rare Events Data", 2001; scikit-learn calls them "balanced".
    """
    first, second = (sum(counts) / (2 * max(1, count)) for count in counts)
    return first, second


def epochs_for(recipe: Recipe, images: int) -> int:
    """Return the number of epochs for this many training images, limited by the recipe's `most_steps`."""
    if recipe.most_steps is None:
        return recipe.epochs
    steps_per_epoch = math.ceil(images / recipe.batch_size)
    return min(recipe.epochs, max(_LEAST_EPOCHS, math.ceil(recipe.most_steps / steps_per_epoch)))

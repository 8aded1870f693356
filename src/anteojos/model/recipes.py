"""How each network is trained: the one place where epochs, optimizer and augmentation stand."""

import math
from dataclasses import dataclass, replace

from anteojos.params import Train
from anteojos.vocabulary import Network, Precision


@dataclass(frozen=True)
class Augmentation:
    """How training images are varied each time they are used, besides mirroring every second one on average.

    Each amount is drawn uniformly from its range: a shift of up to `shift` of the image's side in both directions, a
    factor `zoom` (on a logarithmic scale), a rotation of up to `rotation` degrees either way. Every second image on
    average loses detail: it is resized to between `detail` and 1 of its side, and back.
    """

    shift: float
    zoom: tuple[float, float]
    rotation: float
    detail: float = 1.0


@dataclass(frozen=True)
class Recipe:
    """What the training of a network takes; where a network's own does not say, what the report did.

    `epochs` is for a small data set: where `most_steps` is set, `recipe_for` lowers it so that training takes about as
    many optimizer steps with a large one.

    The optimizer is Adam, with decoupled weight decay where `weight_decay` is above 0 (AdamW). In the share `warm_up`
    of all steps the learning rate rises to `learning_rate`, then it falls to 0 along a cosine; where `warm_up` is 0, it
    stays. `label_smoothing` is the share of a label that goes to the other classes. Where `mirrored`, the trained
    network gives the mean of what it makes of an image and of its mirror image. `precision` is Keras's dtype policy
    while it trains; what comes of it is float32 always.
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
    precision: Precision = "float32"


# Aligned faces differ by the errors of the eye positions, the shape of the head and the resolution of the source.
FACES = Augmentation(shift=0.04, zoom=(0.88, 1.15), rotation=5, detail=0.3)

# Each image is seen at least this often, whatever `most_steps` says.
_LEAST_EPOCHS = 12

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


def recipe_for(params: Train, images: int) -> Recipe:
    """Return the recipe of `params.network` for so many training images, changed where params.yaml says otherwise."""
    recipe = RECIPES[params.network]
    told = {
        name: value
        for name in ("batch_size", "learning_rate", "rescale", "precision")
        if (value := getattr(params, name)) is not None
    }
    if params.augment is not None:
        told["augmentation"] = (recipe.augmentation or FACES) if params.augment else None
    recipe = replace(recipe, **told)
    return replace(recipe, epochs=params.epochs or epochs_for(recipe, images))


def epochs_for(recipe: Recipe, images: int) -> int:
    """Return the epochs of `recipe` for so many training images: fewer if they make more than `most_steps` steps."""
    if recipe.most_steps is None:
        return recipe.epochs
    steps_per_epoch = math.ceil(images / recipe.batch_size)
    return min(recipe.epochs, max(_LEAST_EPOCHS, math.ceil(recipe.most_steps / steps_per_epoch)))

"""How each network is trained: the one place where epochs, optimizer and augmentation stand."""

from dataclasses import dataclass, replace

from anteojos.params import Network, Precision, Train


@dataclass(frozen=True)
class Augmentation:
    """How a training picture is varied each time that it is shown, beside being mirrored one time in two.

    Each amount is drawn evenly from its range: a shift of up to `shift` of the picture's side across and down, a
    `zoom` between two factors (on a logarithmic scale), a turn of up to `rotation` degrees either way.
    """

    shift: float
    zoom: tuple[float, float]
    rotation: float


@dataclass(frozen=True)
class Recipe:
    """What the training of a network takes; where a network's own does not say, what the report did.

    The optimizer is Adam, with decoupled weight decay where `weight_decay` is above 0 (AdamW). In the share `warm_up`
    of all steps the learning rate rises to `learning_rate`, then it falls to 0 along a cosine; where `warm_up` is 0, it
    stays. `label_smoothing` is the share of a label that goes to the other classes. Where `mirrored`, the trained
    network gives the mean of what it makes of a picture and of its mirror image. `precision` is Keras's dtype policy
    while it trains; what comes of it is float32 always.
    """

    epochs: int = 10
    batch_size: int = 32
    learning_rate: float = 0.001
    rescale: bool = False
    weight_decay: float = 0.0
    warm_up: float = 0.0
    label_smoothing: float = 0.0
    augmentation: Augmentation | None = None
    mirrored: bool = False
    precision: Precision = "float32"


# Faces cut out more closely or more loosely, and not quite upright: pictures of another camera and another crop.
FACES = Augmentation(shift=0.08, zoom=(0.75, 1.6), rotation=8)

RECIPES: dict[Network, Recipe] = {
    "report": Recipe(),
    "sigmoid": Recipe(),
    "deep": Recipe(rescale=True),
    "dropout": Recipe(rescale=True),
    "edge": Recipe(
        epochs=120,
        learning_rate=0.004,
        rescale=True,
        weight_decay=0.02,
        warm_up=0.05,
        label_smoothing=0.05,
        augmentation=FACES,
        mirrored=True,
    ),
}


def recipe_for(params: Train) -> Recipe:
    """Give the recipe of `params.network`, changed where params.yaml says otherwise."""
    recipe = RECIPES[params.network]
    told = {
        name: value
        for name in ("epochs", "batch_size", "learning_rate", "rescale", "precision")
        if (value := getattr(params, name)) is not None
    }
    if params.augment is not None:
        told["augmentation"] = (recipe.augmentation or FACES) if params.augment else None
    return replace(recipe, **told)

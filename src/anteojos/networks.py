"""The networks, as plain Keras functions: pictures of pixels 0 to 255 in, probabilities out."""

from collections.abc import Callable

import keras
from keras import layers

from anteojos.errors import InputError
from anteojos.params import Network, Rescale


def report(size: int, rescale: bool) -> keras.Model:
    """Build the report's network: one softmax output a class; 222,210 parameters at 160 px."""
    return _shallow("report", size, rescale, layers.Dense(2, activation="softmax", name="probabilities"))


def sigmoid(size: int, rescale: bool) -> keras.Model:
    """Build the report's first trial: `report` with one sigmoid output; 139,265 parameters at 160 px."""
    return _shallow("sigmoid", size, rescale, layers.Dense(1, activation="sigmoid", name="probability"))


def deep(size: int, rescale: bool) -> keras.Model:
    """Build the report's second trial: four convolutions, three dense layers; 1,297,857 parameters at 160 px."""
    return _deep("deep", size, rescale, dropout=0)


def dropout(size: int, rescale: bool) -> keras.Model:
    """Build the report's third trial: `deep` with dropout before its first two dense layers."""
    return _deep("dropout", size, rescale, dropout=0.5)


# Each network, and whether the report rescaled the pixels for it.
NETWORKS: dict[Network, tuple[Callable[[int, bool], keras.Model], bool]] = {
    "report": (report, False),
    "sigmoid": (sigmoid, False),
    "deep": (deep, True),
    "dropout": (dropout, True),
}


def build(network: Network, size: int, rescale: Rescale) -> keras.Model:
    """Build `network` for float32 pictures (N, size, size, 3) of pixels 0 to 255.

    It gives float32 (N, 2), a probability for each class, or (N, 1), that of the first class. Its weights are drawn
    from Keras's global seed. Raises InputError where its layers leave nothing of a picture that small.
    """
    function, rescales = NETWORKS[network]
    try:
        return function(size, rescales if rescale == "auto" else rescale == "always")
    except ValueError as error:
        if "negative" not in str(error).lower() and "dimension" not in str(error).lower():
            raise
        raise InputError(
            f"params.yaml: preprocess.size: {size} px is too small for the network {network!r}",
            advice="Set preprocess.size to 46 or more.",
        ) from error


def _input(size: int, rescale: bool) -> list[keras.Layer]:
    scaling = [layers.Rescaling(1 / 255, name="rescale")] if rescale else []
    return [keras.Input((size, size, 3), name="images"), *scaling]


# Every layer has its name, for Keras numbers those without by a counter of all that the process has made.
def _convolution(number: int, filters: int) -> keras.Layer:
    return layers.Conv2D(filters, 3, activation="relu", name=f"convolution_{number}")


def _pool(number: int) -> keras.Layer:
    return layers.MaxPooling2D(2, name=f"pool_{number}")


def _shallow(name: str, size: int, rescale: bool, output: keras.Layer) -> keras.Model:
    hidden = [_convolution(1, 32), _pool(1), _convolution(2, 64), _pool(2), _convolution(3, 64)]
    return keras.Sequential([*_input(size, rescale), *hidden, layers.Flatten(name="flatten"), output], name=name)


def _deep(name: str, size: int, rescale: bool, dropout: float) -> keras.Model:
    stack = _input(size, rescale)
    for number, filters in enumerate((32, 64, 128, 128), start=1):
        stack += [_convolution(number, filters), _pool(number)]
    stack.append(layers.Flatten(name="flatten"))
    for number, units in enumerate((128, 64), start=1):
        if dropout:
            stack.append(layers.Dropout(dropout, name=f"dropout_{number}"))
        stack.append(layers.Dense(units, activation="relu", name=f"dense_{number}"))
    return keras.Sequential([*stack, layers.Dense(1, activation="sigmoid", name="probability")], name=name)

"""The networks, as plain Keras functions: pictures of pixels 0 to 255 in, probabilities out."""

from collections.abc import Callable

import keras
import numpy as np
import numpy.typing as npt
from keras import layers, ops

from anteojos.errors import InputError
from anteojos.params import Network, Precision

# What `edge` sees: the band of the face from and to these shares of its height and of its width, brought to so many
# pixels (down, across), which is what it would be of a picture of 96 px.
_BAND = (0.25, 0.70, 0.10, 0.90)
_BAND_SIZE = (43, 77)
_LUMA = (0.299, 0.587, 0.114)  # grey of red, green and blue; source: ITU-R BT.601
_SOBEL = np.array([[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]]) / 8  # of a slope of 1 a pixel it makes 1


def report(size: int, rescale: bool) -> keras.Model:
    """Build the report's network: one softmax output a class; 222,210 parameters at 160 px."""
    return _shallow("report", size, rescale, _output(2, "softmax", "probabilities"))


def sigmoid(size: int, rescale: bool) -> keras.Model:
    """Build the report's first trial: `report` with one sigmoid output; 139,265 parameters at 160 px."""
    return _shallow("sigmoid", size, rescale, _output(1, "sigmoid", "probability"))


def deep(size: int, rescale: bool) -> keras.Model:
    """Build the report's second trial: four convolutions, three dense layers; 1,297,857 parameters at 160 px."""
    return _deep("deep", size, rescale, dropout=0)


def dropout(size: int, rescale: bool) -> keras.Model:
    """Build the report's third trial: `deep` with dropout before its first two dense layers."""
    return _deep("dropout", size, rescale, dropout=0.5)


def edge(size: int, rescale: bool) -> keras.Model:
    """Build our network, which looks at the edges around the eyes; 26,822 parameters at any size.

    The report's networks see light, skin and background as well as glasses, and 104 pictures are too few to tell them
    which of these matter. This one is shown the band of the face that glasses can be in, in grey, and of that its
    edges, each divided by how strong edges are around it: light and contrast fall away, the frame stays.
    """
    images, *scaling = _input(size, rescale)
    top, bottom, left, right = (round(share * size) for share in _BAND)
    band = layers.Cropping2D(((top, size - bottom), (left, size - right)), name="band")(images)
    for layer in scaling:
        band = layer(band)
    band = _fixed(band, np.reshape(_LUMA, (1, 1, 3, 1)), "grey")
    # Not by the layer Resizing, after which Keras takes a call that does not say so for one of training.
    band = ops.image.resize(band, _BAND_SIZE)

    slopes = _fixed(band, np.stack((_SOBEL, _SOBEL.T), axis=-1)[:, :, np.newaxis, :], "slopes")
    strength = ops.sqrt(ops.sum(ops.square(slopes), axis=-1, keepdims=True))
    around = layers.AveragePooling2D(9, 1, padding="same", name="around")(strength)
    # The floor keeps the noise of a plain wall from looking like edges.
    floor = 2 / 255 if rescale else 2
    features = ops.concatenate((slopes, strength), axis=-1) / (around + floor)

    for number, filters in enumerate((16, 32, 64), start=1):
        features = layers.Conv2D(filters, 3, padding="same", use_bias=False, name=f"convolution_{number}")(features)
        # Pooled first, there is a quarter left to do for the two that follow.
        features = _pool(number)(features)
        features = layers.BatchNormalization(momentum=0.9, name=f"normalization_{number}")(features)
        features = layers.Activation("relu", name=f"relu_{number}")(features)
        if number > 1:
            features = layers.SpatialDropout2D(0.2, name=f"dropout_{number}")(features)
    # Where an edge is matters, so that no pooling over the whole band takes the place of this.
    features = layers.Flatten(name="flatten")(features)
    probability = _output(1, "sigmoid", "probability")(features)
    return keras.Model(images, probability, name="edge")


NETWORKS: dict[Network, Callable[[int, bool], keras.Model]] = {
    "report": report,
    "sigmoid": sigmoid,
    "deep": deep,
    "dropout": dropout,
    "edge": edge,
}


def build(
    network: Network, size: int, rescale: bool, precision: Precision = "float32", synchronized: bool = False
) -> keras.Model:
    """Build `network` for float32 pictures (N, size, size, 3) of pixels 0 to 255, which `rescale` brings into [0, 1].

    It gives float32 (N, 2), a probability for each class, or (N, 1), that of the first class. Its weights, float32, are
    drawn from Keras's global seed. Inside it computes with `precision`, Keras's dtype policy; where `synchronized`, it
    normalises over the pictures of all replicas. Raises InputError where its layers leave nothing of a picture that
    small.
    """
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(precision)
    try:
        built = NETWORKS[network](size, rescale)
    except ValueError as error:
        if "negative" not in str(error).lower() and "dimension" not in str(error).lower():
            raise
        raise InputError(
            f"params.yaml: preprocess.size: {size} px is too small for the network {network!r}",
            advice="Set preprocess.size to 46 or more.",
        ) from error
    finally:
        keras.config.set_dtype_policy(before)
    for layer in built.layers:
        if isinstance(layer, layers.BatchNormalization):
            layer.synchronized = synchronized
    return built


def mirrored(network: keras.Model) -> keras.Model:
    """Give the network that gives the mean of what `network` makes of pictures and of their mirror images.

    It has the weights of `network`, not a copy of them.
    """
    images = keras.Input(network.input_shape[1:], name="images")
    probabilities = layers.Average(name="mean")([network(images), network(ops.flip(images, axis=2))])
    return keras.Model(images, probabilities, name=f"{network.name}_mirrored")


def _input(size: int, rescale: bool) -> list[keras.Layer]:
    scaling = [layers.Rescaling(1 / 255, name="rescale")] if rescale else []
    return [keras.Input((size, size, 3), name="images"), *scaling]


# Every layer has its name, for Keras numbers those without by a counter of all that the process has made.
def _convolution(number: int, filters: int) -> keras.Layer:
    return layers.Conv2D(filters, 3, activation="relu", name=f"convolution_{number}")


def _fixed(images: keras.KerasTensor, kernel: npt.ArrayLike, name: str) -> keras.KerasTensor:
    """Convolve with a kernel, (height, width, channels in, channels out), that training leaves as it is."""
    kernel = np.asarray(kernel, np.float32)
    height, width, _, filters = kernel.shape
    layer = layers.Conv2D(filters, (height, width), use_bias=False, trainable=False, name=name)
    convolved = layer(images)
    layer.set_weights([kernel])
    return convolved


def _output(units: int, activation: str, name: str) -> keras.Layer:
    # In float32 whatever the precision of the rest: a probability near 0 or 1 must not be rounded to it.
    return layers.Dense(units, activation=activation, dtype="float32", name=name)


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
    return keras.Sequential([*stack, _output(1, "sigmoid", "probability")], name=name)

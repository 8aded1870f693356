"""The networks, as plain Keras functions: images of pixels 0 to 255 in, probabilities out."""

from collections.abc import Callable

import keras
import numpy as np
import numpy.typing as npt
from keras import layers, ops

from anteojos.runtime.errors import InputError
from anteojos.vocabulary import Network, Precision

# The part of an aligned face that `edge` sees, as fractions of its height and width (top, bottom, left, right), and the
# size in px (height, width) to which it is resized. The eyes are at 0.42 of the height.
_BAND = (0.26, 0.60, 0.08, 0.92)
_BAND_SIZE = (34, 82)
_LUMA = (0.299, 0.587, 0.114)  # grey of red, green and blue; source: ITU-R BT.601
_SOBEL = np.array([[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]]) / 8  # gives 1 for a slope of 1 per pixel
# px. Smaller images have no pixels left after four convolutions. The other networks accept all sizes of params.yaml.
_MINIMUM_SIZE: dict[Network, int] = {"deep": 46, "dropout": 46}


def baseline(size: int, rescale: bool) -> keras.Model:
    """Build the report's network: a softmax output for each class; 222,210 parameters at 160 px."""
    return _shallow("baseline", size, rescale, _output(2, "softmax", "probabilities"))


def sigmoid(size: int, rescale: bool) -> keras.Model:
    """Build the report's first trial: `baseline` with one sigmoid output; 139,265 parameters at 160 px."""
    return _shallow("sigmoid", size, rescale, _output(1, "sigmoid", "probability"))


def deep(size: int, rescale: bool) -> keras.Model:
    """Build the report's second trial: four convolutions, three dense layers; 1,297,857 parameters at 160 px."""
    return _deep("deep", size, rescale, dropout=0)


def dropout(size: int, rescale: bool) -> keras.Model:
    """Build the report's third trial: `deep` with dropout before its first two dense layers."""
    return _deep("dropout", size, rescale, dropout=0.5)


def edge(size: int, rescale: bool, towers: int = 3) -> keras.Model:
    """Build our network for aligned faces: an output for each tower; 42,376 parameters at any size.

    The networks of the report also see light, skin and background, and 104 images are too few to learn that these do
    not matter. This network sees only the band around the eyes, in grey, as edges divided by the mean strength of the
    edges nearby. So it depends little on light and contrast.

    The towers share this input and the first convolution. Each has its own loss. `averaged` returns the mean of their
    probabilities, which varies less between seeds than that of a single tower.
    """
    images, *scaling = _input(size, rescale)
    top, bottom, left, right = (round(share * size) for share in _BAND)
    band = layers.Cropping2D(((top, size - bottom), (left, size - right)), name="band")(images)
    for layer in scaling:
        band = layer(band)
    band = _fixed(band, np.reshape(_LUMA, (1, 1, 3, 1)), "grey")
    # Not the layer Resizing: with it, Keras treats a call without `training` as a training step.
    band = ops.image.resize(band, _BAND_SIZE)

    slopes = _fixed(band, np.stack((_SOBEL, _SOBEL.T), axis=-1)[:, :, np.newaxis, :], "slopes")
    strength = ops.sqrt(ops.sum(ops.square(slopes), axis=-1, keepdims=True))
    around = layers.AveragePooling2D(9, 1, padding="same", name="around")(strength)
    # Without a floor, the noise of a plain wall would look like edges.
    floor = 2 / 255 if rescale else 2
    features = ops.concatenate((slopes, strength), axis=-1) / (around + floor)

    features = _block(features, 1, 16)
    return keras.Model(images, [_tower(features, number) for number in range(1, towers + 1)], name="edge")


NETWORKS: dict[Network, Callable[[int, bool], keras.Model]] = {
    "baseline": baseline,
    "sigmoid": sigmoid,
    "deep": deep,
    "dropout": dropout,
    "edge": edge,
}


def build(
    network: Network, size: int, rescale: bool, precision: Precision = "float32", synchronized: bool = False
) -> keras.Model:
    """Build `network` for float32 images (N, size, size, 3) with pixels from 0 to 255, or with `rescale` from 0 to 1.

    It returns float32 (N, 2), the probabilities of the classes, or (N, 1), that of the first class; `edge` returns a
    list of (N, 1), one for each tower. Its weights, float32, are drawn from Keras's global seed. `precision` is Keras's
    dtype policy. With `synchronized`, batch normalization uses the images of all replicas. Raises InputError if the
    network needs larger images.
    """
    minimum = _MINIMUM_SIZE.get(network, 0)
    if size < minimum:
        raise InputError(
            f"params.yaml: preprocess.size: {size} px is too small for the network {network!r}",
            advice=f"Set preprocess.size to {minimum} or more.",
        )
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(precision)
    try:
        built = NETWORKS[network](size, rescale)
    finally:
        keras.config.set_dtype_policy(before)
    for layer in built.layers:
        if isinstance(layer, layers.BatchNormalization):
            layer.synchronized = synchronized
    return built


def averaged(network: keras.Model, mirrored: bool) -> keras.Model:
    """Return a network whose output is the mean of the outputs of `network`; if `mirrored`, also for mirrored images.

    It shares the weights of `network`. A network with one output is returned unchanged, unless `mirrored`.
    """
    if len(network.outputs) == 1 and not mirrored:
        return network
    images = keras.Input(network.input_shape[1:], name="images")
    views = [images, ops.flip(images, axis=2)] if mirrored else [images]
    outputs = keras.tree.flatten([network(view) for view in views])
    return keras.Model(images, layers.Average(name="mean")(outputs), name=f"{network.name}_averaged")


def _input(size: int, rescale: bool) -> list[keras.Layer]:
    scaling = [layers.Rescaling(1 / 255, name="rescale")] if rescale else []
    return [keras.Input((size, size, 3), name="images"), *scaling]


# Every layer gets a name, because Keras numbers unnamed layers throughout the process.
def _convolution(number: int, filters: int) -> keras.Layer:
    return layers.Conv2D(filters, 3, activation="relu", name=f"convolution_{number}")


def _fixed(images: keras.KerasTensor, kernel: npt.ArrayLike, name: str) -> keras.KerasTensor:
    """Convolve with a fixed kernel, (height, width, channels in, channels out)."""
    kernel = np.asarray(kernel, np.float32)
    height, width, _, filters = kernel.shape
    layer = layers.Conv2D(filters, (height, width), use_bias=False, trainable=False, name=name)
    convolved = layer(images)
    layer.set_weights([kernel])
    return convolved


def _block(features: keras.KerasTensor, number: int, filters: int, prefix: str = "") -> keras.KerasTensor:
    """Apply one block of `edge`: convolution, pooling, normalization and ReLU."""
    convolution = layers.Conv2D(filters, 3, padding="same", use_bias=False, name=f"{prefix}convolution_{number}")
    # Pooling first leaves a quarter of the values to normalize.
    features = layers.MaxPooling2D(2, name=f"{prefix}pool_{number}")(convolution(features))
    features = layers.BatchNormalization(momentum=0.9, name=f"{prefix}normalization_{number}")(features)
    return layers.Activation("relu", name=f"{prefix}relu_{number}")(features)


def _tower(features: keras.KerasTensor, tower: int) -> keras.KerasTensor:
    """Apply a tower of `edge`: two blocks with dropout, and the probability of the first class."""
    prefix = f"tower_{tower}_"
    for number, filters in ((2, 24), (3, 40)):
        features = _block(features, number, filters, prefix)
        features = layers.SpatialDropout2D(0.2, name=f"{prefix}dropout_{number}")(features)
    # Flattened, not pooled: the position of an edge matters.
    features = layers.Flatten(name=f"{prefix}flatten")(features)
    return _output(1, "sigmoid", f"{prefix}probability")(features)


def _output(units: int, activation: str, name: str) -> keras.Layer:
    # Always float32, because 16 bits are too few for a probability near 0 or 1.
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

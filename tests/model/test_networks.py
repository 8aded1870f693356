"""The networks, layer by layer."""

import keras
import numpy as np
import pytest

from anteojos.model import networks
from anteojos.model.batches import Floats
from anteojos.runtime.errors import InputError
from anteojos.vocabulary import Network

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    ("network", "parameters", "outputs"),
    [("baseline", 222_210, 2), ("sigmoid", 139_265, 1), ("deep", 1_297_857, 1), ("dropout", 1_297_857, 1)],
)
def test_parameters_and_outputs_are_those_of_the_report(network: Network, parameters: int, outputs: int) -> None:
    model = networks.build(network, 160, rescale=False)
    assert model.count_params() == parameters
    assert model.input_shape == (None, 160, 160, 3)
    assert model.output_shape == (None, outputs)


def test_baseline_has_the_layers_of_the_report() -> None:
    model = networks.build("baseline", 160, rescale=False)
    assert [(type(layer).__name__, layer.output.shape[1:], layer.count_params()) for layer in model.layers] == [
        ("Conv2D", (158, 158, 32), 896),
        ("MaxPooling2D", (79, 79, 32), 0),
        ("Conv2D", (77, 77, 64), 18_496),
        ("MaxPooling2D", (38, 38, 64), 0),
        ("Conv2D", (36, 36, 64), 36_928),
        ("Flatten", (82_944,), 0),
        ("Dense", (2,), 165_890),
    ]
    assert model.layers[-1].activation is keras.activations.softmax


def test_deep_ends_in_8192_features_and_three_dense_layers() -> None:
    model = networks.build("deep", 160, rescale=False)
    assert model.get_layer("flatten").output.shape == (None, 8_192)
    assert [layer.units for layer in model.layers if isinstance(layer, keras.layers.Dense)] == [128, 64, 1]
    assert model.layers[-1].activation is keras.activations.sigmoid


def test_dropout_is_deep_with_two_dropout_layers() -> None:
    deep, dropout = (networks.build(network, 160, rescale=False) for network in ("deep", "dropout"))
    names = [layer.name for layer in dropout.layers]
    assert [name for name in names if not name.startswith("dropout")] == [layer.name for layer in deep.layers]
    for number in (1, 2):
        assert names[names.index(f"dropout_{number}") + 1] == f"dense_{number}"
        assert dropout.get_layer(f"dropout_{number}").rate == 0.5


@pytest.mark.parametrize("size", [32, 160, 400])
def test_edge_has_the_same_parameters_at_any_size(size: int) -> None:
    model = networks.build("edge", size, rescale=True)
    assert model.count_params() == 42_376
    assert model.input_shape == (None, size, size, 3)
    assert model.output_shape == [(None, 1)] * 3


def test_towers_of_edge_share_only_the_first_convolution() -> None:
    model = networks.build("edge", 160, rescale=True)
    towers = [keras.Model(model.inputs, output) for output in model.outputs]
    names = [{layer.name for layer in tower.layers if layer.trainable_variables} for tower in towers]
    assert set.intersection(*names) == {"convolution_1", "normalization_1"}
    assert [sorted(of_tower - {"convolution_1", "normalization_1"}) for of_tower in names] == [
        [
            f"tower_{number}_{layer}"
            for layer in ("convolution_2", "convolution_3", "normalization_2", "normalization_3", "probability")
        ]
        for number in (1, 2, 3)
    ]
    assert model.get_layer("tower_1_flatten").output.shape == (None, 4 * 10 * 40)


def probability_of(model: keras.Model, image: Floats) -> float:
    return float(networks.averaged(model, mirrored=False)(image[np.newaxis])[0, 0])


@pytest.fixture(scope="module")
def image() -> Floats:
    return np.random.default_rng(0).integers(40, 200, (160, 160, 3)).astype(np.float32)


def test_edge_ignores_pixels_outside_of_its_band(image: Floats) -> None:
    model = networks.build("edge", 160, rescale=True)
    outside, inside = image.copy(), image.copy()
    # 26 to 60 % of the height, 8 to 92 % of the width.
    outside[:42], outside[96:], outside[:, :13], outside[:, 147:] = 0, 0, 0, 0
    inside[70:80, 70:80] = 0
    assert probability_of(model, outside) == probability_of(model, image)
    assert probability_of(model, inside) != probability_of(model, image)


def test_edge_hardly_depends_on_light_and_contrast(image: Floats) -> None:
    model = networks.build("edge", 160, rescale=True)
    features = keras.Model(model.inputs, model.get_layer("convolution_1").input)
    seen = features(image[np.newaxis])
    assert np.allclose(features(image[np.newaxis] + 40), seen, atol=1e-3)
    # Not equal, because of the floor.
    assert np.allclose(features(image[np.newaxis] * 0.5), seen, atol=0.4)
    assert np.abs(features(image[np.newaxis] * 0.5)).mean() == pytest.approx(np.abs(seen).mean(), rel=0.2)
    assert np.corrcoef(np.ravel(features(image[np.newaxis] * 0.5)), np.ravel(seen))[0, 1] > 0.999


def test_fixed_kernels_of_edge_give_the_slopes_of_grey() -> None:
    model = networks.build("edge", 160, rescale=False)
    slopes = keras.Model(model.inputs, model.get_layer("slopes").output)
    across = np.broadcast_to(np.arange(160, dtype=np.float32)[np.newaxis, :, np.newaxis], (160, 160, 3))
    # A slope of 1 per px becomes one of 134 / 82 across and 54 / 34 down: the band is resized from 54 x 134 to 34 x 82.
    right = np.asarray(slopes(across[np.newaxis]))[0, 16, 40]
    assert right == pytest.approx([134 / 82, 0], abs=0.06)
    down = np.asarray(slopes(across.transpose(1, 0, 2)[np.newaxis]))[0, 16, 40]
    assert down == pytest.approx([0, 54 / 34], abs=0.06)
    assert not any(model.get_layer(name).trainable for name in ("grey", "slopes"))


@pytest.mark.parametrize("network", ["baseline", "edge"])
def test_averaged_is_the_mean_of_outputs_and_mirror_images(network: Network, image: Floats) -> None:
    model = networks.build(network, 160, rescale=True)
    outputs = [keras.tree.flatten(model(shown[np.newaxis])) for shown in (image, image[:, ::-1])]
    first_class = np.array([[float(output[0, 0]) for output in of_image] for of_image in outputs])
    assert first_class.shape == (2, {"baseline": 1, "edge": 3}[network])
    assert len(np.unique(first_class.round(4))) == first_class.size
    plain, mirrored = networks.averaged(model, mirrored=False), networks.averaged(model, mirrored=True)
    assert probability_of(plain, image) == pytest.approx(first_class[0].mean(), abs=1e-6)
    assert probability_of(mirrored, image) == pytest.approx(first_class.mean(), abs=1e-6)
    assert mirrored.count_params() == plain.count_params() == model.count_params()


def test_average_of_one_output_is_the_network_itself() -> None:
    model = networks.build("baseline", 160, rescale=False)
    assert networks.averaged(model, mirrored=False) is model


@pytest.mark.parametrize("network", ["baseline", "deep", "edge"])
@pytest.mark.parametrize("rescale", [True, False])
def test_rescale_adds_a_rescaling_layer(network: Network, rescale: bool) -> None:
    model = networks.build(network, 64, rescale)
    rescalings = [layer for layer in model.layers if isinstance(layer, keras.layers.Rescaling)]
    assert len(rescalings) == rescale
    if rescale:
        assert np.allclose(rescalings[0](np.full((1, 64, 64, 3), 255.0, np.float32)), 1.0)


@pytest.mark.parametrize(
    ("network", "minimum"), [("baseline", 32), ("sigmoid", 32), ("deep", 46), ("dropout", 46), ("edge", 32)]
)
def test_minimum_size(network: Network, minimum: int) -> None:
    assert networks.build(network, minimum, rescale=True).count_params() > 0
    if minimum > 32:  # the minimum of preprocess.size
        message = rf"preprocess.size: {minimum - 1} px is too small for the network '{network}'\n.*to {minimum} or more"
        with pytest.raises(InputError, match=message):
            networks.build(network, minimum - 1, rescale=True)
        # Keras itself accepts no smaller image.
        with pytest.raises(ValueError, match=r"(?i)negative|dimension"):
            networks.NETWORKS[network](minimum - 1, True)

"""The networks are the report's, layer by layer."""

import keras
import numpy as np
import numpy.typing as npt
import pytest

from anteojos import networks
from anteojos.errors import InputError
from anteojos.params import Network


@pytest.mark.parametrize(
    ("network", "parameters", "outputs"),
    [("report", 222_210, 2), ("sigmoid", 139_265, 1), ("deep", 1_297_857, 1), ("dropout", 1_297_857, 1)],
)
def test_parameters_and_outputs_are_those_of_the_report(network: Network, parameters: int, outputs: int) -> None:
    model = networks.build(network, 160, rescale=False)
    assert model.count_params() == parameters
    assert model.input_shape == (None, 160, 160, 3)
    assert model.output_shape == (None, outputs)


def test_the_report_network_has_the_reports_layers() -> None:
    model = networks.build("report", 160, rescale=False)
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


def test_dropout_is_deep_with_dropout_before_the_first_two_dense_layers() -> None:
    deep, dropout = (networks.build(network, 160, rescale=False) for network in ("deep", "dropout"))
    names = [layer.name for layer in dropout.layers]
    assert [name for name in names if not name.startswith("dropout")] == [layer.name for layer in deep.layers]
    for number in (1, 2):
        assert names[names.index(f"dropout_{number}") + 1] == f"dense_{number}"
        assert dropout.get_layer(f"dropout_{number}").rate == 0.5


@pytest.mark.parametrize("size", [32, 160, 400])
def test_edge_has_as_many_parameters_at_any_size(size: int) -> None:
    model = networks.build("edge", size, rescale=True)
    assert model.count_params() == 26_822
    assert model.input_shape == (None, size, size, 3)
    assert model.output_shape == (None, 1)


def probability_of(model: keras.Model, picture: npt.NDArray[np.float32]) -> float:
    return float(model(picture[np.newaxis])[0, 0])


@pytest.fixture(scope="module")
def picture() -> npt.NDArray[np.float32]:
    return np.random.default_rng(0).integers(40, 200, (160, 160, 3)).astype(np.float32)


def test_edge_sees_nothing_outside_of_its_band(picture: npt.NDArray[np.float32]) -> None:
    model = networks.build("edge", 160, rescale=True)
    outside, inside = picture.copy(), picture.copy()
    # 25 to 70 % of the height, 10 to 90 % of the width.
    outside[:40], outside[112:], outside[:, :16], outside[:, 144:] = 0, 0, 0, 0
    inside[70:80, 70:80] = 0
    assert probability_of(model, outside) == probability_of(model, picture)
    assert probability_of(model, inside) != probability_of(model, picture)


def test_edge_does_not_mind_light_and_contrast(picture: npt.NDArray[np.float32]) -> None:
    model = networks.build("edge", 160, rescale=True)
    features = keras.Model(model.inputs, model.get_layer("convolution_1").input)
    seen = features(picture[np.newaxis])
    assert np.allclose(features(picture[np.newaxis] + 40), seen, atol=1e-3)
    # Not quite the same: a floor keeps the noise of plain walls down.
    assert np.allclose(features(picture[np.newaxis] * 0.5), seen, atol=0.4)
    assert np.abs(features(picture[np.newaxis] * 0.5)).mean() == pytest.approx(np.abs(seen).mean(), rel=0.2)
    assert np.corrcoef(np.ravel(features(picture[np.newaxis] * 0.5)), np.ravel(seen))[0, 1] > 0.999


def test_the_fixed_kernels_of_edge_give_the_slopes_of_grey() -> None:
    model = networks.build("edge", 160, rescale=False)
    slopes = keras.Model(model.inputs, model.get_layer("slopes").output)
    across = np.broadcast_to(np.arange(160, dtype=np.float32)[np.newaxis, :, np.newaxis], (160, 160, 3))
    middle = np.asarray(slopes(across[np.newaxis]))[0, 20, 40]
    # Brought to 96 px, a slope of 1 a pixel becomes 160 / 96 a pixel.
    assert middle == pytest.approx([160 / 96, 0], abs=0.06)
    turned = np.asarray(slopes(across.transpose(1, 0, 2)[np.newaxis]))[0, 20, 40]
    assert turned == pytest.approx([0, 160 / 96], abs=0.06)
    assert not any(model.get_layer(name).trainable for name in ("grey", "slopes"))


@pytest.mark.parametrize("network", ["report", "edge"])
def test_mirrored_gives_the_mean_of_a_picture_and_its_mirror_image(
    network: Network, picture: npt.NDArray[np.float32]
) -> None:
    model = networks.build(network, 160, rescale=True)
    mirrored = networks.mirrored(model)
    mean = (probability_of(model, picture) + probability_of(model, picture[:, ::-1])) / 2
    assert probability_of(model, picture) != pytest.approx(mean, abs=1e-4)
    assert probability_of(mirrored, picture) == pytest.approx(mean, abs=1e-6)
    assert mirrored.count_params() == model.count_params()


@pytest.mark.parametrize("network", ["report", "deep", "edge"])
@pytest.mark.parametrize("rescale", [True, False])
def test_pixels_are_rescaled_first_where_asked_for(network: Network, rescale: bool) -> None:
    model = networks.build(network, 64, rescale)
    rescalings = [layer for layer in model.layers if isinstance(layer, keras.layers.Rescaling)]
    assert len(rescalings) == rescale
    if rescale:
        assert np.allclose(rescalings[0](np.full((1, 64, 64, 3), 255.0, np.float32)), 1.0)


def test_a_size_that_leaves_nothing_of_the_picture_is_refused() -> None:
    assert networks.build("deep", 46, rescale=True).get_layer("flatten").output.shape == (None, 128)
    with pytest.raises(InputError, match=r"preprocess.size: 45 px is too small for the network 'deep'"):
        networks.build("deep", 45, rescale=True)
    assert networks.build("report", 32, rescale=False).count_params() > 0

"""The networks are the report's, layer by layer."""

import keras
import numpy as np
import pytest

from anteojos import networks
from anteojos.errors import InputError
from anteojos.params import Network


@pytest.mark.parametrize(
    ("network", "parameters", "outputs"),
    [("report", 222_210, 2), ("sigmoid", 139_265, 1), ("deep", 1_297_857, 1), ("dropout", 1_297_857, 1)],
)
def test_parameters_and_outputs_are_those_of_the_report(network: Network, parameters: int, outputs: int) -> None:
    model = networks.build(network, 160, "auto")
    assert model.count_params() == parameters
    assert model.input_shape == (None, 160, 160, 3)
    assert model.output_shape == (None, outputs)


def test_the_report_network_has_the_reports_layers() -> None:
    model = networks.build("report", 160, "auto")
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
    model = networks.build("deep", 160, "auto")
    assert model.get_layer("flatten").output.shape == (None, 8_192)
    assert [layer.units for layer in model.layers if isinstance(layer, keras.layers.Dense)] == [128, 64, 1]
    assert model.layers[-1].activation is keras.activations.sigmoid


def test_dropout_is_deep_with_dropout_before_the_first_two_dense_layers() -> None:
    deep, dropout = (networks.build(network, 160, "auto") for network in ("deep", "dropout"))
    names = [layer.name for layer in dropout.layers]
    assert [name for name in names if not name.startswith("dropout")] == [layer.name for layer in deep.layers]
    for number in (1, 2):
        assert names[names.index(f"dropout_{number}") + 1] == f"dense_{number}"
        assert dropout.get_layer(f"dropout_{number}").rate == 0.5


@pytest.mark.parametrize(
    ("network", "rescale", "rescales"),
    [
        ("report", "auto", False),
        ("sigmoid", "auto", False),
        ("deep", "auto", True),
        ("dropout", "auto", True),
        ("report", "always", True),
        ("deep", "never", False),
    ],
)
def test_rescaling_follows_the_report_unless_told_otherwise(
    network: Network, rescale: networks.Rescale, rescales: bool
) -> None:
    model = networks.build(network, 64, rescale)
    first = model.layers[0]
    assert isinstance(first, keras.layers.Rescaling) == rescales
    if rescales:
        assert np.allclose(first(np.full((1, 64, 64, 3), 255.0, np.float32)), 1.0)


def test_a_size_that_leaves_nothing_of_the_picture_is_refused() -> None:
    assert networks.build("deep", 46, "auto").get_layer("flatten").output.shape == (None, 128)
    with pytest.raises(InputError, match=r"preprocess.size: 45 px is too small for the network 'deep'"):
        networks.build("deep", 45, "auto")
    assert networks.build("report", 32, "auto").count_params() > 0

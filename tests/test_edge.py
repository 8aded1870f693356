"""What the network `edge` reaches on the real pictures, where they are beside the checkout."""

from pathlib import Path

import pytest

import pictures
from anteojos import training
from anteojos.recipes import RECIPES

pytestmark = pytest.mark.shared


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_edge_is_right_on_39_of_the_40_validation_pictures(shared_data: Path, seed: int) -> None:
    read = pictures.read(shared_data / "glasses-noglasses.zip")
    train, validate = (pictures.prepare(split, "panel") for split in read)
    assert (len(train.images), len(validate.images)) == (104, 40)
    network, history = training.train(train, validate, "edge", RECIPES["edge"], seed, lambda epoch: None)
    assert network.count_params() <= 60_000
    assert history[-1].validate.accuracy >= 0.975

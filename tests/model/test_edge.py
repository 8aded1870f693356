"""What the network `edge` reaches on the real images, where they are beside the checkout."""

from pathlib import Path

import numpy as np
import pytest

import images
from anteojos.evaluation import scores
from anteojos.model import training
from anteojos.model.recipes import RECIPES

pytestmark = pytest.mark.shared


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_edge_is_right_on_38_of_the_40_validation_images_and_calibrated(shared_data: Path, seed: int) -> None:
    read = images.read(shared_data / "glasses-noglasses.zip")
    train, validate = (images.prepare(split, "face") for split in read)
    assert (len(train.images), len(validate.images)) == (104, 40)
    network, history = training.train(train, validate, "edge", RECIPES["edge"], seed, lambda epoch: None)
    assert network.count_params() <= 60_000
    # 39 of 40 where it was measured; weights, and so a borderline image, differ between kinds of CPU.
    assert history[-1].validate.accuracy >= 0.95
    probability = np.asarray(network(validate.images.astype(np.float32)), dtype=np.float64)[:, 0]
    curve = scores.calibration_curve(validate.first, probability, bins=10)
    assert scores.expected_calibration_error(curve) <= 0.05

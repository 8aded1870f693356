"""The accuracy of `edge` on the real images, if they are next to the checkout."""

from pathlib import Path

import numpy as np
import pytest

import images
from anteojos.evaluation import scores
from anteojos.model import training
from anteojos.model.batches import LabelledImages
from anteojos.model.recipes import RECIPES

pytestmark = [pytest.mark.shared, pytest.mark.slow]


@pytest.fixture(scope="module")
def splits(shared_data: Path) -> tuple[LabelledImages, LabelledImages]:
    """The aligned faces of train and validate."""
    train, validate = images.read(shared_data / "glasses-noglasses.zip")
    return images.prepare(train, "face"), images.prepare(validate, "face")


# Seed 1 is that of params.yaml: tests/pipeline/test_shared.py checks its accuracy and calibration.
@pytest.mark.parametrize("seed", [0, 2])
def test_edge_is_accurate_and_calibrated(splits: tuple[LabelledImages, LabelledImages], seed: int) -> None:
    train, validate = splits
    assert (len(train.images), len(validate.images)) == (104, 40)
    network, history = training.train(train, validate, "edge", RECIPES["edge"], seed, lambda epoch: None)
    assert network.count_params() <= 60_000
    # 39 of 40 were measured. Weights, and therefore a borderline image, differ between kinds of CPU.
    assert history[-1].validate.accuracy >= 0.95
    probability = np.asarray(network(validate.images.astype(np.float32)), dtype=np.float64)[:, 0]
    curve = scores.calibration_curve(validate.first, probability, bins=10)
    assert scores.expected_calibration_error(curve) <= 0.05

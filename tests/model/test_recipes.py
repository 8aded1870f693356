"""A network's recipe stands in one place, and params.yaml overrides it."""

from dataclasses import replace
from typing import Any, get_args

import pytest

from anteojos.model.recipes import FACES, RECIPES, Augmentation, Recipe, epochs_for, recipe_for
from anteojos.params import Train
from anteojos.vocabulary import Network

UNTOLD = Train(
    "edge",
    seed=1,
    epochs=None,
    batch_size=None,
    learning_rate=None,
    rescale=None,
    augment=None,
    precision=None,
    timeout=600,
)


def test_every_network_has_a_recipe() -> None:
    assert set(RECIPES) == set(get_args(Network))


@pytest.mark.parametrize(
    ("network", "rescale"), [("baseline", False), ("sigmoid", False), ("deep", True), ("dropout", True)]
)
def test_the_reports_networks_are_trained_as_the_report_did(network: Network, rescale: bool) -> None:
    recipe = RECIPES[network]
    assert (
        recipe_for(replace(UNTOLD, network=network), 5000).epochs,
        recipe.batch_size,
        recipe.learning_rate,
        recipe.rescale,
    ) == (10, 32, 0.001, rescale)
    assert (recipe.weight_decay, recipe.warm_up, recipe.label_smoothing, recipe.augmentation) == (0, 0, 0, None)


@pytest.mark.parametrize("network", get_args(Network))
def test_without_more_said_the_recipe_is_the_networks(network: Network) -> None:
    assert recipe_for(replace(UNTOLD, network=network), 104) == RECIPES[network]


@pytest.mark.parametrize(
    ("key", "value"),
    [("epochs", 3), ("batch_size", 70), ("learning_rate", 0.01), ("rescale", False), ("precision", "mixed_float16")],
)
def test_a_parameter_that_is_told_overrides_the_recipe_and_nothing_else(key: str, value: Any) -> None:
    recipe = recipe_for(replace(UNTOLD, **{key: value}), 104)
    assert recipe == replace(RECIPES["edge"], **{key: value})
    assert recipe != RECIPES["edge"]


def test_augmentation_can_be_left_out_and_brought_to_another_network() -> None:
    assert recipe_for(replace(UNTOLD, augment=False), 104) == replace(RECIPES["edge"], augmentation=None)
    assert recipe_for(replace(UNTOLD, network="baseline", augment=True), 104) == Recipe(augmentation=FACES)
    assert recipe_for(replace(UNTOLD, network="baseline", augment=False), 104) == RECIPES["baseline"]
    assert isinstance(recipe_for(replace(UNTOLD, augment=True), 104).augmentation, Augmentation)


@pytest.mark.parametrize(
    ("images", "epochs"),
    # 4 steps an epoch; 8; 50; and more than 400 / 12.
    [(1, 100), (104, 100), (256, 50), (1600, 12), (100_000, 12)],
)
def test_edge_takes_about_as_many_steps_with_more_images(images: int, epochs: int) -> None:
    assert epochs_for(RECIPES["edge"], images) == epochs
    assert recipe_for(UNTOLD, images) == replace(RECIPES["edge"], epochs=epochs)


def test_most_steps_counts_batches_and_keeps_a_shorter_training() -> None:
    recipe = Recipe(epochs=50, batch_size=8, most_steps=100)
    assert [epochs_for(recipe, images) for images in (16, 17, 24, 32, 33)] == [50, 34, 34, 25, 20]
    assert epochs_for(replace(recipe, epochs=3), 1000) == 3


def test_epochs_that_are_told_hold_for_any_number_of_images() -> None:
    assert recipe_for(replace(UNTOLD, epochs=70), 100_000).epochs == 70

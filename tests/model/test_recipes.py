"""Recipes, and the parameters that override them."""

from dataclasses import replace
from typing import Any, get_args

import pytest

from anteojos.model.recipes import FACES, RECIPES, Augmentation, Recipe, epochs_for, recipe_for
from anteojos.params import Train
from anteojos.vocabulary import Network

EMPTY = Train(
    "edge",
    seed=1,
    epochs=None,
    batch_size=None,
    learning_rate=None,
    rescale=None,
    augment=None,
    class_weights=None,
    precision=None,
    timeout=600,
)


def test_every_network_has_a_recipe() -> None:
    assert set(RECIPES) == set(get_args(Network))


@pytest.mark.parametrize(
    ("network", "rescale"), [("baseline", False), ("sigmoid", False), ("deep", True), ("dropout", True)]
)
def test_networks_of_the_report_are_trained_as_in_the_report(network: Network, rescale: bool) -> None:
    recipe = RECIPES[network]
    assert (
        recipe_for(replace(EMPTY, network=network), (2500, 2500)).epochs,
        recipe.batch_size,
        recipe.learning_rate,
        recipe.rescale,
    ) == (10, 32, 0.001, rescale)
    assert (recipe.weight_decay, recipe.warm_up, recipe.label_smoothing, recipe.augmentation) == (0, 0, 0, None)


@pytest.mark.parametrize("network", get_args(Network))
def test_empty_parameters_give_the_recipe_of_the_network(network: Network) -> None:
    assert recipe_for(replace(EMPTY, network=network), (52, 52)) == RECIPES[network]


@pytest.mark.parametrize(
    ("key", "value"),
    [("epochs", 3), ("batch_size", 70), ("learning_rate", 0.01), ("rescale", False), ("precision", "mixed_float16")],
)
def test_parameter_overrides_only_its_value(key: str, value: Any) -> None:
    recipe = recipe_for(replace(EMPTY, **{key: value}), (52, 52))
    assert recipe == replace(RECIPES["edge"], **{key: value})
    assert recipe != RECIPES["edge"]


def test_augmentation_can_be_set_for_any_network() -> None:
    assert recipe_for(replace(EMPTY, augment=False), (52, 52)) == replace(RECIPES["edge"], augmentation=None)
    assert recipe_for(replace(EMPTY, network="baseline", augment=True), (52, 52)) == Recipe(augmentation=FACES)
    assert recipe_for(replace(EMPTY, network="baseline", augment=False), (52, 52)) == RECIPES["baseline"]
    assert isinstance(recipe_for(replace(EMPTY, augment=True), (52, 52)).augmentation, Augmentation)


@pytest.mark.parametrize(
    ("images", "epochs"),
    # 4 steps an epoch; 8; 50; and more than 400 / 12.
    [(1, 100), (104, 100), (256, 50), (1600, 12), (100_000, 12)],
)
def test_edge_takes_about_the_same_steps_with_more_images(images: int, epochs: int) -> None:
    assert epochs_for(RECIPES["edge"], images) == epochs
    assert recipe_for(EMPTY, (images - images // 2, images // 2)) == replace(RECIPES["edge"], epochs=epochs)


def test_most_steps_counts_batches_and_never_adds_epochs() -> None:
    recipe = Recipe(epochs=50, batch_size=8, most_steps=100)
    assert [epochs_for(recipe, images) for images in (16, 17, 24, 32, 33)] == [50, 34, 34, 25, 20]
    assert epochs_for(replace(recipe, epochs=3), 1000) == 3


def test_given_epochs_do_not_depend_on_the_images() -> None:
    assert recipe_for(replace(EMPTY, epochs=70), (50_000, 50_000)).epochs == 70


@pytest.mark.parametrize(
    ("setting", "counts", "weights"),
    [
        (None, (20, 40), (1, 1)),
        (None, (20, 41), (61 / 40, 61 / 82)),
        (None, (30, 10), (2 / 3, 2)),
        (None, (0, 5), (1, 1)),
        (True, (20, 40), (1.5, 0.75)),
        (False, (1, 40), (1, 1)),
    ],
)
def test_class_weights_are_for_unequal_classes(
    setting: bool | None, counts: tuple[int, int], weights: tuple[float, float]
) -> None:
    assert recipe_for(replace(EMPTY, class_weights=setting), counts).class_weights == pytest.approx(weights)

"""Choose between ways to train by cross-validation over the labelled images, and write the table in README.md.

`make crossvalidate` measures on the training and validation images of data/raw together, with the faces cut out;
`ARCHIVE=faces.zip` measures on other images instead.
Each row of the table is one of WAYS: the recipe of `edge`, the same with one thing changed, or the report's network.

An image is labelled by the network that was trained without its fold, and a few times more as another camera would
have shown it.
"""

import io
import os
import tempfile
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from itertools import product
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
from PIL import Image, ImageFilter
from tqdm import tqdm

from anteojos.model import networks, training
from anteojos.model.recipes import FACES, RECIPES, Recipe
from images import Pixels, name_of, parse_arguments, prepare, read
from readme import mean_and_range, over, write_part

Booleans = npt.NDArray[np.bool_]

FOLDS = 4
VIEWS = 4  # of each image by other cameras


@dataclass(frozen=True)
class Way:
    """A network of `networks.NETWORKS` and a recipe for it."""

    network: str
    recipe: Recipe


@dataclass(frozen=True)
class Task:
    """Train one way with one seed without one fold."""

    way: str
    seed: int
    fold: int


def seen_by_another_camera(image: Pixels, rng: np.random.Generator) -> Pixels:
    """Show an aligned face with errors of the eye positions, 48 to 120 px high, and photographed anew."""
    side = len(image)
    turned = Image.fromarray(image).rotate(rng.uniform(-2, 2), Image.Resampling.BICUBIC)
    half = side / 2 / rng.uniform(1.0, 1.06)
    across, down = rng.uniform(-0.015, 0.015, 2) * side + side / 2
    # All of the frame is inside of the image: nothing is known of what was beyond it.
    across, down = np.clip((across, down), half, side - half)
    box = (across - half, down - half, across + half, down + half)
    pixels = int(rng.integers(48, 121))
    return photographed(turned.resize((pixels, pixels), Image.Resampling.BILINEAR, box), rng, side)


def photographed(image: Image.Image, rng: np.random.Generator, side: int) -> Pixels:
    """Blur an image, change its light and contrast, and send it through JPEG; then bring it to `side` px."""
    blurred = image.filter(ImageFilter.GaussianBlur(rng.uniform(0, 0.8)))
    light = 255 * (np.asarray(blurred) / 255) ** rng.uniform(0.6, 1.6)
    light = (light - 128) * rng.uniform(0.6, 1.2) + 128 + rng.uniform(-25, 25)
    encoded = io.BytesIO()
    quality = int(rng.integers(50, 92))
    Image.fromarray(np.clip(light, 0, 255).astype(np.uint8)).save(encoded, "JPEG", quality=quality)
    return np.asarray(Image.open(encoded).resize((side, side), Image.Resampling.BILINEAR))


networks.NETWORKS["one tower"] = partial(networks.edge, towers=1)
EDGE = RECIPES["edge"]
WIDE = replace(FACES, shift=0.08, zoom=(0.75, 1.6), rotation=8)
WAYS = {
    "`edge`": Way("edge", EDGE),
    "– with one tower": Way("one tower", EDGE),
    "– with all detail in the training images": Way("edge", replace(EDGE, augmentation=replace(FACES, detail=1.0))),
    "– with wider shifts, zoom and rotation: ±8 %, 0.75 to 1.6, ±8°": Way("edge", replace(EDGE, augmentation=WIDE)),
    "– with label smoothing 0.05": Way("edge", replace(EDGE, label_smoothing=0.05)),
    "`baseline`": Way("baseline", RECIPES["baseline"]),
}


def main() -> None:
    """Train each way once for each seed and fold, and write what came out."""
    options = parse_arguments(__doc__)

    with tempfile.TemporaryDirectory() as folder:
        train, validate = read(options.archive)
        labelled = prepare([*train, *validate], "face")
        arrays = Path(folder, "images.npz")
        rng = np.random.default_rng(0)
        views = np.stack([[seen_by_another_camera(image, rng) for _ in range(VIEWS)] for image in labelled.images])
        np.savez(arrays, images=labelled.images, first=labelled.first, views=views)

        tasks = [Task(*task) for task in product(WAYS, options.seeds, range(FOLDS))]
        # Two trainings side by side, with a thread each, take less time than one after the other with two.
        with ProcessPoolExecutor(os.cpu_count(), get_context("spawn"), use_one_thread) as executor:
            parts = executor.map(label_fold, tasks, [arrays] * len(tasks))
            results = pd.concat(tqdm(parts, total=len(tasks), desc="trainings", disable=None))
    write_part("crossvalidation", "make crossvalidate", table_of(results, name_of(options.archive), options.seeds))


def use_one_thread() -> None:
    """Leave the other cores to the other trainings."""
    os.environ.update(TF_NUM_INTRAOP_THREADS="1", TF_NUM_INTEROP_THREADS="1")


def label_fold(task: Task, arrays: Path) -> pd.DataFrame:
    """Train without a fold and label its images: for each image and view, is it right, and the loss."""
    way, data = WAYS[task.way], np.load(arrays)
    images, first, views = data["images"], data["first"], data["views"]
    inside = folds_of(first, np.random.default_rng(task.seed)) == task.fold
    train, validate = (training.LabelledImages(images[rows], first[rows]) for rows in (~inside, inside))
    network, _ = training.train(train, validate, way.network, way.recipe, task.seed, lambda epoch: None)

    columns = {"way": task.way, "seed": task.seed, "parameters": network.count_params()}
    parts = []
    for camera, shown in [("same", images[inside]), *(("other", views[inside, view]) for view in range(VIEWS))]:
        probability = np.asarray(network(shown.astype(np.float32)), dtype=np.float64)[:, 0]
        of_label = np.where(first[inside], probability, 1 - probability)
        loss = -np.log(of_label.clip(1e-7))
        right = (probability >= 0.5) == first[inside]
        parts.append(pd.DataFrame({**columns, "camera": camera, "right": right, "loss": loss}))
    return pd.concat(parts)


def folds_of(first: Booleans, rng: np.random.Generator) -> npt.NDArray[np.intp]:
    """Deal the images of each class to the folds by lot: a fold's number for each image."""
    folds = np.empty(len(first), np.intp)
    for label in (True, False):
        rows = rng.permutation(np.flatnonzero(first == label))
        folds[rows] = np.arange(len(rows)) % FOLDS
    return folds


def table_of(results: pd.DataFrame, name: str, seeds: list[int]) -> str:
    """Write the accuracies as a table: their mean over the seeds, and the lowest and highest."""
    accuracy = results.groupby(["way", "camera", "seed"])["right"].mean().unstack("seed")
    loss = results.groupby(["way", "camera"])["loss"].mean()
    parameters = results.groupby("way")["parameters"].first()
    lines = ["| | parameters | as they are | loss | another camera | loss |", "|---|---|---|---|---|---|"]
    for way in WAYS:
        cells = [
            f"{mean_and_range(accuracy.loc[way, camera])} | {loss[way, camera]:.3f}" for camera in ("same", "other")
        ]
        lines.append(f"| {way} | {parameters[way]:,} | {' | '.join(cells)} |")
    images = len(results) // (len(WAYS) * len(seeds) * (1 + VIEWS))
    lines.append(
        f"\nAccuracy on held-out images, in {FOLDS} folds of {images} labelled images ({name}): {over(seeds)}. "
        "The loss is binary cross-entropy (nats)."
    )
    return "\n".join(lines)


if __name__ == "__main__":
    main()

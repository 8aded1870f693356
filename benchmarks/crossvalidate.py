"""Compare variants of the training recipe by cross-validation on the labelled images, and write the table.

`make crossvalidate` uses the aligned faces of the training and validation images of data/raw, with `ARCHIVE=faces.zip`
those of a zip. Each row of the table is one of VARIANTS: the recipe of `edge`, the same with one change, or `baseline`.
Each image is labelled by a network that was trained without its fold: once as it is, and a few times as another camera
might show it.
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

from anteojos.model import batches, networks, training
from anteojos.model.recipes import FACES, RECIPES, Recipe
from images import Pixels, name_of, prepare, read
from measure import parse_arguments
from readme import mean_and_range, over, write_part

Booleans = npt.NDArray[np.bool_]

FOLDS = 4
VIEWS = 4  # simulated views of each image by other cameras


@dataclass(frozen=True)
class Variant:
    """A network of `networks.NETWORKS` and its recipe."""

    network: str
    recipe: Recipe


@dataclass(frozen=True)
class Task:
    """Train one variant with one seed without one fold."""

    variant: str
    seed: int
    fold: int


def seen_by_another_camera(image: Pixels, rng: np.random.Generator) -> Pixels:
    """Simulate another camera: errors of the eye positions, 48 to 120 px, other light and compression."""
    side = len(image)
    rotated = Image.fromarray(image).rotate(rng.uniform(-2, 2), Image.Resampling.BICUBIC)
    half = side / 2 / rng.uniform(1.0, 1.06)
    across, down = rng.uniform(-0.015, 0.015, 2) * side + side / 2
    # Keep the crop inside of the image.
    across, down = np.clip((across, down), half, side - half)
    box = (across - half, down - half, across + half, down + half)
    pixels = int(rng.integers(48, 121))
    return photographed(rotated.resize((pixels, pixels), Image.Resampling.BILINEAR, box), rng, side)


def photographed(image: Image.Image, rng: np.random.Generator, side: int) -> Pixels:
    """Blur an image, change its light and contrast, compress it as JPEG, and resize it to `side` px."""
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
VARIANTS = {
    "`edge`": Variant("edge", EDGE),
    "– with one tower": Variant("one tower", EDGE),
    "– without blurring the training images": Variant("edge", replace(EDGE, augmentation=replace(FACES, detail=1.0))),
    "– with wider shifts, zoom and rotation: ±8 %, 0.75 to 1.6, ±8°": Variant("edge", replace(EDGE, augmentation=WIDE)),
    "– with label smoothing 0.05": Variant("edge", replace(EDGE, label_smoothing=0.05)),
    "`baseline`": Variant("baseline", RECIPES["baseline"]),
}


def main() -> None:
    """Train each variant once for each seed and fold, and write the table."""
    options = parse_arguments(__doc__)
    with tempfile.TemporaryDirectory() as folder:
        train, validate = read(options.archive)
        labelled = prepare([*train, *validate], "face")
        arrays = Path(folder, "images.npz")
        rng = np.random.default_rng(0)
        views = np.stack([[seen_by_another_camera(image, rng) for _ in range(VIEWS)] for image in labelled.images])
        np.savez(arrays, images=labelled.images, first=labelled.first, views=views)

        tasks = [Task(*task) for task in product(VARIANTS, options.seeds, range(FOLDS))]
        # Parallel trainings with one thread each are faster than one training with all threads after the other.
        with ProcessPoolExecutor(os.cpu_count(), get_context("spawn"), use_one_thread) as executor:
            parts = executor.map(label_fold, tasks, [arrays] * len(tasks))
            results = pd.concat(tqdm(parts, total=len(tasks), desc="trainings", disable=None))
    write_part("crossvalidation", "make crossvalidate", table_of(results, name_of(options.archive), options.seeds))


def use_one_thread() -> None:
    """Let TensorFlow use one thread."""
    os.environ.update(TF_NUM_INTRAOP_THREADS="1", TF_NUM_INTEROP_THREADS="1")


def label_fold(task: Task, arrays: Path) -> pd.DataFrame:
    """Train without a fold and label its images. Return a row for each image and view: is it correct, and the loss."""
    variant, data = VARIANTS[task.variant], np.load(arrays)
    images, first, views = data["images"], data["first"], data["views"]
    inside = folds_of(first, np.random.default_rng(task.seed)) == task.fold
    train, validate = (batches.LabelledImages(images[rows], first[rows]) for rows in (~inside, inside))
    network, _ = training.train(train, validate, variant.network, variant.recipe, task.seed, lambda epoch: None)

    columns = {"variant": task.variant, "seed": task.seed, "parameters": network.count_params()}
    parts = []
    for camera, shown in [("same", images[inside]), *(("other", views[inside, view]) for view in range(VIEWS))]:
        probability = np.asarray(network(shown.astype(np.float32)), dtype=np.float64)[:, 0]
        of_label = np.where(first[inside], probability, 1 - probability)
        loss = -np.log(of_label.clip(1e-7))
        correct = (probability >= 0.5) == first[inside]
        parts.append(pd.DataFrame({**columns, "camera": camera, "correct": correct, "loss": loss}))
    return pd.concat(parts)


def folds_of(first: Booleans, rng: np.random.Generator) -> npt.NDArray[np.intp]:
    """Return a random fold for each image; each class is divided equally."""
    folds = np.empty(len(first), np.intp)
    for label in (True, False):
        rows = rng.permutation(np.flatnonzero(first == label))
        folds[rows] = np.arange(len(rows)) % FOLDS
    return folds


def table_of(results: pd.DataFrame, name: str, seeds: list[int]) -> str:
    """Return the table: mean over the seeds, with the lowest and highest."""
    accuracy = results.groupby(["variant", "camera", "seed"])["correct"].mean().unstack("seed")
    loss = results.groupby(["variant", "camera"])["loss"].mean()
    parameters = results.groupby("variant")["parameters"].first()
    lines = ["| | parameters | as they are | loss | another camera | loss |", "|---|---|---|---|---|---|"]
    for variant in VARIANTS:
        cells = [f"{parameters[variant]:,}"]
        for camera in ("same", "other"):
            cells += [mean_and_range(accuracy.loc[variant, camera]), f"{loss[variant, camera]:.3f}"]
        lines.append(f"| {variant} | {' | '.join(cells)} |")
    images = len(results) // (len(VARIANTS) * len(seeds) * (1 + VIEWS))
    lines.append(
        f"\nAccuracy on held-out images, in {FOLDS} folds of {images} labelled images ({name}): {over(seeds)}. "
        "The loss is binary cross-entropy (nats)."
    )
    return "\n".join(lines)


if __name__ == "__main__":
    main()

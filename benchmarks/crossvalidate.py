"""Choose between ways to train by cross-validation over the labelled pictures, and write the table in README.md.

`make crossvalidate` measures on the training and validation pictures of data/raw together, with the faces cut out;
`ARCHIVE=faces.zip` measures on other pictures instead.
Each row of the table is one of WAYS: the recipe of `edge`, the same with one thing changed, or the report's network.

A picture is labelled by the network that was trained without its fold, and a few times more as another camera and
another crop would have shown it.
"""

import io
import os
import tempfile
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from itertools import product
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
from PIL import Image, ImageFilter
from tqdm import tqdm

from anteojos import drawing, training
from anteojos.params import Network
from anteojos.recipes import RECIPES, Augmentation, Recipe
from pictures import Pixels, name_of, parse_arguments, prepare, read
from readme import mean_and_range, write_part

Booleans = npt.NDArray[np.bool_]

FOLDS = 4
VIEWS = 4  # of each picture by other cameras


@dataclass(frozen=True)
class Way:
    """A way to train: `more` adds pictures to those of the training folds, for as many steps as without."""

    network: Network
    recipe: Recipe
    more: Callable[[Pixels, Booleans, np.random.Generator], tuple[Pixels, Booleans]] | None = None


@dataclass(frozen=True)
class Task:
    """Train one way with one seed without one fold."""

    way: str
    seed: int
    fold: int


def with_drawn_glasses(pictures: Pixels, first: Booleans, rng: np.random.Generator) -> tuple[Pixels, Booleans]:
    """Add half of the faces without glasses twice: once with drawn glasses on, once as they are."""
    without = rng.permutation(pictures[~first])[::2]
    wearing = np.stack([put_on_glasses(picture, rng) for picture in without])
    labels = np.repeat([True, False], len(without))
    return np.concatenate((pictures, wearing, without)), np.concatenate((first, labels))


def put_on_glasses(picture: Pixels, rng: np.random.Generator) -> Pixels:
    """Draw glasses on a face whose eyes are where they are on the drawn faces."""
    face, glasses = drawing.Face.draw(rng), drawing.Glasses.draw(rng)
    canvas = drawing.Canvas(Image.fromarray(picture), face.pose)
    drawing.draw_temples(canvas, face, glasses)
    drawing.draw_glasses(canvas, face, glasses)
    return np.asarray(canvas.image.reduce(drawing.SUPERSAMPLING))


def with_worse_copies(pictures: Pixels, first: Booleans, rng: np.random.Generator) -> tuple[Pixels, Booleans]:
    """Add a copy of each picture in another light, blurred, and through JPEG."""
    copies = np.stack([photographed(Image.fromarray(picture), rng) for picture in pictures])
    return np.concatenate((pictures, copies)), np.concatenate((first, first))


def seen_by_another_camera(picture: Pixels, rng: np.random.Generator) -> Pixels:
    """Show a face closer, shifted and turned a little, at 120 px, and photographed anew."""
    side = len(picture)
    turned = Image.fromarray(picture).rotate(rng.uniform(-8, 8), Image.Resampling.BICUBIC)
    half = side / 2 / rng.uniform(1.2, 1.6)
    across, down = rng.uniform(-0.05, 0.05, 2) * side + side / 2
    # All of the frame is inside of the picture: nothing is known of what was beyond it.
    across, down = np.clip((across, down), half, side - half)
    box = (across - half, down - half, across + half, down + half)
    return photographed(turned.resize((120, 120), Image.Resampling.BILINEAR, box), rng, side)


def photographed(image: Image.Image, rng: np.random.Generator, side: int = 0) -> Pixels:
    """Blur a picture, change its light and contrast, and send it through JPEG; then bring it to `side` px."""
    blurred = image.filter(ImageFilter.GaussianBlur(rng.uniform(0, 0.8)))
    light = 255 * (np.asarray(blurred) / 255) ** rng.uniform(0.6, 1.6)
    light = (light - 128) * rng.uniform(0.6, 1.2) + 128 + rng.uniform(-25, 25)
    encoded = io.BytesIO()
    quality = int(rng.integers(50, 92))
    Image.fromarray(np.clip(light, 0, 255).astype(np.uint8)).save(encoded, "JPEG", quality=quality)
    size = (side, side) if side else image.size
    return np.asarray(Image.open(encoded).resize(size, Image.Resampling.BILINEAR))


EDGE = RECIPES["edge"]
NARROW = Augmentation(shift=0.06, zoom=(0.88, 1.12), rotation=3)
WAYS = {
    "`edge`": Way("edge", EDGE),
    "– with narrow shifts, zoom and turns: ±6 %, ±12 %, ±3°": Way("edge", replace(EDGE, augmentation=NARROW)),
    "– without augmentation": Way("edge", replace(EDGE, augmentation=None)),
    "– without label smoothing": Way("edge", replace(EDGE, label_smoothing=0.0)),
    "– without the mean with the mirror image": Way("edge", replace(EDGE, mirrored=False)),
    "– with glasses drawn on faces without": Way("edge", EDGE, more=with_drawn_glasses),
    "– with copies blurred, in other light and through JPEG": Way("edge", EDGE, more=with_worse_copies),
    "`report`": Way("report", RECIPES["report"]),
}


def main() -> None:
    """Train each way once for each seed and fold, and write what came out."""
    options = parse_arguments(__doc__)

    with tempfile.TemporaryDirectory() as folder:
        train, validate = read(options.archive)
        labelled = prepare([*train, *validate], "face")
        arrays = Path(folder, "pictures.npz")
        rng = np.random.default_rng(0)
        views = np.stack([[seen_by_another_camera(picture, rng) for _ in range(VIEWS)] for picture in labelled.images])
        np.savez(arrays, pictures=labelled.images, first=labelled.first, views=views)

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
    """Train without a fold and label its pictures: for each picture and view, is it right, and the loss."""
    way, data = WAYS[task.way], np.load(arrays)
    pictures, first, views = data["pictures"], data["first"], data["views"]
    rng = np.random.default_rng(task.seed)
    inside = folds_of(first, rng) == task.fold
    train, recipe = training.Pictures(pictures[~inside], first[~inside]), way.recipe
    if way.more:
        more = training.Pictures(*way.more(train.images, train.first, rng))
        recipe = replace(recipe, epochs=recipe.epochs * len(train.images) // len(more.images))
        train = more
    validate = training.Pictures(pictures[inside], first[inside])
    network, _ = training.train(train, validate, way.network, recipe, task.seed, lambda epoch: None)

    columns = {"way": task.way, "seed": task.seed, "parameters": network.count_params()}
    parts = []
    for camera, shown in [("same", pictures[inside]), *(("other", views[inside, view]) for view in range(VIEWS))]:
        probability = np.asarray(network(shown.astype(np.float32)), dtype=np.float64)[:, 0]
        of_label = np.where(first[inside], probability, 1 - probability)
        loss = -np.log(of_label.clip(1e-7))
        right = (probability >= 0.5) == first[inside]
        parts.append(pd.DataFrame({**columns, "camera": camera, "right": right, "loss": loss}))
    return pd.concat(parts)


def folds_of(first: Booleans, rng: np.random.Generator) -> npt.NDArray[np.intp]:
    """Deal the pictures of each class to the folds by lot: a fold's number for each picture."""
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
    lines = ["| | parameters | as they are | loss | another camera and crop | loss |", "|---|---|---|---|---|---|"]
    for way in WAYS:
        cells = [
            f"{mean_and_range(accuracy.loc[way, camera])} | {loss[way, camera]:.3f}" for camera in ("same", "other")
        ]
        lines.append(f"| {way} | {parameters[way]:,} | {' | '.join(cells)} |")
    pictures = len(results) // (len(WAYS) * len(seeds) * (1 + VIEWS))
    lines.append(
        f"\nAccuracy on pictures held back, in {FOLDS} folds of {pictures} labelled pictures ({name}): mean over seeds "
        f"{', '.join(map(str, seeds))}, and the lowest and highest. The loss is binary cross-entropy (nats)."
    )
    return "\n".join(lines)


if __name__ == "__main__":
    main()

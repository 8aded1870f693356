"""Ask what the report's network goes by, trained on the images as they are, and write the table in README.md.

`make shortcut` measures on the validation images of data/raw, `ARCHIVE=faces.zip` on those of a zip. They are shown
as they are, and with one thing taken away at a time: what costs the network no accuracy, it did not go by.
"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from PIL import Image

from anteojos.images.faces import Face, align
from anteojos.model import training
from anteojos.model.recipes import RECIPES
from images import Pixels, face_of, name_of, parse_arguments, prepare, read
from readme import mean_and_range, over, write_part

# Where the eyes are on average in the images of a sheet, as fractions of their width and height.
EYES = ((0.375, 0.47), (0.625, 0.47))
SIDE = 0.8  # of the square around a face, in units of the shorter side: a sheet of Kaggle's layout has 125 px of 155
RAISED = 0.1  # how much higher than the middle of the face's box the middle of the square is, in units of half its side


def hide_words(pixels: Pixels, face: Face) -> Pixels:
    """Paint all white but the square around the face."""
    rows, columns = around(face, pixels)
    changed = np.full_like(pixels, 255)
    changed[rows, columns] = pixels[rows, columns]
    return changed


def hide_face(pixels: Pixels, face: Face) -> Pixels:
    """Paint the square around the face grey."""
    changed = pixels.copy()
    changed[around(face, pixels)] = 128
    return changed


def move_face(pixels: Pixels, face: Face) -> Pixels:
    """Align the face in the middle of white paper."""
    height, width = pixels.shape[:2]
    side = round(SIDE * min(height, width))
    changed = np.full_like(pixels, 255)
    top, left = (height - side) // 2, (width - side) // 2
    square = align(Image.fromarray(pixels), face.eyes, side, EYES)
    changed[top : top + side, left : left + side] = square
    return changed


def around(face: Face, pixels: Pixels) -> tuple[slice, slice]:
    """Return rows and columns of a square around the face, as large as the images of a sheet are."""
    height, width = pixels.shape[:2]
    half = SIDE * min(height, width) / 2
    left, top, right, bottom = face.box
    across, down = (left + right) / 2, (top + bottom) / 2 - RAISED * half
    return (
        slice(max(0, round(down - half)), min(height, round(down + half))),
        slice(max(0, round(across - half)), min(width, round(across + half))),
    )


SHOWN: dict[str, Callable[[Pixels, Face], Pixels]] = {
    "as they are": lambda pixels, face: pixels,
    "the words painted white": hide_words,
    "the face painted grey": hide_face,
    "no words, and every face in the middle of the paper": move_face,
}


def main() -> None:
    """Train once for each seed, and write how well each showing is labelled."""
    options = parse_arguments(__doc__)

    to_train, to_validate = read(options.archive)
    found = [face_of(Image.fromarray(image.pixels)) for image in to_validate]
    train, validate = prepare(to_train, "none"), prepare(to_validate, "none")
    shown = {
        name: prepare(
            [replace(image, pixels=change(image.pixels, face)) for image, face in zip(to_validate, found, strict=True)],
            "none",
        )
        for name, change in SHOWN.items()
    }
    accuracies: dict[str, list[float]] = {name: [] for name in SHOWN}
    for seed in options.seeds:
        network, _ = training.train(train, validate, "baseline", RECIPES["baseline"], seed, lambda epoch: None)
        for name, images in shown.items():
            likely = np.asarray(network(images.images.astype(np.float32)))[:, 0] >= 0.5
            accuracies[name].append(float((likely == images.first).mean()))
    lines = ["| the validation images shown | accuracy |", "|---|---|"]
    lines += [f"| {name} | {mean_and_range(values)} |" for name, values in accuracies.items()]
    caption = f"`baseline`, trained on {name_of(options.archive)} as they are: {over(options.seeds)}."
    write_part("shortcut", "make shortcut", "\n".join([*lines, "", caption]))


if __name__ == "__main__":
    main()

"""Test which parts of an image the 2024 network uses, and write the table.

`make shortcut` tests on the validation images of data/raw, with `ARCHIVE=faces.zip` on those of a zip. One thing is
removed from the images at a time. If the accuracy stays the same, the network does not use it.
"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from PIL import Image

from anteojos.images.faces import Face, align
from anteojos.model import training
from anteojos.model.recipes import RECIPES
from images import Pixels, face_of, name_of, prepare, read
from measure import parse_arguments
from readme import mean_and_range, over, write_part

# Mean position of the eyes in the images of a sheet, as fractions of width and height.
EYES = ((0.375, 0.47), (0.625, 0.47))
SIDE = 0.8  # side of the square around a face, as a fraction of the shorter side of the image
RAISED = 0.1  # the centre of the square is this far above the centre of the face's box, in units of half the side


def hide_words(pixels: Pixels, face: Face) -> Pixels:
    """Paint everything white except for the square around the face."""
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
    """Align the face in the middle of a white image."""
    height, width = pixels.shape[:2]
    side = round(SIDE * min(height, width))
    changed = np.full_like(pixels, 255)
    top, left = (height - side) // 2, (width - side) // 2
    square = align(Image.fromarray(pixels), face.eyes, side, EYES)
    changed[top : top + side, left : left + side] = square
    return changed


def around(face: Face, pixels: Pixels) -> tuple[slice, slice]:
    """Return the rows and columns of the square around the face."""
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
    "no words, and every face in the middle": move_face,
}


def main() -> None:
    """Train once for each seed, and write the accuracy on each kind of changed images."""
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
            predicted = np.asarray(network(images.images.astype(np.float32)))[:, 0] >= 0.5
            accuracies[name].append(float((predicted == images.first).mean()))
    lines = ["| validation images | accuracy |", "|---|---|"]
    lines += [f"| {name} | {mean_and_range(values)} |" for name, values in accuracies.items()]
    caption = f"`baseline`, trained on {name_of(options.archive)}, unchanged: {over(options.seeds)}."
    write_part("shortcut", "make shortcut", "\n".join([*lines, "", caption]))


if __name__ == "__main__":
    main()

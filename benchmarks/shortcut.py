"""Ask what the report's network goes by, trained on the pictures as they are, and write the table in README.md.

`make shortcut` measures on the validation pictures of data/raw, `ARCHIVE=faces.zip` on those of a zip. They are shown
as they are, and with one thing taken away at a time: what costs the network no accuracy, it did not go by.
"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from anteojos import images, training
from anteojos.recipes import RECIPES
from pictures import Pixels, name_of, parse_arguments, prepare, read
from readme import mean_and_range, write_part


def hide_words(pixels: Pixels) -> Pixels:
    """Paint all white but the face."""
    left, top, right, bottom = panel_of(pixels)
    changed = np.full_like(pixels, 255)
    changed[top:bottom, left:right] = pixels[top:bottom, left:right]
    return changed


def hide_face(pixels: Pixels) -> Pixels:
    """Paint the face grey."""
    left, top, right, bottom = panel_of(pixels)
    changed = pixels.copy()
    changed[top:bottom, left:right] = 128
    return changed


def move_face(pixels: Pixels) -> Pixels:
    """Put the face in the middle of white paper."""
    left, top, right, bottom = panel_of(pixels)
    changed = np.full_like(pixels, 255)
    height, width = bottom - top, right - left
    top_now, left_now = (len(pixels) - height) // 2, (pixels.shape[1] - width) // 2
    changed[top_now : top_now + height, left_now : left_now + width] = pixels[top:bottom, left:right]
    return changed


def panel_of(pixels: Pixels) -> tuple[int, int, int, int]:
    """Find the face on its paper."""
    panel = images.find_panel(pixels)
    if panel is None:
        raise SystemExit("A picture has no white paper around its face: there is nothing to take away.")
    return panel


SHOWN: dict[str, Callable[[Pixels], Pixels]] = {
    "as they are": lambda pixels: pixels,
    "the words painted white": hide_words,
    "the face painted grey": hide_face,
    "no words, and every face in the middle of the paper": move_face,
}


def main() -> None:
    """Train once for each seed, and write how well each showing is labelled."""
    options = parse_arguments(__doc__)

    to_train, to_validate = read(options.archive)
    train, validate = prepare(to_train, "none"), prepare(to_validate, "none")
    shown = {
        name: prepare([replace(picture, pixels=change(picture.pixels)) for picture in to_validate], "none")
        for name, change in SHOWN.items()
    }
    accuracies: dict[str, list[float]] = {name: [] for name in SHOWN}
    for seed in options.seeds:
        network, _ = training.train(train, validate, "report", RECIPES["report"], seed, lambda epoch: None)
        for name, pictures in shown.items():
            likely = np.asarray(network(pictures.images.astype(np.float32)))[:, 0] >= 0.5
            accuracies[name].append(float((likely == pictures.first).mean()))
    lines = ["| the validation pictures shown | accuracy |", "|---|---|"]
    lines += [f"| {name} | {mean_and_range(values)} |" for name, values in accuracies.items()]
    caption = (
        f"`report`, trained on {name_of(options.archive)} as they are: mean over seeds "
        f"{', '.join(map(str, options.seeds))}, and the lowest and highest."
    )
    write_part("shortcut", "make shortcut", "\n".join([*lines, "", caption]))


if __name__ == "__main__":
    main()

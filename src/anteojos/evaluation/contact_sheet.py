"""A contact sheet with some images of a folder or split, to look at them before training."""

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from anteojos.evaluation import figures
from anteojos.images import decoding, manifest
from anteojos.runtime.errors import InputError
from anteojos.runtime.files import read, visible_files

_COLUMNS = 8
_SIDE = 160  # px
_PAPER = "#d0d7de"  # around an image that is not square, and for an image that cannot be read


def of_folder(folder: Path, n: int) -> tuple[figures.Figure, int]:
    """Draw at most `n` of the images in `folder`; return the sheet and how many of them cannot be read.

    The same number is taken from each folder with images, evenly spread over their names. Raises InputError if there
    are no images.
    """
    if not folder.is_dir():
        raise InputError(
            f"{folder}: no such folder",
            advice="Name a folder of images; or train, validate or test in a checkout where `dvc repro` has run.",
        )
    names = [name for name in filter(decoding.is_image, visible_files(folder)) if (folder / name).is_file()]
    return _of_files(folder, names, str(folder), n)


def of_split(raw: Path, table: Path, split: str, n: int) -> tuple[figures.Figure, int]:
    """Draw at most `n` images of a split, as `of_folder` does; `table` is the manifest of the images in `raw`."""
    if not table.is_file():
        raise InputError(
            f"{table}: No such file", advice="Run `dvc repro verify`, which divides the images into splits."
        )
    rows = manifest.read(table, ("file", "split"))
    return _of_files(raw, rows["file"][rows["split"] == split].tolist(), f"{raw}, {split}", n)


def _of_files(folder: Path, names: Sequence[str], title: str, n: int) -> tuple[figures.Figure, int]:
    groups: dict[str, list[Path]] = defaultdict(list)
    for name in names:
        groups[name.rpartition("/")[0] or "."].append(folder / name)
    if not groups:
        raise InputError(f"{title}: no images there", advice=f"Images are named *{', *'.join(decoding.FORMATS)}.")
    total = sum(map(len, groups.values()))
    cells = [
        _cell(group, groups[group][row])
        for group, count in shares(groups, n).items()
        for row in np.linspace(0, len(groups[group]) - 1, count).round().astype(int)
    ]
    counts = ", ".join(f"{group} {len(files):,}" for group, files in groups.items() if group != ".")
    title = f"{title}: {len(cells):,} of {total:,} images" + (f" ({counts})" if counts else "")
    return figures.contact_sheet(title, cells, min(_COLUMNS, len(cells))), sum(cell.wrong for cell in cells)


def shares(groups: dict[str, list[Path]], n: int) -> dict[str, int]:
    """Return how many of at most `n` images are taken from each group, as equally as possible."""
    taken = dict.fromkeys(groups, 0)
    remaining = min(n, sum(map(len, groups.values())))
    while remaining:
        for group, files in groups.items():
            if remaining and taken[group] < len(files):
                taken[group] += 1
                remaining -= 1
    return taken


def _cell(group: str, file: Path) -> figures.Cell:
    try:
        image = decoding.decode(read(file), _SIDE).image
    except (OSError, decoding.ImageError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        empty = np.asarray(Image.new("RGB", (_SIDE, _SIDE), _PAPER))
        return figures.Cell(empty, (file.name, reason or str(error)), wrong=True)
    padded = ImageOps.pad(image, (_SIDE, _SIDE), Image.Resampling.BILINEAR, _PAPER)
    return figures.Cell(np.asarray(padded), ("" if group == "." else group, file.name))

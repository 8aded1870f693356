"""Images in one folder per class: their labels, their pixels, and the properties of their files."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from anteojos.images import decoding, detector, faces
from anteojos.runtime import threads
from anteojos.runtime.errors import InputError, capped
from anteojos.runtime.files import is_hidden, visible_files
from anteojos.runtime.files import read as read_file
from anteojos.runtime.names import comparable, nfc
from anteojos.sources import layout, unpacking
from anteojos.vocabulary import UNSPLIT, Crop, Pixels

Facts = dict[str, list[int] | list[str]]


@contextmanager
def opened(place: Path) -> Iterator[tuple[list[Path], list[str], Mapping[Path, Path]]]:
    """Find the images and classes of a folder as `find`, or of a zip or tar, until the end of the `with` block.

    The third value maps the files of an archive to their paths there.
    """
    if not unpacking.is_archive(place):
        yield *find(place), {}
        return
    with unpacking.unpacked(place, unpacking.images_of_two_classes) as found:
        yield *find(found.folder), found.shown


def find(folder: Path) -> tuple[list[Path], list[str]]:
    """List the images below `folder`, sorted, and the class of each, which is the name of its class folder.

    `folder` contains two class folders, or `train/`, `validate/` or `unsplit/` with these. Hidden files are skipped.
    Raises InputError if there is no such folder, or not two classes.
    """
    if not folder.is_dir():
        raise InputError(
            f"{folder}: neither a folder nor an archive",
            advice="Name the folder, zip or tar that contains a folder for each class.",
        )
    splits = [path for path in _folders(folder) if _is_for_training(path.name) and _folders(path)]
    classes = [path for place in splits or [folder] for path in _folders(place)]
    names = sorted({nfc(path.name) for path in classes})
    if len(names) != 2:
        found = f"the folders {', '.join(capped(names))}" if names else "no folder"
        raise InputError(
            f"{folder}: does not contain images of two classes",
            [f"found {found}; expected one for each of two classes"],
            "Put the images of each class into a folder of its own, or into train/<class>/ and validate/<class>/.",
        )
    images = [
        (file, nfc(place.name))
        for place in classes
        for name in filter(decoding.is_image, visible_files(place))
        if (file := place / name).is_file()
    ]
    return [file for file, _ in images], [label for _, label in images]


def read(
    files: Sequence[Path], size: int, crop: Crop, shown: Mapping[Path, Path] | None = None
) -> tuple[list[Pixels], Facts]:
    """Read images, cropped and resized to uint8 (size, size, 3), and the properties of their files.

    The properties are width and height in px, bytes, and the encoding (see `decoding.encoding`). Raises InputError with
    each image that cannot be read, or shows no face if `crop` is "face"; `shown` has other paths for its message.
    """
    work = partial(_read, size=size, crop=crop)
    results: list[Any] = list(threads.in_order(work, files, total=len(files), description="reading"))
    named = shown or {}
    problems = [
        f"{named.get(file, file)}: {result}"
        for file, result in zip(files, results, strict=True)
        if isinstance(result, str)
    ]
    if problems:
        raise InputError("images that cannot be used", problems, "Correct or remove them.")
    images, *facts = (list(values) for values in zip(*results, strict=True))
    return images, dict(zip(("width", "height", "bytes", "quantisation"), facts, strict=True))


def _read(file: Path, size: int, crop: Crop) -> tuple[Pixels, int, int, int, str] | str:
    """Return the image and the properties of its file, or why it cannot be used."""
    try:
        data = read_file(file)
        image = decoding.decode(data)
        face = faces.largest(detector.default()(image.image, shows_face=True)) if crop == "face" else None
        if crop == "face" and face is None:
            return "no face found"
        prepared = faces.prepare(image.image, size, face)
        return prepared, image.width, image.height, len(data), decoding.encoding(data)
    except OSError as error:
        return error.strerror or str(error)
    except decoding.ImageError as error:
        return str(error)


def _is_for_training(name: str) -> bool:
    """Return whether a folder is that of train or validate, or of images without a split; not that of test."""
    return layout.SPLIT_OF.get(comparable(name)) in ("train", "validate") or name == UNSPLIT


def _folders(place: Path) -> list[Path]:
    return sorted(path for path in place.glob("*") if path.is_dir() and not is_hidden(path.name))

"""Images as people keep them, in a folder for each class: their labels, their pixels, what their files give away."""

from collections.abc import Sequence
from pathlib import Path

from anteojos.images import decoding, detector, faces
from anteojos.runtime import threads
from anteojos.runtime.errors import InputError
from anteojos.vocabulary import Crop, Pixels

Facts = dict[str, list[int] | list[str]]


def find(folder: Path) -> tuple[list[Path], list[str]]:
    """Find the images below `folder`, sorted, and the class of each, which is the name of the folder that it is in.

    `folder` holds a folder for each of two classes, or `train/` and `validate/` that do; hidden files are passed over.
    Raises InputError where it does not.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: is no folder", advice="Give the folder that holds a folder for each class.")
    splits = [folder / split for split in ("train", "validate") if _folders(folder / split)]
    classes = [path for place in splits or [folder] for path in _folders(place)]
    names = sorted({path.name for path in classes})
    if len(names) != 2:
        found = f"the folders {', '.join(names)}" if names else "no folder"
        raise InputError(
            f"{folder}: does not hold images of two classes",
            [f"found {found}; expected one for each of two classes"],
            "Put the images of each class into a folder of its own, or into train/<class>/ and validate/<class>/.",
        )
    images = [
        (path, place.name)
        for place in classes
        for path in sorted(place.rglob("*"))
        if path.is_file() and decoding.is_image(path) and not _hidden(path.relative_to(place))
    ]
    return [path for path, _ in images], [label for _, label in images]


def read(files: Sequence[Path], size: int, crop: Crop) -> tuple[list[Pixels], Facts]:
    """Read images, each cropped and brought to uint8 (size, size, 3), and what their files give away.

    The facts are width and height in px, bytes, and what quantisation tables a JPEG has. Raises InputError that names
    every image that can't be read, or has no face where `crop` is "face".
    """

    def look_at(file: Path) -> tuple[Pixels, int, int, int, str] | str:
        try:
            data = file.read_bytes()
            decoded = decoding.decode(data)
            face = faces.largest(detector.default()(decoded.image, shows_face=True)) if crop == "face" else None
            if crop == "face" and face is None:
                return f"{file}: no face found"
            prepared = faces.prepare(decoded.image, size, face)
            return prepared, decoded.width, decoded.height, len(data), decoding.encoding(data)
        except OSError as error:
            return f"{file}: {error.strerror}"
        except decoding.ImageError as error:
            return f"{file}: {error}"

    looks = list(threads.in_order(look_at, files, total=len(files), description="reading"))
    problems = [look for look in looks if isinstance(look, str)]
    if problems:
        raise InputError("images that can't be used", problems, "Correct or remove them.")
    images, width, height, size_in_bytes, quantisation = zip(
        *(look for look in looks if not isinstance(look, str)), strict=True
    )
    facts = {"width": width, "height": height, "bytes": size_in_bytes, "quantisation": quantisation}
    return list(images), {name: list(values) for name, values in facts.items()}


def _folders(place: Path) -> list[Path]:
    return sorted(path for path in place.glob("*") if path.is_dir() and not _hidden(Path(path.name)))


def _hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)

"""Which images to label: files, folders, and lists on standard input."""

import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from anteojos.images.decoding import FORMATS, is_image
from anteojos.runtime.errors import InputError
from anteojos.runtime.files import MAX_BYTES, visible_files


def find_images(paths: Sequence[Path], ignored: Path | None = None) -> tuple[list[Path], int]:
    """Return the images to label: the files in `paths`, and sorted the images in the folders in `paths`.

    The path - is replaced by the paths on standard input. In folders, hidden files and the subfolder `ignored` are
    ignored; other files that are not images are skipped, and their number is the second result. Raises InputError if
    there is no image.
    """
    images: list[Path] = []
    skipped = 0
    for path in _expanded(paths):
        if path.is_dir():
            files = _files(path, ignored)
            found = list(filter(is_image, files))
            images += found
            skipped += len(files) - len(found)
        else:
            images.append(path)
    if not images:
        others = f" ({counted(skipped, 'file')} of other formats)" if skipped else ""
        raise InputError(
            f"{', '.join(map(str, paths))}: no images there{others}", advice=f"Images are named *{', *'.join(FORMATS)}."
        )
    return images, skipped


def _expanded(paths: Sequence[Path]) -> Iterator[Path]:
    """Replace - by the paths on standard input, separated by line ends or NUL."""
    for path in paths:
        if str(path) == "-":
            data = sys.stdin.buffer.read(MAX_BYTES + 1)
            if len(data) > MAX_BYTES:
                raise InputError(
                    f"standard input: more than {MAX_BYTES:,} bytes; expected a list of paths",
                    advice="Write one path per line, as `find -name '*.jpg'` does.",
                )
            names = data.split(b"\0") if b"\0" in data else data.splitlines()
            yield from (Path(os.fsdecode(name)) for name in names if name not in (b"", b"-"))
        else:
            yield path


def _files(folder: Path, ignored: Path | None) -> list[Path]:
    files = [file for name in visible_files(folder) if (file := folder / name).is_file()]
    if ignored and folder.resolve() in ignored.resolve().parents:
        return [file for file in files if not file.resolve().is_relative_to(ignored.resolve())]
    return files


def counted(count: int, noun: str) -> str:
    """Return a number with a noun, as "1 file" or "2,000 files"."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"

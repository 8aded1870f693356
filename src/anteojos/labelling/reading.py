"""Which images to label: files, folders, archives, and lists on standard input."""

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from anteojos.images.decoding import FORMATS, is_image
from anteojos.runtime.errors import InputError
from anteojos.runtime.files import MAX_BYTES, visible_files
from anteojos.sources import unpacking


@dataclass(frozen=True)
class Images:
    """Image files to label: `skipped` counts files of other formats. Files of archives have other paths for people."""

    files: list[Path]
    skipped: int
    _shown: Mapping[Path, Path]

    def shown(self, file: Path) -> Path:
        """Return the path of a file for people: that in the archive if it was unpacked."""
        return self._shown.get(file, file)


@contextmanager
def opened(paths: Sequence[Path], ignored: Path | None = None) -> Iterator[Images]:
    """Find the images to label: the files in `paths`, and sorted the images in the folders and archives in `paths`.

    The path - is replaced by the paths on standard input. In folders, hidden files and the subfolder `ignored` are
    ignored. Archives are unpacked until the end of the `with` block. Raises InputError if there is no image.
    """
    images: list[Path] = []
    skipped, shown = 0, dict[Path, Path]()
    with ExitStack() as stack:
        for path in _expanded(paths):
            if unpacking.is_archive(path):
                found = stack.enter_context(unpacking.unpacked(path))
                images += map(found.folder.joinpath, filter(is_image, visible_files(found.folder)))
                skipped, shown = skipped + found.skipped, shown | found.shown
            elif path.is_dir():
                files = _files(path, ignored)
                of_folder = list(filter(is_image, files))
                images += of_folder
                skipped += len(files) - len(of_folder)
            else:
                images.append(path)
        if not images:
            others = f" ({counted(skipped, 'file')} of other formats)" if skipped else ""
            raise InputError(
                f"{', '.join(map(str, paths))}: no images there{others}",
                advice=f"Images are named *{', *'.join(FORMATS)}.",
            )
        yield Images(images, skipped, shown)


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

"""Find the files of a folder that are not hidden, recognise images by their suffix, and read files of the user.

Hidden files and folders are skipped everywhere, images have one of the suffixes below.
"""

import errno
import os
import stat
from pathlib import Path, PurePath

# Bytes of the largest file that is read into memory: an uncompressed image of 100 million pixels has 300 MB.
MAX_BYTES = 400_000_000

# Image formats by suffix. Pillow reads many more, but these are common for photographs, and fewer decoders give hostile
# files fewer targets.
FORMATS = {
    ".avif": "AVIF",
    ".bmp": "BMP",
    ".gif": "GIF",
    ".jpeg": "JPEG",
    ".jpg": "JPEG",
    ".png": "PNG",
    ".tif": "TIFF",
    ".tiff": "TIFF",
    ".webp": "WEBP",
}


def read(path: Path, most: int = MAX_BYTES) -> bytes:
    """Return the content of a regular file of at most `most` bytes.

    Raises OSError, also for a device, a pipe or a socket, which may have no end.
    """
    status = path.stat()
    if not stat.S_ISREG(status.st_mode) and not stat.S_ISDIR(status.st_mode):
        raise OSError(errno.EINVAL, "a device, pipe or socket; expected a regular file", str(path))
    with path.open("rb") as file:
        # The size is that of a file on a disk; the files of /proc have any size.
        data = file.read(most + 1) if status.st_size <= most else b""
    if max(status.st_size, len(data)) > most:
        size = f"{max(status.st_size, len(data)):,}"
        raise OSError(errno.EFBIG, f"too large: {size} bytes, expected at most {most:,}", str(path))
    return data


def is_image(name: str | PurePath) -> bool:
    """Return whether a file name has the suffix of an image."""
    return os.path.splitext(name)[1].lower() in FORMATS  # noqa: PTH122, much faster than PurePath(name).suffix


def is_hidden(name: str) -> bool:
    """Return whether the name of a file or folder starts with a dot."""
    return name.startswith(".")


def visible_files(folder: Path) -> list[str]:
    """List the files below `folder` that are not hidden and not in a hidden folder.

    The result has paths relative to `folder`, with slashes, sorted folder by folder. It includes broken links; links
    to folders are not followed. It is empty if there is no such folder.
    """
    files = []
    for place, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not is_hidden(name)]
        parts = Path(place).relative_to(folder).parts
        files += [(*parts, name) for name in names if not is_hidden(name)]
    # Strings, because creating a `Path` would take a third of the time that `verify` needs for an image.
    return ["/".join(parts) for parts in sorted(files)]

"""Which files of a folder count: hidden files and folders are skipped everywhere."""

import os
from pathlib import Path


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
    # Text and not `Path`, which would take a third of the time that `verify` needs for an image.
    return ["/".join(parts) for parts in sorted(files)]

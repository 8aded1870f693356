"""Which names and kinds of files may be imported. Archives and folders are not trusted."""

import re
import stat
from collections import defaultdict
from collections.abc import Sequence

from anteojos.runtime.errors import InputError, capped, printable
from anteojos.runtime.files import is_hidden
from anteojos.runtime.names import comparable, fault_of_characters

MAX_ENTRIES = 1_000_000  # `max_bytes` does not limit the number of empty files, which use an inode each
MAX_NAME = 255  # bytes of one part of a path, on all common file systems
MAX_DEPTH = 32  # nested folders


def parts_of(name: str) -> list[str]:
    """Return the parts of a path with `/`; those of `./a//b` are `a` and `b`."""
    return [part for part in name.split("/") if part not in ("", ".")]


def path_of(name: str) -> str:
    """Return the path of an archive's entry, with a final `/` for a folder.

    `\\` separates folders like `/`: some programs for Windows write it.
    """
    name = name.replace("\\", "/")
    return "/".join(parts_of(name)) + "/" * name.endswith("/")


def is_junk(name: str) -> bool:
    """Return whether a file or its folder is hidden or was added by the operating system."""
    return any(is_hidden(part) or part.casefold() in ("__macosx", "thumbs.db") for part in parts_of(name))


def fault_of_kind(kind: int, *allowed: int) -> str:
    """Return why a file of this kind (`stat.S_IFMT`) must not be imported, or "" if it may."""
    return "a symbolic link" if kind == stat.S_IFLNK else "" if kind in allowed else "not a regular file"


def fault_of_name(name: str) -> str:
    """Return why an entry with this name must not be extracted, or "" if it may."""
    name = name.replace("\\", "/")
    parts = parts_of(name)
    faults = {
        fault_of_characters(name): True,
        "an absolute path": name.startswith("/"),
        "a drive letter in its name": bool(re.match("[A-Za-z]:", name)),
        "a path with `..`": ".." in parts,
        "no name": not parts and not name.endswith("/"),
        f"a name of more than {MAX_NAME} bytes": any(len(part.encode(errors="replace")) > MAX_NAME for part in parts),
        f"more than {MAX_DEPTH} nested folders": len(parts) > MAX_DEPTH,
    }
    return next((fault for fault, found in faults.items() if fault and found), "")


def check(where: str, names: Sequence[str], problems: Sequence[str]) -> None:
    """Raise InputError if there are `problems`, or if names collide on a file system that ignores case."""
    if problems := [*problems, *_clashes(names)]:
        raise InputError(
            f"{where}: contains files that are not safe to import",
            capped(problems),
            "Remove or rename them, or use another source, then run `dvc repro` again.",
        )


def _clashes(names: Sequence[str]) -> list[str]:
    files: dict[str, list[str]] = defaultdict(list)
    folders: set[str] = set()
    for name in names:
        key = comparable(name)
        folders.update(key[: match.start()] for match in re.finditer("/", key))
        if not key.endswith("/"):
            files[key].append(printable(name))
    return [
        *(f"{', '.join(same)}: the same name on some file systems" for same in files.values() if len(same) > 1),
        *(f"{same[0]}: a file and a folder" for key, same in files.items() if key in folders),
    ]

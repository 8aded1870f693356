"""Read the files of a folder."""

import os
import stat
from collections.abc import Collection, Iterator
from pathlib import Path

from anteojos.runtime.errors import printable
from anteojos.runtime.names import fault_of_characters
from anteojos.sources import safety
from anteojos.sources.entries import CHUNK, Entries, unreadable


def entries(folder: Path) -> Entries:
    """List the files below `folder`. Raises InputError for links, special files, and what cannot be read."""
    names: list[str] = []
    problems: list[str] = []

    def stop(error: OSError) -> None:
        raise error

    try:
        for top, folders, files in os.walk(folder, onerror=stop):
            folders[:] = [name for name in folders if not safety.is_junk(name)]
            for path in (Path(top, name) for name in [*folders, *files] if not safety.is_junk(name)):
                name, kind = path.relative_to(folder).as_posix(), stat.S_IFMT(path.lstat().st_mode)
                names.append(f"{name}/" if kind == stat.S_IFDIR else name)
                if fault := fault_of_characters(name) or safety.fault_of_kind(kind, stat.S_IFREG, stat.S_IFDIR):
                    problems.append(f"{printable(name)}: {fault}")
    except OSError as error:
        raise unreadable(printable(str(error.filename or folder)), error) from error
    where, names = printable(str(folder)), sorted(names)
    safety.check(where, names, sorted(problems))

    def read(wanted: Collection[str]) -> Iterator[tuple[str, Iterator[bytes]]]:
        return ((name, _read(folder / name)) for name in names if name in wanted)

    return Entries(where, names, read)


def _read(path: Path) -> Iterator[bytes]:
    try:
        with path.open("rb") as file:
            while chunk := file.read(CHUNK):
                yield chunk
    except OSError as error:
        raise unreadable(printable(str(path)), error) from error

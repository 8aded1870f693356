"""The files of an archive or folder of any kind, and how they are written to disk."""

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from anteojos.runtime.errors import InputError, printable
from anteojos.sources.layout import CHANGE_SOURCE

CHUNK = 1 << 20  # bytes


@dataclass(frozen=True)
class Entries:
    """The files of a source: `where` is its name in messages; `names` are relative paths, folders with a final `/`.

    `read` takes a collection of names and yields each of them with its content in chunks, in the order of the source.
    Use the chunks of a file before you request the next file. `sha256` is the checksum of an archive.
    """

    where: str
    names: list[str]
    read: Callable[[Collection[str]], Iterator[tuple[str, Iterator[bytes]]]]
    sha256: str | None = None


def write(entries: Entries, targets: Mapping[str, str], into: Path, max_bytes: int) -> None:
    """Write the files in `targets` to their new paths below the folder `into`; raise InputError above `max_bytes`."""
    written = 0
    for name, content in entries.read(targets.keys()):
        target = into / targets[name]
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("xb") as file:
            for chunk in content:
                # Count the bytes, because the sizes given in an archive can be wrong.
                written += len(chunk)
                if written > max_bytes:
                    found = f"{printable(name)}: stopped after {written:,} bytes"
                    raise too_large(entries.where, found, max_bytes)
                file.write(chunk)


def too_large(where: str, found: str, max_bytes: int) -> InputError:
    """Return the error for an archive or content of more than `max_bytes`."""
    return InputError(
        f"{where}: too large",
        [f"{found}, expected at most {max_bytes:,} (dataset.max_bytes)"],
        "If this is the right archive, increase `dataset.max_bytes` in params.yaml, then run `dvc repro` again.",
    )


def too_many(where: str, found: str, most: int) -> InputError:
    """Return the error for an archive with more entries than `most`."""
    return InputError(f"{where}: too many entries", [f"found {found}, expected at most {most:,}"], CHANGE_SOURCE)


def unreadable(where: str, error: OSError | ValueError) -> InputError:
    """Return the error for a file or folder that cannot be read."""
    reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
    return InputError(f"{where}: cannot be read", [reason], CHANGE_SOURCE)


def damaged(where: str, name: str, found: str) -> InputError:
    """Return the error for a damaged entry."""
    return InputError(
        f"{where}: damaged",
        [f"{printable(name)}: {printable(found)}"],
        "Download or copy the archive again, or use another source, then run `dvc repro` again.",
    )

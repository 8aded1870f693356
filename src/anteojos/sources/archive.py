"""Import a dataset from a folder, a zip or a tar, local or from a web server. Their content is not trusted."""

import hashlib
import stat
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from anteojos.runtime.errors import InputError, printable
from anteojos.sources import entries, folder, layout, tars, zips
from anteojos.sources.entries import Entries, too_large, unreadable
from anteojos.sources.http import download, is_url, shown_url
from anteojos.sources.layout import CHANGE_SOURCE
from anteojos.sources.tars import HEAD


@dataclass(frozen=True)
class Classes:
    """The two class folders to import, and the others that may be in the source."""

    labels: Sequence[str]
    ignored: Sequence[str] = ()


def import_dataset(location: str, into: Path, classes: Classes, *, sha256: str | None, max_bytes: int) -> None:
    """Write the images of a dataset to the folder `into`: `train/`, `validate/`, `test/`, `unsplit/`.

    `location` is the path or http(s) URL of a zip or tar, or the path of a folder. `sha256` is the expected checksum of
    the archive, in hex. `max_bytes` limits the archive, and separately the extracted files.

    Raises InputError if the location cannot be read, has another checksum, is damaged, unsafe or too large, or contains
    no dataset of these classes; `into` may then be incomplete. Raises OSError for other errors of the file system, such
    as a full disk.
    """
    into.parent.mkdir(parents=True, exist_ok=True)
    with opened(location, sha256=sha256, max_bytes=max_bytes, scratch=into.parent) as found:
        _import(found, into, classes, max_bytes)


def import_folder(path: Path, into: Path, classes: Classes, *, max_bytes: int) -> None:
    """Copy the dataset in the folder `path` to the folder `into`, as import_dataset does."""
    _import(folder.entries(path), into, classes, max_bytes)


def _import(found: Entries, into: Path, classes: Classes, max_bytes: int) -> None:
    arrangement = layout.find(found.where, found.names, classes.labels)
    targets = layout.arrange(found.where, arrangement, found.names, classes.labels, classes.ignored)
    into.mkdir(parents=True, exist_ok=True)
    entries.write(found, targets, into, max_bytes)


@contextmanager
def opened(location: str, *, sha256: str | None, max_bytes: int, scratch: Path) -> Iterator[Entries]:
    """List the files of a folder, a zip or a tar; they can be read until the end of the `with` block.

    A download is stored in the folder `scratch` until then. Raises InputError as import_dataset does.
    """
    if is_url(location):
        with tempfile.TemporaryDirectory(prefix=".download.", dir=scratch) as temporary:
            path = Path(temporary, "archive")
            download(location, path, max_bytes)
            with _opened_file(path, shown_url(location), sha256, max_bytes) as found:
                yield found
        return
    path, where = Path(location).expanduser(), printable(location)
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError) as error:
        raise unreadable(where, error) from error
    if stat.S_ISREG(mode):
        with _opened_file(path, where, sha256, max_bytes) as found:
            yield found
    elif not stat.S_ISDIR(mode):
        raise InputError(f"{where}: neither a file nor a folder", (), CHANGE_SOURCE)
    elif sha256 is not None:
        raise InputError(
            f"{where}: a folder has no sha256",
            [f"found a folder, expected an archive with the sha256 {sha256}"],
            "Leave `dataset.sha256` empty in params.yaml, or use the archive that the folder was extracted from.",
        )
    else:
        yield folder.entries(path)


@contextmanager
def _opened_file(path: Path, where: str, sha256: str | None, max_bytes: int) -> Iterator[Entries]:
    try:
        if (size := path.stat().st_size) > max_bytes:
            raise too_large(where, f"the archive has {size:,} bytes", max_bytes)
        with path.open("rb") as file:
            head = file.read(HEAD)
        found = checksum(path)
    except OSError as error:
        raise unreadable(where, error) from error
    if sha256 is not None and found != sha256.strip().lower():
        raise InputError(
            f"{where}: not the archive in params.yaml",
            [f"found    sha256 {found}", f"expected sha256 {sha256}"],
            "Use the right archive, or change `dataset.sha256` in params.yaml, then run `dvc repro` again.",
        )
    compressed = tars.compression(head)
    if compressed is not None:
        with tars.opened(path, where, compressed, max_bytes) as files:
            yield replace(files, sha256=found)
    elif head.startswith(b"PK"):
        with zips.opened(path, where) as files:
            yield replace(files, sha256=found)
    else:
        problem = f"neither a zip nor a tar: starts with {head[:16]!r}"
        raise InputError(f"{where}: not an archive that can be read", [problem], CHANGE_SOURCE)


def checksum(path: Path) -> str:
    """Return the SHA-256 of a file, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()

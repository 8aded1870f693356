"""Images out of a zip or a folder, from disk or from a web server, without trusting either."""

import hashlib
import http.client
import lzma
import os
import re
import stat
import struct
import tempfile
import unicodedata
import zipfile
import zlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

import requests
from tqdm import tqdm

from anteojos.runtime.errors import InputError
from anteojos.runtime.files import is_hidden
from anteojos.vocabulary import SPLITS, TEST_LABELS

MARKS_OF_THE_ROOT = {"train", "validate"}

CHUNK = 1 << 20  # bytes
TIMEOUT = (10, 60)  # seconds: until connected, between two packets
MAX_ENTRIES = 1_000_000  # empty files cost no bytes, but an inode each
MAX_NAME = 255  # bytes of one part of a path, on every common file system
MAX_DEPTH = 32  # folders in folders: every file is looked up under each of them
MAX_LINES = 20  # of one error message
METHODS = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA}

CHANGE_SOURCE = "Change `dataset.archive` in params.yaml, then run `dvc repro` again."
FIX_CONTENT = "Pack it again without them, or take another source, then run `dvc repro` again."

# What reading a broken zip can raise: `zipfile` checks little itself, and passes on what its decompressors say.
BROKEN_ZIP = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    NotImplementedError,
    RuntimeError,
    OSError,
    ValueError,
    OverflowError,
    struct.error,
)


@dataclass(frozen=True)
class Entry:
    """A file in a zip or a folder: its name as spelled there, the parts of its path, and how to read its bytes."""

    name: str
    parts: tuple[str, ...]
    chunks: Callable[[], Iterator[bytes]]


def import_dataset(location: str, into: Path, *, sha256: str | None, max_bytes: int) -> None:
    """Write the splits found at `location` to the folder `into`: `train/`, `validate/` and, where there, `test/`.

    `location` is a zip, by path or http(s) URL, or a folder by path. `sha256` is what the zip must have, in hex.
    `max_bytes` limits what is downloaded and what is unpacked, each on its own. Raises InputError where the location
    cannot be read, does not match `sha256`, is broken, unsafe or too large, or holds no dataset; `into` may then hold
    a part of the files. Other errors of the file system, such as a full disk, are OSError.
    """
    if "://" in location:
        shown = shown_url(location)
        if not re.match("https?://", location, re.IGNORECASE):
            raise InputError(
                f"{shown}: expected a path, or a URL that begins with http:// or https://", (), CHANGE_SOURCE
            )
        into.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".download.", dir=into.parent) as beside:
            path = Path(beside, "archive.zip")
            _download(location, path, max_bytes)
            _import_zip(path, shown, into, sha256, max_bytes)
        return
    path = Path(location).expanduser()
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError) as error:
        raise _unreadable(shown_name(location), error) from error
    if stat.S_ISDIR(mode):
        if sha256 is not None:
            raise InputError(
                f"{shown_name(location)}: a folder has no sha256",
                [f"found a folder, expected a zip with the sha256 {sha256}"],
                "Leave `dataset.sha256` empty in params.yaml, or give the zip that the folder came from.",
            )
        import_folder(path, into, max_bytes=max_bytes)
    elif stat.S_ISREG(mode):
        _import_zip(path, shown_name(location), into, sha256, max_bytes)
    else:
        raise InputError(f"{shown_name(location)}: neither a file nor a folder", (), CHANGE_SOURCE)


def import_folder(folder: Path, into: Path, *, max_bytes: int) -> None:
    """Copy the splits that `folder` holds, at any depth, to the folder `into`, at most `max_bytes` in all.

    Raises InputError where the folder cannot be read, holds links, special files or two names that differ only in
    case, is too large, or holds no dataset; `into` may then hold a part of the files.
    """
    where = shown_name(str(folder))
    entries: list[Entry] = []
    folders: list[tuple[str, ...]] = []
    problems: list[str] = []
    try:
        _walk(folder, (), entries, folders, problems)
    except OSError as error:
        raise _unreadable(shown_name(str(error.filename or folder)), error) from error
    problems += _clashes(entries, folders)
    if problems:
        raise InputError(f"{where}: not everything in it can be copied", capped(problems), FIX_CONTENT)
    _copy_splits(where, entries, folders, into, max_bytes)


def shown_url(url: str) -> str:
    """The URL as people may see it: without user, password, query and fragment, where secrets stand."""
    scheme = url.partition("://")[0]
    try:
        parts = urlsplit(url)
        _ = parts.port  # a port that is none: most likely a password with a character that needed quoting
    except ValueError:
        return shown_name(f"{scheme}://…")
    return shown_name(f"{scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}")


def shown_name(name: str) -> str:
    """The name on one line, with what a terminal would obey or cannot print written as an escape."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in name)


def capped(lines: list[str]) -> list[str]:
    """The first `MAX_LINES` lines, and how many more there are."""
    more = len(lines) - MAX_LINES
    return lines if more <= 0 else [*lines[:MAX_LINES], f"… and {more:,} more"]


def _unreadable(shown: str, error: OSError | ValueError) -> InputError:
    reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
    return InputError(f"{shown}: cannot be read", [reason], CHANGE_SOURCE)


def _download(url: str, target: Path, max_bytes: int) -> None:
    """Write what an http(s) URL answers to the file `target`; InputError without the URL's secrets where it fails."""
    shown = shown_url(url)
    received = 0
    try:
        # Compressing a zip again saves nothing, and without it Content-Length counts the bytes that arrive here.
        headers = {"Accept-Encoding": "identity"}
        with requests.get(url, stream=True, timeout=TIMEOUT, headers=headers) as response:
            if response.status_code != http.client.OK:
                reason = http.client.responses.get(response.status_code, "")
                raise InputError(
                    f"{shown}: the server has no archive for us",
                    [f"found status {response.status_code} {reason}".rstrip() + ", expected 200 OK"],
                    CHANGE_SOURCE,
                )
            length = response.headers.get("Content-Length", "")
            total = int(length) if length.isdecimal() else None
            if total is not None and total > max_bytes:
                raise _too_large(shown, f"the archive has {total:,} bytes", max_bytes)
            progress = tqdm(total=total, unit="B", unit_scale=True, desc="Downloading", disable=None)
            with target.open("xb") as file, progress:
                for chunk in response.iter_content(CHUNK):
                    received += len(chunk)
                    if received > max_bytes:
                        raise _too_large(shown, f"stopped after {received:,} bytes of the archive", max_bytes)
                    file.write(chunk)
                    progress.update(len(chunk))
        return
    except requests.RequestException as error:
        failure = f"{_kind_of_failure(error)} after {received:,} bytes"
    # Raised outside of `except`: the exceptions of `requests` spell the URL with its secrets, and would be chained.
    raise InputError(
        f"{shown}: could not be downloaded",
        [failure],
        "Check the URL and the network, then run `dvc repro` again; or download the archive with other means and give "
        "its path as `dataset.archive`.",
    )


def _kind_of_failure(error: requests.RequestException) -> str:
    match error:
        case requests.exceptions.SSLError():
            return "the server's certificate was not accepted"
        case requests.exceptions.ProxyError():
            return "no connection to the proxy"
        case requests.Timeout():
            return "no answer in time"
        case requests.exceptions.ChunkedEncodingError() | requests.ConnectionError():
            return "no connection, or it broke off,"
        case _:
            return type(error).__name__


def _too_large(where: str, found: str, max_bytes: int) -> InputError:
    return InputError(
        f"{where}: too large",
        [f"{found}, expected at most {max_bytes:,} (dataset.max_bytes)"],
        "If the archive is the right one, raise `dataset.max_bytes` in params.yaml, then run `dvc repro` again.",
    )


def _import_zip(path: Path, where: str, into: Path, sha256: str | None, max_bytes: int) -> None:
    try:
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest() if sha256 is not None else None
            file.seek(0)
            head = file.read(16)
    except OSError as error:
        raise _unreadable(where, error) from error
    if sha256 is not None and found != sha256.strip().lower():
        raise InputError(
            f"{where}: not the archive that params.yaml names",
            [f"found    sha256 {found}", f"expected sha256 {sha256}"],
            "Take the right archive, or change `dataset.sha256` in params.yaml, then run `dvc repro` again.",
        )
    try:
        archive = zipfile.ZipFile(path)
    except BROKEN_ZIP as error:
        begins = "begins as a zip, but is broken or cut short" if head[:2] == b"PK" else f"begins with {head!r}"
        raise InputError(f"{where}: not a zip that can be read", [f"{begins} ({error})"], CHANGE_SOURCE) from error
    with archive:
        infos = archive.infolist()
        if len(infos) > MAX_ENTRIES:
            found_entries = f"found {len(infos):,} entries, expected at most {MAX_ENTRIES:,}"
            raise InputError(f"{where}: too many entries", [found_entries], CHANGE_SOURCE)
        faults = {info.orig_filename: fault for info in infos if (fault := _fault(info))}
        sound = [info for info in infos if info.orig_filename not in faults]
        files = [
            Entry(info.filename, _parts(info.filename), partial(_unpacked, archive, info, where))
            for info in sound
            if not info.is_dir()
        ]
        folders = [_parts(info.filename) for info in sound if info.is_dir()]
        problems = [f"{shown_name(name)}: {fault}" for name, fault in faults.items()]
        problems += _clashes(files, folders)
        if problems:
            raise InputError(f"{where}: entries that are not safe to unpack", capped(problems), FIX_CONTENT)
        _copy_splits(where, files, folders, into, max_bytes)


def _parts(name: str) -> tuple[str, ...]:
    """The parts of a path with `/`, whatever the system; `./a//b` is `a`, `b`."""
    return tuple(part for part in name.split("/") if part not in ("", "."))


def _fault(info: zipfile.ZipInfo) -> str:
    """Why the entry must not be unpacked, told from the directory of the zip alone; empty where it may."""
    # `filename` ends at the first NUL and may come from an extra field; `orig_filename` is what the zip says.
    for name in (info.orig_filename, info.filename):
        if fault := _fault_of_name(name):
            return fault
    kind = stat.S_IFMT(info.external_attr >> 16)
    if kind == stat.S_IFLNK:
        return "a symbolic link"
    if kind not in (0, stat.S_IFDIR if info.is_dir() else stat.S_IFREG):
        return "not a plain file"
    if info.flag_bits & 0x1:
        return "encrypted"
    if info.compress_type not in METHODS:
        return f"compressed by method {info.compress_type}, which Python does not read"
    return ""


def _fault_of_name(name: str) -> str:
    if fault := _unprintable(name):
        return fault
    if "\\" in name:
        return "a backslash in its name"
    if name.startswith("/"):
        return "an absolute path"
    if re.match("[A-Za-z]:", name):
        return "a drive letter in its name"
    if ".." in name.split("/"):
        return "a path with `..`"
    if not name.endswith("/") and not _parts(name):
        return "no name"
    if any(len(part.encode()) > MAX_NAME for part in _parts(name)):
        return f"a name of more than {MAX_NAME} bytes"
    return f"more than {MAX_DEPTH} folders deep" if len(_parts(name)) > MAX_DEPTH else ""


def _unprintable(name: str) -> str:
    """Refuse what breaks the tables and messages of later stages: control characters, and bytes that are no UTF-8."""
    categories = {unicodedata.category(c) for c in name}
    if "\0" in name:
        return "a NUL in its name"
    return "control characters in its name" if "Cc" in categories else "not UTF-8" if "Cs" in categories else ""


def _clashes(files: list[Entry], folders: list[tuple[str, ...]]) -> list[str]:
    """A line for each set of files that some file system cannot tell apart, and for each file that is a folder too."""
    names: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for file in files:
        names[_key(file.parts)].append(shown_name(file.name))
    parents = {_key(parent) for parent in _all_folders(files, folders)}
    return [
        *(f"{', '.join(same)}: the same name, or the same but for case" for same in names.values() if len(same) > 1),
        *(f"{same[0]}: a file and a folder" for key, same in names.items() if key in parents),
    ]


def _key(parts: tuple[str, ...]) -> tuple[str, ...]:
    # As file systems of macOS and Windows compare names.
    return tuple(unicodedata.normalize("NFC", part).casefold() for part in parts)


def _all_folders(files: Iterable[Entry], folders: Iterable[tuple[str, ...]]) -> set[tuple[str, ...]]:
    """Every folder, the outermost `()` included: those listed, and those that the path of a file or folder implies."""
    holding = {file.parts[:-1] for file in files} | set(folders)
    return {path[:depth] for path in holding for depth in range(len(path) + 1)}


def _unpacked(archive: zipfile.ZipFile, info: zipfile.ZipInfo, where: str) -> Iterator[bytes]:
    """The entry's bytes in chunks; InputError where it is broken, at the latest after its last byte."""
    size = 0
    try:
        with archive.open(info) as file:
            while chunk := file.read(CHUNK):
                size += len(chunk)
                yield chunk
    except BROKEN_ZIP as error:
        raise _broken(where, info, str(error) or type(error).__name__) from error
    if size != info.file_size:
        raise _broken(where, info, f"{size:,} bytes, expected {info.file_size:,}")


def _broken(where: str, info: zipfile.ZipInfo, found: str) -> InputError:
    return InputError(
        f"{where}: broken",
        [f"{shown_name(info.filename)}: {shown_name(found)}"],
        "Get the archive again, or take another source, then run `dvc repro` again.",
    )


def _walk(
    folder: Path,
    parts: tuple[str, ...],
    entries: list[Entry],
    folders: list[tuple[str, ...]],
    problems: list[str],
) -> None:
    """Add what stands in `folder` and below to the three lists; hidden files and what systems leave are passed over."""
    with os.scandir(folder) as scan:
        found = sorted(scan, key=lambda item: item.name)
    for item in found:
        path = (*parts, item.name)
        name = "/".join(path)
        if _is_junk(item.name):
            continue
        if fault := _unprintable(item.name):
            problems.append(f"{shown_name(name)}: {fault}")
        elif item.is_symlink():
            problems.append(f"{shown_name(name)}: a symbolic link")
        elif item.is_dir():
            folders.append(path)
            _walk(Path(item.path), path, entries, folders, problems)
        elif item.is_file():
            entries.append(Entry(name, path, partial(_read, Path(item.path))))
        else:
            problems.append(f"{shown_name(name)}: not a plain file")


def _read(path: Path) -> Iterator[bytes]:
    try:
        with path.open("rb") as file:
            while chunk := file.read(CHUNK):
                yield chunk
    except OSError as error:
        raise _unreadable(shown_name(str(path)), error) from error


def _is_junk(part: str) -> bool:
    return is_hidden(part) or part.casefold() in ("__macosx", "thumbs.db")


def _copy_splits(where: str, files: list[Entry], folders: list[tuple[str, ...]], into: Path, max_bytes: int) -> None:
    """Write the files below the splits of the one dataset among `files`, and its labels, to the folder `into`."""
    files = [file for file in files if not any(map(_is_junk, file.parts))]
    folders = [folder for folder in folders if not any(map(_is_junk, folder))]
    root = _find_root(where, files, folders)
    for split in MARKS_OF_THE_ROOT:
        (into / split).mkdir(parents=True, exist_ok=True)
    written = 0
    for file in files:
        path = file.parts[len(root) :]
        if file.parts[: len(root)] != root or not (path == (TEST_LABELS,) or (path[0] in SPLITS and len(path) > 1)):
            continue
        target = into.joinpath(*path)
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("xb") as copy:
            for chunk in file.chunks():
                # Counted as they come, for what a zip says about its sizes need not be true.
                written += len(chunk)
                if written > max_bytes:
                    raise _too_large(where, f"{shown_name(file.name)}: stopped after {written:,} bytes", max_bytes)
                copy.write(chunk)


def _find_root(where: str, files: list[Entry], folders: list[tuple[str, ...]]) -> tuple[str, ...]:
    """The folder that holds `train/` and `validate/`: the shallowest, where there are several."""
    every = _all_folders(files, folders)
    roots = sorted(path for path in every if all((*path, mark) in every for mark in MARKS_OF_THE_ROOT))
    if not roots:
        top = sorted({"/".join(path) + "/" for path in every if 1 <= len(path) <= 2})
        top += sorted("/".join(file.parts) for file in files if len(file.parts) <= 2)
        raise InputError(
            f"{where}: no folder in it holds train/ and validate/",
            [
                "expected train/ and validate/, each with a folder of images for each of dataset.classes, "
                "beside one another, at any depth",
                *capped([f"found {shown_name(name)}" for name in top] or ["found nothing"]),
            ],
            CHANGE_SOURCE,
        )
    depth = min(map(len, roots))
    shallowest = [root for root in roots if len(root) == depth]
    if len(shallowest) > 1:
        raise InputError(
            f"{where}: more than one folder in it holds train/ and validate/",
            capped([f"found {shown_name('/'.join(root))}/" for root in shallowest]),
            "Keep one of them: unpack it and give that folder as `dataset.archive` in params.yaml.",
        )
    return shallowest[0]

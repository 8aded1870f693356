"""Import a dataset from a zip file or a folder, local or from a web server. Neither is trusted."""

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
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import requests
from tqdm import tqdm

from anteojos.runtime.errors import InputError, capped, printable
from anteojos.runtime.files import is_hidden
from anteojos.vocabulary import SPLITS, TEST_LABELS

REQUIRED = ("train/", "validate/")  # the folders of a dataset; test/ is optional

CHUNK = 1 << 20  # bytes
TIMEOUT = (10, 60)  # seconds: to connect, between two packets
MAX_ENTRIES = 1_000_000  # empty files count no bytes, but use an inode each
MAX_NAME = 255  # bytes of one part of a path, on all common file systems
MAX_DEPTH = 32  # nested folders
METHODS = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA}

CHANGE_SOURCE = "Change `dataset.archive` in params.yaml, then run `dvc repro` again."

# `zipfile` checks little, so damaged files can raise many exception types.
BROKEN_ZIP = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, NotImplementedError, RuntimeError, OSError,
              ValueError, OverflowError, struct.error)  # fmt: skip


def import_dataset(location: str, into: Path, *, sha256: str | None, max_bytes: int) -> None:
    """Write the splits of a dataset to the folder `into`: `train/`, `validate/` and, if it exists, `test/`.

    `location` is the path or http(s) URL of a zip, or the path of a folder. `sha256` is the expected checksum of the
    zip, in hex. `max_bytes` limits the download, and separately the extracted files. Raise InputError if the location
    cannot be read, has another checksum, is damaged, unsafe or too large, or contains no dataset; `into` may then be
    incomplete. Other errors of the file system, such as a full disk, are OSError.
    """
    if "://" in location:
        shown = shown_url(location)
        if not re.match("https?://", location, re.IGNORECASE):
            raise InputError(f"{shown}: expected a path, or a URL with http:// or https://", (), CHANGE_SOURCE)
        into.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".download.", dir=into.parent) as folder:
            path = Path(folder, "archive.zip")
            _download(location, path, max_bytes)
            _import_zip(path, shown, into, sha256, max_bytes)
        return
    path, shown = Path(location).expanduser(), printable(location)
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError) as error:
        raise _unreadable(shown, error) from error
    if stat.S_ISREG(mode):
        _import_zip(path, shown, into, sha256, max_bytes)
    elif not stat.S_ISDIR(mode):
        raise InputError(f"{shown}: neither a file nor a folder", (), CHANGE_SOURCE)
    elif sha256 is not None:
        raise InputError(
            f"{shown}: a folder has no sha256",
            [f"found a folder, expected a zip with the sha256 {sha256}"],
            "Leave `dataset.sha256` empty in params.yaml, or use the zip that the folder was extracted from.",
        )
    else:
        import_folder(path, into, max_bytes=max_bytes)


def import_folder(folder: Path, into: Path, *, max_bytes: int) -> None:
    """Copy the splits of the dataset in `folder`, at any depth, to the folder `into`.

    Raise InputError if a file or folder cannot be read, is a link or a special file, if two names differ only in case,
    if the files have more than `max_bytes`, or if there is no dataset; `into` may then be incomplete.
    """
    names: list[str] = []
    problems: list[str] = []

    def stop(error: OSError) -> None:
        raise error

    try:
        for top, folders, files in os.walk(folder, onerror=stop):
            folders[:] = [name for name in folders if not _is_junk(name)]
            for path in (Path(top, name) for name in [*folders, *files] if not _is_junk(name)):
                name, kind = path.relative_to(folder).as_posix(), stat.S_IFMT(path.lstat().st_mode)
                names.append(f"{name}/" if kind == stat.S_IFDIR else name)
                if fault := _fault_of_characters(name) or _fault_of_kind(kind, stat.S_IFREG, stat.S_IFDIR):
                    problems.append(f"{printable(name)}: {fault}")
    except OSError as error:
        raise _unreadable(printable(str(error.filename or folder)), error) from error
    where = printable(str(folder))
    _copy_splits(where, sorted(names), sorted(problems), lambda name: _read(folder / name), into, max_bytes)


def shown_url(url: str) -> str:
    """Return the URL for messages: without user, password, query and fragment, which may contain secrets."""
    scheme = url.partition("://")[0]
    try:
        parts = urlsplit(url)
        _ = parts.port  # an invalid port is probably part of a password with a character that is not quoted
    except ValueError:
        return printable(f"{scheme}://…")
    return printable(f"{scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}")


def _unreadable(shown: str, error: OSError | ValueError) -> InputError:
    reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
    return InputError(f"{shown}: cannot be read", [reason], CHANGE_SOURCE)


def _too_large(where: str, found: str, max_bytes: int) -> InputError:
    return InputError(
        f"{where}: too large",
        [f"{found}, expected at most {max_bytes:,} (dataset.max_bytes)"],
        "If this is the right archive, increase `dataset.max_bytes` in params.yaml, then run `dvc repro` again.",
    )


def _download(url: str, target: Path, max_bytes: int) -> None:
    """Download an http(s) URL to the file `target`; raise InputError without the secrets of the URL if it fails."""
    shown, received = shown_url(url), 0
    try:
        # Without compression, Content-Length is the size of the file.
        headers = {"Accept-Encoding": "identity"}
        with requests.get(url, stream=True, timeout=TIMEOUT, headers=headers) as response:
            if response.status_code != http.client.OK:
                found = f"{response.status_code} {http.client.responses.get(response.status_code, '')}".rstrip()
                problem = f"the server answered {found}, expected 200 OK"
                raise InputError(f"{shown}: the server did not send the archive", [problem], CHANGE_SOURCE)
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
        failure = f"{_reason(error)}, after {received:,} bytes"
    # Raised outside of `except`: the exceptions of `requests` contain the URL with its secrets, and would be chained.
    raise InputError(
        f"{shown}: the download failed",
        [failure],
        "Check the URL and the network, then run `dvc repro` again. Or download the archive in another way and set "
        "`dataset.archive` to its path.",
    )


def _reason(error: requests.RequestException) -> str:
    match error:
        case requests.exceptions.SSLError():
            return "the certificate of the server was not accepted"
        case requests.exceptions.ProxyError():
            return "no connection to the proxy"
        case requests.Timeout():
            return "no answer in time"
        case requests.exceptions.ChunkedEncodingError() | requests.ConnectionError():
            return "no connection, or it was interrupted"
        case _:
            return type(error).__name__


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
            f"{where}: not the archive in params.yaml",
            [f"found    sha256 {found}", f"expected sha256 {sha256}"],
            "Use the right archive, or change `dataset.sha256` in params.yaml, then run `dvc repro` again.",
        )
    try:
        archive = zipfile.ZipFile(path)
    except BROKEN_ZIP as error:
        kind = "a damaged or incomplete zip" if head[:2] == b"PK" else f"not a zip: starts with {head!r}"
        raise InputError(f"{where}: not a zip that can be read", [f"{kind} ({error})"], CHANGE_SOURCE) from error
    with archive:
        infos = archive.infolist()
        if len(infos) > MAX_ENTRIES:
            problem = f"found {len(infos):,} entries, expected at most {MAX_ENTRIES:,}"
            raise InputError(f"{where}: too many entries", [problem], CHANGE_SOURCE)
        names, problems, by_name = [], [], {}
        for info in infos:
            name = "/".join(_parts(info.filename)) + "/" * info.is_dir()
            if fault := _fault(info):
                problems.append(f"{printable(info.orig_filename)}: {fault}")
            elif name != "/" and not _is_junk(name):
                names.append(name)
                by_name[name] = info
        _copy_splits(where, names, problems, lambda name: _extract(archive, by_name[name], where), into, max_bytes)


def _parts(name: str) -> list[str]:
    """Return the parts of a path with `/`, on all systems; those of `./a//b` are `a`, `b`."""
    return [part for part in name.split("/") if part not in ("", ".")]


def _is_junk(name: str) -> bool:
    """Return whether a file or its folder is hidden or was added by the operating system."""
    return any(is_hidden(part) or part.casefold() in ("__macosx", "thumbs.db") for part in _parts(name))


def _fault(info: zipfile.ZipInfo) -> str:
    """Return why the entry must not be extracted, or an empty text if it may."""
    # `filename` ends at the first NUL and may come from an extra field; `orig_filename` is in the directory of the zip.
    if fault := _fault_of_name(info.orig_filename) or _fault_of_name(info.filename):
        return fault
    kind = stat.S_IFMT(info.external_attr >> 16)
    if kind and (fault := _fault_of_kind(kind, stat.S_IFDIR if info.is_dir() else stat.S_IFREG)):
        return fault
    if info.flag_bits & 0x1:
        return "encrypted"
    return "" if info.compress_type in METHODS else f"unsupported compression method {info.compress_type}"


def _fault_of_kind(kind: int, *allowed: int) -> str:
    return "a symbolic link" if kind == stat.S_IFLNK else "" if kind in allowed else "not a regular file"


def _fault_of_name(name: str) -> str:
    parts = _parts(name)
    faults = {
        _fault_of_characters(name): True,
        "a backslash in its name": "\\" in name,
        "an absolute path": name.startswith("/"),
        "a drive letter in its name": bool(re.match("[A-Za-z]:", name)),
        "a path with `..`": ".." in parts,
        "no name": not parts and not name.endswith("/"),
        f"a name of more than {MAX_NAME} bytes": any(len(part.encode(errors="replace")) > MAX_NAME for part in parts),
        f"more than {MAX_DEPTH} nested folders": len(parts) > MAX_DEPTH,
    }
    return next((fault for fault, found in faults.items() if fault and found), "")


def _fault_of_characters(name: str) -> str:
    """Return which characters would break the tables and messages of later stages, or an empty text."""
    categories = {unicodedata.category(c) for c in name}
    if "\0" in name:
        return "a NUL in its name"
    return "control characters in its name" if "Cc" in categories else "not UTF-8" if "Cs" in categories else ""


def _clashes(names: list[str]) -> list[str]:
    """Return a line for each group of names that are one file on some file system; names of folders end with `/`."""
    files: dict[str, list[str]] = defaultdict(list)
    folders: set[str] = set()
    for name in names:
        key = unicodedata.normalize("NFC", name).casefold()  # as macOS and Windows compare names
        folders.update(key[: match.start()] for match in re.finditer("/", key))
        if not key.endswith("/"):
            files[key].append(printable(name))
    return [
        *(f"{', '.join(same)}: the same name on some file systems" for same in files.values() if len(same) > 1),
        *(f"{same[0]}: a file and a folder" for key, same in files.items() if key in folders),
    ]


def _read(path: Path) -> Iterator[bytes]:
    try:
        with path.open("rb") as file:
            while chunk := file.read(CHUNK):
                yield chunk
    except OSError as error:
        raise _unreadable(printable(str(path)), error) from error


def _extract(archive: zipfile.ZipFile, info: zipfile.ZipInfo, where: str) -> Iterator[bytes]:
    """Yield the content of an entry in chunks; raise InputError if it is damaged, at the latest at its end."""
    size = 0
    try:
        with archive.open(info) as file:
            while chunk := file.read(CHUNK):
                size += len(chunk)
                yield chunk
        found = f"{size:,} bytes, expected {info.file_size:,}" if size != info.file_size else ""
    except BROKEN_ZIP as error:
        found = str(error) or type(error).__name__
    if found:
        raise InputError(
            f"{where}: damaged",
            [f"{printable(info.filename)}: {printable(found)}"],
            "Download or copy the archive again, or use another source, then run `dvc repro` again.",
        )


def _copy_splits(
    where: str,
    names: list[str],
    problems: list[str],
    read: Callable[[str], Iterator[bytes]],
    into: Path,
    max_bytes: int,
) -> None:
    """Write the files of the splits, and the labels of the test images, to the folder `into`.

    `names` are relative paths with `/`, at the end for folders too; `read` yields the content of a file.
    """
    if problems := [*problems, *_clashes(names)]:
        raise InputError(
            f"{where}: contains files that are not safe to import",
            capped(problems),
            "Remove or rename them, or use another source, then run `dvc repro` again.",
        )
    root = _find_root(where, names)
    for split in REQUIRED:
        (into / split).mkdir(parents=True, exist_ok=True)
    written = 0
    for name in names:
        path = name.removeprefix(root)
        in_split = "/" in path and path.split("/")[0] in SPLITS
        if name.endswith("/") or not name.startswith(root) or not (in_split or path == TEST_LABELS):
            continue
        target = into / path
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("xb") as file:
            for chunk in read(name):
                # Counted here, because the sizes in a zip can be wrong.
                written += len(chunk)
                if written > max_bytes:
                    raise _too_large(where, f"{printable(name)}: stopped after {written:,} bytes", max_bytes)
                file.write(chunk)


def _find_root(where: str, names: list[str]) -> str:
    """Return the folder that contains `train/` and `validate/`, with a `/` at its end; the shallowest of several."""
    folders = {name[: match.end()] for name in names for match in re.finditer("/", name)} | {""}
    roots = sorted(folder for folder in folders if all(f"{folder}{split}" in folders for split in REQUIRED))
    if not roots:
        top = sorted(folder for folder in folders if folder and folder.count("/") <= 2)
        top += sorted(name for name in names if not name.endswith("/") and name.count("/") <= 1)
        raise InputError(
            f"{where}: no folder contains train/ and validate/",
            [
                "expected train/ and validate/ next to each other, at any depth, each with a folder of images for each "
                "of dataset.classes",
                *capped([f"found {printable(name)}" for name in top] or ["found nothing"]),
            ],
            CHANGE_SOURCE,
        )
    depth = min(root.count("/") for root in roots)
    shallowest = [root for root in roots if root.count("/") == depth]
    if len(shallowest) > 1:
        raise InputError(
            f"{where}: more than one folder contains train/ and validate/",
            capped([f"found {printable(root)}" for root in shallowest]),
            "Keep one of them: extract the archive and set `dataset.archive` in params.yaml to that folder.",
        )
    return shallowest[0]

"""Read zip files. They are not trusted."""

import lzma
import stat
import struct
import zipfile
import zlib
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

from anteojos.runtime.errors import InputError, printable
from anteojos.sources import safety
from anteojos.sources.entries import CHUNK, Entries, damaged, too_many
from anteojos.sources.layout import CHANGE_SOURCE

METHODS = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA}

# `zipfile` checks little, so damaged files can raise many exception types.
BROKEN = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, NotImplementedError, RuntimeError, OSError,
          ValueError, OverflowError, struct.error)  # fmt: skip


@contextmanager
def opened(path: Path, where: str) -> Iterator[Entries]:
    """List the files of a zip. Raises InputError if it is damaged or contains unsafe entries."""
    try:
        archive = zipfile.ZipFile(path)
    except BROKEN as error:
        problem = f"a damaged or incomplete zip ({error})"
        raise InputError(f"{where}: not a zip that can be read", [problem], CHANGE_SOURCE) from error
    with archive:
        infos = archive.infolist()
        if len(infos) > safety.MAX_ENTRIES:
            raise too_many(where, f"{len(infos):,} entries", safety.MAX_ENTRIES)
        names, problems, by_name = [], [], {}
        for info in infos:
            name = safety.path_of(info.filename)
            if fault := _fault(info):
                problems.append(f"{printable(info.orig_filename)}: {fault}")
            elif name != "/" and not safety.is_junk(name):
                names.append(name)
                by_name[name] = info
        safety.check(where, names, problems)

        def read(wanted: Collection[str]) -> Iterator[tuple[str, Iterator[bytes]]]:
            return ((name, _extract(archive, by_name[name], where)) for name in names if name in wanted)

        yield Entries(where, names, read)


def _fault(info: zipfile.ZipInfo) -> str:
    """Return why the entry must not be extracted, or "" if it may."""
    # `filename` ends at the first NUL and may come from an extra field; `orig_filename` is in the directory of the zip.
    if fault := safety.fault_of_name(info.orig_filename) or safety.fault_of_name(info.filename):
        return fault
    kind, is_folder = stat.S_IFMT(info.external_attr >> 16), safety.path_of(info.filename).endswith("/")
    if kind and (fault := safety.fault_of_kind(kind, stat.S_IFDIR if is_folder else stat.S_IFREG)):
        return fault
    if info.flag_bits & 0x1:
        return "encrypted"
    return "" if info.compress_type in METHODS else f"unsupported compression method {info.compress_type}"


def _extract(archive: zipfile.ZipFile, info: zipfile.ZipInfo, where: str) -> Iterator[bytes]:
    """Yield the content of an entry in chunks. Raises InputError, perhaps only after the last one, if it is damaged."""
    size = 0
    try:
        with archive.open(info) as file:
            while chunk := file.read(CHUNK):
                size += len(chunk)
                yield chunk
        found = f"{size:,} bytes, expected {info.file_size:,}" if size != info.file_size else ""
    except BROKEN as error:
        found = str(error) or type(error).__name__
    if found:
        raise damaged(where, info.filename, found)

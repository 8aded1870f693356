"""Read tar files, plain or compressed with gzip, bzip2 or xz. They are not trusted.

A tar has no index, so it is read from start to end twice: to list its entries, and to extract some of them.
"""

import bz2
import gzip
import io
import lzma
import struct
import tarfile
import zlib
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Literal

from anteojos.runtime.errors import InputError, capped, printable
from anteojos.sources import safety
from anteojos.sources.entries import CHUNK, Entries, damaged, too_large, too_many
from anteojos.sources.layout import CHANGE_SOURCE

HEAD = tarfile.BLOCKSIZE  # bytes, which tell the kind of an archive
Compression = Literal["", "gzip", "bzip2", "xz"]
# The first bytes of compressed files.
MAGIC: dict[bytes, Compression] = {b"\x1f\x8b": "gzip", b"BZh": "bzip2", b"\xfd7zXZ\0": "xz"}
MAX_HEADER = 1 << 16  # bytes of a long name or of other metadata of an entry, which `tarfile` reads into memory
FREE_HEADER = 1 << 12  # bytes of metadata of an entry that do not count as content
MAX_GLOBAL = 1000  # metadata fields for all entries, which `tarfile` keeps in memory
XZ_MEMORY = 256 << 20  # bytes; the largest preset, `xz -9`, needs 65 MiB

# Damaged files can raise all of these; RuntimeError is a recursion that is too deep.
BROKEN = (tarfile.TarError, zlib.error, lzma.LZMAError, EOFError, RuntimeError, OSError, ValueError, OverflowError,
          IndexError, struct.error, MemoryError)  # fmt: skip
REGULAR = (tarfile.REGTYPE, tarfile.AREGTYPE, tarfile.CONTTYPE)


def compression(head: bytes) -> Compression | None:
    """Return the compression of a tar that starts with `head`, "" if it has none, or None if it is not a tar."""
    for magic, name in MAGIC.items():
        if head.startswith(magic):
            return name
    if len(head) >= HEAD and not any(head[:HEAD]):
        return ""  # a tar without entries
    try:
        tarfile.TarInfo.frombuf(head[:HEAD], "utf-8", "surrogateescape")
    except (tarfile.TarError, ValueError):
        return None
    return ""


@contextmanager
def opened(path: Path, where: str, compressed: Compression, max_bytes: int) -> Iterator[Entries]:
    """List the files of a tar. Raises InputError if it is damaged, unsafe, or extracts to more than `max_bytes`."""
    names, problems = _listed(path, where, compressed, max_bytes)
    safety.check(where, names, problems)

    def read(wanted: Collection[str]) -> Iterator[tuple[str, Iterator[bytes]]]:
        member = None
        try:
            for tar, member in _members(path, compressed):
                name = _name(member)
                if name in wanted and not member.isdir():
                    yield name, _extract(tar, member, where)
        except BROKEN as error:
            raise damaged(where, member.name if member else "", str(error) or type(error).__name__) from error

    yield Entries(where, names, read)


def _listed(path: Path, where: str, compressed: Compression, max_bytes: int) -> tuple[list[str], list[str]]:
    """Return the names of all entries except hidden ones, and a line for each unsafe entry."""
    names, problems, number, size = [], [], 0, 0
    try:
        for number, (_, member) in enumerate(_members(path, compressed), start=1):
            # Check this before the content is skipped: a small compressed file can contain a huge entry.
            size += member.size + max(0, member.offset_data - member.offset - FREE_HEADER)
            if size > max_bytes:
                found = f"{printable(member.name)}: stopped at {size:,} bytes of all entries together"
                raise too_large(where, found, max_bytes)
            if number > safety.MAX_ENTRIES:
                raise too_many(where, f"more than {safety.MAX_ENTRIES:,} entries", safety.MAX_ENTRIES)
            if fault := safety.fault_of_name(member.name + "/" * member.isdir()) or _fault(member):
                problems.append(f"{printable(member.name)}: {fault}")
            elif (name := _name(member)) != "/" and not safety.is_junk(name):
                names.append(name)
    except _SparseFileError as error:
        problems.append(f"{printable(str(error))}: a sparse file")
    except BROKEN as error:
        kind = f"a tar compressed with {compressed}" if compressed else "a tar"
        problem = f"not {kind}, or damaged or incomplete: {printable(str(error) or type(error).__name__)}"
        after = [f"after {number:,} entries"] if number else []
        raise InputError(f"{where}: not a tar that can be read", [problem, *after], CHANGE_SOURCE) from error
    return names, capped(problems)


def _name(member: tarfile.TarInfo) -> str:
    return safety.path_of(member.name + "/" * member.isdir())


def _fault(member: tarfile.TarInfo) -> str:
    """Return why the entry must not be extracted, or "" if it may."""
    if member.issym():
        return "a symbolic link"
    if member.islnk():
        return "a hard link"
    if member.issparse():
        return "a sparse file"
    return "" if member.isdir() or member.type in REGULAR else "not a regular file"


def _extract(tar: tarfile.TarFile, member: tarfile.TarInfo, where: str) -> Iterator[bytes]:
    try:
        file = tar.extractfile(member)
        assert file is not None
        while chunk := file.read(CHUNK):
            yield chunk
    except BROKEN as error:
        raise damaged(where, member.name, str(error) or type(error).__name__) from error


def _members(path: Path, compressed: Compression) -> Iterator[tuple[tarfile.TarFile, tarfile.TarInfo]]:
    """Yield each entry, then read to the end of the file, to verify the checksum of compressed files."""
    with path.open("rb") as file, _decompressed(file, compressed) as stream:
        # `r|` never seeks back.
        with tarfile.open(
            fileobj=stream, mode="r|", tarinfo=_Member, encoding="utf-8", errors="surrogateescape", bufsize=CHUNK
        ) as tar:
            while member := tar.next():
                if member.size < 0 or len(tar.pax_headers) > MAX_GLOBAL:
                    raise tarfile.ReadError("invalid metadata")
                tar.members.clear()  # type: ignore[attr-defined]  # otherwise all of them stay in memory
                yield tar, member
        end = stream.read(CHUNK)
        if stream.read(1):
            raise tarfile.ReadError(f"more than {len(end):,} bytes after the end of the archive")


def _decompressed(file: IO[bytes], compressed: Compression) -> Any:
    match compressed:
        case "gzip":
            return gzip.GzipFile(fileobj=file)
        case "bzip2":
            return bz2.BZ2File(file)
        case "xz":
            return io.BufferedReader(_Xz(file), CHUNK)
        case _:
            return file


class _SparseFileError(Exception):
    """A sparse file. It can have a map of any size, which `tarfile` would read into memory."""


class _Member(tarfile.TarInfo):
    """An entry that limits what `tarfile` reads into memory, and raises an error where `tarfile` ignores damage."""

    @classmethod
    def fromtarfile(cls, tarfile_: tarfile.TarFile) -> "_Member":
        try:
            return super().fromtarfile(tarfile_)
        except tarfile.EOFHeaderError:  # type: ignore[attr-defined]
            raise  # zeros mark the end of the archive
        except tarfile.HeaderError as error:
            raise tarfile.ReadError(str(error)) from None

    # tarfile's own comments allow subclasses to override this method.
    def _proc_member(self, archive: tarfile.TarFile) -> tarfile.TarInfo:
        metadata = (tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK, tarfile.XHDTYPE, tarfile.XGLTYPE,
                    tarfile.SOLARIS_XHDTYPE)  # fmt: skip
        if self.size < 0 or (self.type in metadata and self.size > MAX_HEADER):
            raise tarfile.ReadError(f"metadata of {self.size:,} bytes, expected at most {MAX_HEADER:,}")
        if self.type == tarfile.GNUTYPE_SPARSE:
            raise _SparseFileError(self.name)
        member: tarfile.TarInfo = super()._proc_member(archive)  # type: ignore[misc]
        return member

    def _proc_gnusparse_10(self, member: tarfile.TarInfo, *_: object) -> None:
        raise _SparseFileError(member.name)


class _Xz(io.RawIOBase):
    """Decompress xz with limited memory; `lzma.open` has no limit."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._decoder = self._new()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = b""
        while not data:
            if self._decoder.eof:
                rest = self._decoder.unused_data.lstrip(b"\0") or self._file.read(CHUNK).lstrip(b"\0")
                if not rest:
                    return 0
                self._decoder = self._new()
            elif self._decoder.needs_input:
                rest = self._file.read(CHUNK)
                if not rest:
                    raise EOFError("compressed data end too early")
            else:
                rest = b""
            data = self._decoder.decompress(rest, len(buffer))
        buffer[: len(data)] = data
        return len(data)

    @staticmethod
    def _new() -> lzma.LZMADecompressor:
        return lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=XZ_MEMORY)

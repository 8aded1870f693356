"""Tests of importing tar files: usual ones, damaged ones and hostile ones."""

import gzip
import hashlib
import io
import lzma
import os
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from anteojos.sources import safety, tars
from tests.sources.test_archive import COMPRESSIBLE, FILES, below, imported, refused

MODES = {"": "w", "gzip": "w:gz", "bzip2": "w:bz2", "xz": "w:xz"}
FORMATS = {"ustar": tarfile.USTAR_FORMAT, "gnu": tarfile.GNU_FORMAT, "pax": tarfile.PAX_FORMAT}
LINKS = {"a symbolic link": tarfile.SYMTYPE, "a hard link": tarfile.LNKTYPE}
SPECIAL = (tarfile.FIFOTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, b"Z")

Entries = dict[str, bytes] | list[tuple[tarfile.TarInfo | str, bytes]]


def make_tar(path: Path, entries: Entries = FILES, compression: str = "", form: int = tarfile.PAX_FORMAT) -> Path:
    with tarfile.open(path, MODES[compression], format=form) as written:  # type: ignore[call-overload]
        for entry, content in entries.items() if isinstance(entries, dict) else entries:
            info = tarfile.TarInfo(entry) if isinstance(entry, str) else entry
            info.size = info.size or len(content)
            written.addfile(info, io.BytesIO(content))
    return path


def special(name: str, kind: bytes, target: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("compression", MODES)
@pytest.mark.parametrize("top", ["", "./", "pets/a b/"])
def test_tar_is_recognised_by_its_content(form: str, compression: str, top: str, tmp_path: Path) -> None:
    files = {top + name: content for name, content in FILES.items()}
    assert imported(make_tar(tmp_path / "x.zip", files, compression, FORMATS[form]), tmp_path) == FILES


@pytest.mark.parametrize("compress", [None, "--gzip", "--xz"])
def test_tar_of_the_command(compress: str | None, tmp_path: Path) -> None:
    for name, content in FILES.items():
        (tmp_path / "x" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "x" / name).write_bytes(content)
    options = [compress] if compress else []
    subprocess.run(["tar", "--create", *options, "--file", "x.tar", "x"], cwd=tmp_path, check=True)
    assert imported(tmp_path / "x.tar", tmp_path) == FILES


def test_old_tar_without_magic(tmp_path: Path) -> None:
    source = make_tar(tmp_path / "x.tar", FILES, form=tarfile.USTAR_FORMAT)
    content = bytearray(source.read_bytes())
    for start in range(0, len(content), 512):
        block = content[start : start + 512]
        if block[257:262] == b"ustar":
            block[257:265] = bytes(8)
            block[148:156] = b" " * 8
            block[148:156] = b"%06o\0 " % sum(block)
            content[start : start + 512] = block
    source.write_bytes(content)
    assert b"ustar" not in content
    assert imported(source, tmp_path) == FILES


def test_compressed_in_several_parts(tmp_path: Path) -> None:
    content = make_tar(tmp_path / "x.tar").read_bytes()
    half = len(content) // 2
    for name, compress in (("gz", gzip.compress), ("xz", lzma.compress)):
        (tmp_path / name).write_bytes(compress(content[:half]) + compress(content[half:]))
        assert imported(tmp_path / name, tmp_path / f"from {name}") == FILES


def test_long_names_and_sha256(tmp_path: Path) -> None:
    long = {f"train/glasses/{'ñ' * 100}/{'b' * 150}.jpg": b"long"}
    for form in ("gnu", "pax"):
        source = make_tar(tmp_path / "x.tar", {**FILES, **long}, "gzip", FORMATS[form])
        sha256 = hashlib.sha256(source.read_bytes()).hexdigest()
        assert imported(source, tmp_path / form, sha256=sha256) == {**FILES, **long}
        assert "not the archive in params.yaml" in refused(source, tmp_path / f"{form} 2", sha256="0" * 64)


def test_hidden_files_and_modes(tmp_path: Path) -> None:
    program = tarfile.TarInfo("top/train/glasses/run.jpg")
    program.mode = 0o4777
    junk = {"top/train/glasses/._a.jpg": b"", "__MACOSX/train/glasses/a.jpg": b"", "top/.hidden/a.jpg": b""}
    source = make_tar(tmp_path / "x.tar", [*below("top").items(), *junk.items(), (program, b"")])
    assert imported(source, tmp_path) == {**FILES, "train/glasses/run.jpg": b""}
    assert (tmp_path / "data/raw/train/glasses/run.jpg").stat().st_mode & 0o7111 == 0


def test_backslashes_separate_folders(tmp_path: Path) -> None:
    files = {name.replace("/", "\\"): content for name, content in below("top").items()}
    assert imported(make_tar(tmp_path / "x.tar", files), tmp_path) == FILES


# Unsafe entries


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("../evil.jpg", "a path with `..`"),
        ("train/glasses/../../../evil.jpg", "a path with `..`"),
        ("/etc/evil", "an absolute path"),
        ("C:/evil.jpg", "a drive letter in its name"),
        ("train\\..\\..\\evil.jpg", "a path with `..`"),
        ("train/\x1b[2Jevil.jpg", "control characters in its name"),
        ("train/glasses/" + "é" * 128, "a name of more than 255 bytes"),
        ("a/" * 32 + "evil.jpg", "more than 32 nested folders"),
    ],
)
@pytest.mark.parametrize("form", ["gnu", "pax"])
def test_unsafe_name_raises(name: str, reason: str, form: str, tmp_path: Path) -> None:
    source = make_tar(tmp_path / "x.tar", {**FILES, name: b"evil"}, form=FORMATS[form])
    assert refused(source, tmp_path).splitlines() == [
        f"{source}: contains files that are not safe to import",
        f"  {name}: {reason}".replace("\x1b", "\\x1b"),
        "Remove or rename them, or use another source, then run `dvc repro` again.",
    ]
    assert not list(tmp_path.rglob("evil*"))


@pytest.mark.parametrize("reason", LINKS)
@pytest.mark.parametrize("target", ["/etc/passwd", "../../outside", "train/glasses/a.jpg"])
def test_link_raises(reason: str, target: str, tmp_path: Path) -> None:
    link = special("train/glasses/evil.jpg", LINKS[reason], target)
    source = make_tar(tmp_path / "x.tar", [*FILES.items(), (link, b""), ("train/glasses/evil.jpg/x", b"")])
    assert f"  train/glasses/evil.jpg: {reason}\n" in refused(source, tmp_path)


@pytest.mark.parametrize("kind", SPECIAL, ids=str)
def test_special_file_raises(kind: bytes, tmp_path: Path) -> None:
    source = make_tar(tmp_path / "x.tar", [*FILES.items(), (special("dev", kind), b"")])
    assert "  dev: not a regular file\n" in refused(source, tmp_path)


@pytest.mark.parametrize("version", ["gnu", "0.0", "0.1", "1.0"])
def test_sparse_file_raises(version: str, tmp_path: Path) -> None:
    source = tmp_path / "x.tar"
    with (tmp_path / "large.jpg").open("wb") as file:
        file.truncate(1 << 20)
        file.seek(1 << 19)
        file.write(b"x")
    options = ["--format=gnu"] if version == "gnu" else ["--format=posix", f"--sparse-version={version}"]
    subprocess.run(["tar", "--create", "--sparse", *options, "--file", "x.tar", "large.jpg"], cwd=tmp_path, check=True)
    assert "large.jpg: a sparse file\n" in refused(source, tmp_path, max_bytes=1 << 30)


def test_same_name_twice_raises(tmp_path: Path) -> None:
    twice = [("train/glasses/b.jpg", b"1"), ("./train/glasses//B.jpg", b"2")]
    message = refused(make_tar(tmp_path / "x.tar", [*FILES.items(), *twice]), tmp_path)
    assert "  train/glasses/b.jpg, train/glasses/B.jpg: the same name on some file systems\n" in message


def test_name_that_is_not_utf8_raises(tmp_path: Path) -> None:
    source = make_tar(tmp_path / "x.tar", {**FILES, os.fsdecode(b"train/\xff.jpg"): b""}, form=tarfile.GNU_FORMAT)
    assert "  train/\\udcff.jpg: not UTF-8\n" in refused(source, tmp_path)


# Limits


def test_max_bytes_is_inclusive_and_counts_all_entries(tmp_path: Path) -> None:
    size = sum(map(len, COMPRESSIBLE.values()))
    source = make_tar(tmp_path / "x.tar", COMPRESSIBLE, "gzip")
    assert imported(source, tmp_path / "exact", max_bytes=size) == COMPRESSIBLE
    padded = make_tar(tmp_path / "y.tar", {**COMPRESSIBLE, "else": b"x"}, "gzip")
    message = refused(padded, tmp_path, max_bytes=size)
    assert f"  else: stopped at {size + 1:,} bytes of all entries together, expected at most {size:,} (" in message


@pytest.mark.parametrize("compression", MODES)
@pytest.mark.parametrize("name", ["train/glasses/bomb.jpg", "elsewhere"])
def test_decompression_bomb_is_stopped_before_it_is_read(compression: str, name: str, tmp_path: Path) -> None:
    # Its content is not there: whoever reads it reports an incomplete archive.
    bomb = tarfile.TarInfo(name)
    bomb.size = 1 << 40
    source = make_tar(tmp_path / "x.tar", [*FILES.items(), (special("x", tarfile.DIRTYPE), b"")])
    content = source.read_bytes().rstrip(b"\0") + bytes(1024 - 512)
    with tarfile.open(source) as listed:
        end = listed.getmembers()[-1].offset_data
    content = content[:end] + bomb.tobuf(tarfile.PAX_FORMAT)
    compress: Callable[[bytes], bytes] = {"": bytes, "gzip": gzip.compress, "bzip2": tars.bz2.compress,
                                          "xz": lzma.compress}[compression]  # fmt: skip
    source.write_bytes(compress(content))
    message = refused(source, tmp_path)
    assert message.startswith(f"{source}: too large\n  {name}: stopped at 1,099,511,")


def test_too_many_entries_raise(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(safety, "MAX_ENTRIES", 4)
    assert "found more than 4 entries, expected at most 4" in refused(make_tar(tmp_path / "x.tar"), tmp_path)


def test_large_metadata_is_not_read(tmp_path: Path) -> None:
    for kind in (tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK):
        metadata = special("metadata", kind)
        metadata.size = 1 << 40
        source = tmp_path / "x.tar"
        source.write_bytes(metadata.tobuf(tarfile.GNU_FORMAT))
        message = refused(source, tmp_path)
        assert "metadata of 1,099,511,627,776 bytes, expected at most 65,536" in message


def test_metadata_for_all_entries_is_limited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tars, "MAX_GLOBAL", 2)
    source = tmp_path / "x.tar"
    with tarfile.open(source, "w", pax_headers={"comment": "1", "a": "2", "b": "3"}) as written:
        written.addfile(tarfile.TarInfo("a"))
    assert "invalid metadata" in refused(source, tmp_path)


def test_deeply_chained_metadata_raises(tmp_path: Path) -> None:
    header = special("././@LongLink", tarfile.GNUTYPE_LONGNAME)
    header.size = 2
    block = header.tobuf(tarfile.GNU_FORMAT) + b"a\0" + bytes(510)
    (tmp_path / "x.tar").write_bytes(block * 3000)
    assert "not a tar that can be read" in refused(tmp_path / "x.tar", tmp_path, max_bytes=10**7)


def test_negative_size_in_metadata_raises(tmp_path: Path) -> None:
    record = b"12 size=-99\n"
    header = special("pax", tarfile.XHDTYPE)
    header.size = len(record)
    content = header.tobuf(tarfile.USTAR_FORMAT) + record.ljust(512, b"\0")
    content += tarfile.TarInfo("train/glasses/a.jpg").tobuf(tarfile.USTAR_FORMAT) + bytes(1024)
    (tmp_path / "x.tar").write_bytes(content)
    assert "invalid metadata" in refused(tmp_path / "x.tar", tmp_path)


def test_xz_with_huge_dictionary_raises(tmp_path: Path) -> None:
    filters = [{"id": lzma.FILTER_LZMA2, "preset": 0, "dict_size": 1 << 20}]
    content = bytearray(lzma.compress(make_tar(tmp_path / "x.tar").read_bytes(), filters=filters))
    # In the header of the block: the size of the dictionary, and the checksum of the header.
    start = 12
    size = (content[start] + 1) * 4
    position = content.index(b"\x21\x01", start, start + size) + 2
    content[position] = 40  # 4 GiB
    content[start + size - 4 : start + size] = tars.zlib.crc32(content[start : start + size - 4]).to_bytes(4, "little")
    (tmp_path / "x.tar").write_bytes(content)
    assert "Memory usage limit" in refused(tmp_path / "x.tar", tmp_path)


# Damaged files


@pytest.mark.parametrize("compression", MODES)
def test_truncated_anywhere_raises(compression: str, tmp_path: Path) -> None:
    files = {**FILES, "validate/noglasses/b.jpg": os.urandom(3000)}
    source = make_tar(tmp_path / "x.tar", files, compression)
    content = source.read_bytes()
    if not compression:
        # The last bytes are zeros.
        content = content[: len(content.rstrip(b"\0")) // 512 * 512 + 512]
    for length in range(1, len(content), max(1, len(content) // 25)):
        source.write_bytes(content[:length])
        assert refused(source, tmp_path).startswith(f"{source}: not a")
    if not compression:
        source.write_bytes(content)  # all but the zeros at the end
        assert "damaged or incomplete" in refused(source, tmp_path)


@pytest.mark.parametrize("compression", ["gzip", "bzip2", "xz"])
def test_changed_bytes_raise(compression: str, tmp_path: Path) -> None:
    files = {**FILES, "validate/noglasses/b.jpg": os.urandom(30_000)}
    source = make_tar(tmp_path / "x.tar", files, compression)
    content = source.read_bytes()
    source.write_bytes(content[:20_000] + bytes(16) + content[20_016:])
    assert f"not a tar compressed with {compression}, or damaged or incomplete: " in refused(source, tmp_path)


def test_damaged_header_raises(tmp_path: Path) -> None:
    source = make_tar(tmp_path / "x.tar")
    with tarfile.open(source) as listed:
        position = listed.getmembers()[2].offset
    content = bytearray(source.read_bytes())
    content[position] ^= 1
    source.write_bytes(content)
    message = refused(source, tmp_path)
    assert "damaged or incomplete: bad checksum\n  after 2 entries\n" in message


def test_compressed_file_that_is_no_tar_raises(tmp_path: Path) -> None:
    source = tmp_path / "x.tar.gz"
    source.write_bytes(gzip.compress(b"a table\n" * 1000))
    assert "not a tar compressed with gzip, or damaged or incomplete: " in refused(source, tmp_path)


def test_content_after_the_end_raises(tmp_path: Path) -> None:
    source = make_tar(tmp_path / "x.tar")
    source.write_bytes(source.read_bytes() + bytes(4 << 20))
    assert "after the end of the archive" in refused(source, tmp_path, max_bytes=10**7)


def test_memory_does_not_grow_with_the_content(tmp_path: Path) -> None:
    source = make_tar(tmp_path / "x.tar", {**FILES, "train/glasses/large.jpg": bytes(200 << 20)}, "gzip")
    program = (
        "import resource, sys\n"
        "from pathlib import Path\n"
        "from anteojos.sources.archive import Classes, import_dataset\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "classes = Classes(('glasses', 'noglasses'))\n"
        "import_dataset(sys.argv[1], Path(sys.argv[2]), classes, sha256=None, max_bytes=10**9)\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, source, tmp_path / "into"], capture_output=True, text=True, check=True
    )
    assert int(done.stdout) < 60_000  # KiB

"""Tests of importing zip files and folders: usual ones, damaged ones and hostile ones."""

import base64
import hashlib
import os
import socket
import stat
import struct
import subprocess
import sys
import tempfile
import threading
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from anteojos.runtime.errors import InputError
from anteojos.runtime.outputs import replacing
from anteojos.sources import entries, safety
from anteojos.sources.archive import Classes, import_dataset, import_folder

FILES = {
    "train/glasses/a.jpg": b"train glasses",
    "train/noglasses/a.jpg": b"train noglasses",
    "validate/glasses/a.jpg": b"validate glasses",
    "validate/noglasses/a.jpg": b"validate noglasses",
    "test/a.jpg": b"test",
}
# Archives of these are smaller than their content.
COMPRESSIBLE = {**FILES, "train/glasses/zeros.jpg": bytes(50_000)}
PLENTY = 1 << 20  # bytes
GLASSES = Classes(("glasses", "noglasses"))

Entries = dict[str, bytes] | list[tuple[zipfile.ZipInfo | str, bytes]]


def make_zip(path: Path, entries: Entries, compression: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", compression) as written:
        for name, content in entries.items() if isinstance(entries, dict) else entries:
            written.writestr(name, content)
    return path


def make_folder(path: Path, files: dict[str, bytes]) -> Path:
    for name, content in files.items():
        target = path / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
    return path


def below(top: str, files: dict[str, bytes] = FILES) -> dict[str, bytes]:
    return {f"{top}/{name}": content for name, content in files.items()}


def files_in(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def imported(
    location: str | Path, tmp_path: Path, *, sha256: str | None = None, max_bytes: int = PLENTY
) -> dict[str, bytes]:
    into = tmp_path / "data" / "raw"
    import_dataset(str(location), into, GLASSES, sha256=sha256, max_bytes=max_bytes)
    assert [path.name for path in into.parent.iterdir()] == ["raw"]
    return files_in(into)


def refused(location: str | Path, tmp_path: Path, *, sha256: str | None = None, max_bytes: int = PLENTY) -> str:
    """Return the message of the InputError; check that data/raw is unchanged and that no other file is left."""
    raw = make_folder(tmp_path / "data" / "raw", {"train/glasses/old.jpg": b"old"})
    with pytest.raises(InputError) as caught:
        import_as_fetch_does(str(location), raw, sha256, max_bytes)
    assert files_in(tmp_path / "data") == {"raw/train/glasses/old.jpg": b"old"}
    return str(caught.value)


def import_as_fetch_does(location: str, raw: Path, sha256: str | None, max_bytes: int) -> None:
    with replacing(raw) as into:
        into.mkdir()
        import_dataset(location, into, GLASSES, sha256=sha256, max_bytes=max_bytes)


def patched(path: Path, old: bytes, new: bytes, count: int = 1) -> Path:
    """Replace bytes that occur `count` times in a zip by other bytes of the same length."""
    content = path.read_bytes()
    assert len(old) == len(new)
    assert content.count(old) == count
    path.write_bytes(content.replace(old, new))
    return path


def directory_record(path: Path, name: str) -> int:
    """Return the position of the entry `name` in the directory at the end of the zip."""
    content = path.read_bytes()
    position = content.rindex(name.encode()) - 46
    assert content[position : position + 4] == b"PK\1\2"
    return position


def write_at(path: Path, position: int, value: bytes) -> None:
    content = bytearray(path.read_bytes())
    content[position : position + len(value)] = value
    path.write_bytes(content)


# Which files are imported


@pytest.mark.parametrize("top", ["", "dataset/", "a/b/c/", "./", "./dataset//"])
def test_zip_splits_at_any_depth(top: str, tmp_path: Path) -> None:
    source = make_zip(tmp_path / "x.zip", {top + name: content for name, content in FILES.items()})

    assert imported(source, tmp_path) == FILES


def test_backslashes_separate_folders(tmp_path: Path) -> None:
    names = {**dict.fromkeys(("top/", "top/train/", "top/__MACOSX/a.jpg"), b""), **below("top")}
    source = make_zip(tmp_path / "x.zip", {name.replace("/", "\\"): content for name, content in names.items()})
    assert imported(source, tmp_path) == FILES


def test_zip_with_entry_for_current_folder(tmp_path: Path) -> None:
    assert imported(make_zip(tmp_path / "x.zip", [("./", b""), (".//", b""), *FILES.items()]), tmp_path) == FILES


@pytest.mark.parametrize("top", ["", "dataset", "a/b/c"])
def test_folder_splits_at_any_depth(top: str, tmp_path: Path) -> None:
    make_folder(tmp_path / "x" / top, FILES)

    assert imported(tmp_path / "x", tmp_path) == FILES


def test_test_split_is_optional(tmp_path: Path) -> None:
    files = {name: content for name, content in FILES.items() if not name.startswith("test/")}

    assert imported(make_zip(tmp_path / "x.zip", {**files, "test": b"not a folder"}), tmp_path) == files


def test_only_splits_and_test_labels_are_imported(tmp_path: Path) -> None:
    files = {**FILES, "test_labels.csv": b"file,label\n", "train/notes.txt": b"kept for verify to report"}
    extra = {"README.md": b"", "other/test_labels.csv": b"", "tests/a.jpg": b"", "other/train/a.jpg": b""}
    source = make_zip(tmp_path / "x.zip", {**below("top", files), **below("top", extra), "test_labels.csv": b"above"})
    folder = make_folder(tmp_path / "x", {**below("top", files), **below("top", extra), "test_labels.csv": b"above"})

    assert imported(source, tmp_path / "from_zip") == files
    assert imported(folder, tmp_path / "from_folder") == files


def test_hidden_and_system_files_are_skipped(tmp_path: Path) -> None:
    junk = {
        "__MACOSX/train/glasses/._a.jpg": b"",
        "__MACOSX/validate/glasses/._a.jpg": b"",
        "top/train/.DS_Store": b"",
        "top/train/glasses/Thumbs.db": b"",
        "top/train/glasses/thumbs.db.jpg": b"kept",
        "top/train/.hidden/a.jpg": b"",
        ".cache/train/a.jpg": b"",
        ".cache/validate/a.jpg": b"",
    }
    empty_folders = {"__MACOSX/train/": b"", "__MACOSX/validate/": b""}
    kept = {**FILES, "train/glasses/thumbs.db.jpg": b"kept"}

    source = make_zip(tmp_path / "x.zip", {**below("top"), **junk, **empty_folders})
    assert imported(source, tmp_path / "from_zip") == kept
    assert imported(make_folder(tmp_path / "x", {**below("top"), **junk}), tmp_path / "from_folder") == kept


def test_source_folder_may_be_hidden(tmp_path: Path) -> None:
    assert imported(make_folder(tmp_path / ".hidden", FILES), tmp_path) == FILES


def test_file_modes_are_not_copied(tmp_path: Path) -> None:
    program = zipfile.ZipInfo("train/glasses/run.jpg")
    program.external_attr = (stat.S_IFREG | 0o4777) << 16
    imported(make_zip(tmp_path / "x.zip", [*FILES.items(), (program, b"")]), tmp_path)

    assert (tmp_path / "data/raw/train/glasses/run.jpg").stat().st_mode & 0o7111 == 0


@pytest.mark.parametrize(
    "method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA], ids=str
)
def test_all_compression_methods_of_python(method: int, tmp_path: Path) -> None:
    assert imported(make_zip(tmp_path / "x.zip", FILES, method), tmp_path) == FILES


def test_import_folder(tmp_path: Path) -> None:
    import_folder(make_folder(tmp_path / "x", FILES), tmp_path / "into", GLASSES, max_bytes=PLENTY)

    assert files_in(tmp_path / "into") == FILES


# Where the dataset is


def test_no_classes_lists_what_was_found(tmp_path: Path) -> None:
    source = make_zip(tmp_path / "x.zip", {"photos/train/a.jpg": b"", "photos/deep/er/b.jpg": b"", "readme.txt": b""})

    assert refused(source, tmp_path).splitlines() == [
        f"{source}: no folders with images of two classes",
        "  expected a folder of images for each class, at any depth; or train/ with these folders, alone or next to "
        "validate/ and test/",
        "  found photos/ (2 images)",
        "  found photos/deep/ (1 image)",
        "  found photos/train/ (1 image)",
        "Put the images of each class into a folder of its own. Change `dataset.archive` in params.yaml, then run "
        "`dvc repro` again.",
    ]


def test_empty_zip_raises(tmp_path: Path) -> None:
    assert "  found no folder, 0 images\n" in refused(make_zip(tmp_path / "x.zip", {}), tmp_path)


def test_files_named_like_splits_raise(tmp_path: Path) -> None:
    message = refused(make_zip(tmp_path / "x.zip", {"train": b"", "validate": b""}), tmp_path)
    assert "no folders with images of two classes" in message


def test_shallower_of_two_datasets_is_imported(tmp_path: Path) -> None:
    other = dict.fromkeys(FILES, b"other")

    assert imported(make_zip(tmp_path / "x.zip", below("a/b", other) | below("c")), tmp_path) == FILES


def test_two_datasets_at_same_depth_raise(tmp_path: Path) -> None:
    message = refused(make_zip(tmp_path / "x.zip", below("a/b") | below("a/c") | below("d/e/f")), tmp_path)

    assert "more than one folder" in message
    assert [line for line in message.splitlines() if "found" in line] == ["  found a/b/", "  found a/c/"]


# Unsafe names and entries


def special(name: str, kind: int) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    info.create_system = 3
    info.external_attr = (kind | 0o644) << 16
    return info


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        ("../evil.jpg", "a path with `..`"),
        ("train/../../evil.jpg", "a path with `..`"),
        ("train/..", "a path with `..`"),
        ("/etc/evil", "an absolute path"),
        ("C:/evil.jpg", "a drive letter in its name"),
        ("..\\evil.jpg", "a path with `..`"),
        ("train\\..\\..\\evil.jpg", "a path with `..`"),
        ("\\\\server\\evil.jpg", "an absolute path"),
        ("C:\\evil.jpg", "a drive letter in its name"),
        ("train/\x1b[2Jevil.jpg", "control characters in its name"),
        ("train/glasses/" + "é" * 128, "a name of more than 255 bytes"),
        ("a/" * 32 + "evil.jpg", "more than 32 nested folders"),
        (".", "no name"),
        (special("train/glasses/evil.jpg", stat.S_IFLNK), "a symbolic link"),
        (special("elsewhere/link", stat.S_IFLNK), "a symbolic link"),
        (special("train/glasses/evil/", stat.S_IFLNK), "a symbolic link"),
        (special("__MACOSX/evil", stat.S_IFLNK), "a symbolic link"),
        (special("train/glasses/evil.jpg", stat.S_IFIFO), "not a regular file"),
        (special("train/glasses/evil/", stat.S_IFREG), "not a regular file"),
        (special("train\\glasses\\evil\\", stat.S_IFREG), "not a regular file"),
        (special("train/glasses/evil.jpg", stat.S_IFDIR), "not a regular file"),
    ],
)
def test_unsafe_entry_raises(entry: zipfile.ZipInfo | str, reason: str, tmp_path: Path) -> None:
    source = make_zip(tmp_path / "x.zip", [*FILES.items(), (entry, b"evil")])

    name = (entry if isinstance(entry, str) else entry.filename).replace("\x1b", "\\x1b")
    assert refused(source, tmp_path).splitlines() == [
        f"{source}: contains files that are not safe to import",
        f"  {name}: {reason}",
        "Remove or rename them, or use another source, then run `dvc repro` again.",
    ]
    assert not list(tmp_path.rglob("evil*"))


def test_name_with_nul_raises(tmp_path: Path) -> None:
    source = make_zip(tmp_path / "x.zip", {**FILES, "train/glasses/evil.jpg_.exe": b""})
    patched(source, b"evil.jpg_.exe", b"evil.jpg\0.exe", count=2)

    assert "  train/glasses/evil.jpg\\x00.exe: a NUL in its name\n" in refused(source, tmp_path)


def test_encrypted_entry_raises(tmp_path: Path) -> None:
    source = make_zip(tmp_path / "x.zip", {**FILES, "train/glasses/secret.jpg": b""})
    write_at(source, directory_record(source, "train/glasses/secret.jpg") + 8, b"\1\0")

    assert "  train/glasses/secret.jpg: encrypted\n" in refused(source, tmp_path)


def test_unknown_compression_raises(tmp_path: Path) -> None:
    source = make_zip(tmp_path / "x.zip", {**FILES, "train/glasses/odd.jpg": b""})
    write_at(source, directory_record(source, "train/glasses/odd.jpg") + 10, b"\x63\0")

    assert "  train/glasses/odd.jpg: unsupported compression method 99" in refused(source, tmp_path)


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize(
    "names",
    [
        ("train/glasses/b.jpg", "train/glasses/b.jpg"),
        ("train/glasses/b.jpg", "train/./glasses//b.jpg"),
        ("train/glasses/b.jpg", "train\\glasses\\b.jpg"),
        ("train/glasses/b.jpg", "Train/Glasses/B.JPG"),
        ("train/glasses/caf\u00e9.jpg", "train/glasses/cafe\u0301.jpg"),
    ],
)
def test_names_equal_on_some_file_systems_raise(names: tuple[str, str], tmp_path: Path) -> None:
    source = make_zip(tmp_path / "x.zip", [*FILES.items(), *((name, b"") for name in names)])

    same = f"{names[0]}, {names[1].replace('/./', '/').replace('//', '/').replace(chr(92), '/')}"
    assert f"  {same}: the same name on some file systems\n" in refused(source, tmp_path)


@pytest.mark.parametrize("second", ["train/glasses/b/c.jpg", "train/glasses/b/"])
def test_file_and_folder_with_same_name_raise(second: str, tmp_path: Path) -> None:
    source = make_zip(tmp_path / "x.zip", {**FILES, "train/glasses/b": b"", second: b""})

    assert "  train/glasses/b: a file and a folder\n" in refused(source, tmp_path)


def test_long_list_of_unsafe_entries_is_cut(tmp_path: Path) -> None:
    source = make_zip(tmp_path / "x.zip", {**FILES, **{f"../{number:02}": b"" for number in range(23)}})

    lines = refused(source, tmp_path).splitlines()

    assert lines[1:21] == [f"  ../{number:02}: a path with `..`" for number in range(20)]
    assert lines[21] == "  … and 3 more"


def test_too_many_entries_raise(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(safety, "MAX_ENTRIES", 4)

    assert "found 5 entries, expected at most 4" in refused(make_zip(tmp_path / "x.zip", FILES), tmp_path)


# Size limits


def test_max_bytes_is_inclusive(tmp_path: Path) -> None:
    size = sum(map(len, COMPRESSIBLE.values()))
    source = make_zip(tmp_path / "x.zip", {**COMPRESSIBLE, "else": b"x" * 99})

    assert imported(source, tmp_path, max_bytes=size) == COMPRESSIBLE


def test_archive_above_max_bytes_is_not_read(tmp_path: Path) -> None:
    source = tmp_path / "huge.zip"
    source.write_bytes(b"PK\3\4")
    os.truncate(source, 1 << 42)

    message = refused(source, tmp_path)

    assert f"{source}: too large\n  the archive has 4,398,046,511,104 bytes, expected at most 1,048,576 (" in message


@pytest.mark.parametrize("make", [lambda path, files: make_zip(path.with_suffix(".zip"), files), make_folder])
def test_one_byte_above_max_bytes_raises(make: Callable[[Path, dict[str, bytes]], Path], tmp_path: Path) -> None:
    size = sum(map(len, COMPRESSIBLE.values()))
    source = make(tmp_path / "x", {**COMPRESSIBLE, "validate/noglasses/z.jpg": b"1"})

    message = refused(source, tmp_path, max_bytes=size)

    assert message.splitlines()[0] == f"{source}: too large"
    assert "validate/noglasses/" in message
    assert f"stopped after {size + 1:,} bytes, expected at most {size:,} (dataset.max_bytes)" in message


def test_extraction_stops_at_max_bytes(tmp_path: Path) -> None:
    bomb = b"\0" * (64 << 20)
    source = make_zip(tmp_path / "x.zip", {**FILES, "train/glasses/bomb.jpg": bomb})
    into = tmp_path / "into"

    with pytest.raises(InputError, match=r"train/glasses/bomb\.jpg: stopped after"):
        import_dataset(str(source), into, GLASSES, sha256=None, max_bytes=PLENTY)

    assert source.stat().st_size < PLENTY
    assert sum(map(len, files_in(into).values())) <= PLENTY


@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA], ids=str)
def test_entry_larger_than_declared_raises(method: int, tmp_path: Path) -> None:
    source = make_zip(tmp_path / "x.zip", {**FILES, "train/glasses/bomb.jpg": b"\0" * (8 << 20)}, method)
    claim = struct.pack("<L", 10)
    write_at(source, directory_record(source, "train/glasses/bomb.jpg") + 24, claim)
    with zipfile.ZipFile(source) as written:
        local_header = written.getinfo("train/glasses/bomb.jpg").header_offset
    write_at(source, local_header + 22, claim)

    assert "  train/glasses/bomb.jpg: " in refused(source, tmp_path)


def test_entry_smaller_than_declared_raises(tmp_path: Path) -> None:
    source = make_zip(tmp_path / "x.zip", {**FILES, "train/glasses/short.jpg": b"12345"})
    write_at(source, directory_record(source, "train/glasses/short.jpg") + 24, struct.pack("<L", 9))

    assert "  train/glasses/short.jpg: 5 bytes, expected 9\n" in refused(source, tmp_path)


@pytest.mark.parametrize("kind", ["zip", "folder"])
def test_full_disk_raises_os_error_and_leaves_nothing(kind: str, tmp_path: Path) -> None:
    files = {**FILES, "train/glasses/large.jpg": os.urandom(100_000)}
    source = make_zip(tmp_path / "x", files) if kind == "zip" else make_folder(tmp_path / "x", files)
    raw = make_folder(tmp_path / "data/raw", FILES)
    program = (
        "import resource, signal, sys\n"
        "from pathlib import Path\n"
        "from anteojos.runtime.outputs import replacing\n"
        "from anteojos.sources.archive import Classes, import_dataset\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))\n"
        "with replacing(Path(sys.argv[2])) as into:\n"
        "    classes = Classes(('glasses', 'noglasses'))\n"
        "    import_dataset(sys.argv[1], into, classes, sha256=None, max_bytes=10**6)\n"
    )
    failed = subprocess.run([sys.executable, "-c", program, source, raw], capture_output=True, text=True)

    assert failed.stderr.splitlines()[-1] == f"OSError: [Errno 27] File too large: '{raw}'"
    assert files_in(tmp_path / "data") == {f"raw/{name}": content for name, content in FILES.items()}


# Damaged zip files


def test_wrong_crc_raises(tmp_path: Path) -> None:
    source = make_zip(tmp_path / "x.zip", FILES, zipfile.ZIP_STORED)
    patched(source, b"validate noglasses", b"validate nogl@sses")

    message = refused(source, tmp_path)

    assert message.startswith(f"{source}: damaged\n  validate/noglasses/a.jpg: Bad CRC-32")
    assert "Download or copy the archive again" in message


@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA], ids=str)
def test_invalid_compressed_data_raises(method: int, tmp_path: Path) -> None:
    content = os.urandom(5000)
    source = make_zip(tmp_path / "x.zip", {"train/glasses/b.jpg": content, **FILES}, method)
    # After the first bytes, which are the settings of LZMA.
    write_at(source, 30 + len("train/glasses/b.jpg") + 20, b"\xff" * 2500)

    assert "  train/glasses/b.jpg: " in refused(source, tmp_path)


def test_entry_beyond_end_of_zip_raises(tmp_path: Path) -> None:
    source = make_zip(tmp_path / "x.zip", FILES, zipfile.ZIP_STORED)
    write_at(source, directory_record(source, "test/a.jpg") + 20, struct.pack("<LL", PLENTY, PLENTY))

    assert "  test/a.jpg: " in refused(source, tmp_path)


def test_name_differs_between_headers_raises(tmp_path: Path) -> None:
    source = make_zip(tmp_path / "x.zip", FILES)
    write_at(source, 30, b"train/glasses/z.jpg")

    assert f"{source}: damaged\n  train/glasses/a.jpg: File name in directory" in refused(source, tmp_path)


def test_incomplete_zip_and_other_file_have_own_messages(tmp_path: Path) -> None:
    source = make_zip(tmp_path / "x.zip", FILES)
    source.write_bytes(source.read_bytes()[:-30])
    page = tmp_path / "page.zip"
    page.write_bytes(b"<!DOCTYPE html><html>")
    empty = tmp_path / "empty.zip"
    empty.touch()

    assert "a damaged or incomplete zip" in refused(source, tmp_path)
    for sha256 in (None, hashlib.sha256(page.read_bytes()).hexdigest()):
        assert "starts with b'<!DOCTYPE html><'" in refused(page, tmp_path, sha256=sha256)
    assert "starts with b''" in refused(empty, tmp_path)


def test_names_with_invalid_utf8_raise(tmp_path: Path) -> None:
    source = make_zip(tmp_path / "x.zip", {**FILES, "train/glasses/é.jpg": b""})
    patched(source, "é".encode(), b"\xff\xff", count=2)

    assert f"{source}: not a zip that can be read" in refused(source, tmp_path)


# Locations and checksums


def test_right_sha256_is_accepted(tmp_path: Path) -> None:
    source = make_zip(tmp_path / "x.zip", FILES)
    sha256 = hashlib.sha256(source.read_bytes()).hexdigest()

    assert imported(source, tmp_path, sha256=sha256) == FILES
    assert imported(source, tmp_path / "again", sha256=sha256.upper()) == FILES


def test_wrong_sha256_shows_both(tmp_path: Path) -> None:
    source = make_zip(tmp_path / "x.zip", FILES)

    message = refused(source, tmp_path, sha256="0" * 64)

    assert f"found    sha256 {hashlib.sha256(source.read_bytes()).hexdigest()}\n" in message
    assert f"expected sha256 {'0' * 64}\n" in message


def test_sha256_for_folder_raises(tmp_path: Path) -> None:
    assert "a folder has no sha256" in refused(make_folder(tmp_path / "x", FILES), tmp_path, sha256="0" * 64)


def test_missing_path_raises(tmp_path: Path) -> None:
    message = refused(tmp_path / "nowhere.zip", tmp_path)

    assert f"{tmp_path / 'nowhere.zip'}: cannot be read\n  No such file or directory\n" in message
    assert "dataset.archive" in message


def test_missing_folder_raises(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nowhere: cannot be read\n  No such file or directory"):
        import_folder(tmp_path / "nowhere", tmp_path / "into", GLASSES, max_bytes=PLENTY)


@contextmanager
def without_rights(path: Path) -> Iterator[None]:
    """Run as a user who may not read `path`."""
    mode = path.stat().st_mode
    path.chmod(0)
    user = os.geteuid()
    if user == 0:  # root may read everything
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(user)
        path.chmod(mode)


@pytest.mark.parametrize("closed", ["x.zip", "x", "x/train", "x/train/glasses/a.jpg"])
def test_missing_permission_raises(closed: str) -> None:
    # Not in the folder of pytest, which other users cannot read.
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o777)
        make_zip(folder / "x.zip", FILES)
        make_folder(folder / "x", FILES)
        with (
            without_rights(folder / closed),
            pytest.raises(InputError, match=f"{closed}: cannot be read\n  Permission denied"),
        ):
            import_dataset(str(folder / closed.split("/")[0]), folder / "into", GLASSES, sha256=None, max_bytes=PLENTY)


def test_pipe_as_location_raises(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")

    assert "neither a file nor a folder" in refused(tmp_path / "pipe", tmp_path)


def test_links_and_special_files_in_folder_raise(tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "x", FILES)
    (folder / "train/glasses/link.jpg").symlink_to(folder / "train/glasses/a.jpg")
    (folder / "elsewhere").symlink_to(tmp_path)
    os.mkfifo(folder / "train/pipe")
    (folder / ".hidden").symlink_to(tmp_path)

    assert refused(folder, tmp_path).splitlines()[:-1] == [
        f"{folder}: contains files that are not safe to import",
        "  elsewhere: a symbolic link",
        "  train/glasses/link.jpg: a symbolic link",
        "  train/pipe: not a regular file",
    ]


def test_unprintable_names_in_folder_raise(tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "x", {**FILES, "train/a\nb.jpg": b"", os.fsdecode(b"train/\xff.jpg"): b""})

    message = refused(folder, tmp_path)

    assert "  train/a\\nb.jpg: control characters in its name\n" in message
    assert "  train/\\udcff.jpg: not UTF-8\n" in message


def test_names_in_folder_that_differ_in_case_raise(tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "x", {**FILES, "train/glasses/A.jpg": b""})
    if (folder / "train/glasses/a.jpg").samefile(folder / "train/glasses/A.jpg"):
        pytest.skip("the file system ignores case")

    assert "  train/glasses/A.jpg, train/glasses/a.jpg: the same name" in refused(folder, tmp_path)


# Downloads


class Handler(BaseHTTPRequestHandler):
    server: "Server"

    def do_GET(self) -> None:
        self.server.authorizations.append(self.headers.get("Authorization"))
        self.server.paths.append(self.path)
        self.send_response(self.server.status)
        if self.server.sends_length:
            self.send_header("Content-Length", str(len(self.server.body)))
        self.end_headers()
        with suppress(ConnectionError):  # the client may close the connection
            self.wfile.write(self.server.body[: self.server.breaks_after])

    def log_message(self, format: str, *args: object) -> None:
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = True
    body = b""
    status = 200
    sends_length = True
    breaks_after: int | None = None

    def __init__(self) -> None:
        self.authorizations: list[str | None] = []
        self.paths: list[str] = []
        super().__init__(("127.0.0.1", 0), Handler)
        self.host = f"127.0.0.1:{self.server_port}"


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with Server() as server:
        server.body = make_zip(tmp_path / "served.zip", FILES).read_bytes()
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("sends_length", [True, False])
def test_download(sends_length: bool, server: Server, tmp_path: Path) -> None:
    server.sends_length = sends_length
    sha256 = hashlib.sha256(server.body).hexdigest()

    assert imported(f"http://{server.host}/faces.zip", tmp_path, sha256=sha256) == FILES


def test_secrets_of_url_are_not_shown(server: Server, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    url = f"HTTP://person:s3cr3t@{server.host}/faces.zip?token=t0k3n#fr4g"
    assert imported(url, tmp_path / "first") == FILES
    assert server.authorizations == ["Basic " + base64.b64encode(b"person:s3cr3t").decode()]
    assert server.paths == ["/faces.zip?token=t0k3n"]

    messages = [refused(url, tmp_path, sha256="0"), refused(url, tmp_path, max_bytes=10)]
    server.breaks_after = 100
    messages.append(refused(url, tmp_path))
    server.status = 403
    messages.append(refused(url, tmp_path))

    captured = capfd.readouterr()
    for text in (*messages, captured.out, captured.err):
        assert not any(secret in text for secret in ("person", "s3cr3t", "t0k3n", "fr4g"))
    assert all(message.startswith(f"HTTP://{server.host}/faces.zip: ") for message in messages)


def test_no_connection_does_not_chain_secrets(tmp_path: Path) -> None:
    with socket.socket() as held:  # bound but not listening: connections are refused
        held.bind(("127.0.0.1", 0))
        host = f"127.0.0.1:{held.getsockname()[1]}"
        with pytest.raises(InputError) as caught:
            import_dataset(
                f"http://{host}/x.zip?token=t0k3n", tmp_path / "into", GLASSES, sha256=None, max_bytes=PLENTY
            )

    assert str(caught.value).startswith(f"http://{host}/x.zip: the download failed\n  no connection")
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None


def test_status_404_raises(server: Server, tmp_path: Path) -> None:
    server.status = 404

    message = refused(f"http://{server.host}/faces.zip", tmp_path)

    assert "the server answered 404 Not Found, expected 200 OK" in message
    assert "dataset.archive" in message


def test_wrong_sha256_of_download_shows_both(server: Server, tmp_path: Path) -> None:
    message = refused(f"http://{server.host}/faces.zip", tmp_path, sha256="0" * 64)

    assert f"found    sha256 {hashlib.sha256(server.body).hexdigest()}\n" in message


@pytest.mark.parametrize(
    ("sends_length", "found"), [(True, "the archive has {:,} bytes"), (False, "stopped after {:,} bytes")]
)
def test_download_above_max_bytes_raises(sends_length: bool, found: str, server: Server, tmp_path: Path) -> None:
    server.sends_length = sends_length

    message = refused(f"http://{server.host}/faces.zip", tmp_path, max_bytes=100)

    assert found.format(len(server.body)) in message
    assert "expected at most 100 (dataset.max_bytes)" in message


def test_endless_download_is_stopped(server: Server, tmp_path: Path) -> None:
    server.sends_length = False
    server.body = b"x" * (8 * entries.CHUNK)

    message = refused(f"http://{server.host}/faces.zip", tmp_path, max_bytes=entries.CHUNK)

    assert f"stopped after {2 * entries.CHUNK:,} bytes of the archive" in message


def test_interrupted_download_raises(server: Server, tmp_path: Path) -> None:
    server.body = b"x" * (3 * entries.CHUNK)
    server.breaks_after = 3 * entries.CHUNK // 2

    message = refused(f"http://{server.host}/faces.zip", tmp_path, max_bytes=len(server.body))

    assert f"no connection, or it was interrupted, after {entries.CHUNK:,} bytes" in message
    assert "set `dataset.archive` to its path" in message


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("s3://key:s3cr3t@bucket/x.zip?token=t0k3n", "s3://bucket/x.zip"),
        ("ftp://key:s3cr3t@host/x.zip", "ftp://host/x.zip"),
        ("http://key:s3cr3t#t0k3n@host/x.zip", "http://…"),
        ("http://key:s3cr3t@[host/x.zip", "http://…"),
    ],
)
def test_unusable_url_is_shown_without_secrets(url: str, shown: str, tmp_path: Path) -> None:
    message = refused(url, tmp_path)

    assert message.startswith(f"{shown}: ")
    assert "s3cr3t" not in message
    assert "t0k3n" not in message

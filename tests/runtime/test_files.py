"""Hidden files are skipped, everything else in a folder is listed in order; endless files are not read."""

import os
import socket
from pathlib import Path

import pytest

from anteojos.runtime.files import is_hidden, read, visible_files


@pytest.mark.parametrize(("name", "hidden"), [(".a.jpg", True), (".cache", True), ("a.jpg", False), ("a.b.jpg", False)])
def test_a_name_with_a_leading_dot_is_hidden(name: str, hidden: bool) -> None:
    assert is_hidden(name) is hidden


def test_visible_files_are_sorted_folder_by_folder(tmp_path: Path) -> None:
    folder = tmp_path / ".hidden parent"
    for name in ("b.jpg", "a/2.jpg", "a/1.txt", "a-b/3.jpg", ".x.jpg", "a/.y.jpg", ".git/z.jpg", "a/.git/deep/z.jpg"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    assert visible_files(folder) == ["a/1.txt", "a/2.jpg", "a-b/3.jpg", "b.jpg"]


def test_links_to_files_are_listed_and_folders_not_followed(tmp_path: Path) -> None:
    folder = tmp_path / "images"
    folder.mkdir()
    (tmp_path / "others").mkdir()
    (tmp_path / "others/1.jpg").touch()
    (folder / "broken.jpg").symlink_to("nowhere.jpg")
    (folder / "file.jpg").symlink_to(tmp_path / "others/1.jpg")
    (folder / "folder").symlink_to(tmp_path / "others")
    assert visible_files(folder) == ["broken.jpg", "file.jpg"]


def test_a_missing_folder_has_no_files(tmp_path: Path) -> None:
    assert visible_files(tmp_path / "none") == []


@pytest.mark.parametrize("kind", ["device", "pipe", "socket"])
def test_endless_files_are_not_read(kind: str, tmp_path: Path) -> None:
    path = Path("/dev/zero") if kind == "device" else tmp_path / kind
    with socket.socket(socket.AF_UNIX) as server:
        if kind == "pipe":
            os.mkfifo(path)
        elif kind == "socket":
            server.bind(str(path))
        with pytest.raises(OSError, match="a device, pipe or socket; expected a regular file"):
            read(path)


def test_huge_file_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "huge.jpg"
    path.touch()
    os.truncate(path, 1 << 40)
    with pytest.raises(OSError, match="too large: 1,099,511,627,776 bytes, expected at most 400,000,000"):
        read(path)


def test_size_limit_is_inclusive(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"12345")
    assert read(tmp_path / "a", 5) == b"12345"
    with pytest.raises(OSError, match="too large: 5 bytes, expected at most 4"):
        read(tmp_path / "a", 4)


def test_size_is_not_trusted() -> None:
    assert Path("/proc/self/maps").stat().st_size == 0
    with pytest.raises(OSError, match="too large: 101 bytes, expected at most 100"):
        read(Path("/proc/self/maps"), 100)

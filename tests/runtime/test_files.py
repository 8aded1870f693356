"""Hidden files are skipped, everything else in a folder is listed in order."""

from pathlib import Path

import pytest

from anteojos.runtime.files import is_hidden, visible_files


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

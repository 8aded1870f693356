"""Files and folders are written atomically."""

import math
import os
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from anteojos.runtime.outputs import replacing, write_json


def files_in(folder: Path) -> dict[str, str]:
    return {path.relative_to(folder).as_posix(): path.read_text() for path in folder.rglob("*") if path.is_file()}


def entries_in(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


@pytest.mark.parametrize("before", [None, "old"])
def test_file_appears_when_complete(tmp_path: Path, before: str | None) -> None:
    path = tmp_path / "metrics" / "verify.json"
    if before is not None:
        path.parent.mkdir()
        path.write_text(before)
    with replacing(path) as written:
        written.write_text("half")
        assert (path.read_text() if path.exists() else None) == before
        written.write_text("complete")
    assert entries_in(tmp_path) == ["metrics", "metrics/verify.json"]
    assert path.read_text() == "complete"


def test_temporary_file_has_the_final_name(tmp_path: Path) -> None:
    # Libraries choose a format by the suffix.
    with replacing(tmp_path / "model.keras") as written:
        assert written.name == "model.keras"
        written.touch()


def test_folder_replaces_old_folder(tmp_path: Path) -> None:
    path = tmp_path / "raw"
    for name in ("old.jpg", "both.jpg"):
        (path / "train").mkdir(parents=True, exist_ok=True)
        (path / "train" / name).write_text("old")
    with replacing(path) as written:
        (written / "train").mkdir(parents=True)
        (written / "train" / "both.jpg").write_text("new")
        (written / "new.jpg").write_text("new")
        assert files_in(path) == {"train/old.jpg": "old", "train/both.jpg": "old"}
    assert files_in(tmp_path) == {"raw/train/both.jpg": "new", "raw/new.jpg": "new"}
    assert [entry.name for entry in tmp_path.iterdir()] == ["raw"]


def test_empty_folder_is_written(tmp_path: Path) -> None:
    with replacing(tmp_path / "raw") as written:
        written.mkdir()
    assert entries_in(tmp_path) == ["raw"]


def test_file_replaces_folder(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "old").touch()
    with replacing(tmp_path / "model") as written:
        written.write_text("new")
    assert files_in(tmp_path) == {"model": "new"}


def test_other_files_beside_target_are_removed(tmp_path: Path) -> None:
    with replacing(tmp_path / "model.keras") as written:
        written.write_text("new")
        written.with_suffix(".tmp").write_text("rubbish")
        (written.parent / "folder").mkdir()
    assert entries_in(tmp_path) == ["model.keras"]


def test_outputs_have_default_permissions(tmp_path: Path) -> None:
    os.umask(before := os.umask(0o022))
    with replacing(tmp_path / "a.json") as written:
        written.touch()
    with replacing(tmp_path / "folder") as written:
        written.mkdir()
    assert stat.S_IMODE((tmp_path / "a.json").stat().st_mode) == 0o666 & ~before
    assert stat.S_IMODE((tmp_path / "folder").stat().st_mode) == 0o777 & ~before


@pytest.mark.parametrize(("old", "new"), [("file", "file"), ("folder", "file"), ("folder", "folder")])
def test_link_is_replaced_and_target_kept(tmp_path: Path, old: str, new: str) -> None:
    # DVC can link outputs into its cache, which must never change.
    target = tmp_path / "cache" / "file"
    target.parent.mkdir()
    target.write_text("cached")
    (tmp_path / "out").symlink_to(target if old == "file" else target.parent)
    with replacing(tmp_path / "out") as written:
        if new == "folder":
            written.mkdir()
            written /= "new"
        written.write_text("new")
    assert files_in(tmp_path) == {"cache/file": "cached", "out" if new == "file" else "out/new": "new"}
    assert not (tmp_path / "out").is_symlink()


ERRORS = [ValueError, OSError, MemoryError, KeyboardInterrupt, SystemExit]


@pytest.mark.parametrize("error", ERRORS)
@pytest.mark.parametrize("before", [{}, {"out": "old"}])
def test_file_is_unchanged_after_error(tmp_path: Path, error: type[BaseException], before: dict[str, str]) -> None:
    for name, content in before.items():
        (tmp_path / name).write_text(content)

    def write_half() -> None:
        with replacing(tmp_path / "out") as written:
            written.write_text("half")
            raise error

    with pytest.raises(error):
        write_half()
    assert files_in(tmp_path) == before
    assert entries_in(tmp_path) == list(before)


@pytest.mark.parametrize("error", ERRORS)
@pytest.mark.parametrize("before", [{}, {"out/a/b.jpg": "old", "out/c.jpg": "old"}])
def test_folder_is_unchanged_after_error(tmp_path: Path, error: type[BaseException], before: dict[str, str]) -> None:
    for name, content in before.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(content)

    def write_half() -> None:
        with replacing(tmp_path / "out") as written:
            (written / "a").mkdir(parents=True)
            (written / "a" / "b.jpg").write_text("half")
            raise error

    with pytest.raises(error):
        write_half()
    assert files_in(tmp_path) == before
    assert {entry.name for entry in tmp_path.iterdir()} == ({"out"} if before else set())


@pytest.mark.parametrize("folder", [False, True])
def test_old_output_stays_if_nothing_was_written(tmp_path: Path, folder: bool) -> None:
    old = tmp_path / "out" / "a.jpg" if folder else tmp_path / "out"
    old.parent.mkdir(exist_ok=True)
    old.write_text("old")

    def write_nothing() -> None:
        with replacing(tmp_path / "out"):
            pass

    with pytest.raises(FileNotFoundError):
        write_nothing()
    assert files_in(tmp_path) == {old.relative_to(tmp_path).as_posix(): "old"}
    assert [entry.name for entry in tmp_path.iterdir()] == ["out"]


@pytest.fixture
def read_only_folder() -> Iterator[Path]:
    """A folder with the file `out`, to which this process cannot write, even as root."""
    user = os.geteuid()
    with tempfile.TemporaryDirectory() as parent:
        Path(parent).chmod(0o755)
        folder = Path(parent, "read-only")
        folder.mkdir()
        (folder / "out").write_text("old")
        folder.chmod(0o555)
        if user == 0:
            os.seteuid(65534)  # nobody
        try:
            yield folder
        finally:
            os.seteuid(user)
            folder.chmod(0o755)


def test_read_only_folder_is_unchanged(read_only_folder: Path) -> None:
    with pytest.raises(PermissionError):
        write_json(read_only_folder / "out", {"new": 1})
    assert files_in(read_only_folder) == {"out": "old"}


def test_full_disk_keeps_old_file(tmp_path: Path) -> None:
    (tmp_path / "out.json").write_text("old")
    # A limit of the file size, because a full disk would affect other tests.
    code = (
        "import resource; from pathlib import Path; from anteojos.runtime.outputs import write_json\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))\n"
        "write_json(Path('out.json'), {'long': 'x' * 100_000})"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, text=True, capture_output=True)
    assert done.returncode == 1
    assert "OSError: [Errno 27] File too large: 'out.json'" in done.stderr
    assert files_in(tmp_path) == {"out.json": "old"}
    assert entries_in(tmp_path) == ["out.json"]


def test_json_is_indented_and_keeps_key_order(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"z": 1, "a": {"ñ": "con lentes", "none": None}, "yes": True})
    assert (tmp_path / "a.json").read_bytes().decode("utf-8") == (
        '{\n  "z": 1,\n  "a": {\n    "ñ": "con lentes",\n    "none": null\n  },\n  "yes": true\n}\n'
    )


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1 / 3, "0.333333"),
        (2 / 3, "0.666667"),
        (0.1 + 0.2, "0.3"),
        (1.0, "1.0"),
        (4e-7, "0.0"),
        (6e-7, "1e-06"),
        (123456.7891234, "123456.789123"),
        (7, "7"),
    ],
)
def test_floats_are_rounded_to_6_decimals(tmp_path: Path, value: float, text: str) -> None:
    write_json(tmp_path / "a.json", {"deep": {"deeper": value}})
    write_json(tmp_path / "list.json", [value, [value], (value,)])
    assert (tmp_path / "a.json").read_text().split() == ["{", '"deep":', "{", '"deeper":', text, "}", "}"]
    assert (tmp_path / "list.json").read_text().split() == ["[", f"{text},", "[", text, "],", "[", text, "]", "]"]


@pytest.mark.parametrize("value", [math.nan, math.inf, {"a": {"b": -math.inf}}, [math.nan]])
def test_nan_and_infinity_raise(tmp_path: Path, value: Any) -> None:
    (tmp_path / "a.json").write_text("old")
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "a.json", value)
    assert files_in(tmp_path) == {"a.json": "old"}

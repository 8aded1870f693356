import csv
import hashlib
import io
import math
import os
import subprocess
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from anteojos.sources import drawing
from anteojos.sources.drawing import Row, draw_cell, draw_dataset, draw_face, draw_portrait, draw_row

pytestmark = pytest.mark.slow

COUNTS = {
    "train": {"glasses": 11, "noglasses": 9},
    "validate": {"glasses": 3, "noglasses": 2},
    "test": {"glasses": 2, "noglasses": 1},
}
TITLES = {"noglasses": "no_glasses"}


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def images(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.jpg"))


def pixels(path: Path) -> np.ndarray:
    return np.asarray(Image.open(path), dtype=int)


def face_of(seed: int, glasses: bool, size: int = 125) -> np.ndarray:
    return np.asarray(draw_face(np.random.default_rng(seed), glasses, size), dtype=int)


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("drawn")
    draw_dataset(folder, 7, COUNTS, TITLES)
    return folder


def test_dataset_has_expected_counts(drawn: Path) -> None:
    parents = Counter(str(path.parent.relative_to(drawn)) for path in images(drawn))
    assert parents == {
        "train/glasses": 11,
        "train/noglasses": 9,
        "validate/glasses": 3,
        "validate/noglasses": 2,
        "test": 3,
    }


def test_file_names_are_sheet_positions(drawn: Path) -> None:
    # 16 cells with glasses: row 1 and four cells of row 2. 12 without: row 3.
    glasses = [f"row-1-column-{column}.jpg" for column in range(1, 13)]
    glasses += [f"row-2-column-{column}.jpg" for column in range(1, 5)]
    noglasses = [f"row-3-column-{column}.jpg" for column in range(1, 13)]
    assert sorted(path.name for path in images(drawn)) == sorted(glasses + noglasses)
    labels = dict(list(csv.reader((drawn / "test_labels.csv").open()))[1:])
    with_glasses = {path.name for path in images(drawn) if path.parent.name == "glasses"}
    assert with_glasses | {name for name, label in labels.items() if label == "glasses"} == set(glasses)


def test_cells_are_assigned_to_splits_at_random(drawn: Path) -> None:
    train = sorted(path.name for path in images(drawn / "train" / "glasses"))
    assert train != [f"row-1-column-{column}.jpg" for column in sorted(range(1, 12), key=str)]


def test_test_labels_are_sorted_by_name(drawn: Path) -> None:
    text = (drawn / "test_labels.csv").read_bytes().decode()
    header, *rows = text.split("\n")[:-1]
    assert header == "file,label"
    assert [row.split(",")[0] for row in rows] == [path.name for path in images(drawn / "test")]
    assert sorted(row.split(",")[1] for row in rows) == ["glasses", "glasses", "noglasses"]


def test_image_format_and_sizes(drawn: Path) -> None:
    for path in images(drawn):
        with Image.open(path) as image:
            assert (image.format, image.mode) == ("JPEG", "RGB")
            assert image.width in (159, 160)
            assert image.height in (155, 156)
        assert 3_500 < path.stat().st_size < 9_000
    assert {Image.open(path).width for path in images(drawn)} == {159, 160}
    assert 5_000 < np.mean([path.stat().st_size for path in images(drawn)]) < 7_500


def test_same_seed_in_other_process_same_bytes(drawn: Path, tmp_path: Path) -> None:
    script = (
        "from pathlib import Path; from anteojos.sources.drawing import draw_dataset; "
        f"draw_dataset(Path({str(tmp_path)!r}), 7, {COUNTS!r}, {TITLES!r})"
    )
    environment = {**os.environ, "PYTHONHASHSEED": "12345", "PYTHONPATH": os.pathsep.join(sys.path)}
    subprocess.run([sys.executable, "-c", script], check=True, env=environment)
    assert contents(tmp_path) == contents(drawn)


def test_parallel_rows_same_bytes(drawn: Path, tmp_path: Path) -> None:
    with ThreadPoolExecutor(3) as executor:
        draw_dataset(tmp_path, 7, COUNTS, TITLES, map_rows=executor.map)
    assert contents(tmp_path) == contents(drawn)


def test_other_seed_other_images(drawn: Path, tmp_path: Path) -> None:
    draw_dataset(tmp_path, 8, {"train": {"glasses": 2, "noglasses": 2}}, TITLES)
    before = {path.name: path.read_bytes() for path in images(drawn)}
    for path in images(tmp_path / "train" / "glasses"):
        assert path.read_bytes() != before[path.name]


def test_image_is_independent_of_counts(drawn: Path, tmp_path: Path) -> None:
    draw_dataset(tmp_path, 7, {"train": {"glasses": 2, "noglasses": 1}}, TITLES)
    many = {path.name: path.read_bytes() for path in images(drawn)}
    few = {path.name: path.read_bytes() for path in images(tmp_path)}
    # With fewer rows of the first class, the first image of the second class has another name but the same bytes.
    assert few == {
        "row-1-column-1.jpg": many["row-1-column-1.jpg"],
        "row-1-column-2.jpg": many["row-1-column-2.jpg"],
        "row-2-column-1.jpg": many["row-3-column-1.jpg"],
    }


def test_other_class_names_and_empty_split(tmp_path: Path) -> None:
    draw_dataset(
        tmp_path,
        7,
        {"train": {"lentes": 1, "sin": 0}, "validate": {"lentes": 0, "sin": 0}, "test": {"lentes": 0, "sin": 1}},
    )
    assert [str(path.relative_to(tmp_path)) for path in images(tmp_path)] == [
        "test/row-2-column-1.jpg",
        "train/lentes/row-1-column-1.jpg",
    ]
    assert all((tmp_path / split / label).is_dir() for split in ("train", "validate") for label in ("lentes", "sin"))
    assert (tmp_path / "test_labels.csv").read_bytes() == b"file,label\nrow-2-column-1.jpg,sin\n"


def test_no_images_gives_empty_folders(tmp_path: Path) -> None:
    draw_dataset(tmp_path, 7, {split: {"glasses": 0, "noglasses": 0} for split in ("train", "test")})
    assert contents(tmp_path) == {"test_labels.csv": b"file,label\n"}
    assert (tmp_path / "test").is_dir()


@pytest.mark.parametrize(("width", "size", "face"), [(64, (63, 62), (6, 50)), (320, (319, 310), (32, 250))])
def test_width_scales_image(tmp_path: Path, width: int, size: tuple[int, int], face: tuple[int, int]) -> None:
    draw_dataset(tmp_path, 7, {"train": {"glasses": 1, "noglasses": 0}}, width=width)
    [path] = images(tmp_path)
    image = pixels(path)
    assert image.shape[1::-1] == size
    rows = np.argwhere((image < 225).any(2).mean(1) > 0.5)  # rows that are mostly face
    assert (rows[0, 0], len(rows)) == pytest.approx(face, abs=1)


def test_label_is_printed_above_face(drawn: Path, tmp_path: Path) -> None:
    draw_dataset(tmp_path, 7, COUNTS, {"glasses": "", "noglasses": ""})
    printed = {path.name: pixels(path) for path in images(drawn)}
    plain = {path.name: pixels(path) for path in images(tmp_path)}
    top = printed["row-1-column-3.jpg"][:15]
    assert (top < 120).any()
    assert (plain["row-1-column-3.jpg"][:15] > 200).all()
    columns = np.argwhere((top < 128).any((0, 2)))
    middle = np.argwhere((printed["row-1-column-3.jpg"][40:120] < 225).any(2).mean(0) > 0.5).mean()
    assert columns.mean() == pytest.approx(middle, abs=6)
    # "no_glasses" is wider, and is printed higher.
    longer = np.argwhere((printed["row-3-column-3.jpg"][:7] < 128).any((0, 2)))
    assert np.ptp(longer) > np.ptp(columns)


def test_face_position_depends_on_class_and_row() -> None:
    blank = Image.new("RGB", (125, 125), "black")

    def corner(second: bool, row: int) -> tuple[int, int]:
        cell = np.asarray(draw_cell((None, blank, None), ("", ""), second, row, 0))
        y, x = np.argwhere((cell < 10).all(2))[0]
        return int(x), int(y)

    assert [corner(False, row) for row in (0, 3, 6)] == [(3, 16), (4, 12), (5, 8)]
    assert [corner(True, row) for row in (0, 3, 6)] == [(3, 8), (16, 4), (28, 0)]


def test_cell_shows_edges_of_neighbours() -> None:
    red, black, blue = (Image.new("RGB", (125, 125), colour) for colour in ("red", "black", "blue"))
    first = np.asarray(draw_cell((red, black, blue), ("", ""), False, 0, 0))
    assert (first[50, -2:] == (0, 0, 255)).all()
    last = np.asarray(draw_cell((red, black, blue), ("", ""), True, 6, 2))
    assert (last[50, :3] == (255, 0, 0)).all()
    # The title of the next row is visible below the face.
    below = np.asarray(draw_cell((None, black, None), ("", "no_glasses"), False, 6, 0))
    assert (below[145:] < 128).any()


def test_title_below_last_row_is_of_other_class() -> None:
    def printed_below(row: int) -> bool:
        [file] = draw_row(7, Row(False, row, ("train",)), ("glasses", ""), 160)
        return bool((np.asarray(Image.open(io.BytesIO(file)))[148:, 20:120] < 128).any())

    assert [printed_below(row) for row in (5, 6)] == [True, False]


def test_only_first_class_wears_glasses(drawn: Path) -> None:
    # The face of the first cell is at (3, 16) in the first class, at (3, 8) in the second.
    for second, (name, top) in enumerate((("row-1-column-1.jpg", 16), ("row-3-column-1.jpg", 8))):
        [path] = [path for path in images(drawn) if path.name == name]
        drawn_face = pixels(path)[top : top + 125, 3:128]
        faces = [
            np.asarray(
                draw_face(np.random.default_rng(np.random.SeedSequence(7, spawn_key=(0, second, 0))), glasses, 125), int
            )
            for glasses in (True, False)
        ]
        with_glasses, without = (np.abs(drawn_face - face).mean() for face in faces)
        assert (with_glasses < without) == (second == 0)


def test_faces_are_different() -> None:
    def difference_hash(seed: int, glasses: bool) -> int:
        face = (
            draw_face(np.random.default_rng(seed), glasses, 125).convert("L").resize((9, 8), Image.Resampling.LANCZOS)
        )
        grey = np.asarray(face, dtype=int)
        return int("".join("01"[int(bit)] for bit in (grey[:, 1:] > grey[:, :-1]).ravel()), 2)

    hashes = [difference_hash(seed, seed % 2 == 0) for seed in range(40)]
    assert min((one ^ other).bit_count() for one, other in combinations(hashes, 2)) > 4


def test_glasses_change_only_the_eye_region() -> None:
    changes = np.zeros((125, 125))
    for seed in range(12):
        changes += np.abs(face_of(seed, True) - face_of(seed, False)).max(2) > 24
    rows = changes.sum(1)
    assert rows[30:90].sum() > 0.98 * rows.sum()
    assert changes[45:75, 30:95].mean() > 3
    assert (changes[:20] == 0).all()
    assert (changes[105:] == 0).all()


def test_dark_eye_pixels_do_not_separate_classes() -> None:
    # Brows, lashes and shadows are dark too, so the darkest tenth of the eye region must not show the class.
    dark = [
        [np.percentile(face_of(seed, glasses)[45:75, 30:95], 10) for seed in range(20)] for glasses in (True, False)
    ]
    wins = np.mean([one < other for one in dark[0] for other in dark[1]])
    assert 0.4 < wins < 0.8


def test_edges_are_smooth() -> None:
    # A face drawn at twice the size and reduced is nearly the same image. Jagged edges would differ more.
    for seed in range(4):
        large = np.asarray(draw_portrait(np.random.default_rng(seed), True, 250).reduce(2), int)
        small = np.asarray(draw_portrait(np.random.default_rng(seed), True, 125), int)
        assert np.percentile(np.abs(large - small).max(2), 98) < 40


def test_photograph_resembles_portrait() -> None:
    for seed in range(4):
        portrait = np.asarray(draw_portrait(np.random.default_rng(seed), False, 125), float).mean(2)
        photograph = face_of(seed, False).mean(2)
        assert np.abs(portrait - photograph).mean() > 2
        assert np.corrcoef(portrait.ravel(), photograph.ravel())[0, 1] > 0.9


FACES = """
import hashlib
import numpy as np
from anteojos.sources.drawing import draw_face
for seed in range(8):
    print(hashlib.sha256(draw_face(np.random.default_rng(seed), seed % 2 == 0, 125).tobytes()).hexdigest())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="GLIBC_TUNABLES is read by glibc")
def test_cpu_features_do_not_change_faces() -> None:
    # Without these features, numpy and glibc use other code, with other last bits. numpy warns about unknown names.
    disabled = {
        "NPY_DISABLE_CPU_FEATURES": "X86_V3 X86_V4 AVX512_ICL AVX512_SPR AVX512F AVX512_SKX AVX2 FMA3",
        "GLIBC_TUNABLES": "glibc.cpu.hwcaps=-AVX512F,-AVX2,-AVX,-FMA,-FMA4",
    }
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    printed = [
        subprocess.run(
            [sys.executable, "-W", "ignore", "-c", FACES],
            check=True,
            capture_output=True,
            env={**environment, **features},
        ).stdout
        for features in ({}, disabled)
    ]
    assert len(printed[0].splitlines()) == 8
    assert printed[0] == printed[1]


class Perturbed:
    """A module whose functions return values with a random relative error."""

    def __init__(self, module: object, names: tuple[str, ...], error: float) -> None:
        self.module, self.names, self.error = module, names, error
        self.rng = np.random.default_rng(0)

    def __getattr__(self, name: str) -> object:
        found = getattr(self.module, name)
        if name not in self.names:
            return found

        def wrong(*args: object, **kwargs: object) -> object:
            value = found(*args, **kwargs)
            factors = 1 + self.error * self.rng.uniform(-1, 1, np.shape(value))
            return value * factors if np.ndim(value) else float(value * factors)

        return wrong


def test_last_bits_do_not_change_faces(monkeypatch: pytest.MonkeyPatch) -> None:
    def digests() -> list[str]:
        # Portraits too, because JPEG compression hides most small changes.
        both = (draw_portrait, draw_face)
        drawn = [draw(np.random.default_rng(seed), seed % 2 == 0, 125) for draw in both for seed in range(8)]
        return [hashlib.sha256(image.tobytes()).hexdigest() for image in drawn]

    def perturb(error: float) -> None:
        functions = ("exp", "log", "sqrt", "sin", "power", "hypot", "interp")
        for name in [name for name in sys.modules if name.startswith(f"{drawing.__name__}.")]:
            monkeypatch.setattr(f"{name}.np", Perturbed(np, functions, error), raising=False)
            monkeypatch.setattr(f"{name}.math", Perturbed(math, ("cos", "sin", "hypot"), error), raising=False)

    expected = digests()
    perturb(1e-14)  # about ten last bits of float64
    assert digests() == expected
    perturb(1e-7)  # last bits of float32
    assert digests() != expected


def test_more_training_images_keep_the_others(drawn: Path, tmp_path: Path) -> None:
    draw_dataset(tmp_path, 7, COUNTS, TITLES, drawn=13)
    few, many = contents(drawn), contents(tmp_path)
    assert few.items() <= many.items()
    added = Counter(str(Path(name).parent) for name in many.keys() - few.keys())
    assert added == {"train/glasses": 2, "train/noglasses": 4}
    # They are in separate rows, after those of both classes.
    assert {Path(name).name.split("-column")[0] for name in many.keys() - few.keys()} == {"row-4", "row-5"}
    assert len(set(many.values())) == len(many)


def test_drawn_below_expected_has_no_effect(tmp_path: Path) -> None:
    draw_dataset(tmp_path, 7, {"train": {"glasses": 2, "noglasses": 1}}, TITLES, drawn=1)
    assert Counter(path.parent.name for path in images(tmp_path)) == {"glasses": 2, "noglasses": 1}

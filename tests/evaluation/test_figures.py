"""Contact sheets show each image at its position with its caption, and are deterministic."""

import io
import json
from itertools import product
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from anteojos.evaluation.figures import Cell, contact_sheet

RED, WHITE = (0xCF, 0x22, 0x2E), (255, 255, 255)


def face(seed: int, size: int = 160) -> npt.NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 200, (size, size, 3), dtype=np.uint8)


def place(number: int, columns: int, lines: int) -> tuple[int, int, int, int]:
    """Return the box of image `number`: 160 px wide and high, 16 px apart, below a title of 44 px."""
    row, column = divmod(number, columns)
    left, top = 16 + column * 176, 44 + row * (160 + 20 * lines + 16)
    return left, top, left + 160, top + 160


def below(box: tuple[int, int, int, int], lines: int) -> tuple[int, int, int, int]:
    left, _, right, bottom = box
    return left, bottom + 4, right, bottom + 20 * lines + 4


def png(sheet: Image.Image) -> bytes:
    data = io.BytesIO()
    sheet.save(data, "PNG")
    return data.getvalue()


def colours(sheet: Image.Image, box: tuple[int, int, int, int]) -> set[tuple[int, int, int]]:
    return {colour for _, colour in sheet.crop(box).getcolors(maxcolors=100_000)}


@pytest.mark.parametrize(
    ("cells", "columns", "lines", "note", "size"),
    [
        (8, 4, 1, "", (720, 436)),
        (20, 5, 2, "p is the probability of con lentes", (896, 944)),
        (7, 5, 3, "", (896, 516)),
        (1, 1, 0, "", (192, 220)),
        (0, 5, 0, "All labels are correct.", (896, 80)),
        (0, 5, 0, "", (896, 44)),
    ],
)
def test_size_of_the_sheet_fits_its_cells(
    cells: int, columns: int, lines: int, note: str, size: tuple[int, int]
) -> None:
    sheet = contact_sheet("Title", [Cell(face(0), ("caption",) * lines)] * cells, columns, note)
    assert sheet.size == size
    assert sheet.mode == "RGB"


def test_each_image_is_at_its_position() -> None:
    faces = [face(seed) for seed in range(5)]
    sheet = contact_sheet("Title", [Cell(image, ("a", "b")) for image in faces], columns=3)
    for number, image in enumerate(faces):
        np.testing.assert_array_equal(np.asarray(sheet.crop(place(number, 3, lines=2))), image)
    assert colours(sheet, place(5, 3, lines=2)) == {WHITE}


def test_image_of_another_size_is_resized() -> None:
    image = np.full((30, 40, 3), (10, 90, 170), np.uint8)
    sheet = contact_sheet("", [Cell(image, ())], columns=1)
    assert colours(sheet, place(0, 1, lines=0)) == {(10, 90, 170)}


def test_side_sets_the_size_of_the_images() -> None:
    sheet = contact_sheet("", [Cell(face(n, 240), ("caption",)) for n in range(3)], 2, "note", side=240)
    assert sheet.size == (16 + 2 * 256, 44 + 2 * (240 + 20 + 16) + 36)
    for number, (left, top) in enumerate(((16, 44), (272, 44), (16, 320))):
        np.testing.assert_array_equal(np.asarray(sheet.crop((left, top, left + 240, top + 240))), face(number, 240))


def test_read_only_image_is_drawn() -> None:
    array = np.stack([face(seed) for seed in range(2)])
    array.flags.writeable = False
    sheet = contact_sheet("", [Cell(array[1], ())], columns=1)
    np.testing.assert_array_equal(np.asarray(sheet.crop(place(0, 1, lines=0))), array[1])


def test_wrong_cells_have_a_red_frame_and_caption() -> None:
    sheet = contact_sheet("Title", [Cell(face(n), ("sin lentes",), wrong=n == 1) for n in range(3)], columns=3)
    for number in range(3):
        left, top, right, bottom = box = place(number, 3, lines=1)
        frame = {sheet.getpixel(at) for at in product((left - 3, right + 2), (top - 3, top + 80, bottom + 2))}
        assert frame == ({RED} if number == 1 else {WHITE})
        written = colours(sheet, below(box, lines=1))
        assert (RED in written) == (number == 1)
        assert len(written) > 2
        # The frame is around the image, not over it.
        np.testing.assert_array_equal(np.asarray(sheet.crop(box)), face(number))


def test_title_captions_and_note_are_drawn() -> None:
    bare = contact_sheet("", [Cell(face(0), ("", ""))], columns=5, note=" ")
    written = contact_sheet("Title", [Cell(face(0), ("con lentes", "p = 0.5"))], columns=5, note="note")
    changed = np.argwhere((np.asarray(bare) != np.asarray(written)).any(axis=2))
    rows = set(changed[:, 0])
    strips = {"title": (0, 44), "first line": (206, 226), "second line": (226, 246), "note": (260, 296)}
    for name, (top, bottom) in strips.items():
        assert rows & set(range(top, bottom)), name
    assert rows <= {row for top, bottom in strips.values() for row in range(top, bottom)}
    assert changed.min() >= 12


def test_legend_is_a_line_above_the_note() -> None:
    cells = [Cell(face(0), ("",))]
    bare, noted = contact_sheet("", cells, 2, note=" "), contact_sheet("", cells, 2, note="note")
    both = contact_sheet("", cells, 2, note="note", legend="legend")
    assert both.size == (noted.width, noted.height + 20)
    # Half of the gap below the cells is above the text.
    top = 44 + 160 + 20 + 16 + 8
    assert colours(both, (0, top, both.width, top + 20)) != {WHITE}
    as_before = np.asarray(noted.crop((0, top, noted.width, noted.height)))
    np.testing.assert_array_equal(np.asarray(both.crop((0, top + 20, both.width, both.height))), as_before)
    assert contact_sheet("", cells, 2, legend="legend").size == bare.size


def test_sheet_is_deterministic() -> None:
    def sheet() -> Image.Image:
        return contact_sheet("Title", [Cell(face(n), ("con lentes", "p = 0.5"), n == 1) for n in range(3)], 2, "note")

    assert png(sheet()) == png(sheet())


@pytest.mark.parametrize("name", ["ñandú — größe", "眼镜", "👓", "очки", "a" * 200, "\t", "x\x00y"])
def test_long_and_unusual_names_keep_the_layout(name: str) -> None:
    cells = [Cell(face(n), (name, "p = 0.5")) for n in range(3)]
    sheet = contact_sheet(name, cells, 2, note=name)
    assert sheet.size == contact_sheet("", cells, 2, note="note").size
    for number in range(3):
        np.testing.assert_array_equal(np.asarray(sheet.crop(place(number, 2, lines=2))), face(number))


def test_long_caption_does_not_reach_the_next() -> None:
    sheet = contact_sheet("", [Cell(face(0), ("W" * 64,)), Cell(face(1), ("",))], 2)
    left, top, right, bottom = below(place(0, 2, 1), 1)
    assert colours(sheet, (0, top, left - 6, bottom)) == {WHITE}
    assert colours(sheet, (right + 6, top, sheet.width, bottom)) == {WHITE}
    assert len(colours(sheet, (left, top, right, bottom))) > 1


def test_png_file_has_boxes_and_captions(tmp_path: Path) -> None:
    captions = [("con lentes", "p = 0.5"), ("größe", "p = 0.4")]
    cells = [Cell(face(n), captions[n], wrong=n == 1) for n in range(2)]
    contact_sheet("Title", cells, 2).save(tmp_path / "sheet.png")
    with Image.open(tmp_path / "sheet.png") as sheet:
        found = json.loads(sheet.text["cells"])  # type: ignore[attr-defined]
        for number, each in enumerate(found):
            np.testing.assert_array_equal(np.asarray(sheet.crop(each["box"])), face(number))
    assert [(tuple(each["caption"]), each["wrong"]) for each in found] == [(captions[0], False), (captions[1], True)]

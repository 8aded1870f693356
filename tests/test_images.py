"""Pictures of every kind come out as upright RGB; broken ones are refused; the face is cut out of its canvas."""

import io
import random
import struct
import subprocess
import sys
import warnings
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image, ImageDraw, ImageFont
from PIL.TiffImagePlugin import IFDRational

from anteojos import images
from anteojos.images import PictureError, crop_to_panel, decode, difference_hash, find_panel, is_picture, prepare
from tests.pages import undocumented

Box = tuple[int, int, int, int]

# Left, top, right and bottom (exclusive) of the faces on the originals, measured by eye on enlarged pictures.
PANELS = {
    "glasses/row-2-column-11": (3, 16, 132, 145),
    "glasses/row-2-column-3": (2, 14, 130, 143),
    "glasses/row-2-column-7": (1, 11, 130, 140),
    "glasses/row-2-column-8": (0, 11, 129, 140),
    "glasses/row-3-column-12": (1, 13, 129, 139),
    "glasses/row-4-column-5": (9, 11, 138, 140),
    "noglasses/row-12-column-1": (20, 0, 149, 127),
    "noglasses/row-12-column-10": (14, 4, 143, 130),
    "noglasses/row-12-column-2": (19, 0, 148, 127),
    "noglasses/row-12-column-3": (17, 0, 145, 127),
    "noglasses/row-12-column-4": (21, 5, 150, 131),
    "noglasses/row-12-column-5": (20, 5, 149, 132),
    "noglasses/row-7-column-10": (6, 11, 135, 140),
    "noglasses/row-7-column-8": (4, 8, 133, 137),
    "noglasses/row-7-column-9": (2, 8, 130, 137),
}


def texture(width: int, height: int, seed: int = 0) -> npt.NDArray[np.uint8]:
    """A smooth random picture, nowhere white."""
    cells = np.random.default_rng(seed).integers(20, 200, (8, 8, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(cells).resize((width, height), Image.Resampling.BICUBIC))


def encoded(picture: npt.NDArray[np.uint8] | Image.Image, format_: str, **options: Any) -> bytes:
    image = picture if isinstance(picture, Image.Image) else Image.fromarray(picture)
    data = io.BytesIO()
    image.save(data, format_, **options)
    return data.getvalue()


def canvas(width: int, height: int, box: Box, face: npt.NDArray[np.uint8] | None = None) -> Image.Image:
    left, top, right, bottom = box
    sheet = Image.new("RGB", (width, height), "white")
    sheet.paste(Image.fromarray(texture(right - left, bottom - top) if face is None else face), (left, top))
    return sheet


def write_title(sheet: Image.Image, x: int, baseline: int, size: int = 12) -> None:
    ImageDraw.Draw(sheet).text((x, baseline), "no_glasses", "black", ImageFont.load_default(size), anchor="ms")


def mean_difference(one: npt.NDArray[np.uint8], other: npt.NDArray[np.uint8]) -> float:
    return float(np.abs(one.astype(float) - other).mean())


# --- encoding


def test_the_quantisation_tables_tell_one_jpeg_from_another() -> None:
    one, other = texture(20, 30), texture(48, 32)
    assert images.encoding(encoded(one, "JPEG", quality=75)) == images.encoding(encoded(other, "JPEG", quality=75))
    assert images.encoding(encoded(one, "JPEG", quality=75)) != images.encoding(encoded(one, "JPEG", quality=76))


@pytest.mark.parametrize("format_", ["PNG", "BMP", "GIF", "TIFF", "WEBP"])
def test_other_formats_are_told_by_their_name(format_: str) -> None:
    assert images.encoding(encoded(texture(20, 30), format_)) == format_


def test_the_encoding_of_a_picture_is_known_before_its_pixels_are_read() -> None:
    data = encoded(texture(200, 300), "JPEG", quality=75)
    assert images.encoding(data[:700]) == images.encoding(data)


@pytest.mark.parametrize("data", [b"", b"no picture"])
def test_what_is_no_picture_has_no_encoding(data: bytes) -> None:
    with pytest.raises(PictureError, match="not a picture"):
        images.encoding(data)


# --- decode


@pytest.mark.parametrize("format_", ["PNG", "BMP", "TIFF", "WEBP"])
def test_rgb_comes_out_as_it_went_in(format_: str) -> None:
    pixels = texture(20, 30)
    options = {"lossless": True} if format_ == "WEBP" else {}
    picture = decode(encoded(pixels, format_, **options))
    assert picture.mode == "RGB"
    assert picture.pixels.dtype == np.uint8
    np.testing.assert_array_equal(picture.pixels, pixels)


@pytest.mark.parametrize("options", [{}, {"progressive": True}])
def test_jpeg_comes_out_nearly_as_it_went_in(options: dict[str, Any]) -> None:
    pixels = texture(48, 32)
    data = encoded(pixels, "JPEG", quality=95, subsampling=0, **options)
    assert mean_difference(decode(data).pixels, pixels) < 2


def test_grey_becomes_rgb() -> None:
    grey = texture(20, 30)[..., 0]
    picture = decode(encoded(Image.fromarray(grey), "PNG"))
    assert picture.mode == "L"
    np.testing.assert_array_equal(picture.pixels, np.stack([grey] * 3, axis=2))


def test_black_and_white_becomes_rgb() -> None:
    dots = np.eye(9, dtype=bool)
    picture = decode(encoded(Image.fromarray(dots), "PNG"))
    assert picture.mode == "1"
    np.testing.assert_array_equal(picture.pixels, np.stack([dots * np.uint8(255)] * 3, axis=2))


def test_palette_becomes_rgb() -> None:
    image = Image.fromarray(texture(20, 30)).quantize(7)
    picture = decode(encoded(image, "PNG"))
    assert picture.mode == "P"
    np.testing.assert_array_equal(picture.pixels, np.asarray(image.convert("RGB")))


@pytest.mark.parametrize("format_", ["PNG", "GIF"])
def test_a_transparent_palette_colour_becomes_white(format_: str) -> None:
    image = Image.new("P", (4, 2), 0)
    image.putpalette([200, 0, 0, 0, 0, 200])
    image.putpixel((3, 1), 1)
    picture = decode(encoded(image, format_, transparency=0))
    assert picture.pixels[0, 0].tolist() == [255, 255, 255]
    assert picture.pixels[1, 3].tolist() == [0, 0, 200]


def test_transparency_by_colour_becomes_white() -> None:
    pixels = np.array([[[10, 20, 30], [40, 50, 60]]], dtype=np.uint8)
    picture = decode(encoded(pixels, "PNG", transparency=(10, 20, 30)))
    assert picture.mode == "RGB"
    assert picture.pixels.tolist() == [[[255, 255, 255], [40, 50, 60]]]


@pytest.mark.parametrize("format_", ["PNG", "TIFF"])
def test_rgba_is_laid_on_white(format_: str) -> None:
    pixels = np.array([[[0, 100, 200, 255], [0, 100, 200, 0], [0, 100, 200, 51]]], dtype=np.uint8)
    picture = decode(encoded(pixels, format_))
    assert picture.mode == "RGBA"
    # A fifth of the colour and four fifths of white.
    assert picture.pixels.tolist() == [[[0, 100, 200], [255, 255, 255], [204, 224, 244]]]


def test_grey_with_transparency_is_laid_on_white() -> None:
    image = Image.merge("LA", (Image.new("L", (2, 1), 100), Image.fromarray(np.array([[255, 0]], dtype=np.uint8))))
    picture = decode(encoded(image, "PNG"))
    assert picture.mode == "LA"
    assert picture.pixels.tolist() == [[[100, 100, 100], [255, 255, 255]]]


def test_cmyk_becomes_rgb() -> None:
    picture = decode(encoded(Image.new("CMYK", (8, 8), (0, 255, 255, 0)), "JPEG", quality=95))
    assert picture.mode == "CMYK"
    assert mean_difference(picture.pixels, np.full((8, 8, 3), (255, 0, 0), np.uint8)) < 3


@pytest.mark.parametrize("format_", ["PNG", "TIFF"])
def test_16_bit_grey_keeps_its_brightness(format_: str) -> None:
    for deep, grey in (([0, 12_850, 32_896, 65_535], [0, 50, 128, 255]), ([257, 12_850], [1, 50])):
        picture = decode(encoded(Image.fromarray(np.array([deep], dtype=np.uint16)), format_))
        assert picture.pixels[..., 0].tolist() == [grey]
        assert (picture.pixels == picture.pixels[..., :1]).all()


def test_float_grey_from_0_to_1_keeps_its_brightness() -> None:
    picture = decode(encoded(Image.fromarray(np.array([[0, 0.2, 1]], dtype=np.float32)), "TIFF"))
    assert picture.mode == "F"
    assert picture.pixels[0, :, 0].tolist() == [0, 51, 255]


def oriented(upright: npt.NDArray[np.uint8], orientation: int) -> npt.NDArray[np.uint8]:
    """Turn pixels as a camera stores them that writes `orientation`. Source: the EXIF standard's table of it."""
    flipped = {2: upright[:, ::-1], 4: upright[::-1], 5: upright.transpose(1, 0, 2)}
    turned = {1: 0, 3: 2, 6: 1, 8: -1}
    if orientation == 7:
        return upright[::-1, ::-1].transpose(1, 0, 2)
    return flipped[orientation] if orientation in flipped else np.rot90(upright, turned[orientation])


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("format_", ["PNG", "TIFF", "WEBP"])
def test_a_turned_picture_is_set_upright(format_: str, orientation: int) -> None:
    upright = texture(20, 30)
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = np.ascontiguousarray(oriented(upright, orientation))
    options = {"lossless": True} if format_ == "WEBP" else {}
    np.testing.assert_array_equal(decode(encoded(stored, format_, exif=exif, **options)).pixels, upright)


@pytest.mark.parametrize("orientation", [3, 6, 8])
def test_a_jpeg_as_phones_take_it_is_set_upright(orientation: int) -> None:
    upright = texture(32, 48)
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = np.ascontiguousarray(oriented(upright, orientation))
    data = encoded(stored, "JPEG", quality=95, subsampling=0, exif=exif)
    assert mean_difference(decode(data).pixels, upright) < 2


@pytest.mark.parametrize("orientation", [0, 9, 65_535])
def test_an_orientation_that_is_none_changes_nothing(orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    pixels = texture(20, 30)
    np.testing.assert_array_equal(decode(encoded(pixels, "PNG", exif=exif)).pixels, pixels)


def test_odd_exif_data_do_not_make_a_turned_picture_broken() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    exif[0x011A] = IFDRational(72, 1)  # XResolution
    data = encoded(texture(20, 30), "JPEG", exif=exif)
    # The resolution's type becomes text, as cameras with bugs have it: Pillow can read it, but not write it again.
    entry = struct.pack(">HHI", 0x011A, 5, 1)
    assert data.count(entry) == 1
    odd = data.replace(entry, struct.pack(">HHI", 0x011A, 2, 1))
    assert decode(odd).pixels.shape == (20, 30, 3)


@pytest.mark.parametrize("format_", ["GIF", "WEBP", "PNG", "TIFF"])
def test_of_an_animation_the_first_frame_is_taken(format_: str) -> None:
    frames = [Image.new("RGB", (6, 4), colour) for colour in ("red", "green", "blue")]
    options = {"lossless": True} if format_ == "WEBP" else {}
    picture = decode(encoded(frames[0], format_, save_all=True, append_images=frames[1:], **options))
    assert (picture.pixels == (255, 0, 0)).all()


def test_the_content_counts_and_not_the_name() -> None:
    assert decode(encoded(texture(5, 5), "PNG")).pixels.shape == (5, 5, 3)


@pytest.mark.parametrize(
    "name", ["a.jpg", "a.JPG", "a.jpeg", "a.PnG", "a.gif", "a.bmp", "a.tif", "a.tiff", "a b.c.webp"]
)
def test_a_picture_is_known_by_its_suffix(name: str) -> None:
    assert is_picture(name)
    assert is_picture(Path("train", name))


@pytest.mark.parametrize("name", ["a.txt", "jpg", ".jpg", "a.jpg.part", "a.heic", "a.svg", "a.jpg~", ""])
def test_other_suffixes_are_no_pictures(name: str) -> None:
    assert not is_picture(name)


def refusal(data: bytes) -> str:
    with pytest.raises(PictureError) as caught:
        decode(data)
    return str(caught.value)


def test_an_empty_file_is_refused() -> None:
    assert refusal(b"") == "empty file (0 bytes)"


@pytest.mark.parametrize(
    "data", [b"a", b"<html>404</html>", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", bytes(5000), b"%PDF-1.4 " + bytes(90)]
)
def test_what_is_no_picture_is_refused(data: bytes) -> None:
    assert refusal(data) == f"not a picture ({len(data):,} bytes)"


@pytest.mark.parametrize(("brand", "name"), [(b"heic", "HEIC"), (b"mif1", "HEIC"), (b"avif", "AVIF")])
def test_a_telephones_format_is_named_with_what_to_do(brand: bytes, name: str) -> None:
    data = b"\0\0\0\x20ftyp" + brand + bytes(90)
    assert refusal(data) == f"{name}, which is not read; convert it to JPEG or PNG"
    if name == "HEIC":
        assert undocumented("A format that is not read", refusal(data), 1) == []


@pytest.mark.parametrize("format_", ["PPM", "TGA", "ICO", "PCX", "EPS", "ICNS", "JPEG2000"])
def test_formats_beyond_the_list_are_refused(format_: str) -> None:
    data = encoded(texture(32, 32), format_)
    assert refusal(data) == f"not a picture ({len(data):,} bytes)"


@pytest.mark.parametrize("share", [0.5, 0.7, 0.9, 0.99])
@pytest.mark.parametrize("format_", ["JPEG", "PNG", "BMP", "TIFF"])
def test_a_truncated_picture_is_called_so(format_: str, share: float) -> None:
    data = encoded(np.random.default_rng(0).integers(0, 256, (40, 40, 3), dtype=np.uint8), format_)
    # TIFF has its directory at the front where Pillow writes it, and JPEG and PNG end in a mark of a few bytes.
    cut = data[: int(share * len(data))]
    assert refusal(cut).startswith(f"truncated picture ({len(cut):,} bytes: ")


def samples() -> Iterator[tuple[str, bytes]]:
    """A picture in each form that people keep them in."""
    pixels = texture(24, 20)
    exif = Image.Exif()
    exif[0x0112] = 6
    exif[0x010E] = "a face"
    exif[0x011A] = IFDRational(72, 1)
    frames = [Image.fromarray(pixels), Image.fromarray(pixels[::-1].copy())]
    yield "jpeg", encoded(pixels, "JPEG", exif=exif)
    yield "progressive-jpeg", encoded(pixels, "JPEG", progressive=True)
    yield "cmyk-jpeg", encoded(frames[0].convert("CMYK"), "JPEG")
    yield "png", encoded(pixels, "PNG", exif=exif)
    yield "palette-png", encoded(frames[0].quantize(16), "PNG", transparency=0)
    yield "gif", encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])
    yield "webp", encoded(pixels, "WEBP", exif=exif)
    yield "lossless-webp", encoded(pixels, "WEBP", lossless=True)
    yield "tiff", encoded(pixels, "TIFF")
    yield "float-tiff", encoded(frames[0].convert("F"), "TIFF")
    yield "deflated-tiff", encoded(pixels, "TIFF", compression="tiff_adobe_deflate", exif=exif)
    yield "bmp", encoded(pixels, "BMP")


SAMPLES = [pytest.param(data, id=name) for name, data in samples()]


@pytest.mark.parametrize("data", SAMPLES)
def test_of_a_cut_file_comes_the_whole_picture_or_none(data: bytes) -> None:
    whole = decode(data).pixels
    refused = 0
    for length in range(0, len(data), 1 + len(data) // 400):
        try:
            pixels = decode(data[:length]).pixels
        except PictureError:
            refused += 1
        else:
            np.testing.assert_array_equal(pixels, whole, f"{length} of {len(data)} bytes")
    assert refused > 0


@pytest.mark.parametrize("data", SAMPLES)
def test_damaged_bytes_raise_nothing_but_a_picture_error(data: bytes) -> None:
    chance = random.Random(2024)
    for _ in range(300):
        damaged = bytearray(data)
        for _ in range(chance.choice((1, 2, 4, 16))):
            # Most of what can go wrong is said in the first bytes and the last.
            position = chance.choice((chance.randrange(len(data)), chance.randrange(min(200, len(data)))))
            damaged[chance.choice((position, -1 - position // 2))] = chance.choice((0, 1, 2, 5, 12, 255))
        with suppress(PictureError):
            pixels = decode(bytes(damaged)).pixels
            assert pixels.ndim == 3
            assert pixels.shape[2] == 3
            assert pixels.dtype == np.uint8


@pytest.mark.parametrize("type_", [2, 5, 12])
def test_a_tiff_whose_numbers_are_none_is_damaged(type_: int) -> None:
    # Where its strips begin becomes text, a fraction or a float.
    data = encoded(texture(5, 7), "TIFF")
    entry = struct.pack("<HHI", 273, 4, 1)
    assert data.count(entry) == 1
    refusal(data.replace(entry, struct.pack("<HHI", 273, type_, 1)))


def png_that_claims(width: int, height: int) -> bytes:
    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    pixels = zlib.compress(bytes(1000))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def test_a_picture_that_claims_gigabytes_is_refused_undecoded() -> None:
    assert refusal(png_that_claims(60_000, 60_000)) == "too large: more than 100,000,000 pixels"
    assert refusal(png_that_claims(12_000, 10_000)) == "too large: 12000 × 10000 px, at most 100,000,000 pixels"


def test_the_largest_picture_allowed_is_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(images, "MAX_PIXELS", 600)
    assert decode(encoded(texture(20, 30), "PNG")).pixels.shape == (30, 20, 3)
    assert refusal(encoded(texture(20, 31), "PNG")) == "too large: 20 × 31 px, at most 600 pixels"


# --- the face panel


@pytest.mark.shared
@pytest.mark.parametrize(("name", "box"), PANELS.items())
def test_the_panel_is_found_on_the_originals(shared_data: Path, name: str, box: Box) -> None:
    found = find_panel(decode((shared_data / "original" / f"{name}.jpg").read_bytes()).pixels)
    assert found is not None
    assert np.abs(np.subtract(found, box)).max() <= 2, f"{found}, expected {box}"


@pytest.mark.shared
def test_the_boxes_are_those_of_all_the_originals(shared_data: Path) -> None:
    folder = shared_data / "original"
    assert sorted(PANELS) == sorted(
        path.relative_to(folder).with_suffix("").as_posix() for path in folder.rglob("*.jpg")
    )


@pytest.mark.shared
def test_the_panel_is_found_on_every_picture_of_the_zip(shared_data: Path) -> None:
    with zipfile.ZipFile(shared_data / "glasses-noglasses.zip") as archive:
        found = {name: decode(archive.read(name)).pixels for name in archive.namelist() if name.endswith(".jpg")}
    assert len(found) == 164
    odd = {}
    for name, pixels in found.items():
        left, top, right, bottom = find_panel(pixels) or (0, 0, 0, 0)
        height, width, _ = pixels.shape
        wide = right - left if left > 0 and right < width else 125
        high = bottom - top if top > 0 and bottom < height else 125
        if not (right > left and abs(wide - 125) <= 3 and abs(high - 125) <= 3):
            odd[name] = (left, top, right, bottom)
    assert odd == {}


@pytest.mark.shared
@pytest.mark.parametrize("quality", [40, 60, 75, 95])
def test_the_panel_is_found_where_jpeg_smears_its_edges(shared_data: Path, quality: int) -> None:
    with zipfile.ZipFile(shared_data / "glasses-noglasses.zip") as archive:
        for name in archive.namelist():
            picture = Image.open(io.BytesIO(archive.read(name)))
            again = io.BytesIO()
            picture.save(again, "JPEG", quality=quality)
            found, before = (find_panel(decode(data).pixels) for data in (again.getvalue(), archive.read(name)))
            assert found is not None, name
            assert before is not None, name
            assert np.abs(np.subtract(found, before)).max() <= 3, name


BOX = (16, 17, 141, 142)


def test_the_panel_is_found_on_an_empty_canvas() -> None:
    assert find_panel(np.asarray(canvas(160, 155, BOX))) == BOX


@pytest.mark.parametrize("baseline", [0, 4, 8, 13])
def test_a_title_is_not_part_of_the_panel(baseline: int) -> None:
    sheet = canvas(160, 155, BOX)
    write_title(sheet, 78, baseline)
    assert find_panel(np.asarray(sheet)) == BOX


@pytest.mark.parametrize("baseline", [152, 155, 160])
def test_the_next_row_s_title_is_not_part_of_the_panel(baseline: int) -> None:
    sheet = canvas(160, 155, (16, 2, 141, 127))
    write_title(sheet, 78, baseline)
    assert find_panel(np.asarray(sheet)) == (16, 2, 141, 127)


def test_slivers_of_the_neighbours_are_not_part_of_the_panel() -> None:
    sheet = canvas(160, 155, BOX)
    sheet.paste(Image.fromarray(texture(9, 125, seed=1)), (0, 17))
    sheet.paste(Image.fromarray(texture(12, 125, seed=2)), (148, 17))
    write_title(sheet, 78, 13)
    assert find_panel(np.asarray(sheet)) == BOX


@pytest.mark.parametrize(
    "box",
    [
        (20, 0, 145, 120),
        (0, 15, 122, 140),
        (35, 15, 160, 140),
        (16, 30, 141, 155),
        (0, 0, 121, 122),
        (38, 33, 160, 155),
    ],
)
def test_a_panel_cut_by_the_border_is_found(box: Box) -> None:
    assert find_panel(np.asarray(canvas(160, 155, box))) == box


@pytest.mark.parametrize("width", [64, 100, 160, 320, 1024])
def test_the_panel_is_found_at_any_size(width: int) -> None:
    scale = width / 160
    box = tuple(round(scale * side) for side in BOX)
    sheet = canvas(width, round(155 * scale), box)
    write_title(sheet, width // 2, round(12 * scale), size=max(6, round(12 * scale)))
    assert find_panel(np.asarray(sheet)) == box


def test_the_panel_is_found_wherever_it_drifts_to() -> None:
    for seed in range(100):
        chance = np.random.default_rng(seed)
        left, top = int(chance.integers(0, 36)), int(chance.integers(0, 31))
        box = (left, top, left + 125, top + 125)
        sheet = canvas(160, 155, box, texture(125, 125, seed))
        assert find_panel(np.asarray(sheet)) == box, seed


def test_jpeg_s_smear_moves_the_panel_by_at_most_1_px() -> None:
    # The originals were saved at a quality of 88 or so.
    for seed in range(40):
        chance = np.random.default_rng(seed)
        left, top = int(chance.integers(0, 36)), int(chance.integers(0, 31))
        box = (left, top, left + 125, top + 125)
        sheet = canvas(160, 155, box, texture(125, 125, seed))
        write_title(sheet, left + 62, top - 4)
        found = find_panel(decode(encoded(sheet, "JPEG", quality=85)).pixels)
        assert found is not None, seed
        assert np.abs(np.subtract(found, box)).max() <= 1, seed


def test_a_white_wall_behind_the_head_belongs_to_the_panel() -> None:
    face = np.full((125, 125, 3), 250, dtype=np.uint8)
    y, x = np.mgrid[:125, :125]
    head = ((x - 62) / 40) ** 2 + ((y - 70) / 55) ** 2 < 1
    face[head] = texture(125, 125)[head]
    face[:20] = 120  # a ceiling
    face[100:] = 90  # shoulders
    assert find_panel(np.asarray(canvas(160, 155, BOX, face))) == BOX


def test_a_light_grey_wall_is_told_from_the_paper() -> None:
    face = np.full((125, 125, 3), 228, dtype=np.uint8)
    assert find_panel(np.asarray(canvas(160, 155, BOX, face))) == BOX


def head_before_white(width: int, height: int, x: int, y: int) -> npt.NDArray[np.uint8]:
    image = Image.new("RGB", (160, 155), "white")
    ImageDraw.Draw(image).ellipse((x - width // 2, y - height // 2, x + width // 2, y + height // 2), "#a07050")
    return np.asarray(image)


def portrait_before_white() -> npt.NDArray[np.uint8]:
    image = Image.fromarray(head_before_white(80, 100, 80, 70))
    ImageDraw.Draw(image).rounded_rectangle((25, 125, 135, 200), 20, "#304060")
    return np.asarray(image)


def striped(width: int, every: int, axis: int) -> npt.NDArray[np.uint8]:
    pixels = texture(160, 155).copy()
    view = pixels if axis == 0 else pixels.swapaxes(0, 1)
    for start in range(0, len(view), every):
        view[start : start + width] = 255
    return pixels


def with_white_side(side: str, width: int) -> npt.NDArray[np.uint8]:
    pixels = texture(160, 155).copy()
    views = {"top": pixels[:width], "bottom": pixels[-width:], "left": pixels[:, :width], "right": pixels[:, -width:]}
    views[side][:] = 255
    return pixels


WITHOUT_CANVAS = {
    "texture": texture(160, 155),
    "noise": np.random.default_rng(0).integers(0, 256, (155, 160, 3), dtype=np.uint8),
    "white": np.full((155, 160, 3), 255, np.uint8),
    "black": np.zeros((155, 160, 3), np.uint8),
    "head": head_before_white(90, 120, 80, 80),
    "head-at-the-side": head_before_white(60, 100, 40, 80),
    "head-that-touches-the-bottom": head_before_white(120, 160, 80, 110),
    "portrait": portrait_before_white(),
    "lines": striped(1, 10, axis=0),
    "columns": striped(1, 10, axis=1),
    "stripes": striped(10, 20, axis=0),
    "upright-stripes": striped(10, 20, axis=1),
    **{f"white-{side}-{n}": with_white_side(side, n) for side in ("top", "bottom", "left", "right") for n in (3, 30)},
    "1x1-white": np.full((1, 1, 3), 255, np.uint8),
    "1x1-black": np.zeros((1, 1, 3), np.uint8),
    "1x50": texture(1, 50),
    "50x1": texture(50, 1),
    "2x2": texture(2, 2),
}


@pytest.mark.parametrize("pixels", [pytest.param(pixels, id=name) for name, pixels in WITHOUT_CANVAS.items()])
def test_a_picture_without_a_canvas_passes_unchanged(pixels: npt.NDArray[np.uint8]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert crop_to_panel(pixels) is pixels


def test_what_goes_on_beyond_its_edge_is_no_panel() -> None:
    sheet = canvas(160, 155, (16, 40, 141, 142))
    assert find_panel(np.asarray(sheet)) == (16, 40, 141, 142)
    sheet.paste("#304060", (60, 0, 85, 40))
    assert find_panel(np.asarray(sheet)) is None


def test_small_noise_has_no_panel() -> None:
    for seed in range(200):
        chance = np.random.default_rng(seed)
        height, width = chance.integers(1, 40, 2)
        pixels = chance.integers(0, 256, (height, width, 3), dtype=np.uint8)
        assert find_panel(pixels) is None, seed


def test_the_crop_is_a_view_of_the_panel() -> None:
    face = texture(125, 125)
    pixels = np.asarray(canvas(160, 155, BOX, face))
    cropped = crop_to_panel(pixels)
    np.testing.assert_array_equal(cropped, face)
    assert np.shares_memory(cropped, pixels)


# --- what the network sees


def test_pictures_are_resized_whole_where_crop_is_none() -> None:
    sheet = canvas(160, 155, BOX)
    expected = np.asarray(sheet.resize((64, 64), Image.Resampling.BILINEAR))
    np.testing.assert_array_equal(prepare(np.asarray(sheet), 64, "none"), expected)


def test_pillow_s_pictures_are_treated_as_arrays_are() -> None:
    for sheet in (canvas(160, 155, BOX), Image.fromarray(texture(60, 70))):
        pixels = np.asarray(sheet)
        for crop in ("none", "panel"):
            np.testing.assert_array_equal(prepare(sheet, 64, crop), prepare(pixels, 64, crop))
        np.testing.assert_array_equal(np.asarray(crop_to_panel(sheet)), crop_to_panel(pixels))
        assert difference_hash(sheet) == difference_hash(pixels)
    assert crop_to_panel(sheet) is sheet


def test_the_face_alone_is_resized_where_crop_is_panel() -> None:
    sheet = canvas(160, 155, BOX)
    expected = np.asarray(sheet.crop(BOX).resize((64, 64), Image.Resampling.BILINEAR))
    np.testing.assert_array_equal(prepare(np.asarray(sheet), 64, "panel"), expected)


@pytest.mark.parametrize(("width", "height"), [(1, 1), (1, 50), (300, 20), (160, 160)])
def test_every_picture_becomes_a_square_of_the_size(width: int, height: int) -> None:
    prepared = prepare(texture(width, height), 160, "panel")
    assert prepared.shape == (160, 160, 3)
    assert prepared.dtype == np.uint8


# --- large JPEGs

SHARES = (0.1, 0.1, 0.88, 0.9)  # of the width and height, where the panel of `photograph` is


def photograph(width: int, height: int, quality: int = 90) -> bytes:
    """A JPEG of a panel on a white canvas, with grain so fine that a half or a quarter of the pixels could lose it."""
    left, top, right, bottom = (round(side * share) for side, share in zip((width, height) * 2, SHARES, strict=True))
    face = texture(right - left, bottom - top).astype(int)
    grain = np.random.default_rng(0).integers(-30, 31, face.shape)
    sheet = canvas(width, height, (left, top, right, bottom), (face + grain).clip(0, 255).astype(np.uint8))
    return encoded(sheet, "JPEG", quality=quality)


@pytest.mark.parametrize(
    ("width", "height", "decoded"),
    [
        (639, 2000, (639, 2000)),
        (1279, 1279, (1279, 1279)),
        (1280, 1280, (640, 640)),
        (2570, 3000, (643, 750)),
        (5120, 5121, (640, 641)),
        (16, 20, (16, 20)),
    ],
)
def test_a_large_jpeg_is_decoded_to_four_times_what_is_wanted_or_more(
    width: int, height: int, decoded: tuple[int, int]
) -> None:
    picture = decode(encoded(Image.new("RGB", (width, height), "gray"), "JPEG"), 160)
    assert picture.image.size == decoded
    assert (picture.width, picture.height) == (width, height)
    assert picture.mode == "RGB"
    assert picture.pixels.shape == (*decoded[::-1], 3)


def test_unless_a_size_is_wanted_all_pixels_are_decoded() -> None:
    assert decode(photograph(2000, 1900)).pixels.shape == (1900, 2000, 3)


@pytest.mark.parametrize("side", [1300, 2600, 5200])
@pytest.mark.parametrize("crop", ["panel", "none"])
def test_what_is_made_of_a_large_jpeg_is_as_if_all_pixels_were_decoded(side: int, crop: Any) -> None:
    data = photograph(side, side - 20)
    whole, smaller = decode(data), decode(data, 160)
    assert smaller.image.width < whole.image.width
    one, other = (prepare(picture.image, 160, crop) for picture in (whole, smaller))
    # The panel's edges are found to the pixel of the smaller picture, of which there are at least four to one of 160.
    assert mean_difference(one, other) < 1.5
    assert np.abs(one.astype(int) - other)[8:-8, 8:-8].max() < 40
    for picture in (whole, smaller):
        found = find_panel(picture.pixels)
        assert found
        assert np.abs(np.array(found) / np.array([picture.image.size * 2]) - SHARES).max() < 0.004
    faces = [difference_hash(crop_to_panel(picture.image)) for picture in (whole, smaller)]
    assert (faces[0] ^ faces[1]).bit_count() <= 1


@pytest.mark.parametrize("share", [0.3, 0.9, 0.999])
def test_a_large_jpeg_that_is_cut_short_is_found_out_all_the_same(share: float) -> None:
    data = photograph(2600, 2600)
    with pytest.raises(PictureError, match="truncated picture"):
        decode(data[: int(len(data) * share)], 160)


def test_a_large_jpeg_is_turned_upright_and_keeps_its_mode_and_size() -> None:
    turned = Image.Exif()
    turned[0x0112] = 6
    upright = Image.fromarray(texture(1400, 2800)).convert("L")
    data = encoded(upright.transpose(Image.Transpose.ROTATE_90), "JPEG", exif=turned)
    picture = decode(data, 160)
    assert (picture.width, picture.height, picture.mode) == (1400, 2800, "L")
    assert picture.image.size == (700, 1400)
    expected = np.asarray(upright.convert("RGB").resize((160, 160), Image.Resampling.BILINEAR))
    assert mean_difference(prepare(picture.image, 160, "none"), expected) < 1.5


def test_other_formats_are_decoded_whole() -> None:
    assert decode(encoded(texture(1400, 1300), "PNG"), 160).pixels.shape == (1300, 1400, 3)


def test_what_pillow_warns_of_is_not_repeated_and_others_warnings_are() -> None:
    code = (
        "import warnings, io; from PIL import Image; from anteojos import images; "
        "data = io.BytesIO(); Image.new('1', (9600, 9600)).save(data, 'PNG'); images.decode(data.getvalue()); "
        "warnings.warn('another matter')"
    )
    done = subprocess.run([sys.executable, "-W", "always", "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr == "<string>:1: UserWarning: another matter\n"


# --- difference hash


def bits_apart(one: npt.NDArray[np.uint8], other: npt.NDArray[np.uint8]) -> int:
    return (difference_hash(one) ^ difference_hash(other)).bit_count()


def test_a_hash_bit_says_that_a_cell_is_darker_than_its_right_neighbour() -> None:
    rows = [[9, 8, 7, 6, 5, 4, 3, 2, 1]] * 8
    rows[0] = [1, 2, 3, 4, 5, 6, 7, 8, 9]
    rows[1] = [1, 2, 2, 2, 2, 2, 2, 2, 2]
    rows[7] = [1, 1, 1, 1, 1, 1, 1, 1, 2]
    cells = np.repeat(np.array(rows, dtype=np.uint8)[..., None] * 20, 3, axis=2)
    assert f"{difference_hash(cells):016x}" == "ff80000000000001"


def test_of_each_cell_the_mean_counts() -> None:
    cells = np.arange(20, 191, 20)[None].repeat(8, axis=0)
    noise = np.random.default_rng(0).permuted(np.tile([-18, 18], (8, 9, 8)), axis=2).reshape(8, 9, 4, 4)
    pixels = (cells[..., None, None] + noise).transpose(0, 2, 1, 3).reshape(32, 36).astype(np.uint8)
    assert difference_hash(np.stack([pixels] * 3, axis=2)) == 2**64 - 1


def test_one_picture_has_one_hash() -> None:
    assert difference_hash(texture(160, 155)) == difference_hash(texture(160, 155).copy())


def test_saved_anew_or_resized_a_picture_s_hash_differs_in_few_bits() -> None:
    for seed in range(20):
        pixels = texture(160, 155, seed)
        saved = decode(encoded(pixels, "JPEG", quality=60)).pixels
        resized = np.asarray(Image.fromarray(pixels).resize((150, 145), Image.Resampling.BICUBIC))
        assert bits_apart(pixels, saved) <= 3, seed
        assert bits_apart(pixels, resized) <= 3, seed


def test_other_pictures_hashes_differ_in_many_bits() -> None:
    hashed = [texture(160, 155, seed) for seed in range(30)]
    apart = [bits_apart(one, other) for n, one in enumerate(hashed) for other in hashed[:n]]
    assert min(apart) > 8
    assert 28 < np.mean(apart) < 36

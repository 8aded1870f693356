"""Images of every kind come out as upright RGB; broken ones are refused."""

import io
import random
import struct
import zlib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image
from PIL.TiffImagePlugin import IFDRational

from anteojos.images import decoding
from anteojos.images.decoding import ImageError, decode, difference_hash, is_image, resize
from tests.pages import undocumented


def texture(width: int, height: int, seed: int = 0) -> npt.NDArray[np.uint8]:
    """A smooth random image, nowhere white."""
    cells = np.random.default_rng(seed).integers(20, 200, (8, 8, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(cells).resize((width, height), Image.Resampling.BICUBIC))


def encoded(picture: npt.NDArray[np.uint8] | Image.Image, format_: str, **options: Any) -> bytes:
    image = picture if isinstance(picture, Image.Image) else Image.fromarray(picture)
    data = io.BytesIO()
    image.save(data, format_, **options)
    return data.getvalue()


def mean_difference(one: npt.NDArray[np.uint8], other: npt.NDArray[np.uint8]) -> float:
    return float(np.abs(one.astype(float) - other).mean())


# --- encoding


def test_the_quantisation_tables_tell_one_jpeg_from_another() -> None:
    one, other = texture(20, 30), texture(48, 32)
    assert decoding.encoding(encoded(one, "JPEG", quality=75)) == decoding.encoding(encoded(other, "JPEG", quality=75))
    assert decoding.encoding(encoded(one, "JPEG", quality=75)) != decoding.encoding(encoded(one, "JPEG", quality=76))


@pytest.mark.parametrize("format_", ["PNG", "BMP", "GIF", "TIFF", "WEBP"])
def test_other_formats_are_told_by_their_name(format_: str) -> None:
    assert decoding.encoding(encoded(texture(20, 30), format_)) == format_


def test_the_encoding_of_an_image_is_known_before_its_pixels_are_read() -> None:
    data = encoded(texture(200, 300), "JPEG", quality=75)
    assert decoding.encoding(data[:700]) == decoding.encoding(data)


@pytest.mark.parametrize("data", [b"", b"no image"])
def test_what_is_no_image_has_no_encoding(data: bytes) -> None:
    with pytest.raises(ImageError, match="not an image"):
        decoding.encoding(data)


# --- decode


@pytest.mark.parametrize("format_", ["PNG", "BMP", "TIFF", "WEBP"])
def test_rgb_comes_out_as_it_went_in(format_: str) -> None:
    pixels = texture(20, 30)
    options = {"lossless": True} if format_ == "WEBP" else {}
    picture = decode(encoded(pixels, format_, **options))
    assert picture.mode == "RGB"
    assert picture.pixels.dtype == np.uint8
    np.testing.assert_array_equal(picture.pixels, pixels)


def test_avif_is_read_upright() -> None:
    upright = texture(48, 32)
    assert mean_difference(decode(encoded(upright, "AVIF", quality=95, subsampling="4:4:4")).pixels, upright) < 3
    exif = Image.Exif()
    exif[0x0112] = 6
    stored = np.ascontiguousarray(oriented(upright, 6))
    picture = decode(encoded(stored, "AVIF", quality=95, subsampling="4:4:4", exif=exif))
    assert (picture.width, picture.height) == (48, 32)
    assert mean_difference(picture.pixels, upright) < 3


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
def test_a_turned_image_is_set_upright(format_: str, orientation: int) -> None:
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


def test_odd_exif_data_do_not_make_a_turned_image_broken() -> None:
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
    "name", ["a.jpg", "a.JPG", "a.jpeg", "a.PnG", "a.avif", "a.gif", "a.bmp", "a.tif", "a.tiff", "a b.c.webp"]
)
def test_an_image_is_known_by_its_suffix(name: str) -> None:
    assert is_image(name)
    assert is_image(Path("train", name))


@pytest.mark.parametrize("name", ["a.txt", "jpg", ".jpg", "a.jpg.part", "a.heic", "a.svg", "a.jpg~", ""])
def test_other_suffixes_are_no_images(name: str) -> None:
    assert not is_image(name)


def refusal(data: bytes) -> str:
    with pytest.raises(ImageError) as caught:
        decode(data)
    return str(caught.value)


def test_an_empty_file_is_refused() -> None:
    assert refusal(b"") == "empty file (0 bytes)"


@pytest.mark.parametrize(
    "data", [b"a", b"<html>404</html>", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", bytes(5000), b"%PDF-1.4 " + bytes(90)]
)
def test_what_is_no_image_is_refused(data: bytes) -> None:
    assert refusal(data) == f"not an image ({len(data):,} bytes)"


@pytest.mark.parametrize("brand", [b"heic", b"mif1"])
def test_a_telephones_format_is_named_with_what_to_do(brand: bytes) -> None:
    data = b"\0\0\0\x20ftyp" + brand + bytes(90)
    assert refusal(data) == "HEIC, which is not read; convert it to JPEG or PNG"
    assert undocumented("A format that is not read", refusal(data), 1) == []


def test_what_only_claims_to_be_avif_is_no_image() -> None:
    assert refusal(b"\0\0\0\x20ftypavif" + bytes(90)) == "not an image (102 bytes)"


@pytest.mark.parametrize("format_", ["PPM", "TGA", "ICO", "PCX", "EPS", "ICNS", "JPEG2000"])
def test_formats_beyond_the_list_are_refused(format_: str) -> None:
    data = encoded(texture(32, 32), format_)
    assert refusal(data) == f"not an image ({len(data):,} bytes)"


@pytest.mark.parametrize("share", [0.5, 0.7, 0.9, 0.99])
@pytest.mark.parametrize("format_", ["JPEG", "PNG", "BMP", "TIFF"])
def test_a_truncated_image_is_called_so(format_: str, share: float) -> None:
    data = encoded(np.random.default_rng(0).integers(0, 256, (40, 40, 3), dtype=np.uint8), format_)
    # TIFF has its directory at the front where Pillow writes it, and JPEG and PNG end in a mark of a few bytes.
    cut = data[: int(share * len(data))]
    assert refusal(cut).startswith(f"truncated image ({len(cut):,} bytes: ")


def samples() -> Iterator[tuple[str, bytes]]:
    """An image in each form that people keep them in."""
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
    yield "avif", encoded(pixels, "AVIF", quality=90)


SAMPLES = [pytest.param(data, id=name) for name, data in samples()]


@pytest.mark.parametrize("data", SAMPLES)
def test_of_a_cut_file_comes_the_whole_image_or_none(data: bytes) -> None:
    whole = decode(data).pixels
    refused = 0
    for length in range(0, len(data), 1 + len(data) // 400):
        try:
            pixels = decode(data[:length]).pixels
        except ImageError:
            refused += 1
        else:
            np.testing.assert_array_equal(pixels, whole, f"{length} of {len(data)} bytes")
    assert refused > 0


@pytest.mark.parametrize("data", SAMPLES)
def test_damaged_bytes_raise_nothing_but_an_image_error(data: bytes) -> None:
    chance = random.Random(2024)
    for _ in range(300):
        damaged = bytearray(data)
        for _ in range(chance.choice((1, 2, 4, 16))):
            # Most of what can go wrong is said in the first bytes and the last.
            position = chance.choice((chance.randrange(len(data)), chance.randrange(min(200, len(data)))))
            damaged[chance.choice((position, -1 - position // 2))] = chance.choice((0, 1, 2, 5, 12, 255))
        with suppress(ImageError):
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


def test_an_image_that_claims_gigabytes_is_refused_undecoded() -> None:
    assert refusal(png_that_claims(60_000, 60_000)) == "too large: more than 100,000,000 pixels"
    assert refusal(png_that_claims(12_000, 10_000)) == "too large: 12000 × 10000 px, at most 100,000,000 pixels"


def test_the_largest_image_allowed_is_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoding, "MAX_PIXELS", 600)
    assert decode(encoded(texture(20, 30), "PNG")).pixels.shape == (30, 20, 3)
    assert refusal(encoded(texture(20, 31), "PNG")) == "too large: 20 × 31 px, at most 600 pixels"


# --- resizing


@pytest.mark.parametrize(("width", "height"), [(1, 1), (1, 50), (300, 20), (160, 160), (700, 900)])
def test_every_image_becomes_a_square_of_the_size(width: int, height: int) -> None:
    resized = resize(Image.fromarray(texture(width, height)), 64)
    assert (resized.shape, resized.dtype) == ((64, 64, 3), np.uint8)


def test_images_are_resized_whole_and_without_aliasing() -> None:
    image = Image.new("RGB", (100, 60), "black")
    image.paste("white", (50, 0, 100, 60))
    resized = resize(image, 40)
    assert (resized[:, :19] == 0).all()
    assert (resized[:, 21:] == 255).all()
    board = ((np.indices((200, 200)).sum(axis=0) % 2) * 255).astype(np.uint8)
    assert np.abs(resize(Image.fromarray(board).convert("RGB"), 40).astype(int) - 127).max() < 30


# --- large JPEGs


def photograph(width: int, height: int, quality: int = 90) -> bytes:
    """A JPEG with grain so fine that a half or a quarter of the pixels could lose it."""
    pixels = texture(width, height).astype(int)
    grain = np.random.default_rng(0).integers(-30, 31, pixels.shape)
    return encoded((pixels + grain).clip(0, 255).astype(np.uint8), "JPEG", quality=quality)


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
def test_what_is_made_of_a_large_jpeg_is_as_if_all_pixels_were_decoded(side: int) -> None:
    data = photograph(side, side - 20)
    whole, smaller = decode(data), decode(data, 160)
    assert smaller.image.width < whole.image.width
    one, other = (resize(picture.image, 160) for picture in (whole, smaller))
    assert mean_difference(one, other) < 1.5
    assert np.abs(one.astype(int) - other)[8:-8, 8:-8].max() < 40
    assert (difference_hash(whole.image) ^ difference_hash(smaller.image)).bit_count() <= 1


@pytest.mark.parametrize("share", [0.3, 0.9, 0.999])
def test_a_large_jpeg_that_is_cut_short_is_found_out_all_the_same(share: float) -> None:
    data = photograph(2600, 2600)
    with pytest.raises(ImageError, match="truncated image"):
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
    assert mean_difference(resize(picture.image, 160), expected) < 1.5


def test_other_formats_are_decoded_whole() -> None:
    assert decode(encoded(texture(1400, 1300), "PNG"), 160).pixels.shape == (1300, 1400, 3)


# --- difference hash


def test_pillow_s_images_have_the_hash_of_their_array() -> None:
    pixels = texture(60, 70)
    assert difference_hash(Image.fromarray(pixels)) == difference_hash(pixels)


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


def test_one_image_has_one_hash() -> None:
    assert difference_hash(texture(160, 155)) == difference_hash(texture(160, 155).copy())


def test_saved_anew_or_resized_an_image_s_hash_differs_in_few_bits() -> None:
    for seed in range(20):
        pixels = texture(160, 155, seed)
        saved = decode(encoded(pixels, "JPEG", quality=60)).pixels
        resized = np.asarray(Image.fromarray(pixels).resize((150, 145), Image.Resampling.BICUBIC))
        assert bits_apart(pixels, saved) <= 3, seed
        assert bits_apart(pixels, resized) <= 3, seed


def test_other_images_hashes_differ_in_many_bits() -> None:
    hashed = [texture(160, 155, seed) for seed in range(30)]
    apart = [bits_apart(one, other) for n, one in enumerate(hashed) for other in hashed[:n]]
    assert min(apart) > 8
    assert 28 < np.mean(apart) < 36

"""Images of all kinds are decoded to upright RGB; damaged ones are rejected."""

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
    """Return a smooth random image without white."""
    cells = np.random.default_rng(seed).integers(20, 200, (8, 8, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(cells).resize((width, height), Image.Resampling.BICUBIC))


def encoded(image: npt.NDArray[np.uint8] | Image.Image, format_: str, **options: Any) -> bytes:
    data = io.BytesIO()
    (image if isinstance(image, Image.Image) else Image.fromarray(image)).save(data, format_, **options)
    return data.getvalue()


def mean_difference(one: npt.NDArray[np.uint8], other: npt.NDArray[np.uint8]) -> float:
    return float(np.abs(one.astype(float) - other).mean())


# --- encoding


def test_encoding_depends_on_the_jpeg_quality() -> None:
    one, other = texture(20, 30), texture(48, 32)
    assert decoding.encoding(encoded(one, "JPEG", quality=75)) == decoding.encoding(encoded(other, "JPEG", quality=75))
    assert decoding.encoding(encoded(one, "JPEG", quality=75)) != decoding.encoding(encoded(one, "JPEG", quality=76))


@pytest.mark.parametrize("format_", ["PNG", "BMP", "GIF", "TIFF", "WEBP"])
def test_encoding_of_other_formats_is_their_name(format_: str) -> None:
    assert decoding.encoding(encoded(texture(20, 30), format_)) == format_


def test_encoding_needs_only_the_header() -> None:
    data = encoded(texture(200, 300), "JPEG", quality=75)
    assert decoding.encoding(data[:700]) == decoding.encoding(data)


@pytest.mark.parametrize("data", [b"", b"no image"])
def test_encoding_of_other_data_raises(data: bytes) -> None:
    with pytest.raises(ImageError, match="not an image"):
        decoding.encoding(data)


# --- decode


@pytest.mark.parametrize("format_", ["PNG", "BMP", "TIFF", "WEBP"])
def test_lossless_rgb_is_unchanged(format_: str) -> None:
    pixels = texture(20, 30)
    options = {"lossless": True} if format_ == "WEBP" else {}
    result = decode(encoded(pixels, format_, **options))
    assert result.mode == "RGB"
    assert result.pixels.dtype == np.uint8
    np.testing.assert_array_equal(result.pixels, pixels)


def test_avif_is_decoded_upright() -> None:
    upright = texture(48, 32)
    assert mean_difference(decode(encoded(upright, "AVIF", quality=95, subsampling="4:4:4")).pixels, upright) < 3
    exif = Image.Exif()
    exif[0x0112] = 6
    stored = np.ascontiguousarray(oriented(upright, 6))
    result = decode(encoded(stored, "AVIF", quality=95, subsampling="4:4:4", exif=exif))
    assert (result.width, result.height) == (48, 32)
    assert mean_difference(result.pixels, upright) < 3


@pytest.mark.parametrize("options", [{}, {"progressive": True}])
def test_jpeg_is_nearly_unchanged(options: dict[str, Any]) -> None:
    pixels = texture(48, 32)
    data = encoded(pixels, "JPEG", quality=95, subsampling=0, **options)
    assert mean_difference(decode(data).pixels, pixels) < 2


def test_grey_becomes_rgb() -> None:
    grey = texture(20, 30)[..., 0]
    result = decode(encoded(Image.fromarray(grey), "PNG"))
    assert result.mode == "L"
    np.testing.assert_array_equal(result.pixels, np.stack([grey] * 3, axis=2))


def test_black_and_white_becomes_rgb() -> None:
    dots = np.eye(9, dtype=bool)
    result = decode(encoded(Image.fromarray(dots), "PNG"))
    assert result.mode == "1"
    np.testing.assert_array_equal(result.pixels, np.stack([dots * np.uint8(255)] * 3, axis=2))


def test_palette_becomes_rgb() -> None:
    image = Image.fromarray(texture(20, 30)).quantize(7)
    result = decode(encoded(image, "PNG"))
    assert result.mode == "P"
    np.testing.assert_array_equal(result.pixels, np.asarray(image.convert("RGB")))


@pytest.mark.parametrize("format_", ["PNG", "GIF"])
def test_transparent_palette_colour_becomes_white(format_: str) -> None:
    image = Image.new("P", (4, 2), 0)
    image.putpalette([200, 0, 0, 0, 0, 200])
    image.putpixel((3, 1), 1)
    result = decode(encoded(image, format_, transparency=0))
    assert result.pixels[0, 0].tolist() == [255, 255, 255]
    assert result.pixels[1, 3].tolist() == [0, 0, 200]


def test_transparent_rgb_colour_becomes_white() -> None:
    pixels = np.array([[[10, 20, 30], [40, 50, 60]]], dtype=np.uint8)
    result = decode(encoded(pixels, "PNG", transparency=(10, 20, 30)))
    assert result.mode == "RGB"
    assert result.pixels.tolist() == [[[255, 255, 255], [40, 50, 60]]]


@pytest.mark.parametrize("format_", ["PNG", "TIFF"])
def test_rgba_is_composited_on_white(format_: str) -> None:
    pixels = np.array([[[0, 100, 200, 255], [0, 100, 200, 0], [0, 100, 200, 51]]], dtype=np.uint8)
    result = decode(encoded(pixels, format_))
    assert result.mode == "RGBA"
    # A fifth of the colour and four fifths of white.
    assert result.pixels.tolist() == [[[0, 100, 200], [255, 255, 255], [204, 224, 244]]]


def test_grey_with_alpha_is_composited_on_white() -> None:
    image = Image.merge("LA", (Image.new("L", (2, 1), 100), Image.fromarray(np.array([[255, 0]], dtype=np.uint8))))
    result = decode(encoded(image, "PNG"))
    assert result.mode == "LA"
    assert result.pixels.tolist() == [[[100, 100, 100], [255, 255, 255]]]


def test_cmyk_becomes_rgb() -> None:
    result = decode(encoded(Image.new("CMYK", (8, 8), (0, 255, 255, 0)), "JPEG", quality=95))
    assert result.mode == "CMYK"
    assert mean_difference(result.pixels, np.full((8, 8, 3), (255, 0, 0), np.uint8)) < 3


@pytest.mark.parametrize("format_", ["PNG", "TIFF"])
def test_16_bit_grey_keeps_its_brightness(format_: str) -> None:
    for deep, grey in (([0, 12_850, 32_896, 65_535], [0, 50, 128, 255]), ([257, 12_850], [1, 50])):
        result = decode(encoded(Image.fromarray(np.array([deep], dtype=np.uint16)), format_))
        assert result.pixels[..., 0].tolist() == [grey]
        assert (result.pixels == result.pixels[..., :1]).all()


def test_float_grey_from_0_to_1_keeps_its_brightness() -> None:
    result = decode(encoded(Image.fromarray(np.array([[0, 0.2, 1]], dtype=np.float32)), "TIFF"))
    assert result.mode == "F"
    assert result.pixels[0, :, 0].tolist() == [0, 51, 255]


def oriented(upright: npt.NDArray[np.uint8], orientation: int) -> npt.NDArray[np.uint8]:
    """Turn pixels as a camera stores them with this `orientation`. Source: the table in the EXIF standard."""
    flipped = {2: upright[:, ::-1], 4: upright[::-1], 5: upright.transpose(1, 0, 2)}
    turned = {1: 0, 3: 2, 6: 1, 8: -1}
    if orientation == 7:
        return upright[::-1, ::-1].transpose(1, 0, 2)
    return flipped[orientation] if orientation in flipped else np.rot90(upright, turned[orientation])


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("format_", ["PNG", "TIFF", "WEBP"])
def test_exif_orientation_is_applied(format_: str, orientation: int) -> None:
    upright = texture(20, 30)
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = np.ascontiguousarray(oriented(upright, orientation))
    options = {"lossless": True} if format_ == "WEBP" else {}
    result = decode(encoded(stored, format_, exif=exif, **options))
    np.testing.assert_array_equal(result.pixels, upright)
    assert (result.width, result.height) == (20, 30)


@pytest.mark.parametrize("orientation", [3, 6, 8])
def test_exif_orientation_of_jpeg_is_applied(orientation: int) -> None:
    upright = texture(32, 48)
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = np.ascontiguousarray(oriented(upright, orientation))
    data = encoded(stored, "JPEG", quality=95, subsampling=0, exif=exif)
    assert mean_difference(decode(data).pixels, upright) < 2


@pytest.mark.parametrize("orientation", [0, 9, 65_535])
def test_invalid_exif_orientation_is_ignored(orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    pixels = texture(20, 30)
    np.testing.assert_array_equal(decode(encoded(pixels, "PNG", exif=exif)).pixels, pixels)


def test_invalid_exif_data_with_orientation_are_accepted() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    exif[0x011A] = IFDRational(72, 1)  # XResolution
    data = encoded(texture(20, 30), "JPEG", exif=exif)
    # Change the type of the resolution to text, as cameras with bugs write it: Pillow reads it, but cannot write it.
    entry = struct.pack(">HHI", 0x011A, 5, 1)
    assert data.count(entry) == 1
    odd = data.replace(entry, struct.pack(">HHI", 0x011A, 2, 1))
    assert decode(odd).pixels.shape == (20, 30, 3)


@pytest.mark.parametrize("format_", ["GIF", "WEBP", "PNG", "TIFF"])
def test_animation_gives_its_first_frame(format_: str) -> None:
    frames = [Image.new("RGB", (6, 4), colour) for colour in ("red", "green", "blue")]
    options = {"lossless": True} if format_ == "WEBP" else {}
    result = decode(encoded(frames[0], format_, save_all=True, append_images=frames[1:], **options))
    assert (result.pixels == (255, 0, 0)).all()


def test_the_content_counts_and_not_the_name() -> None:
    assert decode(encoded(texture(5, 5), "PNG")).pixels.shape == (5, 5, 3)


@pytest.mark.parametrize(
    "name", ["a.jpg", "a.JPG", "a.jpeg", "a.PnG", "a.avif", "a.gif", "a.bmp", "a.tif", "a.tiff", "a b.c.webp"]
)
def test_is_image_accepts_image_suffixes(name: str) -> None:
    assert is_image(name)
    assert is_image(Path("train", name))


@pytest.mark.parametrize("name", ["a.txt", "jpg", ".jpg", "a.jpg.part", "a.heic", "a.svg", "a.jpg~", ""])
def test_is_image_rejects_other_suffixes(name: str) -> None:
    assert not is_image(name)


def refusal(data: bytes) -> str:
    with pytest.raises(ImageError) as caught:
        decode(data)
    return str(caught.value)


def test_empty_file_is_rejected() -> None:
    assert refusal(b"") == "empty file (0 bytes)"


@pytest.mark.parametrize(
    "data", [b"a", b"<html>404</html>", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", bytes(5000), b"%PDF-1.4 " + bytes(90)]
)
def test_other_data_are_rejected(data: bytes) -> None:
    assert refusal(data) == f"not an image ({len(data):,} bytes)"


@pytest.mark.parametrize("brand", [b"heic", b"mif1"])
def test_heic_is_rejected_with_advice(brand: bytes) -> None:
    data = b"\0\0\0\x20ftyp" + brand + bytes(90)
    assert refusal(data) == "HEIC, which is not supported; convert it to JPEG or PNG"
    assert undocumented("A format that is not supported", refusal(data), 1) == []


def test_fake_avif_is_rejected() -> None:
    assert refusal(b"\0\0\0\x20ftypavif" + bytes(90)) == "not an image (102 bytes)"


@pytest.mark.parametrize("format_", ["PPM", "TGA", "ICO", "PCX", "EPS", "ICNS", "JPEG2000"])
def test_formats_not_listed_are_rejected(format_: str) -> None:
    data = encoded(texture(32, 32), format_)
    assert refusal(data) == f"not an image ({len(data):,} bytes)"


@pytest.mark.parametrize("share", [0.5, 0.7, 0.9, 0.99])
@pytest.mark.parametrize("format_", ["JPEG", "PNG", "BMP", "TIFF"])
def test_truncated_image_is_rejected(format_: str, share: float) -> None:
    data = encoded(np.random.default_rng(0).integers(0, 256, (40, 40, 3), dtype=np.uint8), format_)
    # Pillow writes the directory of a TIFF first; JPEG and PNG end with a marker of a few bytes.
    cut = data[: int(share * len(data))]
    assert refusal(cut).startswith(f"truncated image ({len(cut):,} bytes: ")


def samples() -> Iterator[tuple[str, bytes]]:
    """Yield an image in each common format and variant."""
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
def test_cut_file_gives_the_whole_image_or_an_error(data: bytes) -> None:
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
def test_damaged_bytes_raise_only_image_error(data: bytes) -> None:
    chance = random.Random(2024)
    for _ in range(300):
        damaged = bytearray(data)
        for _ in range(chance.choice((1, 2, 4, 16))):
            # Most headers and tables are in the first and last bytes.
            position = chance.choice((chance.randrange(len(data)), chance.randrange(min(200, len(data)))))
            damaged[chance.choice((position, -1 - position // 2))] = chance.choice((0, 1, 2, 5, 12, 255))
        with suppress(ImageError):
            pixels = decode(bytes(damaged)).pixels
            assert pixels.ndim == 3
            assert pixels.shape[2] == 3
            assert pixels.dtype == np.uint8


@pytest.mark.parametrize("type_", [2, 5, 12])
def test_tiff_with_invalid_offsets_is_rejected(type_: int) -> None:
    # Change the type of the strip offsets to text, fraction or float.
    data = encoded(texture(5, 7), "TIFF")
    entry = struct.pack("<HHI", 273, 4, 1)
    assert data.count(entry) == 1
    refusal(data.replace(entry, struct.pack("<HHI", 273, type_, 1)))


def png_with_header(width: int, height: int) -> bytes:
    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    pixels = zlib.compress(bytes(1000))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def test_decompression_bomb_is_rejected() -> None:
    assert refusal(png_with_header(60_000, 60_000)) == "too large: more than 100,000,000 pixels"
    assert refusal(png_with_header(12_000, 10_000)) == "too large: 12000 × 10000 px, at most 100,000,000 pixels"


def test_image_of_max_pixels_is_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoding, "MAX_PIXELS", 600)
    assert decode(encoded(texture(20, 30), "PNG")).pixels.shape == (30, 20, 3)
    assert refusal(encoded(texture(20, 31), "PNG")) == "too large: 20 × 31 px, at most 600 pixels"


# --- resizing


@pytest.mark.parametrize(("width", "height"), [(1, 1), (1, 50), (300, 20), (160, 160), (700, 900)])
def test_resize_returns_a_square(width: int, height: int) -> None:
    resized = resize(Image.fromarray(texture(width, height)), 64)
    assert (resized.shape, resized.dtype) == ((64, 64, 3), np.uint8)


def test_resize_has_no_aliasing() -> None:
    image = Image.new("RGB", (100, 60), "black")
    image.paste("white", (50, 0, 100, 60))
    resized = resize(image, 40)
    assert (resized[:, :19] == 0).all()
    assert (resized[:, 21:] == 255).all()
    board = ((np.indices((200, 200)).sum(axis=0) % 2) * 255).astype(np.uint8)
    assert np.abs(resize(Image.fromarray(board).convert("RGB"), 40).astype(int) - 127).max() < 30


# --- large JPEGs


def photograph(width: int, height: int, quality: int = 90) -> bytes:
    """Return a JPEG with fine grain, which is lost if only some of the pixels are used."""
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
def test_large_jpeg_is_decoded_to_four_times_size_or_more(width: int, height: int, decoded: tuple[int, int]) -> None:
    result = decode(encoded(Image.new("RGB", (width, height), "gray"), "JPEG"), 160)
    assert result.image.size == decoded
    assert (result.width, result.height) == (width, height)
    assert result.mode == "RGB"
    assert result.pixels.shape == (*decoded[::-1], 3)


def test_large_jpeg_without_size_is_decoded_completely() -> None:
    assert decode(photograph(2000, 1900)).pixels.shape == (1900, 2000, 3)


@pytest.mark.parametrize("side", [1300, 2600, pytest.param(5200, marks=pytest.mark.slow)])
def test_reduced_jpeg_resizes_like_the_full_one(side: int) -> None:
    data = photograph(side, side - 20)
    whole, smaller = decode(data), decode(data, 160)
    assert smaller.image.width < whole.image.width
    one, other = resize(whole.image, 160), resize(smaller.image, 160)
    assert mean_difference(one, other) < 1.5
    assert np.abs(one.astype(int) - other)[8:-8, 8:-8].max() < 40
    assert (difference_hash(whole.image) ^ difference_hash(smaller.image)).bit_count() <= 1


@pytest.mark.parametrize("share", [0.3, 0.9, 0.999])
def test_truncated_large_jpeg_is_rejected(share: float) -> None:
    data = photograph(2600, 2600)
    with pytest.raises(ImageError, match="truncated image"):
        decode(data[: int(len(data) * share)], 160)


def test_reduced_jpeg_is_upright_with_mode_and_size() -> None:
    turned = Image.Exif()
    turned[0x0112] = 6
    upright = Image.fromarray(texture(1400, 2800)).convert("L")
    data = encoded(upright.transpose(Image.Transpose.ROTATE_90), "JPEG", exif=turned)
    result = decode(data, 160)
    assert (result.width, result.height, result.mode) == (1400, 2800, "L")
    assert result.image.size == (700, 1400)
    expected = np.asarray(upright.convert("RGB").resize((160, 160), Image.Resampling.BILINEAR))
    assert mean_difference(resize(result.image, 160), expected) < 1.5


def test_other_formats_are_decoded_completely() -> None:
    assert decode(encoded(texture(1400, 1300), "PNG"), 160).pixels.shape == (1300, 1400, 3)


# --- difference hash


def hash_of(pixels: npt.NDArray[np.uint8]) -> int:
    return difference_hash(Image.fromarray(pixels))


def bits_apart(one: npt.NDArray[np.uint8], other: npt.NDArray[np.uint8]) -> int:
    return (hash_of(one) ^ hash_of(other)).bit_count()


def test_hash_bit_is_set_if_right_neighbour_is_brighter() -> None:
    rows = [[9, 8, 7, 6, 5, 4, 3, 2, 1]] * 8
    rows[0] = [1, 2, 3, 4, 5, 6, 7, 8, 9]
    rows[1] = [1, 2, 2, 2, 2, 2, 2, 2, 2]
    rows[7] = [1, 1, 1, 1, 1, 1, 1, 1, 2]
    cells = np.repeat(np.array(rows, dtype=np.uint8)[..., None] * 20, 3, axis=2)
    assert f"{hash_of(cells):016x}" == "ff80000000000001"


def test_hash_uses_the_mean_of_each_cell() -> None:
    cells = np.arange(20, 191, 20)[None].repeat(8, axis=0)
    noise = np.random.default_rng(0).permuted(np.tile([-18, 18], (8, 9, 8)), axis=2).reshape(8, 9, 4, 4)
    pixels = (cells[..., None, None] + noise).transpose(0, 2, 1, 3).reshape(32, 36).astype(np.uint8)
    assert hash_of(np.stack([pixels] * 3, axis=2)) == 2**64 - 1


def test_hash_of_recompressed_or_resized_image_is_near() -> None:
    for seed in range(20):
        pixels = texture(160, 155, seed)
        saved = decode(encoded(pixels, "JPEG", quality=60)).pixels
        resized = np.asarray(Image.fromarray(pixels).resize((150, 145), Image.Resampling.BICUBIC))
        assert bits_apart(pixels, saved) <= 3, seed
        assert bits_apart(pixels, resized) <= 3, seed


def test_hashes_of_other_images_are_far() -> None:
    hashed = [texture(160, 155, seed) for seed in range(30)]
    apart = [bits_apart(one, other) for n, one in enumerate(hashed) for other in hashed[:n]]
    assert min(apart) > 8
    assert 28 < np.mean(apart) < 36

"""Images: bytes from anywhere in, uint8 (H, W, 3) arrays of a known size out."""

import io
import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import PurePath

import numpy as np
from PIL import ExifTags, Image, UnidentifiedImageError

from anteojos.vocabulary import Pixels

# Formats by the suffix that their files have. Pillow reads many more; these are the ones people keep photographs in,
# and each decoder less is one less that hostile bytes can reach.
FORMATS = {
    ".avif": "AVIF",
    ".bmp": "BMP",
    ".gif": "GIF",
    ".jpeg": "JPEG",
    ".jpg": "JPEG",
    ".png": "PNG",
    ".tif": "TIFF",
    ".tiff": "TIFF",
    ".webp": "WEBP",
}
MAX_PIXELS = 100_000_000  # an image of more would take over 300 MB of memory to decode

_DECODERS = tuple(sorted(set(FORMATS.values())))
# The errors that they are known to raise on damaged data.
_DAMAGE = (OSError, SyntaxError, TypeError, ValueError, EOFError, IndexError, OverflowError, MemoryError, RuntimeError)
# Where a JPEG is decoded smaller, each side is still this many times what is wanted: it is then made smaller by the
# resizing, so that little depends on how the decoder did it.
_ROOM = 4

# Pillow imports its decoders with the first image. Now: processes that are forked for many have them then.
Image.preinit()

# The brands of HEIC, after "ftyp" in the first bytes of a file: phones use it, and Pillow cannot read it.
_HEIC = (b"heic", b"heix", b"heim", b"mif1", b"msf1")

# What turns an image upright, by the Orientation that its EXIF data give.
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_ON_THE_SIDE = (
    Image.Transpose.TRANSPOSE,
    Image.Transpose.ROTATE_270,
    Image.Transpose.TRANSVERSE,
    Image.Transpose.ROTATE_90,
)


class ImageError(ValueError):
    """Bytes that are no whole image; the text says in a few words what is wrong with them."""


@dataclass(frozen=True)
class DecodedImage:
    """A decoded image: `image` is RGB and upright; `mode` is Pillow's name for how the file stores colour.

    `width` and `height`, in px, are the file's own, upright: those of `image`, unless it was decoded smaller.
    """

    image: Image.Image
    mode: str
    width: int
    height: int

    @cached_property
    def pixels(self) -> Pixels:
        """The image as uint8 (H, W, 3)."""
        return np.asarray(self.image)


def is_image(name: str | PurePath) -> bool:
    """Return whether the suffix of a file name is that of an image."""
    return os.path.splitext(name)[1].lower() in FORMATS  # noqa: PTH122, many times as fast as PurePath(name).suffix


def decode(data: bytes, size: int | None = None) -> DecodedImage:
    """Decode a whole image to RGB, upright, transparent parts on white; of an animation, the first frame.

    If the whole image will be resized to `size` px, width and height, a JPEG that is at least eight times as wide and
    high is decoded to a half, a quarter or an eighth, which takes a fraction of the time and memory; never to less than
    four times `size`.

    Raises ImageError where `data` is empty, no image, cut short, damaged, or of more than MAX_PIXELS.
    """
    if not data:
        raise ImageError("empty file (0 bytes)")
    try:
        with Image.open(io.BytesIO(data), formats=_DECODERS) as image:
            width, height = image.size
            if width * height > MAX_PIXELS:
                raise ImageError(f"too large: {width} × {height} px, at most {MAX_PIXELS:,} pixels")
            if size is not None:
                image.draft(None, (_ROOM * size, _ROOM * size))
            return _decoded(image, width, height)
    except UnidentifiedImageError:
        raise ImageError(_not_read(data)) from None
    except Image.DecompressionBombError:
        raise ImageError(f"too large: more than {MAX_PIXELS:,} pixels") from None
    except _DAMAGE as error:
        if isinstance(error, ImageError):
            raise
        reason = "truncated" if "truncated" in str(error).lower() else "damaged"
        raise ImageError(f"{reason} image ({len(data):,} bytes: {error})") from error


def _not_read(data: bytes) -> str:
    """Say what bytes are that no decoder reads."""
    if data[4:8] == b"ftyp" and data[8:12] in _HEIC:
        return "HEIC, which is not read; convert it to JPEG or PNG"
    return f"not an image ({len(data):,} bytes)"


def decoded(image: Image.Image) -> DecodedImage:
    """Treat one of Pillow's images as `decode` does a file. Raises ImageError where it can't be loaded."""
    try:
        return _decoded(image, *image.size)
    except _DAMAGE as error:
        raise ImageError(f"damaged image ({error})") from error


def _decoded(image: Image.Image, width: int, height: int) -> DecodedImage:
    """Load an image and turn it upright and to RGB; `width` and `height` are the file's own."""
    image.load()
    turn = _TURNS.get(image.getexif().get(ExifTags.Base.Orientation, 1))
    if turn in _ON_THE_SIDE:
        width, height = height, width
    # Pillow's own exif_transpose writes the EXIF data anew as well, and fails on those that a camera wrote oddly.
    upright = image if turn is None else image.transpose(turn)
    return DecodedImage(_on_white(upright), image.mode, width, height)


def encoding(data: bytes) -> str:
    """Return how an image is encoded: its format and, for JPEG, the quantisation tables, without decoding it.

    Equal texts mean that the same program with the same settings may have written both. Raises ImageError where
    `data` is no image.
    """
    try:
        with Image.open(io.BytesIO(data), formats=_DECODERS) as image:
            return f"{image.format} {getattr(image, 'quantization', '')}".strip()
    except (UnidentifiedImageError, Image.DecompressionBombError):
        raise ImageError(f"not an image ({len(data):,} bytes)") from None


def resize(image: Image.Image, size: int) -> Pixels:
    """Resize a whole RGB image to what a network sees: uint8 (size, size, 3)."""
    return np.asarray(image.resize((size, size), Image.Resampling.BILINEAR))


def difference_hash(image: Pixels | Image.Image) -> int:
    """Return the 64-bit difference hash (dHash) of uint8 (H, W, 3) or RGB: near-equal images differ in few bits.

    Each bit says whether a cell of the image, reduced to 9 × 8 grey cells, is darker than its right neighbour.
    Source: N. Krawetz, "Kind of Like That", 2013.
    """
    grey = _image(image).convert("L").resize((9, 8), Image.Resampling.BOX)
    cells = np.asarray(grey)
    return int.from_bytes(np.packbits(cells[:, :-1] < cells[:, 1:]).tobytes(), "big")


def _image(image: Pixels | Image.Image) -> Image.Image:
    return image if isinstance(image, Image.Image) else Image.fromarray(image)


def _on_white(image: Image.Image) -> Image.Image:
    """Turn any mode into RGB, transparent parts on white."""
    if image.mode.startswith("I;16") or image.mode in ("I", "F"):
        # 16-bit grey keeps its brightness in the high byte; Pillow's own conversion would clip all of it to white.
        with np.errstate(all="ignore"):  # what is no number may become any grey
            grey = np.asarray(image, dtype=np.float64)
            scale = 255 / max(65535.0 if image.mode != "F" else 1.0, float(grey.max()))
            return Image.fromarray((grey.clip(min=0) * scale).astype(np.uint8)).convert("RGB")
    if image.has_transparency_data:
        layer = image.convert("RGBA")
        white = Image.new("RGBA", layer.size, "white")
        return Image.alpha_composite(white, layer).convert("RGB")
    return image if image.mode == "RGB" else image.convert("RGB")

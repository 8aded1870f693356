"""Decode image files of any kind to RGB, and resize them."""

import io
from dataclasses import dataclass

import numpy as np
from PIL import ExifTags, Image, UnidentifiedImageError

from anteojos.runtime.files import FORMATS as FORMATS
from anteojos.runtime.files import is_image as is_image
from anteojos.vocabulary import Pixels

MAX_PIXELS = 100_000_000  # a larger image takes more than 300 MB of memory

_DECODERS = tuple(sorted(set(FORMATS.values())))
# Damaged input can raise all of these.
_DAMAGE = (OSError, SyntaxError, TypeError, ValueError, EOFError, IndexError, OverflowError, MemoryError, RuntimeError)
# A reduced JPEG is at least this many times as large as the final size, so that the decoder's scaling hardly matters.
_REDUCED = 4
# Brands of HEIC, after "ftyp" at the start of a file. Phones use it, and Pillow cannot read it.
_HEIC = (b"heic", b"heix", b"heim", b"mif1", b"msf1")
# The transpositions that make an image upright, by EXIF orientation. From 5 on, they swap width and height.
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

# Import Pillow's decoders now, once for all forked processes, instead of with the first image.
Image.preinit()


class ImageError(ValueError):
    """An image that cannot be decoded or used; the message is a short reason."""


@dataclass(frozen=True)
class DecodedImage:
    """A decoded image: `image` is RGB and upright, `mode` is Pillow's name for the colour mode of the file.

    `width` and `height` are those of the file in px, after turning it upright. They differ from the size of `image` if
    it was decoded to a smaller size.
    """

    image: Image.Image
    mode: str
    width: int
    height: int

    @property
    def pixels(self) -> Pixels:
        """The image as uint8 (H, W, 3)."""
        return np.asarray(self.image)


def decode(data: bytes, size: int | None = None) -> DecodedImage:
    """Decode an image file to RGB: upright, transparent parts white; of an animation, the first frame.

    Set `size` if the image will be resized to `size` × `size` px. A JPEG of at least eight times this width and height
    is then decoded to a half, a quarter or an eighth, but at least four times `size`, which saves time and memory.

    Raises ImageError if `data` is empty, not an image, truncated, damaged, or has more than MAX_PIXELS.
    """
    if not data:
        raise ImageError("empty file (0 bytes)")
    try:
        with Image.open(io.BytesIO(data), formats=_DECODERS) as image:
            width, height = image.size
            if width * height > MAX_PIXELS:
                raise ImageError(f"too large: {width} × {height} px, at most {MAX_PIXELS:,} pixels")
            if size is not None:
                image.draft(None, (_REDUCED * size, _REDUCED * size))
            return _load(image, width, height)
    except UnidentifiedImageError:
        if data[4:8] == b"ftyp" and data[8:12] in _HEIC:
            raise ImageError("HEIC, which is not supported; convert it to JPEG or PNG") from None
        raise ImageError(f"not an image ({len(data):,} bytes)") from None
    except Image.DecompressionBombError:
        raise ImageError(f"too large: more than {MAX_PIXELS:,} pixels") from None
    except ImageError:
        raise
    except _DAMAGE as error:
        reason = "truncated" if "truncated" in str(error).lower() else "damaged"
        raise ImageError(f"{reason} image ({len(data):,} bytes: {error})") from error


def decoded(image: Image.Image) -> DecodedImage:
    """Return a Pillow image as `decode` returns a file. Raises ImageError if it cannot be loaded."""
    try:
        return _load(image, *image.size)
    except _DAMAGE as error:
        raise ImageError(f"damaged image ({error})") from error


def _load(image: Image.Image, width: int, height: int) -> DecodedImage:
    """Load an image, turn it upright and convert it to RGB; `width` and `height` are those of the file."""
    image.load()
    orientation = image.getexif().get(ExifTags.Base.Orientation, 1)
    upright = image
    # Not Pillow's exif_transpose: it also writes the EXIF data again, and fails on the invalid data of some cameras.
    if orientation in _TURNS:
        upright = image.transpose(_TURNS[orientation])
        width, height = (height, width) if orientation >= 5 else (width, height)
    return DecodedImage(_to_rgb(upright), image.mode, width, height)


def _to_rgb(image: Image.Image) -> Image.Image:
    """Convert an image of any mode to RGB, transparent parts to white."""
    if image.mode.startswith("I;16") or image.mode in ("I", "F"):
        # Scale 16-bit grey, because Pillow's own conversion would clip most of it to white.
        with np.errstate(all="ignore"):  # NaN becomes an arbitrary grey
            grey = np.asarray(image, dtype=np.float64)
            scale = 255 / max(65535.0 if image.mode != "F" else 1.0, float(grey.max()))
            return Image.fromarray((grey.clip(min=0) * scale).astype(np.uint8)).convert("RGB")
    if image.has_transparency_data:
        layer = image.convert("RGBA")
        white = Image.new("RGBA", layer.size, "white")
        return Image.alpha_composite(white, layer).convert("RGB")
    return image if image.mode == "RGB" else image.convert("RGB")


def encoding(data: bytes) -> str:
    """Return the format of an image and, for JPEG, its quantisation tables, without decoding it.

    Equal results mean that the same program with the same settings may have written both files. Raises ImageError if
    `data` is not an image.
    """
    try:
        with Image.open(io.BytesIO(data), formats=_DECODERS) as image:
            return f"{image.format} {getattr(image, 'quantization', '')}".strip()
    except (UnidentifiedImageError, Image.DecompressionBombError):
        raise ImageError(f"not an image ({len(data):,} bytes)") from None


def resize(image: Image.Image, size: int) -> Pixels:
    """Resize a whole RGB image to uint8 (size, size, 3)."""
    return np.asarray(image.resize((size, size), Image.Resampling.BILINEAR))


def difference_hash(image: Image.Image) -> int:
    """Return the 64-bit difference hash (dHash) of an image: near-equal images differ in few bits.

    The image is reduced to 9 × 8 grey cells. Each bit is set if a cell is darker than its right neighbour.
    Source: N. Krawetz, "Kind of Like That", 2013.
    """
    cells = np.asarray(image.convert("L").resize((9, 8), Image.Resampling.BOX))
    return int.from_bytes(np.packbits(cells[:, :-1] < cells[:, 1:]).tobytes(), "big")

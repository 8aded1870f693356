"""Pictures: bytes from anywhere in, uint8 (H, W, 3) arrays of a known size out."""

import io
import os
import warnings
from dataclasses import dataclass
from functools import cached_property
from pathlib import PurePath
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import numpy.typing as npt
from PIL import ExifTags, Image, UnidentifiedImageError

if TYPE_CHECKING:
    # Checking params.yaml takes pydantic, which takes longer to import than a picture to label.
    from anteojos.params import Crop

Pixels = npt.NDArray[np.uint8]
Either = TypeVar("Either", Pixels, Image.Image)  # a picture as an array, uint8 (H, W, 3), or as Pillow's, RGB

# Formats by the suffix that their files have. Pillow reads many more; these are the ones people keep photographs in,
# and each decoder less is one less that hostile bytes can reach.
FORMATS = {
    ".bmp": "BMP",
    ".gif": "GIF",
    ".jpeg": "JPEG",
    ".jpg": "JPEG",
    ".png": "PNG",
    ".tif": "TIFF",
    ".tiff": "TIFF",
    ".webp": "WEBP",
}
MAX_PIXELS = 100_000_000  # a picture of more would take over 300 MB of memory to decode

_DECODERS = tuple(sorted(set(FORMATS.values())))
# The errors that they are known to raise on damaged data.
_DAMAGE = (OSError, SyntaxError, TypeError, ValueError, EOFError, IndexError, OverflowError, MemoryError)
# Where a JPEG is decoded smaller, each side is still this many times what is wanted: a panel takes up at least half of
# it, and is then made smaller by half or more, so that nothing of it depends on how the decoder did it.
_ROOM = 4

# Pillow imports its decoders with the first picture. Now: processes that are forked for many have them then.
Image.preinit()

# Pillow warns of what it then reads all the same: odd EXIF, large pictures (our own limit is above). Once for all, for
# warnings.catch_warnings is not safe in threads.
warnings.filterwarnings("ignore", module=r"PIL\.")

# The brands, after "ftyp" in the first bytes of a file, of formats that people take for pictures like any other.
_OF_TELEPHONES = {
    brand: name
    for name, brands in {"HEIC": (b"heic", b"heix", b"heim", b"mif1", b"msf1"), "AVIF": (b"avif", b"avis")}.items()
    for brand in brands
}

# What turns a picture upright, by the Orientation that its EXIF data give.
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

# What counts as white paper. JPEG smears dark edges over it, the more the smaller the file; the brighter level keeps
# the edge of a panel sharper, so the darker ones are tried only where no panel stands out.
_WHITES = (236, 224, 212)
# A row or column belongs to the panel where this share of it is not white. Titles cover less than a fifth of a row.
_PANEL_SHARE = 0.25
# A column beside the panel still belongs to it at this share: white walls behind a face leave little else.
_WALL_SHARE = 0.12
# A row or column is empty canvas where at most this share of it is not white: the tails of a title's letters reach
# into the last rows above a panel.
_EMPTY_SHARE = 0.1
# A panel's edge is straight: just inside of it at least this share of a row or column is not white.
_EDGE_SHARE = 0.6
# A panel takes up at least this share of the picture's width and height: what stands between white stripes is none.
_PANEL_SIZE = 0.5


class PictureError(ValueError):
    """Bytes that are no whole picture; the text says in a few words what is wrong with them."""


@dataclass(frozen=True)
class Picture:
    """A decoded picture: `image` is RGB and upright; `mode` is Pillow's name for how the file stores colour.

    `width` and `height`, in px, are the file's own, upright: those of `image`, unless it was decoded smaller.
    """

    image: Image.Image
    mode: str
    width: int
    height: int

    @cached_property
    def pixels(self) -> Pixels:
        """The picture as uint8 (H, W, 3)."""
        return np.asarray(self.image)


def is_picture(name: str | PurePath) -> bool:
    """Tell by its suffix whether a file should hold a picture."""
    return os.path.splitext(name)[1].lower() in FORMATS  # noqa: PTH122, many times as fast as PurePath(name).suffix


def decode(data: bytes, size: int | None = None) -> Picture:
    """Decode a whole picture to RGB, upright, transparent parts on white; of an animation, the first frame.

    Where `size` says to how many px, width and height, the picture or its face panel will be brought, a JPEG that is at
    least eight times as wide and high is decoded to a half, a quarter or an eighth, which takes a fraction of the time
    and memory; never to less than four times `size`.

    Raises PictureError where `data` is empty, no picture, cut short, damaged, or of more than MAX_PIXELS.
    """
    if not data:
        raise PictureError("empty file (0 bytes)")
    try:
        with Image.open(io.BytesIO(data), formats=_DECODERS) as image:
            width, height = image.size
            if width * height > MAX_PIXELS:
                raise PictureError(f"too large: {width} × {height} px, at most {MAX_PIXELS:,} pixels")
            if size is not None:
                image.draft(None, (_ROOM * size, _ROOM * size))
            return _decoded(image, width, height)
    except UnidentifiedImageError:
        raise PictureError(_not_read(data)) from None
    except Image.DecompressionBombError:
        raise PictureError(f"too large: more than {MAX_PIXELS:,} pixels") from None
    except _DAMAGE as error:
        if isinstance(error, PictureError):
            raise
        reason = "truncated" if "truncated" in str(error).lower() else "damaged"
        raise PictureError(f"{reason} picture ({len(data):,} bytes: {error})") from error


def _not_read(data: bytes) -> str:
    """Say what bytes are that no decoder takes; telephones keep their photographs in formats that are not read."""
    if data[4:8] == b"ftyp" and data[8:12] in _OF_TELEPHONES:
        return f"{_OF_TELEPHONES[data[8:12]]}, which is not read; convert it to JPEG or PNG"
    return f"not a picture ({len(data):,} bytes)"


def decoded(image: Image.Image) -> Picture:
    """Treat one of Pillow's pictures as `decode` does a file. Raises PictureError where it can't be loaded."""
    try:
        return _decoded(image, *image.size)
    except _DAMAGE as error:
        raise PictureError(f"damaged picture ({error})") from error


def _decoded(image: Image.Image, width: int, height: int) -> Picture:
    """Load a picture and turn it upright and to RGB; `width` and `height` are the file's own."""
    image.load()
    turn = _TURNS.get(image.getexif().get(ExifTags.Base.Orientation, 1))
    if turn in _ON_THE_SIDE:
        width, height = height, width
    # Pillow's own exif_transpose writes the EXIF data anew as well, and fails on those that a camera wrote oddly.
    upright = image if turn is None else image.transpose(turn)
    return Picture(_on_white(upright), image.mode, width, height)


def encoding(data: bytes) -> str:
    """Tell how a picture's bytes are packed: the format and, of a JPEG, its quantisation tables, without decoding it.

    Equal texts mean that the same program with the same settings may have written both. Raises PictureError where
    `data` is no picture.
    """
    try:
        with Image.open(io.BytesIO(data), formats=_DECODERS) as image:
            return f"{image.format} {getattr(image, 'quantization', '')}".strip()
    except (UnidentifiedImageError, Image.DecompressionBombError):
        raise PictureError(f"not a picture ({len(data):,} bytes)") from None


def find_panel(pixels: Pixels) -> tuple[int, int, int, int] | None:
    """Find the face panel on the white canvas of a contact sheet's cell.

    `pixels` is uint8 (H, W, 3). The result is (left, top, right, bottom) in px, right and bottom exclusive, or None
    where there is no canvas. On a canvas, each side of the panel is the picture's own border or has empty paper beyond
    it, and two sides or more are straight edges with paper beyond, which a head before a white wall has not.
    """
    # As pixels.min(axis=2), in a twentieth of the time.
    darkest = np.minimum(np.minimum(pixels[:, :, 0], pixels[:, :, 1]), pixels[:, :, 2])
    panels = (_panel_of(darkest < white) for white in _WHITES)
    return next((panel for panel in panels if panel is not None), None)


def _panel_of(ink: npt.NDArray[np.bool_]) -> tuple[int, int, int, int] | None:
    """Find the panel, as find_panel does, where `ink`, bool (H, W), says what is no paper."""
    left, right = _longest_run(_shares(ink, 0) > _PANEL_SHARE)
    if left == right:
        return None
    top, bottom = _longest_run(_shares(ink[:, left:right], 1) > _PANEL_SHARE)
    if top == bottom:
        return None
    # Only now that the rows are known can the columns be told without the title's and the neighbours' share.
    columns = _shares(ink[top:bottom], 0)
    left, right = _longest_run(columns > _PANEL_SHARE)
    while left > 0 and columns[left - 1] > _WALL_SHARE:
        left -= 1
    while right < len(columns) and columns[right] > _WALL_SHARE:
        right += 1
    rows = _shares(ink[:, left:right], 1)
    if right - left < _PANEL_SIZE * len(columns) or bottom - top < _PANEL_SIZE * len(rows):
        return None

    # JPEG smears an edge over 2 px of 160, and the title stands 4 px above the panel.
    reach = max(2, round(max(ink.shape) / 40))
    straight = 0
    for shares, edge in (
        (columns[::-1], len(columns) - left),
        (columns, right),
        (rows[::-1], len(rows) - top),
        (rows, bottom),
    ):
        inside, outside = shares[:edge], shares[edge:]
        if len(outside) <= reach // 2:
            continue
        if outside[:reach].min() > _EMPTY_SHARE:
            return None
        straight += int(inside[-reach:].max() >= _EDGE_SHARE)
    return (left, top, right, bottom) if straight >= 2 else None


def crop_to_panel(picture: Either) -> Either:
    """Cut the face out of the white canvas of a contact sheet's cell.

    `picture` is uint8 (H, W, 3), and the result a view of it, or Pillow's, RGB, and the result a copy of that part. It
    is `picture` itself where no panel stands out.
    """
    panel = find_panel(np.asarray(picture))
    if panel is None:
        return picture
    if isinstance(picture, Image.Image):
        return picture.crop(panel)
    left, top, right, bottom = panel
    return picture[top:bottom, left:right]


def prepare(picture: Pixels | Image.Image, size: int, crop: "Crop") -> Pixels:
    """Make of a decoded picture, uint8 (H, W, 3) or RGB, what the network sees: uint8 (size, size, 3)."""
    image = _image(picture)
    if crop == "panel":
        image = crop_to_panel(image)
    return np.asarray(image.resize((size, size), Image.Resampling.BILINEAR))


def difference_hash(picture: Pixels | Image.Image) -> int:
    """Give the 64-bit difference hash (dHash) of uint8 (H, W, 3) or RGB: near-equal pictures differ in few bits.

    Each bit says whether a cell of the picture, reduced to 9 × 8 grey cells, is darker than its right neighbour.
    Source: N. Krawetz, "Kind of Like That", 2013.
    """
    grey = _image(picture).convert("L").resize((9, 8), Image.Resampling.BOX)
    cells = np.asarray(grey)
    return int.from_bytes(np.packbits(cells[:, :-1] < cells[:, 1:]).tobytes(), "big")


def _image(picture: Pixels | Image.Image) -> Image.Image:
    return picture if isinstance(picture, Image.Image) else Image.fromarray(picture)


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


def _shares(ink: npt.NDArray[np.bool_], axis: int) -> npt.NDArray[np.float64]:
    """Give the mean of bool (H, W) along an axis: as ink.mean(axis), which turns all of it into float64 first."""
    n = ink.shape[axis]
    return np.asarray(np.add.reduce(ink.view(np.uint8), axis=axis, dtype=np.uint16 if n < 2**16 else np.uint32) / n)


def _longest_run(marked: npt.NDArray[np.bool_]) -> tuple[int, int]:
    """Give start and end, exclusive, of the longest run of True, the first of several; (0, 0) where there is none."""
    flags = marked.tobytes()
    longest = max(flags.split(b"\0"))
    start = flags.index(longest)
    return start, start + len(longest)

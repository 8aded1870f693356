"""Text in images, in any script, the same on every system."""

import lzma
import unicodedata
from collections.abc import Iterator
from functools import cache
from io import BytesIO
from itertools import groupby
from pathlib import Path

from PIL import ImageDraw, ImageFont

Box = tuple[float, float, float, float]

_FONTS = Path(__file__).parent / "fonts"
# "" is the font that Pillow ships, with ASCII only. Unifont has nearly all scripts, but is a bitmap.
_NAMES = ("", "DejaVuSans.ttf", "Unifont.otf.xz")


class Text:
    """A text to draw. Each letter is drawn in the first font that has it."""

    def __init__(self, text: str, size: float) -> None:
        """`size` is the size of the letters in px. Control characters, and letters that no font has, become "?"."""
        self.text = "".join(
            letter if _font_of(letter) is not None else "?" for letter in unicodedata.normalize("NFC", text)
        )
        self.size = size
        # All fonts are drawn on the base line of the first one.
        self.ascent, self.descent = _font("", size).getmetrics()

    def shortened(self, width: float) -> "Text":
        """Return the text, or its beginning with "..." that fits into `width` px."""
        text = self
        while text.text and text.length > width:
            text = Text(text.text.removesuffix("...")[:-1] + "..." if text.text != "..." else "", self.size)
        return text

    @property
    def length(self) -> float:
        """The width in px."""
        return sum(font.getlength(part) for font, part in self._parts())

    @property
    def box(self) -> Box:
        """The box around the drawn letters, in px from the upper left corner of the line."""
        boxes, x = [], 0.0
        for font, part in self._parts():
            left, top, right, bottom = font.getbbox(part, anchor="ls")
            boxes.append((x + left, self.ascent + top, x + right, self.ascent + bottom))
            x += font.getlength(part)
        lefts, tops, rights, bottoms = zip(*boxes or [(0, 0, 0, 0)], strict=True)
        return min(lefts), min(tops), max(rights), max(bottoms)

    def draw(self, draw: ImageDraw.ImageDraw, place: tuple[float, float], fill: str, anchor: str = "la") -> None:
        """Draw the text at `place`, in px; `anchor` is one of Pillow's "la", "lm" and "mm"."""
        parts = list(self._parts())
        if len(parts) == 1 and self.text.isascii():
            draw.text(place, self.text, fill, parts[0][0], anchor=anchor)
            return
        x, y = place
        x -= self.length / 2 if anchor[0] == "m" else 0
        y += self.ascent if anchor[1] == "a" else (self.ascent - self.descent) / 2
        for font, part in parts:
            draw.text((x, y), part, fill, font, anchor="ls")
            x += font.getlength(part)

    def _parts(self) -> Iterator[tuple[ImageFont.FreeTypeFont, str]]:
        names: list[str] = []
        for letter in self.text:
            # A mark, such as an accent, must be in the font of its letter.
            is_mark = bool(names) and unicodedata.category(letter).startswith("M")
            names.append(names[-1] if is_mark else _font_of(letter) or "")
        for name, part in groupby(zip(names, self.text, strict=True), lambda pair: pair[0]):
            yield _font(name, self.size), "".join(letter for _, letter in part)


@cache
def _font_of(letter: str) -> str | None:
    """Return the name of the first font that has a letter."""
    if letter.isascii():
        return "" if letter.isprintable() else None
    if not letter.isprintable():
        return None
    return next((name for name in _NAMES[1:] if _glyph(name, letter) != _glyph(name, "\uffff")), None)


@cache
def _glyph(name: str, letter: str) -> bytes:
    return bytes(_font(name, 16).getmask(letter))


def _file(name: str) -> BytesIO:
    data = (_FONTS / name).read_bytes()
    return BytesIO(lzma.decompress(data) if name.endswith(".xz") else data)


@cache
def _font(name: str, size: float) -> ImageFont.FreeTypeFont:
    font = ImageFont.truetype(_file(name), size) if name else ImageFont.load_default(size)
    assert isinstance(font, ImageFont.FreeTypeFont)
    return font

"""Images for people: faces in rows, each with a caption."""

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image, ImageDraw, ImageFont

from anteojos.vocabulary import Pixels

Figure = Image.Image

_IMAGE = 160  # px, width and height of an image on a sheet, unless told otherwise
_GAP = 16  # px, between images and around them
_LINE = 20  # px, height of a line of a caption
_TITLE = 44  # px, height of the title's strip
_TEXT, _WRONG, _PAPER = "#1f2328", "#cf222e", "white"


@dataclass(frozen=True)
class Cell:
    """An image, uint8 (H, W, 3), with the lines of its caption; one that is `wrong` gets a frame and stands out."""

    image: Pixels
    caption: tuple[str, ...]
    wrong: bool = False


def contact_sheet(
    title: str, cells: Sequence[Cell], columns: int, note: str = "", legend: str = "", side: int = _IMAGE
) -> Figure:
    """Lay `cells` out in rows of `columns` under `title`; `note` stands below, or alone where there are no cells.

    A `legend`, which says what colours mean, has a line of its own above the note. Each image is shown `side` px wide
    and high.
    """
    notes = [words for words in (legend, note) if words]
    lines = max((len(cell.caption) for cell in cells), default=0)
    rows = -(-len(cells) // columns)
    pitch = side + lines * _LINE + _GAP
    size = (columns * (side + _GAP) + _GAP, _TITLE + rows * pitch + (len(notes) * _LINE + _GAP if notes else 0))
    sheet = Image.new("RGB", size, _PAPER)
    draw = ImageDraw.Draw(sheet)
    # Pillow carries this font itself, so that the same lock draws the same letters everywhere.
    heading, text = ImageFont.load_default(20), ImageFont.load_default(14)
    draw.text((_GAP, _TITLE // 2), _fitted(title, heading, size[0] - 2 * _GAP), _TEXT, heading, anchor="lm")
    for number, cell in enumerate(cells):
        row, column = divmod(number, columns)
        left, top = _GAP + column * (side + _GAP), _TITLE + row * pitch
        image = Image.fromarray(cell.image).resize((side, side), Image.Resampling.BICUBIC)
        sheet.paste(image, (left, top))
        if cell.wrong:
            draw.rectangle((left - 4, top - 4, left + side + 3, top + side + 3), outline=_WRONG, width=4)
        for line, words in enumerate(cell.caption):
            middle = top + side + line * _LINE + _LINE // 2 + 2
            fitted = _fitted(words, text, side + _GAP // 2)
            draw.text((left + side // 2, middle), fitted, _WRONG if cell.wrong else _TEXT, text, anchor="mm")
    for line, words in enumerate(notes):
        top = size[1] - _GAP // 2 - (len(notes) - line) * _LINE
        draw.text((_GAP, top), _fitted(words, text, size[0] - 2 * _GAP), _TEXT, text)
    return sheet


def plain(words: str) -> str:
    """Return `words` in the letters of Pillow's own font, which are ASCII's: others without accents, or as "?"."""
    return "".join(
        letter if letter.isascii() and letter.isprintable() else "?"
        for letter in unicodedata.normalize("NFKD", words)
        if not unicodedata.combining(letter)
    )


def _fitted(words: str, font: ImageFont.ImageFont | ImageFont.FreeTypeFont, width: int) -> str:
    """Make `words` fit into `width` px."""
    fitted = plain(words)
    while fitted and font.getlength(fitted) > width:
        fitted = fitted.removesuffix("...")[:-1] + "..." if fitted != "..." else ""
    return fitted

"""Contact sheets: images in rows, each with a caption."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image, ImageDraw, PngImagePlugin

from anteojos.evaluation.captions import Text
from anteojos.vocabulary import Pixels

Figure = Image.Image

# All in px.
_IMAGE = 160  # default width and height of an image
_GAP = 16  # between images and around them
_LINE = 20  # height of a line of a caption
_TITLE = 44  # height of the title
_TEXT, _WRONG, _PAPER = "#1f2328", "#cf222e", "white"


@dataclass(frozen=True)
class Cell:
    """An image, uint8 (H, W, 3), with the lines of its caption. If `wrong`, frame and caption are red."""

    image: Pixels
    caption: tuple[str, ...]
    wrong: bool = False


def contact_sheet(
    title: str, cells: Sequence[Cell], columns: int, note: str = "", legend: str = "", side: int = _IMAGE
) -> Figure:
    """Draw `cells` in rows of `columns` under `title`, each image `side` px wide and high.

    `note` is written below the cells. `legend`, which explains colours, is a line above the note. A PNG file of the
    sheet also has the text "cells": box and caption of each image as JSON, for the report.
    """
    notes = [text for text in (legend, note) if text]
    lines = max((len(cell.caption) for cell in cells), default=0)
    rows = -(-len(cells) // columns)
    pitch = side + lines * _LINE + _GAP
    width = columns * (side + _GAP) + _GAP
    height = _TITLE + rows * pitch + (len(notes) * _LINE + _GAP if notes else 0)
    sheet = Image.new("RGB", (width, height), _PAPER)
    draw = ImageDraw.Draw(sheet)
    Text(title, 20).shortened(width - 2 * _GAP).draw(draw, (_GAP, _TITLE // 2), _TEXT, "lm")
    boxes = []
    for number, cell in enumerate(cells):
        row, column = divmod(number, columns)
        left, top = _GAP + column * (side + _GAP), _TITLE + row * pitch
        boxes.append({"box": (left, top, left + side, top + side), "caption": cell.caption, "wrong": cell.wrong})
        sheet.paste(Image.fromarray(cell.image).resize((side, side), Image.Resampling.BICUBIC), (left, top))
        if cell.wrong:
            draw.rectangle((left - 4, top - 4, left + side + 3, top + side + 3), outline=_WRONG, width=4)
        for line, text in enumerate(cell.caption):
            middle = left + side // 2, top + side + line * _LINE + _LINE // 2 + 2
            Text(text, 14).shortened(side + _GAP // 2).draw(draw, middle, _WRONG if cell.wrong else _TEXT, "mm")
    for line, text in enumerate(notes):
        top = height - _GAP // 2 - (len(notes) - line) * _LINE
        Text(text, 14).shortened(width - 2 * _GAP).draw(draw, (_GAP, top), _TEXT)
    info = PngImagePlugin.PngInfo()
    info.add_text("cells", json.dumps(boxes))
    sheet.encoderinfo = {"pnginfo": info}  # for `save`
    return sheet

"""Images for the report: cells of contact sheets, test images, and data URIs of all."""

import base64
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from PIL import Image

from anteojos.runtime.errors import InputError


class Shown(NamedTuple):
    """An image with its caption, line by line; `image` is a data URI, `wrong` marks an incorrect label."""

    image: str
    caption: tuple[str, ...]
    wrong: bool | None = False


def cells(sheet: Path) -> list[Shown]:
    """Cut a contact sheet into its images. Raises InputError if the file does not say where they are."""
    with Image.open(sheet) as image:
        try:
            found = json.loads(image.text["cells"])  # type: ignore[attr-defined]
        except (AttributeError, KeyError):
            raise InputError(
                f"{sheet}: has no captions; it was written by an older version",
                advice="Run `make repro`, which writes it again.",
            ) from None
        pixels = image.convert("RGB")
        return [Shown(uri(pixels.crop(each["box"])), tuple(each["caption"]), each["wrong"]) for each in found]


def mixed(found: list[Shown]) -> list[Shown]:
    """Return images in turn of each class, which the first line of their caption names."""

    def in_turn() -> Iterator[tuple[int, int]]:
        seen: dict[str, int] = {}
        for number, each in enumerate(found):
            seen[each.caption[0]] = seen.get(each.caption[0], -1) + 1
            yield seen[each.caption[0]], number

    return [found[number] for _, number in sorted(in_turn())]


def uri(image: Image.Image) -> str:
    """Return a data URI of an image as JPEG."""
    file = io.BytesIO()
    image.save(file, "JPEG", quality=90)
    return data_uri(file.getvalue(), "jpeg")


def of_array(pixels: Any) -> str:
    """Return a data URI of an array, uint8 (H, W, 3)."""
    return uri(Image.fromarray(pixels))


def data_uri(data: bytes, kind: str) -> str:
    """Return a data URI of an encoded image."""
    return f"data:image/{kind};base64,{base64.b64encode(data).decode('ascii')}"

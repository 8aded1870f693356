"""Captions show letters of any script."""

import unicodedata

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from anteojos.evaluation.captions import Text


def drawn(text: Text, anchor: str = "la") -> np.ndarray:
    image = Image.new("L", (400, 60))
    text.draw(ImageDraw.Draw(image), {"la": (10, 10), "lm": (10, 30), "mm": (200, 30)}[anchor], "white", anchor)
    return np.asarray(image)


@pytest.mark.parametrize("anchor", ["la", "lm", "mm"])
def test_ascii_is_drawn_as_by_pillow(anchor: str) -> None:
    font = ImageFont.load_default(20)
    image = Image.new("L", (400, 60))
    place = {"la": (10, 10), "lm": (10, 30), "mm": (200, 30)}[anchor]
    ImageDraw.Draw(image).text(place, "con lentes, p = 0.98", "white", font, anchor=anchor)
    text = Text("con lentes, p = 0.98", 20)
    assert (drawn(text, anchor) == np.asarray(image)).all()
    assert text.length == font.getlength(text.text)
    assert text.box == ImageDraw.Draw(image).textbbox((0, 0), text.text, font=font)


@pytest.mark.parametrize("letters", ["éñß", "Ελλ", "жук", "草地", "かな", "한국", "हिन्दी", "ไทย", "عرب", "עבר"])
def test_letters_of_all_scripts_are_drawn(letters: str) -> None:
    text = Text(letters, 16)
    assert text.text == letters
    assert (drawn(text) != drawn(Text("?" * len(letters), 16))).any()
    # No letter is the box of a missing one: each of them looks different.
    alone = {letter for letter in letters if not unicodedata.category(letter).startswith("M")}
    assert len({drawn(Text(letter, 16)).tobytes() for letter in alone}) == len(alone)


@pytest.mark.parametrize("letter", ["\n", "\x07", "\u202e", "\uffff", "\U0001f453"])
def test_letter_without_glyph_is_a_question_mark(letter: str) -> None:
    assert Text(f"a{letter}b", 16).text == "a?b"


def test_both_forms_of_an_accent_are_the_same() -> None:
    assert (drawn(Text("Ce\u0301sped", 16)) == drawn(Text("C\u00e9sped", 16))).all()


def test_letters_of_two_fonts_share_a_line_and_a_box() -> None:
    text = Text("gÉ草", 20)
    left, top, right, bottom = text.box
    rows, columns = np.nonzero(drawn(text))
    assert (columns.min() - 10, columns.max() + 1 - 10) == (pytest.approx(left, abs=2), pytest.approx(right, abs=2))
    assert (rows.min() - 10, rows.max() + 1 - 10) == (pytest.approx(top, abs=2), pytest.approx(bottom, abs=2))
    assert text.length == pytest.approx(sum(Text(letter, 20).length for letter in "gÉ草"), abs=2)


def test_long_text_is_shortened_to_the_width() -> None:
    text = Text("Césped Verde " * 10, 14)
    short = text.shortened(100)
    assert short.length <= 100 < Text(f"{short.text[:-3]}...m", 14).length + 20
    assert short.text.startswith("Césped")
    assert short.text.endswith("...")
    assert text.shortened(10_000).text == text.text
    assert text.shortened(1).text == ""

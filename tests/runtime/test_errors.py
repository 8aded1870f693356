"""InputError lists all kinds of problems, and names are safe to print."""

import string

import pytest

from anteojos.runtime.errors import InputError, capped, printable


def test_text_has_headline_problems_and_advice() -> None:
    error = InputError("data/raw", ["a.jpg: empty", "b.jpg: empty"], "Remove them.")
    assert str(error) == "data/raw\n  a.jpg: empty\n  b.jpg: empty\nRemove them."
    assert str(InputError("data/raw")) == "data/raw"


def test_text_has_at_most_20_problems_of_one_kind() -> None:
    broken = [f"{number}.jpg: not an image ({number} bytes)" for number in range(25)]
    missing = [f"test/{number}.jpg: has no row in labels.csv" for number in range(3)]
    error = InputError("data/raw", [*broken, *missing])
    assert error.problems == (*broken, *missing)
    lines = [line.removeprefix("  ") for line in str(error).splitlines()]
    assert lines == ["data/raw", *broken[:20], "… and 5 more", *missing]


@pytest.mark.parametrize(
    "problem",
    [
        "b/{}.jpg: the same image as a/{}.jpg (0 of 64 hash bits differ)",
        "b/{}.jpg: nearly the same image as a/x {}.jpg ({} of 64 hash bits differ)",
        "b/{}.jpg: the same image as a/photo of <> today.jpg",
        "labels.csv, line 3: test/{}.jpg: not one of the test images",
        "labels.csv, line {}: label 'h{}', expected cats or dogs",
        "cats: {} images, expected 3",
        "metrics/{}.json",
    ],
)
def test_problems_of_one_kind_may_end_with_names(problem: str) -> None:
    letters = string.ascii_letters + string.ascii_letters
    problems = [problem.replace("{}", str(number)).replace("<>", letters[: number + 1]) for number in range(86)]
    lines = str(InputError("data/raw", problems)).splitlines()
    assert (len(lines), lines[-1]) == (22, "  … and 66 more")


@pytest.mark.parametrize(("count", "last"), [(20, "line 19"), (21, "… and 1 more"), (10_020, "… and 10,000 more")])
def test_capped_keeps_20_lines_and_counts_the_others(count: int, last: str) -> None:
    lines = capped([f"line {number}" for number in range(count)])
    assert lines[:20] == [f"line {number}" for number in range(20)]
    assert (len(lines), lines[-1]) == (min(count, 21), last)


@pytest.mark.parametrize(
    ("name", "text"),
    [("año 1.jpg", "año 1.jpg"), ("\x1b[2J", r"\x1b[2J"), ("a\nb", r"a\nb"), ("\u202egpj", r"\u202egpj")],
)
def test_control_characters_are_escaped(name: str, text: str) -> None:
    assert printable(name) == text

"""The table of `make results`."""

from typing import Any

import pytest

from anteojos.team import results


def data(accuracy: float, verdict: str = "none", loss: float = 0.1, **params: Any) -> dict[str, Any]:
    """Return a revision as `dvc exp show --json` has it."""
    validate = {"n": 40, "accuracy": accuracy, "accuracy_low": 0.5, "accuracy_high": 1.0, "loss": loss}
    return {
        "params": {"params.yaml": {"data": {"train": params}}},
        "metrics": {
            "metrics/evaluate.json": {"data": {"validate": validate}},
            "metrics/audit.json": {"data": {"border": {"verdict": verdict}}},
        },
        "deps": {"src/a.py": {"hash": "1"}, "data/manifest.csv": {"hash": "2"}},
        "outs": {"models/model.tflite": {"size": 1_525_385}, "models/network.tflite": {"hash": "3"}},
    }


def test_best_is_first_and_leaks_are_last() -> None:
    rows = {"leaks": data(1.0, "leak"), "good": data(0.9), "less loss": data(0.9, loss=0.05), "bad": data(0.6)}
    assert [name for name, _ in sorted(rows.items(), key=results.rank)] == ["less loss", "good", "bad", "leaks"]


def test_line_has_what_changed_size_and_duration() -> None:
    cells = results.line("deeper", data(0.9, epochs=3, seed=1), data(0.9, epochs=2, seed=1), {"3": 125.0})
    assert cells == [
        *("deeper", "0.900 of 40", "0.500 to 1.000", "–", "no"),
        *("1.5 MB", "2 min 05 s", "train.epochs=3"),
    ]
    assert results.line("other machine", data(0.9), data(0.9), {})[-2:] == ["–", "–"]
    many = {f"a{number}": number for number in range(6)}
    assert results.line("many", data(0.9, **many), data(0.9), {})[-1].endswith("train.a3=3, 2 more")


@pytest.mark.parametrize(("kind", "path", "word"), [("deps", "src/a.py", "code"), ("outs", "data/raw", "images")])
def test_changed_code_and_images_are_named(kind: str, path: str, word: str) -> None:
    other = data(0.9)
    other[kind][path] = {"hash": "9"}
    assert results.changes(other, data(0.9)) == [word]


def test_table_is_markdown_that_names_cannot_break() -> None:
    text = results.as_table([("name", "n"), ("a|b\nc", "10")])
    assert text.splitlines() == ["| name   | n  |", "| ------ | -- |", r"| a\|b c | 10 |"]

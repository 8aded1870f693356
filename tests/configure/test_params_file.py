"""Tests of changing params.yaml without changing anything else."""

import copy
from typing import Any

import pytest
import yaml
from ruamel.yaml import YAML

from anteojos.configure.params_file import changed
from anteojos.runtime.errors import InputError
from tests.conftest import ROOT

TEXT = (ROOT / "params.yaml").read_text(encoding="utf-8")
CLASSES = [{"folder": "Césped Verde", "name": "on"}, {"folder": "123", "name": "a: b # c"}]
CHANGES: dict[str, Any] = {
    "dataset.source": "archive",
    "dataset.archive": "../草 地 # 1",
    "dataset.sha256": "1" * 64,
    "dataset.classes": CLASSES,
    "dataset.ignored": ["b", "c, d", "1"],
    "dataset.expected": None,
    "preprocess.crop": "none",
}


def expected(text: str, changes: dict[str, Any]) -> Any:
    values = copy.deepcopy(yaml.safe_load(text))
    for name, value in changes.items():
        section, key = name.split(".")
        values[section][key] = value
    return values


def differing(before: str, after: str) -> list[str]:
    """Return the lines of `after` that are not in `before`; all comments above keys must be the same."""
    comments = [[line for line in text.splitlines() if line.strip().startswith("#")] for text in (before, after)]
    assert comments[0] == comments[1]
    return [line for line in after.splitlines() if line not in before.splitlines()]


def test_no_change_is_the_identity() -> None:
    assert changed(TEXT, {}) == TEXT


def test_only_the_changed_lines_differ() -> None:
    after = changed(TEXT, CHANGES)
    assert yaml.safe_load(after) == expected(TEXT, CHANGES)
    assert differing(TEXT, after) == [
        "  source: archive               # sample | kaggle | archive",
        '  archive: "../草 地 # 1"         # text or empty',
        f'  sha256: "{"1" * 64}"  # 64 hex digits or empty',
        "  - folder: Césped Verde",
        '    name: "on"',
        '  - folder: "123"',
        '    name: "a: b # c"',
        '  ignored: [b, "c, d", "1"]     # list of folder names',
        "  crop: none                    # face | none",
    ]
    assert changed(after, CHANGES) == after


def test_changes_can_be_undone() -> None:
    values = yaml.safe_load(TEXT)["dataset"]
    once = changed(TEXT, CHANGES)
    back = {name: yaml.safe_load(TEXT)[name.split(".")[0]][name.split(".")[1]] for name in CHANGES}
    back.pop("dataset.expected")
    assert changed(once, back) == changed(TEXT, {"dataset.expected": None})
    # What was a block is now on one line.
    assert (
        yaml.safe_load(changed(once, {"dataset.expected": values["expected"]}))["dataset"]["expected"]
        == (values["expected"])
    )


@pytest.mark.parametrize("flow", [True, False])
@pytest.mark.parametrize("width", [80, 1000])
def test_file_of_another_style(flow: bool, width: int) -> None:
    values = yaml.safe_load(TEXT)
    values["dataset"] |= {"ignored": ["x", "y"], "split": None}
    text = yaml.safe_dump(values, sort_keys=False, default_flow_style=flow, width=width)
    for changes in (CHANGES, {**CHANGES, "dataset.ignored": [], "dataset.split": {"validate": 0.2, "seed": 1}}):
        assert yaml.safe_load(changed(text, changes)) == expected(text, changes)


def test_list_in_a_block_is_replaced() -> None:
    text = TEXT.replace("ignored: []                   # list of", "ignored:  # list of")
    text = text.replace("  # For images without a split", "  - a\n  - b\n  # For images without a split")
    assert yaml.safe_load(text)["dataset"]["ignored"] == ["a", "b"]
    assert changed(text, {"dataset.ignored": []}) == TEXT
    assert "  ignored: [c]                  # list of folder names\n  # For" in changed(
        text, {"dataset.ignored": ["c"]}
    )


@pytest.mark.parametrize(
    "value",
    ["yes", "no", "on", "off", "null", "~", "true", "1", "1e5", ".5", "0x1", "1_000", "2024-01-01", "a: b", "- a", "#a",
     "a #b", "'a'", '"a"', "[a]", "{a}", "*a", "&a", "!a", "%a", "@a", "`a`", "|", ">", "", " ", "a ", "a\\b", "é",
     "草"],
)  # fmt: skip
def test_any_text_is_read_as_it_was(value: str) -> None:
    after = changed(TEXT, {"dataset.archive": value, "dataset.ignored": [value]})
    for read in (yaml.safe_load, YAML(typ="safe").load):  # as stages and as DVC read it
        assert read(after)["dataset"]["archive"] == value
        assert read(after)["dataset"]["ignored"] == [value]


def test_what_would_be_lost_is_an_error() -> None:
    text = TEXT.replace("      glasses: 20\n", "      glasses: 20  # three were blurred\n")
    with pytest.raises(InputError, match=r"cannot be changed without loss\n  dataset.expected:\n"):
        changed(text, {"dataset.expected": None})
    text = TEXT.replace("  archive:  ", "  archive: &here a  ").replace("  license:  ", "  license: *here  ")
    with pytest.raises(InputError, match=r"cannot be changed without loss"):
        changed(text, {"dataset.archive": "b"})

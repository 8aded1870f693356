"""Change values in params.yaml, and keep every other character.

Values are replaced in the text, at the positions that the YAML parser reports. (A round trip through ruamel.yaml loses
the comment after a removed block, and writes the class `no` without quotes, which PyYAML reads as false.)
"""

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from anteojos.runtime.errors import InputError

# Start, end and new text of a part.
Edit = tuple[int, int, str]


def changed(text: str, changes: Mapping[str, Any]) -> str:
    """Return the text of params.yaml with the values of `changes`, which are named such as "dataset.source".

    If the old and the new value are lists of mappings of the same length, only the values inside them are replaced.
    Raises InputError if a comment would be lost or the result would have other values.
    """
    values, root = yaml.safe_load(text), yaml.compose(text, yaml.SafeLoader)
    edits: list[Edit] = []
    for name, value in changes.items():
        section, key = name.split(".")
        if values[section][key] != value:
            values[section][key] = value
            edits += _edits(text, *_entry(_entry(root, section)[1], key), value)
    after = text
    for start, end, new in sorted(edits, reverse=True):
        after = after[:start] + new + after[end:]
    comment_lost = any(not new and "#" in text[start:end] for start, end, new in edits)
    if comment_lost or _parsed(after) != values:
        wanted = [f"{name}: {_written(value)}".rstrip() for name, value in changes.items()]
        raise InputError("params.yaml: cannot be changed without loss", wanted, "Change these parameters by hand.")
    return after


def _entry(mapping: Any, key: str) -> tuple[Any, Any]:
    return next((name, value) for name, value in mapping.value if name.value == key)


def _edits(text: str, key: Any, node: Any, value: Any) -> Iterator[Edit]:
    """Yield the edits for a new `value` of `key`; `node` is the old value."""
    if isinstance(value, list) and value and isinstance(value[0], dict) and len(node.value) == len(value):
        for item, new in zip(node.value, value, strict=True):
            for name, each in new.items():
                yield from _edits(text, *_entry(item, name), each)
        return
    colon = text.index(":", key.end_mark.index) + 1
    start, end = colon, _end(node)
    if not isinstance(node, yaml.ScalarNode) and not node.flow_style:
        # Keep the comment behind the key, and remove the lines below.
        start = _end_of_line(text, colon)
        yield start, _end_of_line(text, end), ""
        end = colon
    line_end = _end_of_line(text, end)
    new = f" {_written(value)}".rstrip()
    if comment := re.fullmatch(r"(\s+)(#.*)", text[end:line_end]):
        # Two spaces or less: the comment is not aligned, because it is behind a long value. Align it.
        column = end + len(comment[1]) - _start_of_line(text, colon) if len(comment[1]) > 2 else _column(text)
        width = column - (colon - _start_of_line(text, colon)) - len(new)
        yield colon, line_end, f"{new}{' ' * max(2, width)}{comment[2]}"
    else:
        yield colon, max(colon, end), new


def _end(node: Any) -> int:
    """Return where the text of a value ends; the end that the parser reports for a block includes later comments."""
    if isinstance(node, yaml.ScalarNode) or node.flow_style or not node.value:
        index: int = node.end_mark.index
        return index
    last = node.value[-1]
    return _end(last[1] if isinstance(last, tuple) else last)


def _end_of_line(text: str, position: int) -> int:
    found = text.find("\n", position)
    return len(text) if found < 0 else found


def _start_of_line(text: str, position: int) -> int:
    return text.rfind("\n", 0, position) + 1


def _column(text: str) -> int:
    """Return the column in which most comments behind values start."""
    columns = Counter(len(match[1]) for match in re.finditer(r"^(\s*\w.*?\s)#", text, re.MULTILINE))
    return columns.most_common(1)[0][0]


def _written(value: Any) -> str:
    """Return a value as YAML on one line, in a form that has the same meaning in all versions of YAML."""
    match value:
        case None:
            return ""
        case str():
            plain = re.fullmatch(r"(?!\.?\d)[\w./][\w ./-]*", value) and value == value.strip()
            return value if plain and yaml.safe_load(value) == value else json.dumps(value, ensure_ascii=False)
        case list():
            return f"[{', '.join(map(_written, value))}]"
        case dict():
            return f"{{{', '.join(f'{name}: {_written(each)}' for name, each in value.items())}}}"
        case _:
            return json.dumps(value)


def _parsed(text: str) -> Any:
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError:
        return None

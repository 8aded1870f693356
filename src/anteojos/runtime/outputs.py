"""Files and folders that appear whole or not at all."""

import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

# The first date that a zip can hold: what is written into one must not tell when.
ZIP_EPOCH = (1980, 1, 1, 0, 0, 0)
# What `replacing` writes to beside its target, and DVC to beside its own: a killed process leaves it.
LEFT = ".*.tmp"


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a path next to `path` to write a file or a folder to; on success it replaces `path`.

    After an error inside the `with` block, `path` is what it was before and nothing else is left. A process that is
    killed leaves a folder that `LEFT` matches.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # A folder of our own, so that a library which writes further files beside its target leaves none behind.
    with tempfile.TemporaryDirectory(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent) as beside:
        written = Path(beside, "new", path.name)
        written.parent.mkdir()
        try:
            yield written
        except OSError as error:
            # What fails in the middle of writing, as on a full disk, does not say where.
            error.filename = error.filename or str(path)
            raise
        if path.is_dir():
            # A folder cannot be renamed over another, so the old one steps aside until the new one is in place.
            aside = Path(beside, "old")
            path.rename(aside)
            try:
                written.rename(path)
            except OSError:
                aside.rename(path)
                raise
        else:
            written.replace(path)


def write_json(path: Path, value: Any) -> None:
    """Write `value` as indented JSON, whole or not at all; keys keep their order, NaN is an error.

    Floats are rounded to 6 decimals: what lies below differs between processors and tells nobody anything.
    """
    text = json.dumps(_rounded(value), indent=2, ensure_ascii=False, allow_nan=False)
    with replacing(path) as written:
        written.write_text(text + "\n", encoding="utf-8")


def _rounded(value: Any) -> Any:
    match value:
        case float():
            return round(value, 6)
        case dict():
            return {key: _rounded(item) for key, item in value.items()}
        case list() | tuple():
            return [_rounded(item) for item in value]
        case _:
            return value

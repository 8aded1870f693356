"""Write files and folders atomically."""

import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

# The date of all zip entries, so that files do not depend on the time when they are written. Zip has no earlier date.
ZIP_EPOCH = (1980, 1, 1, 0, 0, 0)
# Temporary folders of `replacing` and temporary files of DVC, which a killed process leaves next to the outputs.
LEFT = ".*.tmp"


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a path next to `path` to write a file or a folder to; on success it replaces `path`.

    After an error inside the `with` block, `path` is unchanged and nothing else remains. A killed process leaves a
    folder that matches `LEFT`.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # In a temporary folder, because some libraries write other files next to their target.
    with tempfile.TemporaryDirectory(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent) as temporary:
        written = Path(temporary, "new", path.name)
        written.parent.mkdir()
        try:
            yield written
        except OSError as error:
            error.filename = error.filename or str(path)  # a failed write has none, for example on a full disk
            raise
        if not path.is_dir():
            written.replace(path)
            return
        # A folder cannot be renamed to an existing one: move the old one away until the new one is in place.
        aside = path.rename(Path(temporary, "old"))
        try:
            written.rename(path)
        except OSError:
            aside.rename(path)
            raise


def write_json(path: Path, value: Any) -> None:
    """Write `value` atomically as indented JSON. Keys keep their order; NaN and infinity raise ValueError.

    Floats are rounded to 6 decimals, because further decimals differ between CPUs.
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

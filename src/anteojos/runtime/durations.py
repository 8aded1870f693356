"""Remember how long stages took, for the summary of `make repro` and for `make results`. No result depends on it."""

import hashlib
import json
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

NETWORK = Path("models/network.tflite")


@dataclass(frozen=True)
class Duration:
    """A stage that ran for some `seconds` until `ended`, seconds since 1970.

    `network` is the MD5 checksum of models/network.tflite at the end, or "" if there was none.
    """

    stage: str
    seconds: float
    ended: float
    network: str


def add(stage: str, seconds: float) -> None:
    """Remember that a stage of this checkout took some seconds and has ended now."""
    network = hashlib.md5(NETWORK.read_bytes(), usedforsecurity=False).hexdigest() if NETWORK.exists() else ""
    with suppress(OSError), _file().open("a", encoding="utf-8") as file:
        file.write(json.dumps(asdict(Duration(stage, round(seconds, 1), time.time(), network))) + "\n")


def read() -> list[Duration]:
    """Return the durations of all runs in this checkout, the oldest first."""
    found = []
    with suppress(FileNotFoundError), _file().open(encoding="utf-8") as file:
        for line in file:
            with suppress(ValueError, TypeError):  # cut off by a full disk
                found.append(Duration(**json.loads(line)))
    return found


def _file() -> Path:
    """Return the file with the durations; experiments run in .dvc/tmp/exps of the checkout and share its file."""
    folder = next((parent for parent in Path.cwd().parents if parent.name == ".dvc"), Path(".dvc"))
    return folder / "tmp/durations.jsonl"

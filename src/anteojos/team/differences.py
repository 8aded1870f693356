"""By how much two files of one output differ: in pixels, weights, probabilities or numbers."""

import json
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
from PIL import Image

from anteojos.images import manifest
from anteojos.model.inference import LiteNetwork


@dataclass(frozen=True)
class Difference:
    """What differs in a file, in words; `probability` is the largest difference of one, where the file tells any."""

    text: str
    probability: float | None = None


def between(committed: Path, reproduced: Path, images: list[Path]) -> Difference:
    """Return by how much two files of the same name with different bytes differ.

    The probabilities of two models are those of `images`, files of uint8 (N, size, size, 3).
    """
    match committed.suffix:
        case ".tflite":
            return _of_probabilities(
                *(
                    np.concatenate([LiteNetwork(model.read_bytes()).probabilities(np.load(file)) for file in images])
                    for model in (committed, reproduced)
                )
            )
        case ".keras":
            return _of_weights(committed, reproduced)
        case ".npy" | ".png" | ".jpg":
            return _of_pixels(_pixels(committed), _pixels(reproduced))
        case ".json":
            return _of_numbers(
                *(dict(_leaves(json.loads(file.read_text("utf-8")))) for file in (committed, reproduced))
            )
        case ".csv" | ".tsv":
            tables = [_table(file) for file in (committed, reproduced)]
            if all("probability" in table for table in tables) and len(tables[0]) == len(tables[1]):
                return _of_predictions(*tables)
            return _of_numbers(*(dict(_leaves(table.to_dict("list"))) for table in tables))
        case _:
            return Difference("other bytes")


def _of_probabilities(committed: Any, reproduced: Any) -> Difference:
    most = float(np.abs(committed - reproduced).max(initial=0))
    return Difference(f"probabilities of {len(committed)} images differ by at most {most:.1e}", most)


def _of_predictions(committed: pd.DataFrame, reproduced: pd.DataFrame) -> Difference:
    if list(committed["file"]) != list(reproduced["file"]):
        return Difference("other images", probability=1.0)
    labels = int((committed["label"] != reproduced["label"]).sum())
    found = _of_probabilities(committed["probability"].to_numpy(), reproduced["probability"].to_numpy())
    return Difference(f"{found.text}, and {labels} labels", found.probability)


def _of_weights(committed: Path, reproduced: Path) -> Difference:
    ours, theirs = (_weights(file) for file in (committed, reproduced))
    if {name: array.shape for name, array in ours.items()} != {name: array.shape for name, array in theirs.items()}:
        return Difference("weights of another network")
    differ = [float(np.abs(array - theirs[name]).max(initial=0)) for name, array in ours.items()]
    return Difference(f"weights differ by at most {max(differ, default=0):.1e}")


def _weights(model: Path) -> dict[str, Any]:
    """Read the weights of a .keras file, by their names in it, without TensorFlow."""
    found: dict[str, Any] = {}

    def keep(name: str, node: h5py.Group | h5py.Dataset) -> None:
        if isinstance(node, h5py.Dataset):
            found[name] = node[()]

    with zipfile.ZipFile(model) as archive, h5py.File(BytesIO(archive.read("model.weights.h5"))) as weights:
        weights.visititems(keep)
    return found


def _pixels(file: Path) -> Any:
    if file.suffix == ".npy":
        return np.load(file, mmap_mode="r")
    with Image.open(file) as image:
        return np.asarray(image.convert("RGB"))


def _of_pixels(committed: Any, reproduced: Any) -> Difference:
    if committed.shape != reproduced.shape:
        return Difference(f"shape {reproduced.shape}, committed {committed.shape}")
    differ = np.abs(committed.astype(np.int16) - reproduced.astype(np.int16))
    return Difference(
        f"{np.count_nonzero(differ):,} of {differ.size:,} values differ, by at most {differ.max(initial=0)}"
    )


def _table(file: Path) -> pd.DataFrame:
    return manifest.read(file) if file.suffix == ".csv" else pd.read_csv(file, sep="\t")


def _leaves(value: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the values of nested dicts and lists with their keys, as validate.accuracy."""
    match value:
        case dict():
            for name, item in value.items():
                yield from _leaves(item, f"{key}.{name}" if key else str(name))
        case list():
            for number, item in enumerate(value):
                yield from _leaves(item, f"{key}[{number}]")
        case _:
            yield key, value


def _of_numbers(committed: dict[str, Any], reproduced: dict[str, Any]) -> Difference:
    """Name the values that differ, the three that differ most first."""
    texts = []
    for key in sorted(committed.keys() | reproduced.keys()):
        one, other = committed.get(key, "nothing"), reproduced.get(key, "nothing")
        if one != other:
            numbers = all(isinstance(value, int | float) for value in (one, other))
            found, expected = (f"{value:.6g}" if numbers else value for value in (other, one))
            texts.append((abs(other - one) if numbers else np.inf, f"{key} {found} instead of {expected}"))
    texts.sort(key=lambda text: -text[0])
    more = f" and {len(texts) - 3} more" if len(texts) > 3 else ""
    return Difference((", ".join(text for _, text in texts[:3]) + more) or "other bytes, the same values")

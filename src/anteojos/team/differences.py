"""Measure how much two files of one output differ: in pixels, weights, probabilities or numbers."""

import json
import zipfile
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
from anteojos.team.commands import leaves


@dataclass(frozen=True)
class Difference:
    """What differs in a file; `probability` is the largest difference of a probability, if the file contains any."""

    text: str
    probability: float | None = None


def between(committed: Path, reproduced: Path, images: list[Path]) -> Difference:
    """Return how much two files of the same name with different bytes differ.

    Models are compared by their probabilities for `images`, .npy files of uint8 (N, size, size, 3).
    """
    files = (committed, reproduced)
    match committed.suffix:
        case ".tflite":
            return _of_probabilities(*(_probabilities(model, images) for model in files))
        case ".keras":
            return _of_arrays("weights", *map(_weights, files))
        case ".npy" | ".png" | ".jpg":
            return _of_arrays("values", *map(_pixels, files))
        case ".json":
            return _of_numbers(*(json.loads(file.read_text("utf-8")) for file in files))
        case ".csv" | ".tsv":
            tables = [manifest.read(file) if file.suffix == ".csv" else pd.read_csv(file, sep="\t") for file in files]
            if all("probability" in table for table in tables) and len(tables[0]) == len(tables[1]):
                return _of_predictions(*tables)
            return _of_numbers(*(table.to_dict("list") for table in tables))
        case _:
            return Difference("other bytes")


def _of_arrays(name: str, committed: Any, reproduced: Any) -> Difference:
    if committed.shape != reproduced.shape:
        return Difference(f"shape {reproduced.shape}, committed {committed.shape}")
    differ = np.abs(committed - reproduced)
    largest = f"{differ.max(initial=0):.3g}"
    return Difference(f"{np.count_nonzero(differ):,} of {differ.size:,} {name} differ, by at most {largest}")


def _pixels(file: Path) -> Any:
    # int16, so that differences can be negative.
    if file.suffix == ".npy":
        return np.load(file, mmap_mode="r").astype(np.int16)
    with Image.open(file) as image:
        return np.asarray(image.convert("RGB"), np.int16)


def _weights(model: Path) -> Any:
    """Read the weights of a .keras file in the order of their names, without TensorFlow, as one flat array."""
    found: dict[str, Any] = {}

    def keep(name: str, node: h5py.Group | h5py.Dataset) -> None:
        if isinstance(node, h5py.Dataset):
            found[name] = node[()].ravel()

    with zipfile.ZipFile(model) as archive, h5py.File(BytesIO(archive.read("model.weights.h5"))) as weights:
        weights.visititems(keep)
    return np.concatenate([found[name] for name in sorted(found)])


def _probabilities(model: Path, images: list[Path]) -> Any:
    network = LiteNetwork(model.read_bytes())
    return np.concatenate([network.probabilities(np.load(file)) for file in images])


def _of_probabilities(committed: Any, reproduced: Any) -> Difference:
    largest = float(np.abs(committed - reproduced).max(initial=0))
    return Difference(f"probabilities of {len(committed)} images differ by at most {largest:.1e}", largest)


def _of_predictions(committed: pd.DataFrame, reproduced: pd.DataFrame) -> Difference:
    if list(committed["file"]) != list(reproduced["file"]):
        return Difference("other images", probability=1.0)
    labels = int((committed["label"] != reproduced["label"]).sum())
    found = _of_probabilities(committed["probability"].to_numpy(), reproduced["probability"].to_numpy())
    return Difference(f"{found.text}, and {labels} labels", found.probability)


def _of_numbers(committed: Any, reproduced: Any) -> Difference:
    """Name the values in nested dicts and lists that differ: at most three, the largest difference first."""
    before, after = (dict(leaves(values, lists=True)) for values in (committed, reproduced))
    found = []
    for key in sorted(before.keys() | after.keys()):
        old, new = before.get(key, "nothing"), after.get(key, "nothing")
        if old == new:
            continue
        if isinstance(old, int | float) and isinstance(new, int | float):
            difference = abs(new - old)
            found.append((np.inf if np.isnan(difference) else difference, f"{key} {new:.6g} instead of {old:.6g}"))
        else:
            found.append((np.inf, f"{key} {new} instead of {old}"))
    found.sort(key=lambda item: -item[0])
    more = f" and {len(found) - 3} more" if len(found) > 3 else ""
    return Difference(", ".join(text for _, text in found[:3]) + more or "other bytes, the same values")

"""The ways to go through many images that benchmarks/prepare.py compares: each in a process of its own.

`python benchmarks/ways.py WAY FOLDER SECONDS` works on the images below FOLDER/data/raw, in the folder FOLDER, and
writes to the file SECONDS how long it took, imports not counted. The ways: our `verify` and `preprocess`; `decode`,
decoding alone, on all cores; `plain_verify` and `plain_preprocess`, the loop with Pillow that one would write first, on
one core; `keras`, Keras's own reader.
"""

import hashlib
import importlib
import io
import multiprocessing
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

RAW = Path("data/raw")
SIZE = 160


def decode() -> None:
    """Decode all images and do nothing with them: what the work on them can't be faster than."""
    cores = len(os.sched_getaffinity(0))
    if cores == 1:
        for file in files():
            decode_one(file)
        return
    with multiprocessing.get_context("fork").Pool(cores) as pool:
        for _ in pool.imap_unordered(decode_one, files(), chunksize=64):
            pass


def decode_one(file: Path) -> None:
    """Read and decode an image."""
    with Image.open(io.BytesIO(file.read_bytes())) as image:
        image.load()


def plain_verify() -> None:
    """Write a table with size, mode, bytes, SHA-256 and difference hash of each image."""
    rows = []
    for file in files():
        data = file.read_bytes()
        with Image.open(io.BytesIO(data)) as image:
            grey = np.asarray(image.convert("L").resize((9, 8), Image.Resampling.BOX))
            dhash = np.packbits(grey[:, :-1] < grey[:, 1:]).tobytes().hex()
            rows.append((file, *image.size, image.mode, len(data), hashlib.sha256(data).hexdigest(), dhash))
    with Path("plain.csv").open("w", encoding="utf-8") as table:
        table.writelines(",".join(map(str, row)) + "\n" for row in rows)


def plain_preprocess() -> None:
    """Resize each image and put it into an array on the disk."""
    images = files()
    shape = (len(images), SIZE, SIZE, 3)
    array = np.lib.format.open_memmap("plain.npy", mode="w+", dtype=np.uint8, shape=shape)
    for row, file in enumerate(images):
        with Image.open(file) as image:
            picture = image.convert("RGB")
        array[row] = np.asarray(picture.resize((SIZE, SIZE), Image.Resampling.BILINEAR))
    array.flush()


def keras_reader() -> None:
    """Read all images once, resized, in batches."""
    for split in ("train", "validate", "test"):
        for _ in keras.utils.image_dataset_from_directory(
            RAW / split, labels=None, image_size=(SIZE, SIZE), batch_size=32, shuffle=False, verbose=False
        ):
            pass


def files() -> list[Path]:
    """List the images."""
    return sorted(RAW.rglob("*.jpg"))


def main(way: str) -> float:
    """Go a way; give the seconds."""
    work: Callable[[], object]
    match way:
        case "verify" | "preprocess":
            work = importlib.import_module(f"anteojos.stages.{way}").main
        case "keras":
            global keras
            keras = importlib.import_module("keras")
            work = keras_reader
        case _:
            work = {"decode": decode, "plain_verify": plain_verify, "plain_preprocess": plain_preprocess}[way]
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


if __name__ == "__main__":
    way, folder, seconds = sys.argv[1:]
    os.chdir(folder)
    Path(seconds).write_text(repr(main(way)), encoding="utf-8")

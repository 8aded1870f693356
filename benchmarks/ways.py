"""The programs that benchmarks/prepare.py compares, each in a new process.

`python benchmarks/ways.py NAME FOLDER SECONDS` runs one of them on the images below FOLDER/data/raw, and writes its
seconds, without imports, to the file SECONDS. The programs: our `verify` and `preprocess`; `decode`, only decoding, on
all cores; `plain_verify` and `plain_preprocess`, a simple loop with Pillow on one core; `keras`, Keras's reader.
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
    """Decode all images, a lower limit for the time of all other work."""
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
    """Write a table with the size, mode, bytes, SHA-256 and difference hash of each image."""
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
    """Resize each image and write it to an array on disk."""
    images = files()
    shape = (len(images), SIZE, SIZE, 3)
    array = np.lib.format.open_memmap("plain.npy", mode="w+", dtype=np.uint8, shape=shape)
    for row, file in enumerate(images):
        with Image.open(file) as image:
            resized = image.convert("RGB").resize((SIZE, SIZE), Image.Resampling.BILINEAR)
        array[row] = np.asarray(resized)
    array.flush()


def keras_reader() -> None:
    """Read and resize all images in batches."""
    for split in ("train", "validate", "test"):
        for _ in keras.utils.image_dataset_from_directory(
            RAW / split, labels=None, image_size=(SIZE, SIZE), batch_size=32, shuffle=False, verbose=False
        ):
            pass


def files() -> list[Path]:
    """Return the paths of all images."""
    return sorted(RAW.rglob("*.jpg"))


def main(name: str) -> float:
    """Run a program and return its seconds."""
    work: Callable[[], object]
    match name:
        case "verify" | "preprocess":
            work = importlib.import_module(f"anteojos.stages.{name}").main
        case "keras":
            global keras
            keras = importlib.import_module("keras")
            work = keras_reader
        case _:
            work = {"decode": decode, "plain_verify": plain_verify, "plain_preprocess": plain_preprocess}[name]
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


if __name__ == "__main__":
    name, folder, seconds = sys.argv[1:]
    os.chdir(folder)
    Path(seconds).write_text(repr(main(name)), encoding="utf-8")

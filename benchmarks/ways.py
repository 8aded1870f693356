"""The programs that benchmarks/prepare.py compares, each in a new process.

`python benchmarks/ways.py NAME FOLDER SECONDS` runs one of them on the images below FOLDER/data/raw, and writes its
seconds for each image, without imports, to the file SECONDS. The programs: our `verify`, `preprocess` and `predict`;
`plain_verify`, `plain_preprocess` and `plain_predict`, simple loops in one process; `detect`, the face detector alone,
on all cores.
"""

import csv
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
from ai_edge_litert.interpreter import Interpreter
from PIL import Image

from anteojos.images import detector, faces

RAW = Path("data/raw")
SIZE, HASHED = 160, 72  # px
different: list[Image.Image] = []  # decoded images, which forked processes share


def detect() -> None:
    """Detect the faces of as many images as there are, without decoding any."""
    count, cores = len(files()), len(os.sched_getaffinity(0))
    if cores == 1:
        for number in range(count):
            detect_one(number)
        return
    with multiprocessing.get_context("fork").Pool(cores) as pool:
        for _ in pool.imap_unordered(detect_one, range(count), chunksize=16):
            pass


def detect_one(number: int) -> int:
    """Count the faces of an image."""
    return len(detector.default()(different[number % len(different)], shows_face=True))


def plain_verify() -> None:
    """Write a table with size, mode, bytes, SHA-256, hash of the largest face and its eyes, for each image."""
    find = detector.default()
    with Path("plain.csv").open("w", encoding="utf-8", newline="") as table:
        rows = csv.writer(table)
        for file in files():
            data = file.read_bytes()
            with Image.open(io.BytesIO(data)) as image:
                rgb = image.convert("RGB")
            face = max(find(rgb, shows_face=True), key=lambda face: face.width, default=None)
            grey = (faces.align(rgb, face.eyes, HASHED) if face else rgb).convert("L")
            cells = np.asarray(grey.resize((9, 8), Image.Resampling.BOX))
            dhash = np.packbits(cells[:, :-1] < cells[:, 1:]).tobytes().hex()
            eyes = np.ravel(face.eyes).tolist() if face else [""] * 4
            sha256 = hashlib.sha256(data).hexdigest()
            rows.writerow([file.relative_to(RAW), *rgb.size, image.mode, len(data), sha256, dhash, *eyes])


def plain_preprocess() -> None:
    """Align the face of each image, with the eyes from the manifest, and write it to an array on disk."""
    with Path("data/manifest.csv").open(encoding="utf-8", newline="") as table:
        rows = list(csv.DictReader(table))
    array = np.lib.format.open_memmap("plain.npy", mode="w+", dtype=np.uint8, shape=(len(rows), SIZE, SIZE, 3))
    for number, row in enumerate(rows):
        with Image.open(RAW / row["file"]) as image:
            rgb = image.convert("RGB")
        if row["left_eye_x"]:
            left, right = ((float(row[f"{side}_eye_x"]), float(row[f"{side}_eye_y"])) for side in ("left", "right"))
            array[number] = np.asarray(faces.align(rgb, (left, right), SIZE))
        else:
            array[number] = np.asarray(rgb.resize((SIZE, SIZE), Image.Resampling.BILINEAR))
    array.flush()


def plain_predict() -> None:
    """Write the probability of each test image."""
    network = Interpreter(model_path="models/model.tflite")
    network.allocate_tensors()
    inputs, outputs = (details[0]["index"] for details in (network.get_input_details(), network.get_output_details()))
    with Path("plain_predictions.csv").open("w", encoding="utf-8", newline="") as table:
        rows = csv.writer(table)
        for image in np.load("data/processed/test/images.npy", mmap_mode="r"):
            network.set_tensor(inputs, image[np.newaxis])
            network.invoke()
            rows.writerow([network.get_tensor(outputs)[0, 0]])


def files() -> list[Path]:
    """Return the paths of all images."""
    return sorted(RAW.rglob("*.jpg"))


def main(name: str) -> float:
    """Run a program and return its seconds for each image; `predict` labels only the test images."""
    work: Callable[[], object]
    match name:
        case "verify" | "preprocess" | "predict":
            work = importlib.import_module(f"anteojos.stages.{name}").main
        case "detect":
            different[:] = [Image.open(file).convert("RGB") for file in files() if "-copy-" not in file.name]
            work = detect
        case _:
            work = {way.__name__: way for way in (plain_verify, plain_preprocess, plain_predict)}[name]
    start = time.perf_counter()
    work()
    seconds = time.perf_counter() - start
    return seconds / sum(file.is_relative_to(RAW / "test") or "predict" not in name for file in files())


if __name__ == "__main__":
    name, folder, seconds = sys.argv[1:]
    os.chdir(folder)
    Path(seconds).write_text(repr(main(name)), encoding="utf-8")

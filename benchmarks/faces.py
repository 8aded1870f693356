"""Time face detection: small images in several processes, and a photograph of 12 megapixels.

`python benchmarks/faces.py` writes the table in benchmarks/README.md.
"""

import io
import os
import statistics
import time

import numpy as np
from PIL import Image

import measure
from anteojos.images import decoding, detector
from anteojos.runtime import parallel
from anteojos.sources import drawing
from readme import BENCHMARKS, write_part

DIFFERENT = 64  # faces
LARGE = (4000, 3000)  # px, as a phone takes it


def main() -> None:
    """Draw the images, measure, and write the table."""
    options = measure.options(__doc__, images=2000, rounds=5)
    drawn = [drawing.draw_face(np.random.default_rng(seed), seed % 2 == 0, 160) for seed in range(DIFFERENT)]
    small = [encoded(face) for face in drawn]
    background = np.random.default_rng(0).integers(40, 220, (30, 40, 3), dtype=np.uint8)
    large = Image.fromarray(background).resize(LARGE, Image.Resampling.BICUBIC)
    for number in range(12):
        face = drawn[number].resize((300 + 40 * number,) * 2, Image.Resampling.BICUBIC)
        large.paste(face, (120 + number % 4 * 950, 60 + number // 4 * 950))
    photograph = encoded(large)

    rates, seconds, decoding_seconds = [], [], []
    find(photograph)
    for _ in range(options.rounds):
        start = time.perf_counter()
        work = (small[number % DIFFERENT] for number in range(options.images))
        found = sum(parallel.spread(same, find, work, total=options.images, description=""))
        rates.append(options.images / (time.perf_counter() - start))
        start = time.perf_counter()
        decoding.decode(photograph)
        decoding_seconds.append(time.perf_counter() - start)
        start = time.perf_counter()
        faces = find(photograph)
        seconds.append(time.perf_counter() - start)
    cores = len(os.sched_getaffinity(0))
    rows = [
        [
            f"images of 160 px, {cores} cores",
            f"{statistics.median(rates):,.0f} per second",
            "at least 150 per second",
            f"{found:,} faces in {options.images:,} images",
        ],
        [
            f"JPEG of {LARGE[0]} × {LARGE[1]} px",
            f"{statistics.median(seconds):.2f} s, of which decoding {statistics.median(decoding_seconds):.2f} s",
            "at most 0.2 s",
            f"{faces} of 12 faces",
        ],
    ]
    caption = f"Decoding, detection and eye positions; drawn faces. Median of {options.rounds} rounds."
    text = f"{measure.table(['faces found in', 'speed', 'goal', 'found'], rows)}\n\n{caption}"
    write_part("faces", "python benchmarks/faces.py", text, page=BENCHMARKS)


def encoded(image: Image.Image) -> bytes:
    """Return an image as JPEG."""
    file = io.BytesIO()
    image.save(file, "JPEG", quality=90)
    return file.getvalue()


def same(data: bytes) -> bytes:
    """Return `data`, which is already in memory."""
    return data


def find(data: bytes) -> int:
    """Decode an image and count its faces."""
    return len(detector.default()(decoding.decode(data).image))


if __name__ == "__main__":
    main()

"""Write the screenshots of the report and of the demo page, and the labelled image of README.

`python benchmarks/screenshots.py` opens report.html, which `make report` writes, in Chromium, and writes
docs/report.jpg (a wide window) and docs/report-phone.jpg (a phone in dark mode). It draws faces and labels them with
models/model.tflite: docs/labelled.jpg, and on the page of `anteojos serve` docs/page.jpg and docs/page-phone.jpg. Use
it only with a model and a report of drawn faces.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image
from playwright.sync_api import Page, sync_playwright

from anteojos.sources.drawing import draw_face

REPORT = Path("report.html")
# Width and height of the window (px), and the colour scheme.
SHOTS = {"report": (1280, 1600, "light"), "report-phone": (360, 800, "dark")}
PAGE_SHOTS = {"page": (900, 860, "light"), "page-phone": (360, 800, "dark")}

# Seeds of the faces in docs/labelled.jpg; those with an even seed have glasses.
FACES, SIDE = (312, 303, 322, 315, 320), 240


def main() -> None:
    """Write the images."""
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if not browser or not REPORT.exists():
        sys.exit("This needs Chromium (Debian and Ubuntu: apt install chromium) and report.html (make report).")
    with sync_playwright() as playwright:
        # Chromium's sandbox does not work for root.
        chromium = playwright.chromium.launch(executable_path=browser, chromium_sandbox=os.getuid() != 0)
        for name, (width, height, scheme) in SHOTS.items():
            page = chromium.new_page(viewport={"width": width, "height": height}, color_scheme=scheme)
            page.goto(REPORT.absolute().as_uri())
            save(page, name)
        command = [sys.executable, "-m", "anteojos", "serve", "--port", "0"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as service:
            assert service.stdout is not None
            address = service.stdout.readline().split()[-1]
            for name, (width, height, scheme) in PAGE_SHOTS.items():
                page = chromium.new_page(viewport={"width": width, "height": height}, color_scheme=scheme)
                page.goto(address)
                page.set_input_files("#files", {"name": "photo.png", "mimeType": "image/png", "buffer": photograph()})
                page.wait_for_selector(".frame")
                save(page, name)
            service.terminate()
        chromium.close()
    label_faces()


def save(page: Page, name: str) -> None:
    """Write a screenshot to docs/."""
    with Image.open(BytesIO(page.screenshot())) as image:
        image.convert("RGB").save(f"docs/{name}.jpg", quality=82)


def photograph() -> bytes:
    """Return a PNG of the first two faces, on a grey background."""
    image, encoded = Image.new("RGB", (3 * SIDE, round(1.5 * SIDE)), "lightgrey"), BytesIO()
    for number, face in enumerate(faces()[:2]):
        image.paste(face, (round((0.3 + 1.4 * number) * SIDE), round((0.1 + 0.3 * number) * SIDE)))
    image.save(encoded, "PNG")
    return encoded.getvalue()


def faces() -> list[Image.Image]:
    """Draw the faces."""
    return [draw_face(np.random.default_rng(seed), glasses=seed % 2 == 0, size=SIDE) for seed in FACES]


def label_faces() -> None:
    """Draw a row of faces and write a copy with labels to docs/labelled.jpg."""
    row = Image.new("RGB", (SIDE * len(FACES), SIDE))
    for number, face in enumerate(faces()):
        row.paste(face, (SIDE * number, 0))
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "labelled.jpg")
        row.save(file, quality=92)
        command = [sys.executable, "-m", "anteojos", "predict", file, "--annotate", "docs", "--quiet"]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


if __name__ == "__main__":
    main()

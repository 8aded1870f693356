"""Write the screenshots of the report page, and the labelled image of README.

`python benchmarks/screenshots.py` opens report.html, which `make report` writes, in Chromium, and writes
docs/report.jpg (a wide window) and docs/report-phone.jpg (a phone in dark mode). It draws faces and labels them with
models/model.tflite: docs/labelled.jpg. Use it only with a model and a report of drawn faces.
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
from playwright.sync_api import sync_playwright

from anteojos.sources.drawing import draw_face

PAGE = Path("report.html")
# Width and height of the window (px), and the colour scheme.
SHOTS = {"report": (1280, 1600, "light"), "report-phone": (360, 800, "dark")}

# Seeds of the faces in docs/labelled.jpg; those with an even seed have glasses.
FACES, SIDE = (312, 303, 322, 315, 320), 240


def main() -> None:
    """Write the images."""
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if not browser or not PAGE.exists():
        sys.exit("This needs Chromium (Debian and Ubuntu: apt install chromium) and report.html (make report).")
    with sync_playwright() as playwright:
        # Chromium's sandbox does not work for root.
        chromium = playwright.chromium.launch(executable_path=browser, chromium_sandbox=os.getuid() != 0)
        for name, (width, height, scheme) in SHOTS.items():
            page = chromium.new_page(viewport={"width": width, "height": height}, color_scheme=scheme)
            page.goto(PAGE.absolute().as_uri())
            with Image.open(BytesIO(page.screenshot())) as image:
                image.convert("RGB").save(f"docs/{name}.jpg", quality=82)
        chromium.close()
    label_faces()


def label_faces() -> None:
    """Draw a row of faces and write a copy with labels to docs/labelled.jpg."""
    row = Image.new("RGB", (SIDE * len(FACES), SIDE))
    for number, seed in enumerate(FACES):
        row.paste(draw_face(np.random.default_rng(seed), glasses=seed % 2 == 0, size=SIDE), (SIDE * number, 0))
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "labelled.jpg")
        row.save(file, quality=92)
        command = [sys.executable, "-m", "anteojos", "predict", file, "--annotate", "docs", "--quiet"]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


if __name__ == "__main__":
    main()

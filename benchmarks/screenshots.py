"""Write the screenshots of the report page in docs.

`python benchmarks/screenshots.py` opens report.html, which `make report` writes, in Chromium, and writes
docs/report.jpg (a wide window) and docs/report-phone.jpg (a phone in dark mode). Use it only with drawn faces.
"""

import os
import shutil
import sys
from io import BytesIO
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

PAGE = Path("report.html")
# Width and height of the window (px), and the colour scheme.
SHOTS = {"report": (1280, 1600, "light"), "report-phone": (360, 800, "dark")}


def main() -> None:
    """Write both screenshots."""
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


if __name__ == "__main__":
    main()

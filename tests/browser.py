"""Open pages in Chromium, as people see them."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserType, Page, sync_playwright


def launched(chromium: BrowserType, *arguments: str) -> Browser:
    """Start Chromium; skip the test if it is not installed."""
    path = shutil.which("chromium") or shutil.which("google-chrome")
    if not path:
        pytest.skip("Chromium is not installed; Debian and Ubuntu: apt install chromium")
    # Chromium's sandbox does not work for root.
    return chromium.launch(executable_path=path, chromium_sandbox=os.getuid() != 0, args=list(arguments))


# Not for the session: while Playwright runs, this thread has an event loop, and no other can be started.
@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright, launched(playwright.chromium) as browser:
        yield browser


def opened(browser: Browser, file: Path, width: int, scheme: str, said: list[str]) -> Page:
    """Open a file; add the messages of its console, and its requests for other files, to `said`."""
    # bypass_csp, because the page does not allow scripts such as axe-core.
    page = browser.new_context(
        viewport={"width": width, "height": 800}, color_scheme=scheme, bypass_csp=True, offline=True
    ).new_page()
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    address = file.absolute().as_uri()
    page.on("request", lambda request: request.url.startswith((address, "data:")) or said.append(request.url))
    page.goto(address)
    return page

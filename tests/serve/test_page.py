"""The demo page in Chromium, as people use it."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from PIL import Image
from playwright.sync_api import Browser, Page, expect

from tests.browser import chromium, launched
from tests.conftest import Photographs
from tests.serve.conftest import TOKEN, Server, serving

pytestmark = pytest.mark.slow
__all__ = ["chromium"]


@contextmanager
def opened(chromium: Browser, address: str, **options: Any) -> Iterator[tuple[Page, list[str]]]:
    """Open the page; yield it with what its console says and what it requests from elsewhere."""
    context = chromium.new_context(**{"locale": "en-GB", "viewport": {"width": 1280, "height": 800}} | options)
    page, said = context.new_page(), list[str]()
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    origin = "/".join(address.split("/", 3)[:3])
    page.on("request", lambda request: request.url.startswith((origin, "blob:", "data:")) or said.append(request.url))
    page.goto(address)
    yield page, said
    context.close()


def violations(page: Page) -> list[str]:
    return [rule["id"] for rule in Axe().run(page).response["violations"]]


@pytest.mark.parametrize("width", [360, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_photograph_gets_frames_and_labels(
    chromium: Browser, service: Server, photographs: Photographs, width: int, scheme: str
) -> None:
    options = {"viewport": {"width": width, "height": 800}, "color_scheme": scheme}
    # axe-core is a script that the policy of the page does not allow; another test has the policy in force.
    with opened(chromium, service.url, bypass_csp=True, **options) as (page, said):
        expect(page.get_by_role("heading", level=1)).to_have_text("Which class?")
        assert violations(page) == []
        page.set_input_files("#files", [photographs.two, photographs.none])
        expect(page.locator("article")).to_have_count(2)
        none, two = page.locator("article").all()
        expect(none).to_contain_text("no face found")
        expect(two.locator("li")).to_have_text([re.compile(r"^dunkel, \d+\.\d%"), re.compile(r"^hell, \d+\.\d%")])
        names = ("1. dunkel ", "2. hell ") if width > 640 else ("1", "2")
        # The frames are where the faces are, and say it in words too.
        rows = service.label(photographs.two).json()["labels"]
        shown = two.locator("img").bounding_box()
        assert shown
        for row, frame, name in zip(rows, two.locator(".frame").all(), names, strict=True):
            expect(frame).to_contain_text(name)
            box = frame.bounding_box()
            assert box
            scale = shown["width"] / 640
            assert box["x"] - shown["x"] == pytest.approx(row["box"][0] * scale, abs=1.5)
            assert box["y"] - shown["y"] == pytest.approx(row["box"][1] * scale, abs=1.5)
            assert box["width"] == pytest.approx((row["box"][2] - row["box"][0]) * scale, abs=1.5)
        styles = [each.evaluate("e => getComputedStyle(e).borderTopStyle") for each in two.locator(".frame").all()]
        assert styles == ["dashed", "solid"]
        # A screen reader reads the result.
        expect(page.get_by_role("status")).to_contain_text("none.png: no face found")
        assert violations(page) == []
        assert page.evaluate("document.scrollingElement.scrollWidth") == width
        assert said == []


def test_page_obeys_its_policy_and_stores_nothing(chromium: Browser, service: Server, photographs: Photographs) -> None:
    with opened(chromium, service.url) as (page, said):
        page.set_input_files("#files", photographs.two)
        expect(page.locator(".frame")).to_have_count(2)
        assert said == []
        assert page.evaluate("document.cookie + JSON.stringify(localStorage)") == "{}"
        # Neither another script nor a request to elsewhere would be allowed.
        page.evaluate("document.head.append(Object.assign(document.createElement('script'), {text: 'window.x = 1'}))")
        assert page.evaluate("window.x") is None
        assert (
            page.evaluate("fetch('http://127.0.0.1:1/').catch(error => String(error))") == "TypeError: Failed to fetch"
        )
        assert sum("Content Security Policy" in text for text in said) >= 2


def test_spanish_browsers_get_spanish(chromium: Browser, service: Server, photographs: Photographs) -> None:
    with opened(chromium, service.url, locale="es-MX") as (page, said):
        expect(page.get_by_text("Elegir fotografías")).to_be_visible()
        assert page.evaluate("document.documentElement.lang") == "es"
        page.set_input_files("#files", [photographs.none, photographs.small])
        expect(page.locator("article").nth(1)).to_contain_text("no se encontró ninguna cara")
        expect(page.locator("article li")).to_contain_text("cara pequeña")
        assert said == []


def test_texts_are_complete_in_both_languages(chromium: Browser, service: Server) -> None:
    with opened(chromium, service.url) as (page, _):
        english, spanish = page.evaluate("[TEXTS.en, TEXTS.es].map(texts => Object.keys(texts).sort())")
        assert english == spanish
        assert page.evaluate("[...document.querySelectorAll('[data-text]')].every(each => TEXTS.en[each.dataset.text])")


def test_everything_works_with_the_keyboard(chromium: Browser, service: Server, photographs: Photographs) -> None:
    with opened(chromium, service.url) as (page, _):
        expect(page.locator("#model")).not_to_be_empty()
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.id") == "files"
        outline = "getComputedStyle(document.querySelector('#files + .button')).outlineStyle"
        assert page.evaluate(outline) == "solid"
        with page.expect_file_chooser() as chooser:
            page.keyboard.press("Space")
        chooser.value.set_files(photographs.two)
        expect(page.locator(".frame")).to_have_count(2)
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.id") == "start"


def test_dropped_file_is_labelled(chromium: Browser, service: Server, photographs: Photographs) -> None:
    with opened(chromium, service.url) as (page, _):
        expect(page.locator("#model")).not_to_be_empty()
        data = list(photographs.two.read_bytes())
        dropped = page.evaluate_handle(
            "data => { const t = new DataTransfer(); t.items.add(new File([new Uint8Array(data)], 'a.png',"
            " {type: 'image/png'})); return t; }",
            data,
        )
        page.dispatch_event("#drop", "drop", {"dataTransfer": dropped})
        expect(page.locator(".frame")).to_have_count(2)


def test_file_that_is_no_image_is_explained(chromium: Browser, service: Server, tmp_path: Path) -> None:
    (tmp_path / "notes.jpg").write_text("<b>no image</b>")
    with opened(chromium, service.url) as (page, _):
        expect(page.locator("#model")).not_to_be_empty()
        page.set_input_files("#files", tmp_path / "notes.jpg")
        expect(page.locator("article")).to_contain_text("this image could not be read (not an image (15 bytes))")
        expect(page.locator("article img")).to_have_count(0)


def test_token_is_asked_for_or_taken_from_the_address(
    chromium: Browser, face_model: Path, photographs: Photographs
) -> None:
    with serving(face_model, ANTEOJOS_TOKEN=TOKEN) as server:
        with opened(chromium, server.url, bypass_csp=True) as (page, _):
            expect(page.get_by_label("Token of this service")).to_be_visible()
            expect(page.locator("#drop")).not_to_be_visible()
            assert violations(page) == []
            for token, answer in (("wrong", "The token is not correct."), (TOKEN, "")):
                page.get_by_label("Token of this service").fill(token)
                page.get_by_role("button", name="Send").click()
                expect(page.get_by_role("alert")).to_have_text(answer)
            page.set_input_files("#files", photographs.two)
            expect(page.locator(".frame")).to_have_count(2)
        with opened(chromium, f"{server.url}#token={TOKEN}") as (page, said):
            page.set_input_files("#files", photographs.two)
            expect(page.locator(".frame")).to_have_count(2)
            assert (page.url, said) == (server.url, [])  # the token is not left in the address


def test_photograph_of_the_camera_is_labelled(
    chromium: Browser, service: Server, photographs: Photographs, tmp_path: Path
) -> None:
    film = tmp_path / "film.mjpeg"
    with Image.open(photographs.two) as image:
        image.convert("RGB").save(tmp_path / "two.jpg", quality=95)
    film.write_bytes((tmp_path / "two.jpg").read_bytes() * 10)  # frames of a motion JPEG
    arguments = [
        "--use-fake-ui-for-media-stream",
        "--use-fake-device-for-media-stream",
        f"--use-file-for-fake-video-capture={film}",
    ]
    with (
        launched(chromium.browser_type, *arguments) as other,
        opened(other, service.url, bypass_csp=True) as (page, said),
    ):
        page.get_by_role("button", name="Use the camera").click()
        page.wait_for_function("document.querySelector('video').videoWidth > 0")
        assert page.evaluate("document.activeElement.id") == "take"
        assert violations(page) == []
        page.wait_for_timeout(500)
        page.keyboard.press("Enter")
        expect(page.locator("article li")).to_have_text([re.compile("^dunkel"), re.compile("^hell")])
        expect(page.get_by_role("status")).to_contain_text("photograph: 2 faces")
        page.get_by_role("button", name="Close the camera").click()
        assert page.evaluate("document.querySelector('video').srcObject") is None
        assert page.evaluate("document.activeElement.id") == "start"
        assert said == []


def test_denied_camera_is_explained(chromium: Browser, service: Server) -> None:
    with opened(chromium, service.url) as (page, _):
        page.get_by_role("button", name="Use the camera").click()
        expect(page.get_by_role("alert")).to_contain_text("The camera cannot be used.")


def test_stopped_service_is_explained(chromium: Browser, face_model: Path, photographs: Photographs) -> None:
    with serving(face_model) as server, opened(chromium, server.url) as (page, _):
        expect(page.locator("#model")).not_to_be_empty()
        server.process.terminate()
        server.process.wait(30)
        page.set_input_files("#files", photographs.two)
        expect(page.get_by_role("alert")).to_contain_text("The service does not answer.")

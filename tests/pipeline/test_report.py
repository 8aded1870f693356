"""The report is one accessible HTML page with the results of the pipeline."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
import yaml
from axe_playwright_python.sync_playwright import Axe
from PIL import Image
from playwright.sync_api import Browser

from tests.browser import chromium, opened
from tests.project import Project

pytestmark = pytest.mark.pipeline
__all__ = ["chromium"]


@pytest.fixture(scope="module")
def page(small_project: Project, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("report") / "report.html"
    small_project.must("anteojos", "report", "--output", str(path))
    return path


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
def test_page_is_accessible_on_each_screen(chromium: Browser, page: Path, width: int, scheme: str) -> None:
    messages: list[str] = []
    shown = opened(chromium, page, width, scheme, messages)
    assert messages == []
    images = shown.evaluate("[...document.images].map(image => [image.naturalWidth, image.alt.length])")
    assert len(images) == 4 + 5 + 4
    assert all(across > 0 and described > 5 for across, described in images)
    assert shown.evaluate("document.scrollingElement.scrollWidth") == width
    # inner_text returns the visible text only.
    text = shown.inner_text("body")
    for heading in ("Data", "Can the label be predicted", "Scores", "Test set", "Environment"):
        assert heading in text
    found = Axe().run(shown).response
    assert len(found["passes"]) > 20
    assert [(rule["id"], rule["nodes"][0]["html"]) for rule in found["violations"]] == []
    paper = shown.evaluate("getComputedStyle(document.body).backgroundColor")
    assert paper == ("rgb(255, 255, 255)" if scheme == "light" else "rgb(13, 17, 23)")
    shown.emulate_media(media="print")
    assert shown.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert not shown.is_visible("nav")
    shown.context.close()


def test_page_uses_no_script_and_no_network(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert "default-src 'none'; img-src data:; style-src 'unsafe-inline'" in text
    assert "<script" not in text
    assert re.findall(r"(?:src|href)=\"(?!data:|#)[^\"]*", text) == []


def test_figures_are_those_of_the_metrics(small_project: Project, page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    evaluate = json.loads((small_project.path / "metrics/evaluate.json").read_text())
    for of in evaluate.values():
        cells = f"<td>{of['n']}</td><td>{of['accuracy']:.3f}</td><td>{of['accuracy_low']:.3f} to"
        assert cells in text
    assert f"has an accuracy of {evaluate['validate']['accuracy']:.3f} on 8 validation images" in text
    assert "Not up to date" not in text
    assert text.count("✓ correct") + text.count("✗ is") == 4
    assert text.count("✗ is") == round(4 * (1 - evaluate["test"]["accuracy"]))


def test_same_outputs_give_the_same_bytes(project: Project, page: Path) -> None:
    project.must("anteojos", "report")
    assert (project.path / "report.html").read_bytes() == page.read_bytes()
    assert str(project.path).encode() not in page.read_bytes()


def test_class_names_are_escaped(project: Project) -> None:
    hostile = "<img src=x onerror=alert(1)>"
    params = project.path / "params.yaml"
    values = yaml.safe_load(params.read_text())
    values["dataset"]["classes"][0]["name"] = hostile
    params.write_text(yaml.safe_dump(values))
    project.must("anteojos", "report")
    text = (project.path / "report.html").read_text(encoding="utf-8")
    assert hostile not in text
    assert "&lt;img src=x onerror=alert(1)&gt;" in text
    # The stages write the names of the classes on images.
    assert "<strong>Not up to date.</strong>" in text
    assert re.search(r"were written:\s+[\w, ]*preprocess", text)


def test_parameters_and_metrics_are_compared_with_a_branch(project: Project) -> None:
    project.must("git", "checkout", "--quiet", "-b", "stricter")
    project.set("predict.threshold", 0.0)
    project.repro()
    project.must("make", "--old-file", ".venv/installed", "report", "AGAINST=main")
    text = (project.path / "report.html").read_text(encoding="utf-8")
    row = r'<tr class="differs"><th scope="row"><code>{}</code></th><td>{}</td><td>{}</td><td>{}</td></tr>'
    assert re.search(row.format("predict.threshold", r"0\.000", r"0\.500", r"-0\.5"), text)
    assert re.search(row.format(r"predict\.predicted\.glasses", "4", r"\d", r"\+\d"), text)
    assert "compared with main" in text
    done = project.run("anteojos", "report", "--against", "mian")
    assert done.returncode == 1
    assert "--against mian: no such commit" in done.stderr


def test_missing_outputs_are_named(project: Project) -> None:
    (project.path / "metrics/details/evaluate.json").unlink()
    (project.path / "data/predictions.csv").unlink()
    (project.path / "report.html").write_text("before")
    done = project.run("anteojos", "report")
    assert done.returncode == 1
    assert "  metrics/details/evaluate.json\n  data/predictions.csv\nRun `make repro`" in done.stderr
    assert (project.path / "report.html").read_text() == "before"


def test_screenshots_of_the_docs_are_taken(chromium: Browser, project: Project) -> None:
    project.must("anteojos", "report")
    for name, size in (("report", (1280, 1600)), ("report-phone", (360, 800))):
        (project.path / f"docs/{name}.jpg").unlink()
        project.must("python", "benchmarks/screenshots.py")
        with Image.open(project.path / f"docs/{name}.jpg") as image:
            assert image.size == size
            # One is in light mode, the other in dark mode.
            assert (np.asarray(image.convert("L")).mean() > 128) == (name == "report")


def test_metric_that_cannot_be_compared_is_named(project: Project) -> None:
    path = project.path / "metrics/evaluate.json"
    path.write_text(re.sub(r'"accuracy": [\d.]+', '"accuracy": NaN', path.read_text(), count=1))
    failed = project.run("anteojos", "report", PYTHONPATH="src")
    assert failed.returncode != 0
    assert "metrics/evaluate.json: metrics that cannot be compared\n  validate.accuracy: found nan" in failed.stderr

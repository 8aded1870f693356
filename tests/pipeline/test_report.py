"""The report is one accessible HTML page with the results of the pipeline."""

import base64
import json
import re
from pathlib import Path

import numpy as np
import pytest
import yaml
from axe_playwright_python.sync_playwright import Axe
from PIL import Image
from playwright.sync_api import Browser

from anteojos.team.report import SHEETS
from anteojos.team.report.images import cells
from tests.browser import chromium, opened
from tests.project import Project

pytestmark = pytest.mark.pipeline
__all__ = ["chromium"]


# Cells with a number that the page shows on more than one line.
BROKEN_NUMBERS = """
[...document.querySelectorAll('td:not(:has(code))')].filter(cell => {
    const range = document.createRange();
    range.selectNodeContents(cell);
    return /^[-+0-9.]{1,6}$/.test(cell.innerText) && range.getClientRects().length > 1;
}).map(cell => cell.parentElement.innerText)
"""


@pytest.fixture(scope="module")
def page(small_project: Project, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("report") / "report.html"
    small_project.must("anteojos", "report", "--output", str(path))
    return path


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
def test_page_is_accessible_on_each_screen(
    chromium: Browser, small_project: Project, page: Path, width: int, scheme: str
) -> None:
    messages: list[str] = []
    shown = opened(chromium, page, width, scheme, messages)
    assert messages == []
    shown.evaluate("document.querySelectorAll('details').forEach(details => details.open = true)")
    images = shown.evaluate("[...document.images].map(image => [image.naturalWidth, image.alt.length])")
    sheets = [cells(small_project.path / f"metrics/plots/{name}.png") for name in SHEETS]
    assert len(images) == sum(map(len, sheets)) + 4 + 4  # charts, test images
    assert all(across > 0 and described > 5 for across, described in images)
    # Nothing is cut off, beside its column or too small.
    assert shown.evaluate("document.scrollingElement.scrollWidth") == width
    wide = "[...document.querySelectorAll('.scroll')].filter(part => part.scrollWidth > part.clientWidth)"
    assert shown.evaluate(f"{wide}.map(part => part.innerText)") == []
    assert shown.evaluate(BROKEN_NUMBERS) == []
    sizes = "[...document.querySelectorAll('figcaption, td, th')].map(part => getComputedStyle(part).fontSize)"
    assert min(float(size.removesuffix("px")) for size in shown.evaluate(sizes)) >= 14
    of_charts = shown.evaluate("[...document.querySelectorAll('.chart img')].map(image => image.clientWidth)")
    assert min(of_charts) > (300 if width == 360 else 500)
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


@pytest.mark.parametrize("width", [360, 1280])
def test_images_are_enlarged_and_closed_with_the_keyboard(chromium: Browser, page: Path, width: int) -> None:
    shown = opened(chromium, page, width, "dark", [])
    for link in ("#sample-2 .zoom", "#accuracy .zoom"):
        before = shown.evaluate("name => document.querySelector(name).clientWidth", link)
        shown.focus(link)
        shown.keyboard.press("Enter")
        enlarged = shown.evaluate("document.querySelector(':target img').clientWidth")
        assert enlarged > 1.3 * before or enlarged > 0.9 * width
        assert shown.evaluate("getComputedStyle(document.querySelector(':target')).position") == "fixed"
        assert [rule["id"] for rule in Axe().run(shown).response["violations"]] == []
        shown.keyboard.press("Tab")
        assert shown.evaluate("document.activeElement.innerText") == "Close"
        shown.keyboard.press("Enter")
        assert shown.evaluate("document.querySelector('figure:target')") is None
        assert shown.evaluate("name => document.querySelector(name).clientWidth", link) == before
    shown.context.close()


def test_long_lists_are_collapsed(chromium: Browser, project: Project) -> None:
    code = "from pathlib import Path; from anteojos.team import report as r; r.OPEN = 3; r.write(Path('report.html'))"
    project.must("python", "-c", code)
    shown = opened(chromium, project.path / "report.html", 360, "light", [])
    assert shown.is_visible("#sample-3")
    assert not shown.is_visible("#sample-4")
    shown.get_by_text(re.compile(r"^\d+ more training images$")).click()
    assert shown.is_visible("#sample-4")
    for name in ("evaluate.validate.loss", "train.epochs", "tensorflow-cpu"):
        assert not shown.get_by_text(name, exact=True).first.is_visible()
    shown.get_by_text(re.compile(r"^\d+ metrics$")).click()
    assert shown.get_by_text("evaluate.validate.loss", exact=True).is_visible()
    shown.context.close()


def test_lines_of_charts_have_names_and_colours(page: Path) -> None:
    found = re.findall(r'src="data:image/svg\+xml;base64,([^"]+)"', page.read_text(encoding="utf-8"))
    accuracy, loss, roc, calibration = (base64.b64decode(svg).decode() for svg in found)
    for svg, names in (
        (accuracy, ("train", "validate", "always the larger class")),
        (loss, ("train", "validate")),
        (roc, ("network", "chance")),
        (calibration, ("observed (95 % interval)", "perfect")),
    ):
        assert [name for name in re.findall(r"<text[^>]*>([^<]*)</text>", svg) if name in names] == list(names)
        colours = re.findall(r'aria-roledescription="line mark"[^>]*stroke="(#\w+)"', svg)
        assert len(set(colours)) == len(names)


def test_page_uses_no_script_and_no_network(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert "default-src 'none'; img-src data:; style-src 'unsafe-inline'" in text
    assert "<script" not in text
    assert re.findall(r"(?:src|href)=\"(?!data:|#)[^\"]*", text) == []


def test_figures_are_those_of_the_metrics(small_project: Project, page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    evaluate = json.loads((small_project.path / "metrics/evaluate.json").read_text())
    for key, name in (("accuracy", "accuracy"), ("majority_accuracy", "always the larger class")):
        figures = "".join(f"<td>{of[key]:.3f}</td>" for of in evaluate.values())
        assert f'<th scope="row">{name}</th>{figures}' in text
    for of in evaluate.values():
        tile = f"<strong>{of['accuracy']:.3f}</strong>\n<span>always the larger class: {of['majority_accuracy']:.3f}"
        assert tile in text
    assert "Not up to date" not in text
    captions = text.count("<span>✓ correct</span>"), text.count("<span>✗ wrong, is ")
    wrong = round(4 * (1 - evaluate["test"]["accuracy"]))
    assert captions == (4 - wrong, wrong)
    assert f"Confusion matrix of test: {wrong} of 4 labels are wrong" in text
    counts = re.findall(r'<td class="(right|wrong|)">(\d)</td>', text.partition("Confusion matrix of test")[2])[:4]
    assert sum(int(count) for kind, count in counts if kind == "right") == 4 - wrong
    assert sum(int(count) for _, count in counts) == 4


def test_page_names_its_commit_and_command(project: Project) -> None:
    commit, date = project.must("git", "log", "-1", "--format=%h %cs").split()
    project.must("anteojos", "report", "--against", "HEAD~1")
    text = (project.path / "report.html").read_text(encoding="utf-8")
    assert f"Commit {commit} of {date}.\n" in text
    assert f"<code>git checkout {commit} &amp;&amp; dvc pull &amp;&amp; anteojos report --against HEAD~1</code>" in text
    (project.path / "README.md").write_text("changed")
    project.must("anteojos", "report")
    assert f"Commit {commit} of {date}, with 1 changed file since then.\n" in (project.path / "report.html").read_text()


def test_report_from_a_subfolder(project: Project, page: Path) -> None:
    (project.path / "docs/deep").mkdir()
    below = Project(project.path / "docs/deep", project.environment)
    assert below.must("anteojos", "report") == "Wrote ../../report.html.\n"
    assert below.must("anteojos", "report", "--output", "here.html") == "Wrote here.html.\n"
    assert (project.path / "report.html").read_bytes() == page.read_bytes()
    assert (below.path / "here.html").read_bytes() == page.read_bytes()


def test_sheet_of_an_older_version_is_reported(project: Project) -> None:
    sheet = project.path / "metrics/plots/leak.png"
    Image.open(sheet).convert("RGB").save(sheet)
    done = project.run("anteojos", "report")
    assert done.returncode == 1
    assert (
        "metrics/plots/leak.png: has no captions; it was written by an older version\nRun `make repro`" in done.stderr
    )


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
    text = text.replace("<wbr>", "")
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


SHOTS = {"report": (1280, 1600), "report-phone": (360, 800), "page": (900, 860), "page-phone": (360, 800)}


def test_screenshots_of_the_docs_are_taken(chromium: Browser, project: Project) -> None:
    project.must("anteojos", "report")
    for name in SHOTS:
        (project.path / f"docs/{name}.jpg").unlink()
    project.must("python", "benchmarks/screenshots.py")
    for name, size in SHOTS.items():
        with Image.open(project.path / f"docs/{name}.jpg") as image:
            assert image.size == size
            # Those of a phone are in dark mode.
            assert (np.asarray(image.convert("L")).mean() > 128) == ("phone" not in name)


def test_metric_that_cannot_be_compared_is_named(project: Project) -> None:
    path = project.path / "metrics/evaluate.json"
    path.write_text(re.sub(r'"accuracy": [\d.]+', '"accuracy": NaN', path.read_text(), count=1))
    failed = project.run("anteojos", "report", PYTHONPATH="src")
    assert failed.returncode != 0
    assert "metrics/evaluate.json: metrics that cannot be compared\n  validate.accuracy: found nan" in failed.stderr

"""What README and docs tell people to type works as it stands there, and says what they say it does."""

import json
import os
import re
import shutil
import sys
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from zipfile import ZipFile

import pytest
import yaml

from tests.conftest import ROOT
from tests.kaggle_server import HANDLE, kaggle_server
from tests.pages import PAGES, Step, leads_somewhere, links, not_said, steps
from tests.pipeline.test_other_classes import draw_masks
from tests.project import Project
from tests.runtime.cluster.conftest import Dask, until

pytestmark = pytest.mark.pipeline

# What is run by other tests, and would take minutes here, or never end.
ELSEWHERE = {
    "make test": "these tests",
    "make lint": ".ci/run",
    "make check-reproduced": "tests/pipeline/test_reproduced.py",
    "dask scheduler": "below, as a cluster of the tests",
    "dask worker": "below, as a cluster of the tests",
    "TF_CONFIG=": "tests/pipeline/test_machines.py, on two machines at once",
    "make bench": "tests/test_benchmarks.py",
    "uv pip compile": "no test: it needs the index, and changes the lock",
}
# What is measured on images that are not part of the repository, and everything that takes the same targets.
MEASURED = "ARCHIVE="
KAGGLE = re.compile(r"[\w-]+/[\w-]+/versions/\d+")


@pytest.fixture(scope="session")
def shared_cache(small_project: Project, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A DVC cache that the checkouts of all pages share: what one page has trained, another gets from it."""
    cache = tmp_path_factory.mktemp("pages") / "cache"
    shutil.copytree(small_project.path / ".dvc/cache", cache)
    return cache


@pytest.fixture
def checkout(project: Project, shared_cache: Path) -> Project:
    """A small project that has run, with what the pages speak of: an environment, images, a folder of them."""
    shutil.rmtree(project.path / ".dvc/cache")
    (project.path / ".dvc/cache").symlink_to(shared_cache)
    (project.path / ".venv").symlink_to(sys.prefix)
    shutil.copy(next((project.path / "data/raw/test").iterdir()), project.path / "photo.jpg")
    shutil.copytree(project.path / "data/raw/validate", project.path / "holidays")
    return project


def run_page(page: Path, checkout: Project, **stands_for: str) -> None:
    """Do what a page says, in its order; `stands_for` has what its words stand for here."""
    words = {"s3://bucket/anteojos": "'../the bucket'", **stands_for}
    for step in steps(page):
        text = step.text
        for word, other in words.items():
            text = text.replace(word, other)
        said = do(Step(step.kind, text, step.output), checkout)
        if step.kind == "python" and step.output:
            # What Python computes is the same everywhere, figures and all.
            assert said.splitlines() == list(step.output), page.name
        assert not_said(step.output, said) == [], f"{page.name}: {step.text}\n{said}"


def do(step: Step, checkout: Project) -> str:
    """Do a step and give what it said."""
    if step.kind == "params":
        write_params(checkout, step.text)
        return ""
    if step.kind == "python":
        return checkout.must("python", "-c", step.text, PYTHONPATH="src")
    if step.text.startswith(tuple(ELSEWHERE)) or MEASURED in step.text:
        return "\n".join(step.output)
    # The environment beside the checkout is not installed anew.
    command = re.sub(r"^make ", "make --old-file .venv/installed ", step.text)
    done = checkout.run("bash", "-c", f"{command} 2>&1", PYTHONPATH="src", COLUMNS="200")
    assert done.returncode == 0, f"{step.text}\n{done.stdout}"
    return done.stdout


def write_params(checkout: Project, text: str) -> None:
    """Write what a page shows of params.yaml."""
    for section, values in yaml.safe_load(text).items():
        for key, value in values.items():
            checkout.set(f"{section}.{key}", value)


OTHERS = ("tutorial.md", "kaggle.md", "cluster.md", "own-data.md")  # which take more than a checkout, below
ALONE = [page for page in PAGES if page.name not in OTHERS and steps(page)]


@pytest.mark.parametrize("page", ALONE, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_command_and_snippet_of_a_page_does_what_it_says(page: Path, checkout: Project) -> None:
    run_page(page, checkout)
    if page.name == "remote-storage.md":
        assert list((checkout.path.parent / "the bucket").rglob("*.dir"))


@pytest.mark.timeout(900)  # it trains three networks
def test_the_tutorial_says_what_its_reader_gets(project: Project) -> None:
    (project.path / ".venv").symlink_to(sys.prefix)
    # As many epochs as the reader has, so that something is learned; and a cache of its own, as the reader's.
    project.set("train.epochs", None)
    run_page(ROOT / "docs/tutorial.md", project)
    assert yaml.safe_load((project.path / "params.yaml").read_text())["train"]["network"] == "edge"


def test_the_figures_of_the_tutorial_are_those_of_the_committed_run() -> None:
    text = " ".join((ROOT / "docs/tutorial.md").read_text(encoding="utf-8").split())
    score = json.loads((ROOT / "metrics/evaluate.json").read_text())["validate"]
    low, high = score["accuracy_low"], score["accuracy_high"]
    said = f"on `validate` it scores {score['accuracy']:.3f}, with a 95 % interval of {low:.2f} to {high:.2f}"
    assert said in text


def test_own_images_with_other_classes_take_what_the_page_says(checkout: Project) -> None:
    page = ROOT / "docs/how-to/own-data.md"
    expected = next(values for step in steps(page) if (values := counts_in(step)))
    draw_masks(checkout.path.parent / "faces", {split: counts["mask"] for split, counts in expected.items()})
    run_page(page, checkout)
    assert (checkout.path / "models/README.md").read_text().startswith("# con barbijo or sin barbijo\n")


def counts_in(step: Step) -> dict[str, dict[str, int]]:
    """Return the counts by split and class that a step writes into params.yaml, if it does."""
    return yaml.safe_load(step.text).get("dataset", {}).get("expected", {}) if step.kind == "params" else {}


@pytest.fixture
def images_at_kaggle(checkout: Project) -> Iterator[Project]:
    """A checkout for which the images that it has lie at Kaggle."""
    packed = BytesIO()
    raw = checkout.path / "data/raw"
    with ZipFile(packed, "w") as archive:
        for file in sorted(file for file in raw.rglob("*") if file.is_file()):
            archive.write(file, file.relative_to(raw))
    with kaggle_server() as server:
        server.archive = packed.getvalue()
        home = checkout.path.parent / "home"
        home.mkdir()
        kaggle = {"KAGGLE_API_ENVIRONMENT": "TEST", "KAGGLEHUB_CACHE": str(home / "cache"), "HOME": str(home)}
        yield Project(checkout.path, kaggle)


def test_the_page_about_kaggle_works_against_a_server_that_answers_as_it_does(images_at_kaggle: Project) -> None:
    page = ROOT / "docs/how-to/kaggle.md"
    [handle] = set(KAGGLE.findall(page.read_text(encoding="utf-8")))
    run_page(page, images_at_kaggle, **{handle: HANDLE})
    lock = yaml.safe_load((images_at_kaggle.path / "dvc.lock").read_text())
    assert lock["stages"]["fetch"]["params"]["params.yaml"]["dataset.source"] == "kaggle"


def test_the_page_about_clusters_works_on_one(checkout: Project, tmp_path: Path) -> None:
    dask = Dask(tmp_path / "dask")
    try:
        dask.add_worker()
        # Something to do for it.
        checkout.set("preprocess.size", 64)
        run_page(ROOT / "docs/how-to/cluster.md", checkout, **{"tcp://scheduler-host:8786": dask.address})
        until(lambda: dask.batches() > 0, dask.scheduler)
    finally:
        dask.close()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_of_a_page_leads_somewhere(page: Path) -> None:
    assert [link for link in links(page) if not leads_somewhere(page, link)] == []


def test_every_page_of_the_docs_is_linked_from_their_index_and_the_index_from_readme() -> None:
    docs = ROOT / "docs"
    linked = {(docs / link.partition("#")[0]).resolve() for link in links(docs / "index.md")}
    assert set(docs.glob("**/*.md")) - linked - {docs / "index.md"} == set()
    assert "docs/index.md" in links(ROOT / "README.md")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_target_and_module_that_a_page_names_exists(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    targets = re.findall(r"^([\w-]+):.*##", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    assert [target for target in re.findall(r"`make ([\w-]+)", text) if target not in targets] == []
    modules = re.findall(r"-m anteojos\.([\w.]+)", text)
    files = [ROOT / "src/anteojos" / f"{module.replace('.', os.sep)}.py" for module in modules]
    assert [file for file in files if not (file.exists() or file.with_name("X.py") == file)] == []

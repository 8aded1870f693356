"""The commands and code of README and docs work, and print what the pages show."""

import json
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
from tests.pages import PAGES, Step, link_exists, links, missing_lines, steps
from tests.pipeline.test_other_classes import draw_masks
from tests.project import Project
from tests.runtime.cluster.conftest import Dask, until

pytestmark = pytest.mark.pipeline

# Commands that other tests run, because they take minutes or never end.
ELSEWHERE = {
    "make test": "these tests",
    "make lint": ".ci/run",
    "make check-reproduced": "tests/pipeline/test_reproduced.py",
    "dask scheduler": "below, on the cluster of the tests",
    "dask worker": "below, on the cluster of the tests",
    "TF_CONFIG=": "tests/pipeline/test_machines.py",
    "make bench": "tests/test_benchmarks.py",
    "uv pip compile": "no test: it needs the package index and changes the lock",
}
# Measurements on images that are not in the repository.
MEASURED = "ARCHIVE="
KAGGLE = re.compile(r"[\w-]+/[\w-]+/versions/\d+")


@pytest.fixture(scope="session")
def shared_cache(small_project: Project, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A DVC cache for all pages, so that the same network is trained only once."""
    cache = tmp_path_factory.mktemp("pages") / "cache"
    shutil.copytree(small_project.path / ".dvc/cache", cache)
    return cache


@pytest.fixture
def checkout(project: Project, shared_cache: Path) -> Project:
    """A small project that has run, with the files that the pages use: .venv, photo.jpg and holidays/."""
    shutil.rmtree(project.path / ".dvc/cache")
    (project.path / ".dvc/cache").symlink_to(shared_cache)
    (project.path / ".venv").symlink_to(sys.prefix)
    shutil.copy(next((project.path / "data/raw/test").iterdir()), project.path / "photo.jpg")
    shutil.copytree(project.path / "data/raw/validate", project.path / "holidays")
    return project


def run_page(page: Path, checkout: Project, **replaced: str) -> None:
    """Run all steps of a page in order, with the words in `replaced` replaced."""
    words = {"s3://bucket/anteojos": "'../the bucket'", **replaced}
    for step in steps(page):
        text = step.text
        for word, other in words.items():
            text = text.replace(word, other)
        output = do(Step(step.kind, text, step.output), checkout)
        if step.kind == "python" and step.output:
            # Numbers are the same on each machine.
            assert output.splitlines() == list(step.output), page.name
        assert missing_lines(step.output, output) == [], f"{page.name}: {step.text}\n{output}"


def do(step: Step, checkout: Project) -> str:
    """Run a step. Return its output."""
    if step.kind == "params":
        write_params(checkout, step.text)
        return ""
    if step.kind == "python":
        return checkout.must("python", "-c", step.text, PYTHONPATH="src")
    if step.text.startswith(tuple(ELSEWHERE)) or MEASURED in step.text:
        return "\n".join(step.output)
    # Do not install the environment again.
    command = re.sub(r"^make ", "make --old-file .venv/installed ", step.text)
    done = checkout.run("bash", "-c", f"{command} 2>&1", PYTHONPATH="src", COLUMNS="200")
    assert done.returncode == 0, f"{step.text}\n{done.stdout}"
    return done.stdout


def write_params(checkout: Project, text: str) -> None:
    """Set the parameters that a page shows."""
    for section, values in yaml.safe_load(text).items():
        for key, value in values.items():
            checkout.set(f"{section}.{key}", value)


OTHERS = ("tutorial.md", "kaggle.md", "cluster.md", "own-data.md")  # tested below, with more than a checkout
OTHERS += ("serve.md",)  # tests/serve/test_docs.py
ALONE = [page for page in PAGES if page.name not in OTHERS and steps(page)]


@pytest.mark.parametrize("page", ALONE, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_and_code_of_page_work(page: Path, checkout: Project) -> None:
    run_page(page, checkout)
    if page.name == "remote-storage.md":
        assert list((checkout.path.parent / "the bucket").rglob("*.dir"))


@pytest.mark.timeout(900)  # it trains three networks
def test_tutorial_shows_real_output(project: Project) -> None:
    (project.path / ".venv").symlink_to(sys.prefix)
    run_page(ROOT / "docs/tutorial.md", project)
    assert yaml.safe_load((project.path / "params.yaml").read_text())["train"]["network"] == "edge"


def test_tutorial_and_readme_have_the_committed_figures() -> None:
    tutorial, readme = (
        " ".join((ROOT / page).read_text(encoding="utf-8").split()) for page in ("docs/tutorial.md", "README.md")
    )
    scores = json.loads((ROOT / "metrics/evaluate.json").read_text())
    for split, score in scores.items():
        n, accuracy, low, high = (score[key] for key in ("n", "accuracy", "accuracy_low", "accuracy_high"))
        interval = f"accuracy {accuracy:.3f} (95 % interval {low:.3f} to {high:.3f})"
        assert f"{split}: {round(n * accuracy)} of {n} labels are correct, {interval}" in readme
        if split == "validate":
            assert f"its accuracy is {accuracy:.3f}, with a 95 % interval of {low:.2f} to {high:.2f}" in tutorial


def test_own_data_page_works_with_other_classes(checkout: Project) -> None:
    draw_masks(checkout.path.parent, {"faces": 32})
    run_page(ROOT / "docs/how-to/own-data.md", checkout)
    assert (checkout.path / "models/README.md").read_text().startswith("# mask or nomask\n")


@pytest.fixture
def images_at_kaggle(checkout: Project) -> Iterator[Project]:
    """A checkout whose images can be downloaded from a Kaggle server on loopback."""
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


def test_kaggle_page_works_with_a_local_server(images_at_kaggle: Project) -> None:
    page = ROOT / "docs/how-to/kaggle.md"
    [handle] = set(KAGGLE.findall(page.read_text(encoding="utf-8")))
    run_page(page, images_at_kaggle, **{handle: HANDLE})
    lock = yaml.safe_load((images_at_kaggle.path / "dvc.lock").read_text())
    assert lock["stages"]["fetch"]["params"]["params.yaml"]["dataset.source"] == "kaggle"


def test_cluster_page_works_on_a_cluster(checkout: Project, tmp_path: Path) -> None:
    dask = Dask(tmp_path / "dask")
    try:
        dask.add_worker()
        # A value that no other page uses: all pages share a run cache, and `predict` must have work to do.
        checkout.set("predict.threshold", 0.123)
        run_page(ROOT / "docs/how-to/cluster.md", checkout, **{"tcp://scheduler-host:8786": dask.address})
        until(lambda: dask.batches() > 0, dask.scheduler)
    finally:
        dask.close()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_of_page_exist(page: Path) -> None:
    assert [link for link in links(page) if not link_exists(page, link)] == []


def test_index_links_all_pages_and_readme_links_index() -> None:
    docs = ROOT / "docs"
    linked = {(docs / link.partition("#")[0]).resolve() for link in links(docs / "index.md")}
    assert set(docs.glob("**/*.md")) - linked - {docs / "index.md"} == set()
    assert "docs/index.md" in links(ROOT / "README.md")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_make_targets_and_modules_of_page_exist(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    targets = re.findall(r"^([\w-]+):.*##", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    assert [target for target in re.findall(r"`make ([\w-]+)", text) if target not in targets] == []
    modules = re.findall(r"-m anteojos\.([\w.]+)", text)
    source = ROOT / "src/anteojos"
    assert [module for module in modules if not (source / f"{module.replace('.', '/')}.py").exists()] == []
    # Also the files that a page names, such as `src/anteojos/images/faces.py`.
    paths = re.findall(r"`((?:src|tests|benchmarks|docs)/[\w./-]+)`", text)
    assert [path for path in paths if not (ROOT / path).exists()] == []

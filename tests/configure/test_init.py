"""Tests of `anteojos init`, from the images to the text of params.yaml."""

import hashlib
import shutil
import tarfile
import threading
import unicodedata
import zipfile
from collections.abc import Callable
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

from anteojos import configure
from anteojos.configure import inspection, proposal
from anteojos.params import Params
from anteojos.runtime.errors import InputError
from tests.conftest import ROOT, drawn_face

pytestmark = pytest.mark.slow

COUNT = 5  # images of each class


def plain(number: int) -> Image.Image:
    """An image without a face: a few lines."""
    image = np.full((60, 80, 3), 255, np.uint8)
    image[(7 * number) % 60, :] = image[:, (11 * number) % 80] = 40
    return Image.fromarray(image)


def put(folder: Path, *labels: str, count: int = COUNT, face: bool = False) -> Path:
    """Write images of classes; `folder` is returned."""
    for label in labels:
        (folder / label).mkdir(parents=True, exist_ok=True)
        for number in range(count):
            seed = int(hashlib.md5(f"{folder.name} {label} {number}".encode()).hexdigest()[:6], 16)
            (drawn_face(seed, 96) if face else plain(seed)).save(folder / label / f"{number}.png")
    return folder


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "a checkout"
    folder.mkdir()
    for name in ("params.yaml", "dvc.yaml"):
        shutil.copy(ROOT / name, folder)
    monkeypatch.chdir(folder)
    return folder


def init(source: Path | str, *classes: str, dry_run: bool = False) -> list[str]:
    return list(configure.init(str(source), classes, dry_run=dry_run))


def refused(source: Path | str, *classes: str) -> str:
    """Return the message of the error; nothing may be written."""
    before = Path("params.yaml").read_bytes()
    with pytest.raises(InputError) as caught:
        init(source, *classes)
    assert Path("params.yaml").read_bytes() == before
    assert sorted(path.name for path in Path.cwd().iterdir()) == ["dvc.yaml", "params.yaml"]
    return str(caught.value)


# What is written


def test_two_class_folders(checkout: Path) -> None:
    put(checkout.parent / "pets", "dogs", "Cats of Ana")
    lines = init("../pets")
    params = Params.load()
    assert (params.dataset.source, params.dataset.archive, params.dataset.sha256) == ("archive", "../pets", None)
    assert params.dataset.labels == params.dataset.names == ("Cats of Ana", "dogs")
    assert (params.dataset.ignored, params.dataset.expected, params.dataset.test_labels) == ((), None, None)
    assert params.dataset.split is not None
    assert (params.preprocess.crop, params.train.network) == ("none", "deep")
    assert lines[:3] == ["class          unsplit", "Cats of Ana          5", "dogs                 5"]
    assert "  sizes: 80 × 60 (smallest), 80 × 60 (median), 80 × 60 px (largest)" in lines
    assert "  a face is found in 0% of Cats of Ana, 0% of dogs" in lines
    assert lines[-3:] == ["", "Next:", "  make repro"]
    # A second time, there is nothing to change; DVC would not see other images.
    assert init("../pets")[-5:] == [
        "params.yaml is already like this.",
        "",
        "Next:",
        "  dvc repro --force fetch    # DVC does not see changes in this folder",
        "  make repro",
    ]


def test_only_the_values_change(checkout: Path) -> None:
    put(checkout.parent / "pets", "a", "b")
    init("../pets")
    before, after = ((folder / "params.yaml").read_text().splitlines() for folder in (ROOT, checkout))
    assert [line for line in after if line not in before] == [
        "  source: archive               # sample | kaggle | archive",
        "  archive: ../pets              # text or empty",
        "  - folder: a",
        "    name: a",
        "  - folder: b",
        "    name: b",
        "  crop: none                    # face | none",
        "  network: deep                 # baseline | sigmoid | deep | dropout | edge",
    ]
    assert [line for line in before if line.lstrip().startswith("#")] == [
        line for line in after if line.lstrip().startswith("#")
    ]


def test_dry_run_writes_nothing(checkout: Path) -> None:
    put(checkout.parent / "pets", "a", "b")
    lines = init("../pets", dry_run=True)
    assert (checkout / "params.yaml").read_bytes() == (ROOT / "params.yaml").read_bytes()
    assert "params.yaml would change:" in lines
    assert "+  archive: ../pets              # text or empty" in lines


def test_splits_unlabelled_images_and_other_files(checkout: Path) -> None:
    pets = checkout.parent / "pets"
    for split in ("train", "val"):
        put(pets / "wrapper" / split, "a", "b")
    put(pets / "wrapper", "test", count=3)
    put(pets, "docs", count=2)
    (pets / "wrapper/test_labels.csv").write_text("file,label\n0.png,a\n")
    lines = init("../pets")
    assert lines[:3] == ["class      train   validate", "a              5          5", "b              5          5"]
    assert "3 test images in no class folder; test_labels.csv may have their labels." in lines
    assert "2 images in no class folder, which are not used." in lines
    assert Params.load().dataset.expected is None


@pytest.mark.parametrize("kind", ["zip", "tar.gz"])
def test_archive_is_written_with_its_checksum(kind: str, checkout: Path) -> None:
    pets = put(checkout.parent / "pets", "a", "b")
    path = checkout / f"my pets.{kind}"
    if kind == "zip":
        with zipfile.ZipFile(path, "w") as archive:
            for file in sorted(pets.rglob("*.png")):
                archive.write(file, file.relative_to(pets))
    else:
        with tarfile.open(path, "w:gz") as tar:
            tar.add(pets, "pets")
    init(path.name)
    dataset = Params.load().dataset
    assert (dataset.archive, dataset.sha256) == (path.name, hashlib.sha256(path.read_bytes()).hexdigest())
    # DVC sees the new checksum of a changed archive.
    assert "dvc repro --force fetch" not in " ".join(init(path.name))


def test_url_is_inspected_and_its_secrets_are_not_shown(checkout: Path, tmp_path: Path) -> None:
    put(tmp_path / "images", "cats", "dogs")
    shutil.make_archive(str(tmp_path / "served/images"), "zip", tmp_path / "images")
    handler = partial(SimpleHTTPRequestHandler, directory=str(tmp_path / "served"))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}/images.zip"
        assert not any("secret" in line for line in init(url, dry_run=True))
        printed = init(f"{url}?token=a1b2c3")
        server.shutdown()
    assert any(line.startswith("warning: the URL has parts that may be secret") for line in printed)
    assert not any("a1b2c3" in line for line in printed)
    assert Params.load().dataset.archive == f"{url}?token=a1b2c3"


def test_path_is_stored_as_seen_from_the_checkout(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(checkout.parent / "pets", "a", "b")
    put(checkout / "inside", "a", "b")
    (checkout / "docs").mkdir()
    for here, given, stored in (
        (checkout, checkout / "inside", "inside"),
        (checkout, "./inside/", "inside"),
        (checkout / "docs", "../inside", "inside"),
        (checkout / "docs", "../../pets", "../pets"),
        (checkout, checkout.parent / "pets", str(checkout.parent / "pets")),
    ):
        monkeypatch.chdir(here)
        init(given)
        assert Params.load(checkout / "params.yaml").dataset.archive == stored


def test_classes_are_chosen_and_others_ignored(checkout: Path) -> None:
    put(checkout.parent / "pets", "birds", "cats", "dogs", "fish")
    lines = init("../pets", "Dogs", "birds")
    dataset = Params.load().dataset
    assert dataset.labels == ("dogs", "birds")
    assert dataset.ignored == ("cats", "fish")
    assert lines[3:6] == ["Ignored class folders:", "  cats: 5 images", "  fish: 5 images"]
    assert Path(checkout.parent / "pets/cats").is_dir()


def test_display_names_are_kept(checkout: Path) -> None:
    put(checkout.parent / "faces", "noglasses", "glasses", face=True)
    init("../faces")
    assert Params.load().dataset.names == ("con lentes", "sin lentes")


def test_names_in_nfd_are_written_in_nfc(checkout: Path) -> None:
    put(checkout.parent / "pets", unicodedata.normalize("NFD", "Césped Verde"), "草地")
    init("../pets", "Césped Verde", "草地")
    assert "  - folder: Césped Verde\n" in Path("params.yaml").read_text(encoding="utf-8")


def test_empty_split_gets_the_default(checkout: Path) -> None:
    text = Path("params.yaml").read_text()
    Path("params.yaml").write_text(text.replace("split: {validate: 0.2, test: 0.1, seed: 2024}", "split: "))
    put(checkout.parent / "pets", "a", "b")
    init("../pets")
    assert yaml.safe_load(Path("params.yaml").read_text())["dataset"]["split"] == proposal.SPLIT


def test_faces_are_aligned_if_all_images_show_one(checkout: Path) -> None:
    faces = put(checkout.parent / "faces", "a", "b", face=True)
    lines = init(faces)
    preprocess = Params.load().preprocess
    assert (preprocess.crop, preprocess.no_face, Params.load().train.network) == ("face", "fail", "edge")
    assert any("100% of a, 100% of b" in line for line in lines)


@pytest.mark.parametrize(
    ("first", "second", "crop", "no_face"),
    [
        (1.0, 1.0, "face", "fail"),
        (1.0, 0.99, "face", "whole"),
        (0.9, 1.0, "face", "whole"),
        (0.6, 0.7, "face", "whole"),
        (0.6, 0.8, "none", None),
        (0.0, 1.0, "none", None),
        (0.4, 0.4, "none", None),
        (0.0, 0.0, "none", None),
    ],
)
def test_crop_depends_on_the_share_of_faces_in_both_classes(
    first: float, second: float, crop: str, no_face: str | None
) -> None:
    assert proposal.crop_for({"a": first, "b": second}) == (crop, no_face)


def test_only_a_sample_is_examined(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inspection, "SAMPLE", 4)
    put(checkout.parent / "pets", "a", count=20)
    put(checkout.parent / "pets", "b", count=4)
    lines = init("../pets")
    assert "Of these, 8 images were examined:" in lines
    assert lines[1] == "a             20"


def test_unreadable_images_and_duplicates_are_listed(checkout: Path) -> None:
    pets = put(checkout.parent / "pets", "a", "b")
    (pets / "a/broken.jpg").write_bytes(b"text")
    shutil.copy(pets / "a/0.png", pets / "a/copy.png")
    for number in range(30):
        (pets / f"b/empty{number}.jpg").touch()
    lines = init("../pets")
    assert "  31 unreadable images, at which `verify` stops: remove or replace them" in lines
    assert "    a/broken.jpg: not an image (4 bytes)" in lines
    assert sum("empty file" in line for line in lines) == 19
    assert "    … and 11 more" in lines
    assert any(line.startswith("    a/copy.png: the same image as a/0.png") for line in lines)


# What cannot work


@pytest.mark.parametrize(
    ("labels", "count", "message"),
    [
        (["cats"], 5, "../pets: no folders with images of two classes\n"),
        ([], 0, "../pets: no folders with images of two classes\n"),
        (["a", "b"], 2, "../pets: too few images\n  a: 2 images, expected at least 4 besides those for testing\n"),
        (["a", "b"], 0, "../pets: no folders with images of two classes\n"),
        (
            ["a", "b", "c"],
            5,
            "../pets: images of 3 classes; exactly two are possible\n  a: 5 images\n  b: 5 images\n  c: 5 images\n"
            "To use two of them, for example: anteojos init ../pets --classes a b",
        ),
        (["train/cats"], 5, "../pets: images of 1 class; exactly two are possible\n  cats: 5 images\nAdd a folder"),
    ],
)
def test_unusable_source_is_explained(labels: list[str], count: int, message: str, checkout: Path) -> None:
    pets = checkout.parent / "pets"
    pets.mkdir()
    put(pets, *labels, count=count)
    assert refused("../pets").startswith(message)


def test_advice_is_about_this_command(checkout: Path) -> None:
    put(checkout.parent / "pets", "cats")
    advice = refused("../pets").splitlines()[-1]
    assert advice == "Put the images of each class into a folder of its own. Name another folder or archive."


def test_only_unreadable_images_are_an_error(checkout: Path) -> None:
    pets = put(checkout.parent / "pets", "a", "b")
    for file in (pets / "b").iterdir():
        file.write_bytes(b"text")
    message = refused("../pets")
    assert message.startswith("../pets: too few images of b can be read\n  0 of those examined, expected at least 4\n")
    assert "  b/0.png: not an image (4 bytes)\n" in message


def test_class_without_images_in_a_split_is_an_error(checkout: Path) -> None:
    pets = checkout.parent / "pets"
    put(pets / "train", "a", "b")
    put(pets / "val", "a")
    assert "  b: no images in train or validate, expected some in each\n" in refused("../pets")


@pytest.mark.parametrize(
    ("classes", "message"),
    [
        (("a", "hats"), "no images in a class folder hats\n  found a: 5 images\n  found b: 5 images\n"),
        (("a", "A"), "--classes: a twice"),
    ],
)
def test_wrong_choice_is_explained(classes: tuple[str, str], message: str, checkout: Path) -> None:
    put(checkout.parent / "pets", "a", "b")
    assert message in refused("../pets", *classes)


def test_unusable_class_folder_is_explained(checkout: Path) -> None:
    put(checkout.parent / "pets", "-a", "b")
    message = refused("../pets")
    assert "dataset.classes.0.folder: found '-a'; it begins with a dot or a dash" in message
    assert "Rename these folders, or choose two others with --classes." in message


@pytest.mark.parametrize("place", [lambda folder: folder, lambda folder: folder.parent, lambda folder: "data/raw"])
def test_source_must_not_contain_the_outputs(place: Callable[[Path], Path | str], checkout: Path) -> None:
    with pytest.raises(InputError, match="contains the checkout, or is written by the pipeline"):
        init(place(checkout))


def test_outside_of_a_checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=r"params.yaml: No such file or directory\nRun it in the checkout"):
        init("x")

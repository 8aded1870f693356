"""Images that differ from the training images are found, and others are not."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from anteojos.evaluation import drift
from anteojos.model import statistics
from anteojos.model.classifier import Classifier
from tests.conftest import METADATA, Photographs, face_metadata, without_metadata

pytestmark = pytest.mark.slow

RNG = np.random.default_rng(0)
TRAINING = {
    "brightness": sorted(RNG.normal(0.5, 0.1, 200).tolist()),
    "width": sorted(RNG.integers(100, 200, 200).tolist()),
    "faces": [0] * 10 + [1] * 190,
    "probability": sorted(RNG.random(40).tolist()),
}


def images(n: int, seed: int = 1, **shift: float) -> list[dict[str, float]]:
    """Return the statistics of images like the training images, each moved by a number."""
    rng = np.random.default_rng(seed)
    rows = {name: rng.choice(values, n) + shift.get(name, 0) for name, values in TRAINING.items()}
    return [{name: float(values[row]) for name, values in rows.items()} for row in range(n)]


@pytest.mark.parametrize("n", [1, 10, 500])
def test_similar_images_do_not_differ(n: int) -> None:
    for seed in range(10):
        found = drift.compare(TRAINING, images(n, seed), by_face=True)
        assert list(found) == ["brightness", "probability", "without a face"]
        assert {comparison.verdict for comparison in found.values()} == {"similar"}
        (text,) = drift.explain(found)
        assert text.startswith("These images resemble" if n >= 20 else f"{n} images are too few")


@pytest.mark.parametrize("name", ["brightness", "width", "probability"])
def test_shifted_statistic_differs_and_no_other(name: str) -> None:
    shift = 3 * float(np.std(TRAINING[name]))
    found = drift.compare(TRAINING, images(40, **{name: shift}), by_face=False)
    assert [key for key, comparison in found.items() if comparison.verdict == "differs"] == [name]
    assert found[name].here - found[name].training == pytest.approx(shift, rel=0.4)
    (text,) = drift.explain(found)
    assert ("one class is more frequent" in text) == (name == "probability")
    assert (f"in: {name}" in text) == (name != "probability")


def test_share_without_a_face_differs() -> None:
    here = [{"faces": 0.0}] * 20 + images(20)
    found = drift.compare(TRAINING, here, by_face=True)["without a face"]
    assert (found.training, found.n, found.verdict) == (0.05, 40, "differs")
    assert found.here == pytest.approx(0.5, abs=0.1)


def test_difference_of_many_images_must_be_large_to_count() -> None:
    found = drift.compare(TRAINING, images(5000, brightness=0.03), by_face=False)["brightness"]
    assert found.p_value < 0.01
    assert (found.distance < 0.3, found.verdict) == (True, "similar")


def test_p_value_is_corrected_for_the_number_of_tests() -> None:
    here = images(12, brightness=0.08)
    alone, of_three = (
        drift.compare({name: TRAINING[name] for name in names}, here, by_face=False)["brightness"].p_value
        for names in (("brightness",), ("brightness", "width", "probability"))
    )
    assert 0 < alone < 1 / 3
    assert of_three == pytest.approx(3 * alone)


def test_whole_images_are_measured(model: Path, bright_and_dark: tuple[Path, Path], tmp_path: Path) -> None:
    damaged = tmp_path / "damaged.jpg"
    damaged.write_bytes(b"no image")
    classifier = Classifier(without_metadata(model), METADATA)
    found, unreadable = drift.measure(classifier, [*bright_and_dark, damaged, tmp_path / "gone.jpg"])
    assert [image["width"] for image in found] == [80, 80]
    assert [image["brightness"] for image in found] == pytest.approx([220 / 255, 40 / 255], abs=0.01)
    assert [image["colour"] for image in found] == pytest.approx([0, 0], abs=0.01)
    assert found[0]["probability"] > 0.5 > found[1]["probability"]
    assert unreadable == [(damaged, "not an image (8 bytes)"), (tmp_path / "gone.jpg", "No such file or directory")]


def test_largest_face_is_measured(face_model: Path, photographs: Photographs) -> None:
    classifier = Classifier.load(face_model)
    assert classifier.metadata == face_metadata()
    (two, none), _ = drift.measure(classifier, [photographs.two, photographs.none])
    assert none == {"faces": 0}
    assert two["faces"] == 2
    # The largest face is the bright one, on the right.
    left, right = classifier.faces(photographs.two)
    assert two["probability"] == pytest.approx(right.first_class_probability)
    assert two["probability"] != pytest.approx(left.first_class_probability)


def test_sample_keeps_both_ends_and_at_most_200_values() -> None:
    values = RNG.random(1001).tolist()
    (kept,) = statistics.sample({"brightness": values}).values()
    assert len(kept) == 200
    assert (kept[0], kept[-1]) == (round(min(values), 6), round(max(values), 6))
    assert list(kept) == sorted(kept)
    assert statistics.sample({"width": [3, 1, 2]}) == {"width": [1, 2, 3]}


def test_colour_is_the_range_of_red_green_and_blue() -> None:
    image = np.asarray(Image.new("RGB", (48, 48), (255, 51, 0)))
    assert statistics.measure(image)["colour"] == 1
    assert statistics.measure(np.asarray(Image.new("RGB", (48, 48), (102, 51, 51))))["colour"] == pytest.approx(0.2)

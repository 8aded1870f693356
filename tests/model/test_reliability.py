"""Warnings for images unlike the training images, and for faces that are hard to label."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from anteojos.images import detector, faces
from anteojos.images.faces import Face
from anteojos.model.metadata import Metadata
from anteojos.model.reliability import KINDS, Warnings, join
from anteojos.model.reliability import warnings as warnings_of
from anteojos.model.statistics import TrainingRanges, measure_training
from anteojos.sources import drawing
from anteojos.vocabulary import Crop, Pixels

pytestmark = pytest.mark.slow

RANGES = TrainingRanges(
    width=(155, 160),
    height=(155, 156),
    aspect=(0.99, 1.04),
    brightness=(0.4, 0.6),
    contrast=(0.1, 0.2),
    sharpness=(0.1, 0.5),
)
FACE = Face((10.0, 20.0, 90.0, 100.0), ((30.0, 50.0), (70.0, 50.0)), turn=0.1, score=0.9)


def prepared(brightness: float = 0.5, contrast: float = 0.15, blur: int = 12) -> Pixels:
    """An image of stripes, `blur` px wide, with this mean and standard deviation."""
    columns = np.arange(48) // blur % 2 * 2 - 1
    grey = np.clip(255 * (brightness + contrast * columns), 0, 255).round().astype(np.uint8)
    return np.broadcast_to(grey[np.newaxis, :, np.newaxis], (48, 48, 3)).copy()


PREPARED = prepared()
ALIKE: dict[str, Any] = {
    "width": 160,
    "height": 155,
    "crop": "none",
    "face": None,
    "probability": 0.9,
    "uncertain": (0.2, 0.8),
}
WITH_FACE = {**ALIKE, "width": 4000, "height": 3000, "crop": "face", "face": FACE}


def warnings(
    ranges: TrainingRanges, image: Pixels, *, width: int, height: int, crop: Crop, face: Face | None, **other: Any
) -> Warnings:
    metadata = Metadata(
        labels=("a", "b"), names=("A", "B"), crop=crop, threshold=0.5, uncertain=(0.2, 0.8), ranges=ranges
    )
    return warnings_of(metadata, image, (width, height), face, **other)


def test_image_like_the_training_images_has_no_warning() -> None:
    assert warnings(RANGES, PREPARED, **ALIKE) == {}
    assert warnings(RANGES, PREPARED, **WITH_FACE) == {}
    assert join({}) == ""


def test_all_warnings_are_reported_at_once() -> None:
    dark = prepared(0.1, 0.01)
    whole = warnings(RANGES, dark, **{**ALIKE, "width": 640, "height": 480, "probability": 0.5})
    assert whole == {
        "size": "640 × 480 px, trained on 155 to 160 × 155 to 156 px",
        "unlike": "darker and less contrast than the training images",
        "uncertain": "uncertain",
    }
    assert join(whole) == "; ".join(whole.values())
    small = replace(FACE, box=(0.0, 0.0, 20.0, 20.0), turn=-0.7)
    face = warnings(RANGES, dark, **{**WITH_FACE, "face": small, "probability": 0.5})
    assert list(face) == ["small_face", "turned", "unlike", "uncertain"]
    assert join(face).startswith("small face (20 px); turned; darker")
    assert set(whole) | set(face) == set(KINDS)


@pytest.mark.parametrize(("width", "warned"), [(39.5, True), (40, False), (12, True), (600, False)])
def test_face_below_40_px_is_small(width: float, warned: bool) -> None:
    face = replace(FACE, box=(10.0, 0.0, 10.0 + width, 90.0))
    assert ("small_face" in warnings(RANGES, PREPARED, **{**WITH_FACE, "face": face})) == warned


@pytest.mark.parametrize(("turn", "warned"), [(0.5, False), (0.51, True), (-0.5, False), (-0.51, True)])
def test_face_in_profile_is_turned(turn: float, warned: bool) -> None:
    found = warnings(RANGES, PREPARED, **{**WITH_FACE, "face": replace(FACE, turn=turn)})
    assert found == ({"turned": "turned"} if warned else {})


def test_size_of_the_file_does_not_matter_for_a_face() -> None:
    assert warnings(RANGES, PREPARED, **{**WITH_FACE, "width": 10_000, "height": 50}) == {}
    # Such as a face that was cut out before.
    assert warnings(RANGES, PREPARED, **{**WITH_FACE, "width": 10, "height": 50, "face": None}) == {}


# A quarter of the range beyond either end: 0.35 to 0.65, 0.075 to 0.225.
@pytest.mark.parametrize(
    ("image", "said"),
    [
        (prepared(brightness=0.36), ""),
        (prepared(brightness=0.34), "darker"),
        (prepared(brightness=0.64), ""),
        (prepared(brightness=0.66), "brighter"),
        (prepared(contrast=0.08), ""),
        (prepared(contrast=0.07), "less contrast"),
        (prepared(contrast=0.22), ""),
        (prepared(contrast=0.23), "more contrast"),
        (prepared(blur=24), ""),
        (prepared(blur=1), ""),
        (prepared(0.7, 0.05), "brighter and less contrast"),
        (np.full((48, 48, 3), 128, np.uint8), "less contrast and more blurred"),
    ],
)
@pytest.mark.parametrize("arguments", [ALIKE, WITH_FACE])
def test_statistic_far_from_its_range_is_unlike(image: Pixels, said: str, arguments: dict[str, Any]) -> None:
    ranges = replace(RANGES, sharpness=(0.04, 0.1))
    found = warnings(ranges, image, **arguments)
    assert found == ({"unlike": f"{said} than the training images"} if said else {})


def test_blur_is_unlike_and_sharpness_never_is() -> None:
    ranges = replace(RANGES, sharpness=(0.5, 1.0))
    found = warnings(ranges, PREPARED, **WITH_FACE)
    assert found == {"unlike": "more blurred than the training images"}
    assert warnings(ranges, prepared(blur=1), **WITH_FACE) == {}


def test_other_faces_of_the_same_source_rarely_have_warnings() -> None:
    found = []
    for seed in range(160):
        image = drawing.draw_face(np.random.default_rng(seed), bool(seed % 2), 100)
        face = faces.largest(detector.default()(image))
        if face:
            found.append((faces.prepare(image, 48, face), face))
    trained, others = np.stack([image for image, _ in found[:100]]), found[100:]
    ranges = TrainingRanges.of(measure_training(trained, [100] * 100, [100] * 100))
    said = [warnings(ranges, image, **{**WITH_FACE, "face": face}) for image, face in others]
    assert len(others) >= 50
    assert sum(bool(each) for each in said) < 0.05 * len(others)
    assert "unlike" in warnings(ranges, others[0][0] // 8, **WITH_FACE)


# --- whole images


@pytest.mark.parametrize(
    ("width", "height", "warned"),
    [
        (320, 312, False),
        (321, 312, True),
        (320, 313, True),
        (78, 78, False),
        (77, 78, True),
        (78, 77, True),
        (4000, 3000, True),
        (1, 1, True),
    ],
)
def test_size_warning_starts_at_a_factor_of_two(width: int, height: int, warned: bool) -> None:
    assert ("size" in warnings(RANGES, PREPARED, **{**ALIKE, "width": width, "height": height})) == warned


@pytest.mark.parametrize(
    ("width", "height", "warned"), [(200, 150, False), (209, 150, True), (150, 200, False), (150, 203, True)]
)
def test_size_warning_starts_at_an_aspect_of_4_to_3(width: int, height: int, warned: bool) -> None:
    # Widths and heights within twice and half of what was trained on.
    assert ("size" in warnings(RANGES, PREPARED, **{**ALIKE, "width": width, "height": height})) == warned


def test_both_orientations_do_not_allow_narrower_images() -> None:
    ranges = replace(RANGES, width=(60, 600), height=(60, 600), aspect=(0.75, 1.34))
    assert "size" in warnings(ranges, PREPARED, **{**ALIKE, "width": 600, "height": 60})
    assert warnings(ranges, PREPARED, **{**ALIKE, "width": 640, "height": 480}) == {}


def test_single_training_size_is_shown_as_one_number() -> None:
    ranges = replace(RANGES, width=(160, 160), height=(155, 155), aspect=(1.03, 1.04))
    assert join(warnings(ranges, PREPARED, **{**ALIKE, "width": 640})) == "640 × 155 px, trained on 160 × 155 px"


@pytest.mark.parametrize(
    ("probability", "uncertain", "warned"),
    [
        (0.5, (0.2, 0.8), True),
        (0.2, (0.2, 0.8), False),
        (0.21, (0.2, 0.8), True),
        (0.8, (0.2, 0.8), False),
        (0.1, (0.0, 0.3), True),
        (0.5, (0.5, 0.5), False),
    ],
)
def test_probability_between_the_two_is_uncertain(
    probability: float, uncertain: tuple[float, float], warned: bool
) -> None:
    found = warnings(RANGES, PREPARED, **{**ALIKE, "probability": probability, "uncertain": uncertain})
    assert found == ({"uncertain": "uncertain"} if warned else {})

"""What is said of an image that is unlike those of the training, or of a face that is hard to label."""

from dataclasses import asdict, replace
from typing import Any

import numpy as np
import pytest

from anteojos.images import detector, faces
from anteojos.images.faces import Face
from anteojos.model.likeness import KINDS, in_words, warnings
from anteojos.model.statistics import Look, Seen
from anteojos.sources import drawing
from anteojos.vocabulary import Pixels

SEEN = Seen(
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


def test_of_an_image_like_those_of_the_training_nothing_is_said() -> None:
    assert warnings(SEEN, PREPARED, **ALIKE) == {}
    assert warnings(SEEN, PREPARED, **WITH_FACE) == {}
    assert in_words({}) == ""


def test_all_that_is_unlike_is_said_at_once() -> None:
    dark = prepared(0.1, 0.01)
    whole = warnings(SEEN, dark, **{**ALIKE, "width": 640, "height": 480, "probability": 0.5})
    assert whole == {
        "size": "640 × 480 px, trained on 155 to 160 × 155 to 156 px",
        "unlike": "darker and less contrast than the training images",
        "uncertain": "uncertain",
    }
    assert in_words(whole) == "; ".join(whole.values())
    small = replace(FACE, box=(0.0, 0.0, 20.0, 20.0), turn=-0.7)
    face = warnings(SEEN, dark, **{**WITH_FACE, "face": small, "probability": 0.5})
    assert list(face) == ["small_face", "turned", "unlike", "uncertain"]
    assert in_words(face).startswith("small face (20 px); turned; darker")
    assert set(whole) | set(face) == set(KINDS)


@pytest.mark.parametrize(("width", "warned"), [(39.5, True), (40, False), (12, True), (600, False)])
def test_a_face_below_40_px_is_small(width: float, warned: bool) -> None:
    face = replace(FACE, box=(10.0, 0.0, 10.0 + width, 90.0))
    assert ("small_face" in warnings(SEEN, PREPARED, **{**WITH_FACE, "face": face})) == warned


@pytest.mark.parametrize(("turn", "warned"), [(0.5, False), (0.51, True), (-0.5, False), (-0.51, True)])
def test_a_face_in_profile_is_turned(turn: float, warned: bool) -> None:
    found = warnings(SEEN, PREPARED, **{**WITH_FACE, "face": replace(FACE, turn=turn)})
    assert found == ({"turned": "turned"} if warned else {})


def test_the_size_of_the_file_does_not_matter_for_a_face() -> None:
    assert warnings(SEEN, PREPARED, **{**WITH_FACE, "width": 10_000, "height": 50}) == {}
    # Such as a face that was cut out before.
    assert warnings(SEEN, PREPARED, **{**WITH_FACE, "width": 10, "height": 50, "face": None}) == {}


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
def test_what_is_far_from_the_training_images_is_unlike_them(
    image: Pixels, said: str, arguments: dict[str, Any]
) -> None:
    seen = replace(SEEN, sharpness=(0.04, 0.1))
    found = warnings(seen, image, **arguments)
    assert found == ({"unlike": f"{said} than the training images"} if said else {})


def test_blur_is_unlike_sharp_training_images_and_sharpness_never_is() -> None:
    seen = replace(SEEN, sharpness=(0.5, 1.0))
    found = warnings(seen, PREPARED, **WITH_FACE)
    assert found == {"unlike": "more blurred than the training images"}
    assert warnings(seen, prepared(blur=1), **WITH_FACE) == {}


def test_images_like_the_training_images_are_rarely_warned_of() -> None:
    looks, found = [], []
    for seed in range(160):
        image = drawing.draw_face(np.random.default_rng(seed), bool(seed % 2), 100)
        face = faces.largest(detector.default()(image))
        if face:
            seen_by_network = faces.prepare(image, 48, face)
            looks.append(Look.of(seen_by_network))
            found.append((seen_by_network, face))
    trained, others = looks[:100], found[100:]
    values = {name: [getattr(look, name) for look in trained] for name in asdict(trained[0])}
    seen = Seen((100, 100), (100, 100), (1.0, 1.0), **{name: (min(of), max(of)) for name, of in values.items()})
    said = [warnings(seen, image, **{**WITH_FACE, "face": face}) for image, face in others]
    assert len(others) >= 50
    assert sum(bool(each) for each in said) < 0.05 * len(others)
    assert "unlike" in warnings(seen, others[0][0] // 8, **WITH_FACE)


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
def test_a_size_is_far_off_from_twice_or_half_of_any_training_image(width: int, height: int, warned: bool) -> None:
    assert ("size" in warnings(SEEN, PREPARED, **{**ALIKE, "width": width, "height": height})) == warned


@pytest.mark.parametrize(
    ("width", "height", "warned"), [(200, 150, False), (209, 150, True), (150, 200, False), (150, 203, True)]
)
def test_an_image_that_is_squeezed_beyond_4_to_3_is_warned_of_too(width: int, height: int, warned: bool) -> None:
    # Widths and heights within twice and half of what was trained on.
    assert ("size" in warnings(SEEN, PREPARED, **{**ALIKE, "width": width, "height": height})) == warned


def test_upright_and_lying_training_images_make_no_room_for_narrower_ones() -> None:
    seen = replace(SEEN, width=(60, 600), height=(60, 600), aspect=(0.75, 1.34))
    assert "size" in warnings(seen, PREPARED, **{**ALIKE, "width": 600, "height": 60})
    assert warnings(seen, PREPARED, **{**ALIKE, "width": 640, "height": 480}) == {}


def test_training_images_of_one_size_are_said_as_such() -> None:
    seen = replace(SEEN, width=(160, 160), height=(155, 155), aspect=(1.03, 1.04))
    assert in_words(warnings(seen, PREPARED, **{**ALIKE, "width": 640})) == "640 × 155 px, trained on 160 × 155 px"


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
def test_between_the_two_probabilities_the_model_does_not_know(
    probability: float, uncertain: tuple[float, float], warned: bool
) -> None:
    found = warnings(SEEN, PREPARED, **{**ALIKE, "probability": probability, "uncertain": uncertain})
    assert found == ({"uncertain": "uncertain"} if warned else {})

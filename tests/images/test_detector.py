"""Faces of all sizes are detected where they are drawn, and nowhere else."""

import pickle
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from numpy.typing import NDArray
from PIL import Image

from anteojos.images import detector, detector_models, faces
from anteojos.images.detector import Detector
from anteojos.images.faces import Face
from anteojos.runtime import litert
from anteojos.sources import drawing
from tests.conftest import Photographs, drawn_eyes, drawn_face

pytestmark = pytest.mark.slow

GREY = (110, 120, 130)


@pytest.fixture(scope="module")
def find() -> Detector:
    return Detector(detector_models.installed())


@pytest.fixture(scope="module")
def thirty() -> list[Image.Image]:
    """Thirty drawn faces, half of them with glasses or sunglasses."""
    return [drawing.draw_face(np.random.default_rng(seed), bool(seed % 2), 100) for seed in range(30)]


def test_nearly_all_drawn_faces_are_detected(find: Detector, thirty: list[Image.Image]) -> None:
    assert sum(len(find(image)) == 1 for image in thirty) >= 28


def eye_error(face: Face, eyes: NDArray[np.float64]) -> float:
    """Return the larger distance of an eye of the face from `eyes`, in units of the distance between these."""
    distances = np.linalg.norm(np.array(face.eyes) - eyes, axis=1)
    return float(distances.max() / np.linalg.norm(eyes[1] - eyes[0]))


@pytest.mark.parametrize("size", [64, 125, 400, 1500])
def test_drawn_face_is_detected_with_its_eyes(find: Detector, size: int) -> None:
    for seed in range(3):
        (face,) = find(drawn_face(seed, min(size, 400)).resize((size, size)))
        assert eye_error(face, drawn_eyes(seed, size)) < (0.2 if size < 100 else 0.12)
        left, top, right, bottom = face.box
        assert 0.4 * size < face.width < 0.8 * size
        assert all(left < x < right and top < y < bottom for x, y in face.eyes)
        assert face.score >= 0.8


@pytest.mark.parametrize("seed", [0, 1, 3, 6])
def test_tightly_cropped_face_is_detected(find: Detector, seed: int) -> None:
    image = drawing.draw_face(np.random.default_rng(seed), seed % 2 == 0, 160)
    (face,) = find(image)
    left, top, right, bottom = face.box
    inset = 0.1 * face.width
    # Without a margin around the image, none of these is detected.
    assert len(find(image.crop((int(left + inset), int(top + inset), int(right - inset), int(bottom - inset))))) == 1


PLACES = [(100 + 300 * (number % 5), 90 + 560 * (number // 5)) for number in range(10)]


# Size of the drawing in px (the face has about 0.6 of it), and how many of ten faces are detected.
@pytest.mark.parametrize(("size", "at_least"), [(40, 5), (48, 8), (64, 9)])
def test_small_faces_in_a_large_photograph_are_detected(find: Detector, size: int, at_least: int) -> None:
    photograph = Image.new("RGB", (1600, 1100), GREY)
    for seed, place in enumerate(PLACES):
        photograph.paste(drawn_face(seed, 240).resize((size, size), Image.Resampling.LANCZOS), place)
    found = find(photograph)
    assert at_least <= len(found) <= len(PLACES)
    eyes = [drawn_eyes(seed, size) + place for seed, place in enumerate(PLACES)]
    nearest = [int(np.argmin([eye_error(face, each) for each in eyes])) for face in found]
    assert len(set(nearest)) == len(found)
    for number, face in zip(nearest, found, strict=True):
        assert eye_error(face, eyes[number]) < 0.2
        assert 0.45 * size < face.width < 0.8 * size


@pytest.mark.parametrize("small", [(0, 0), (60, 0), (0, 155), (60, 155)])
def test_face_in_a_corner_of_a_large_photograph_is_detected(find: Detector, small: tuple[int, int]) -> None:
    photograph = Image.new("RGB", (1600, 1200), GREY)
    place = small[0] * 25, small[1] * 7
    photograph.paste(drawn_face(2, 100), place)
    (face,) = find(photograph)
    assert eye_error(face, drawn_eyes(2, 100) + place) < 0.12


def test_faces_are_ordered_from_left_to_right(find: Detector, photographs: Photographs) -> None:
    with Image.open(photographs.two) as two:
        left, right = find(two.convert("RGB"))
        assert find(two.transpose(Image.Transpose.FLIP_LEFT_RIGHT))[0].width == pytest.approx(right.width, rel=0.05)
    assert left.box[2] < right.box[0]
    assert eye_error(left, drawn_eyes(3, 200) + (40, 60)) < 0.12
    assert eye_error(right, drawn_eyes(4, 280) + (340, 20)) < 0.12
    assert faces.largest([left, right]) == right


@pytest.mark.parametrize("angle", [-25, 25])
def test_eyes_of_a_tilted_head_are_detected(find: Detector, angle: int) -> None:
    (upright,) = find(drawn_face(3, 300))
    (tilted,) = find(drawn_face(3, 300).rotate(angle, Image.Resampling.BICUBIC, fillcolor=GREY))
    directions = [np.degrees(np.arctan2(*np.subtract(*reversed(face.eyes))[::-1])) for face in (upright, tilted)]
    assert directions[1] - directions[0] == pytest.approx(-angle, abs=5)


def test_turn_has_the_sign_of_the_pose(find: Detector) -> None:
    (face,) = find(drawn_face(4, 300))
    (mirrored,) = find(drawn_face(4, 300).transpose(Image.Transpose.FLIP_LEFT_RIGHT))
    pose = drawing.Face(np.random.default_rng(4)).pose
    assert abs(pose.turn) > 0.1
    assert np.sign(face.turn) == np.sign(pose.turn) == -np.sign(mirrored.turn)


def without_faces() -> dict[str, Image.Image]:
    rng = np.random.default_rng(0)
    ramp = np.linspace(0, 255, 400).astype(np.uint8)
    return {
        "noise": Image.fromarray(rng.integers(0, 256, (300, 400, 3), dtype=np.uint8)),
        "blotches": Image.fromarray(rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)).resize((500, 400)),
        "black": Image.new("RGB", (320, 240)),
        "white": Image.new("RGB", (900, 700), "white"),
        "gradient": Image.fromarray(np.broadcast_to(ramp[np.newaxis, :, np.newaxis], (300, 400, 3)).copy()),
        "1x1": Image.new("RGB", (1, 1), "white"),
        "1x700": Image.new("RGB", (1, 700), "white"),
        "3x500": Image.fromarray(rng.integers(0, 256, (500, 3, 3), dtype=np.uint8)),
        "5000x2": Image.fromarray(rng.integers(0, 256, (2, 5000, 3), dtype=np.uint8)),
        "12x12": Image.fromarray(rng.integers(0, 256, (12, 12, 3), dtype=np.uint8)),
    }


@pytest.mark.parametrize(("image"), [pytest.param(image, id=name) for name, image in without_faces().items()])
def test_image_without_a_face_gives_none(find: Detector, image: Image.Image) -> None:
    assert find(image) == []


def test_unclear_face_is_returned_only_with_shows_face(
    find: Detector, photographs: Photographs, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Image.open(photographs.two) as two:
        image = two.convert("RGB")
    clear = find(image)
    assert find(image, shows_face=True) == clear
    monkeypatch.setattr(detector, "_SCORE", 0.99)
    assert find(image) == []
    assert find(image, shows_face=True) == clear
    assert find(Image.new("RGB", (200, 200), GREY), shows_face=True) == []


def test_positions_are_rounded(find: Detector) -> None:
    for seed in range(4):
        (face,) = find(drawn_face(seed, 130 + 60 * seed))
        left, right = face.eyes
        distance = float(np.hypot(right[0] - left[0], right[1] - left[1]))
        steps = [step for power in range(-8, 8) if distance / 130 <= (step := 2.0**power) <= distance / 62]
        assert any(all(value % step == 0 for value in face.values[:8]) for step in steps)
        assert face.score == round(face.score, 2)
        assert face.turn == round(face.turn, 2)


def test_overlapping_detections_are_averaged_by_score() -> None:
    one = np.linspace(10, 60, 16).reshape(8, 2)
    points, scores = np.stack([one, one + 300, one + [2.0, 1.0]]), np.array([0.6, 0.7, 0.9])
    merged = list(detector._merged([(points[:2], scores[:2]), (points[2:], scores[2:])]))
    assert [score for _, score in merged] == [0.9, 0.7]
    # The same bits as np.average, with the best first.
    np.testing.assert_array_equal(merged[0][0], np.average(points[[2, 0]], axis=0, weights=scores[[2, 0]]))
    np.testing.assert_array_equal(merged[1][0], np.average(points[1:2], axis=0, weights=scores[1:2]))


def test_cores_are_not_counted_for_a_small_image_with_one_face(find: Detector, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> int:
        raise AssertionError("it reads files, which takes time for each image")

    monkeypatch.setattr(detector.threads, "cores", fail)
    assert len(find(drawn_face(0, 125))) == 1


def test_threads_share_a_detector(find: Detector, thirty: list[Image.Image]) -> None:
    alone = [find(image) for image in thirty[:12]]
    with ThreadPoolExecutor(6) as executor:
        assert list(executor.map(find, thirty[:12] * 3)) == alone * 3


def test_pickled_detector_gives_the_same_faces(find: Detector, thirty: list[Image.Image]) -> None:
    copy = pickle.loads(pickle.dumps(find))
    assert copy(thirty[0]) == find(thirty[0])
    assert copy(thirty[0]) != []


def test_detection_is_deterministic(find: Detector, photographs: Photographs) -> None:
    with Image.open(photographs.two) as two:
        image = two.convert("RGB")
    assert find(image) == find(image) == Detector(detector_models.installed())(image)


def same_arrays(one: Detector, other: Detector, images: list[Image.Image]) -> None:
    compared = 0
    for image in images:
        found, again = one(image), other(image)
        assert [face.eyes for face in again] == [face.eyes for face in found]
        for face, same in zip(found, again, strict=True):
            assert faces.prepare(image, 48, same).tobytes() == faces.prepare(image, 48, face).tobytes()
            compared += 1
    assert compared >= 28


def test_other_kernels_give_the_same_aligned_bytes(
    find: Detector, thirty: list[Image.Image], monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = partial(Interpreter, experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES)
    outputs = litert.LiteModel(detector_models.installed()[detector_models.SHORT_RANGE])
    pixels = np.asarray(thirty[0].resize((128, 128)), np.float32) / 127.5 - 1
    before = outputs(pixels)
    monkeypatch.setattr(litert, "Interpreter", plain)
    after = litert.LiteModel(detector_models.installed()[detector_models.SHORT_RANGE])(pixels)
    # The kernels differ in the last bits; otherwise this would test nothing.
    assert any((one != other).any() for one, other in zip(before, after, strict=True))
    same_arrays(find, Detector(detector_models.installed()), thirty)


def test_last_bits_of_outputs_do_not_change_aligned_bytes(
    find: Detector, thirty: list[Image.Image], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Perturbed(litert.LiteModel):
        def __call__(self, item: litert.Array) -> list[litert.Array]:
            rng = np.random.default_rng(1)
            outputs = super().__call__(item)
            return [(output * rng.uniform(1 - 1e-5, 1 + 1e-5, output.shape)).astype(np.float32) for output in outputs]

    monkeypatch.setattr(detector, "LiteModel", Perturbed)
    same_arrays(find, Detector(detector_models.installed()), thirty)


def as_arrays(images: list[Image.Image]) -> list[Any]:
    return [np.asarray(image) for image in images]


def test_show_faces_needs_a_face_in_most_images(thirty: list[Image.Image]) -> None:
    noise = [np.random.default_rng(seed).integers(0, 256, (60, 60, 3), dtype=np.uint8) for seed in range(5)]
    assert detector.show_faces([*as_arrays(thirty[:6]), *noise])
    assert not detector.show_faces([*as_arrays(thirty[:4]), *noise])
    assert not detector.show_faces(noise)


def test_show_faces_searches_a_sample_of_20(monkeypatch: pytest.MonkeyPatch) -> None:
    looked_at = []
    monkeypatch.setattr(detector, "default", lambda: lambda image: looked_at.append(image.getpixel((0, 0))) or [])
    assert not detector.show_faces([np.full((2, 2, 3), number, np.uint8) for number in range(200)])
    assert len(looked_at) == 20
    assert (looked_at[0][0], looked_at[-1][0]) == (0, 199)

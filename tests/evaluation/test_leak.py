"""The audit finds the label where the images contain it, and nowhere else."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from anteojos.evaluation import leak
from anteojos.images import class_folders
from anteojos.runtime.errors import InputError
from anteojos.sources import archive, drawing
from tests.project import built_once

pytestmark = pytest.mark.slow

COUNTS = {split: {"glasses": n, "noglasses": n} for split, n in (("train", 52), ("validate", 20))}
Images = npt.NDArray[np.uint8]


def noise(n: int, size: int = 32, seed: int = 0) -> Images:
    return np.random.default_rng(seed).integers(0, 256, (n, size, size, 3), dtype=np.uint8)


def labels_of(n: int, first: int | None = None) -> npt.NDArray[np.str_]:
    """Return `n` labels in random order; `first` of them, by default half, are "a"."""
    first = n // 2 if first is None else first
    return np.random.default_rng(9).permutation(["a"] * first + ["b"] * (n - first))


def planted(images: Images, labels: npt.NDArray[np.str_], rows: slice, columns: slice) -> Images:
    images = images.copy()
    for image, label in zip(images, labels, strict=True):
        if label == "a":
            image[rows, columns] //= 4
    return images


def border_probe(images: Images, labels: npt.ArrayLike, **limits: Any) -> leak.Probe:
    return leak.probes(images, labels, {}, **limits)["border"]


def refitted(features: Any, labels: Any, penalty: float) -> npt.NDArray[np.float64]:
    """Predict each label with a ridge regression with an intercept, refitted to all other images."""
    predicted = []
    for left_out in range(len(features)):
        others = np.arange(len(features)) != left_out
        x, y = features[others], labels[others]
        centred = x - x.mean(axis=0)
        weights = np.linalg.solve(centred.T @ centred + penalty * np.eye(x.shape[1]), centred.T @ (y - y.mean(axis=0)))
        predicted.append(y.mean(axis=0) + (features[left_out] - x.mean(axis=0)) @ weights)
    return np.array(predicted)


@pytest.mark.parametrize("columns", [3, 20, 50])
@pytest.mark.parametrize("first", [7, 10])
def test_scores_equal_refitting_with_the_best_penalty(columns: int, first: int) -> None:
    rng = np.random.default_rng(1)
    labels = np.where(labels_of(20, first) == "a", 1.0, -1.0)[:, np.newaxis]
    features = rng.normal(5, 1, (20, columns)) * rng.uniform(0.5, 2, columns) + labels
    mean_square = ((features - features.mean(axis=0)) ** 2).sum() / 20
    candidates = [refitted(features, labels, penalty * mean_square) for penalty in np.logspace(-3, 3, 7)]
    best = min(candidates, key=lambda predicted: float(((labels - predicted) ** 2).mean()))
    mean_of_others = (labels.sum() - labels) / 19
    np.testing.assert_allclose(leak.scores(features, labels), best - mean_of_others, atol=1e-8)


def test_features_without_information_have_scores_0() -> None:
    labels = np.where(labels_of(20) == "a", 1.0, -1.0)[:, np.newaxis]
    for features in (np.full((20, 3), 0.1), np.zeros((20, 1)), np.random.default_rng(0).normal(size=(20, 3))):
        assert not leak.scores(features, labels).any()


def test_labellings_are_scored_independently() -> None:
    rng = np.random.default_rng(2)
    features = rng.normal(size=(16, 5))
    labels = np.stack([np.where(rng.permutation(16) < 6, 1.0, -1.0) for _ in range(8)], axis=1)
    alone = [leak.scores(features, column[:, np.newaxis]) for column in labels.T]
    assert len({column.any() for column in alone}) == 2
    np.testing.assert_allclose(leak.scores(features, labels), np.concatenate(alone, axis=1), atol=1e-12)


def test_scores_ignore_origin_scale_and_rotation_of_features() -> None:
    rng = np.random.default_rng(3)
    labels = np.where(labels_of(24) == "a", 1.0, -1.0)[:, np.newaxis]
    features = rng.normal(size=(24, 6)) + labels / 2
    rotation, _ = np.linalg.qr(rng.normal(size=(6, 6)))
    expected = leak.scores(features, labels)
    assert expected.any()
    for same in (features + 7, features * 100, features @ rotation):
        np.testing.assert_allclose(leak.scores(same, labels), expected, atol=1e-8)


def test_names_and_order_of_the_classes_do_not_matter() -> None:
    labels = labels_of(40)
    images = planted(noise(40), labels, slice(0, 3), slice(10, 20))
    probe = border_probe(images, labels)
    assert border_probe(images, labels == "a") == probe
    assert border_probe(images, np.where(labels == "a", 7, 3)) == probe
    assert probe.verdict == "leak"


def test_mark_in_the_border_is_a_leak() -> None:
    labels = labels_of(60)
    probe = border_probe(planted(noise(60, 64), labels, slice(0, 6), slice(20, 40)), labels)
    assert probe == leak.Probe(accuracy=1.0, chance=0.5, p_value=1 / 1001, n=60, verdict="leak")


@pytest.mark.parametrize("size", [32, 48, 160, 167])
@pytest.mark.parametrize("border", [4, 10, 22, 23, 40, 66, 72])
def test_middle_of_the_image_is_not_used(size: int, border: int) -> None:
    images = noise(4, size)
    # A pixel that is partly in the border may be used.
    inside = slice(-(-size * border // 160), size - -(-size * border // 160))
    changed = images.copy()
    changed[:, inside, inside] = 255 - images[:, inside, inside]
    np.testing.assert_array_equal(leak.border_values(changed, border), leak.border_values(images, border))
    one, other = (leak.probes(i, ["a", "a", "b", "b"], {}, border=border, permutations=9) for i in (images, changed))
    assert one == other


@pytest.mark.parametrize("border", [4, 22, 30, 72])
def test_all_sides_of_the_border_are_used(border: int) -> None:
    images = np.zeros((5, 160, 160, 3), np.uint8)
    at = border // 2
    for image, place in zip(images, ((at, 80), (159 - at, 80), (80, at), (80, 159 - at)), strict=False):
        image[place[0] - 1 : place[0] + 2, place[1] - 1 : place[1] + 2] = 255
    values = leak.border_values(images, border)
    assert (values.max(axis=1)[:4] > 0).all()
    assert values[4].max() == 0


def test_p_value_is_at_least_one_in_the_number_of_labellings() -> None:
    labels = labels_of(40)
    images = planted(noise(40), labels, slice(0, 3), slice(10, 20))
    assert border_probe(images, labels, permutations=19).p_value == 1 / 20
    assert border_probe(images, labels, permutations=19).verdict == "none"
    assert border_probe(images, labels, permutations=199).verdict == "leak"


@pytest.mark.parametrize(
    ("limits", "verdict"),
    [({}, "leak"), ({"accuracy": 1.0}, "none"), ({"p_value": 1 / 1001}, "none"), ({"p_value": 0.001}, "leak")],
)
def test_verdict_depends_on_both_limits(limits: dict[str, float], verdict: str) -> None:
    labels = labels_of(40)
    images = planted(noise(40), labels, slice(0, 3), slice(10, 20))
    assert border_probe(images, labels, **limits).verdict == verdict


def test_random_labels_are_a_leak_in_at_most_5_of_100_seeds() -> None:
    probes = []
    for seed in range(100):
        rng = np.random.default_rng(seed)
        # Blocks of pixels, because neighbours in an image are similar.
        images = rng.integers(0, 256, (24, 8, 8, 3), dtype=np.uint8).repeat(4, axis=1).repeat(4, axis=2)
        labels = rng.permutation(["a"] * 12 + ["b"] * 12)
        probes.append(border_probe(images, labels, permutations=300))
    assert sum(probe.verdict == "leak" for probe in probes) <= 5
    # 5 of 100 p-values are expected below 0.05, rarely more than 10.
    assert sum(probe.p_value < 0.05 for probe in probes) <= 10


def test_sample_of_many_images_is_deterministic(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leak, "MOST_IMAGES", 40)
    chosen = leak.sample(200)
    assert len(set(chosen)) == 40
    assert list(chosen) == sorted(chosen) == list(leak.sample(200))
    assert list(leak.sample(40)) == list(range(40))


def test_views_of_a_memory_map_give_the_same_result(tmp_path: Path) -> None:
    labels = labels_of(20)
    np.save(tmp_path / "images.npy", noise(20))
    views = list(np.load(tmp_path / "images.npy", mmap_mode="r"))
    assert leak.probes(views, labels, {}, permutations=50) == leak.probes(noise(20), labels, {}, permutations=50)


def test_small_class_is_a_leak_only_with_a_mark() -> None:
    labels = labels_of(100, first=12)
    probe = border_probe(noise(100), labels)
    assert (probe.accuracy < 0.6, probe.verdict) == (True, "none")
    probe = border_probe(planted(noise(100), labels, slice(0, 3), slice(10, 20)), labels)
    assert (probe.accuracy > 0.95, probe.verdict) == (True, "leak")


@pytest.mark.parametrize("labels", [["a"] * 6, ["a"] * 5 + ["b"], ["a", "a", "b", "b", "c", "c"], []])
def test_two_classes_of_two_images_are_required(labels: list[str]) -> None:
    with pytest.raises(InputError, match="needs two classes with at least two images each; found "):
        border_probe(noise(len(labels)), labels)


N = 48
LABELS = labels_of(N)
FIRST = LABELS == "a"
RNG = np.random.default_rng(4)
HARMLESS: dict[str, Any] = {
    "width": RNG.integers(158, 163, N),
    "height": np.full(N, 155),
    "bytes": RNG.integers(5000, 9000, N),
    "quantisation": RNG.choice(["JPEG 75", "JPEG 90"], N),
}
LEAKING: dict[str, Any] = {
    "width": np.where(FIRST, 160, 161),
    # Between two parts of the other class: not linearly separable.
    "height": np.where(FIRST, 155, RNG.choice([154, 156], N)),
    "bytes": np.where(FIRST, RNG.integers(8000, 8100, N), RNG.choice([5000, 9000], N) + RNG.integers(0, 900, N)),
    "quantisation": np.where(FIRST, "JPEG 75", RNG.choice([f"JPEG {quality}" for quality in range(80, 90)], N)),
}


@pytest.mark.parametrize("leaking_name", [None, *LEAKING])
def test_leaking_name_property_is_found_and_no_other(leaking_name: str | None) -> None:
    files = {**HARMLESS, **({leaking_name: LEAKING[leaking_name]} if leaking_name else {})}
    found = leak.probes(noise(N), LABELS, files)
    assert list(found) == ["border", "position_rows", "position_columns", "corners", *HARMLESS]
    leaks = [name for name, probe in found.items() if probe.verdict == "leak"]
    assert leaks == ([leaking_name] if leaking_name else [])
    assert {probe.n for probe in found.values()} == {N}
    if leaking_name != "height":
        # The same for all images.
        assert (found["height"].accuracy, found["height"].p_value) == (0.5, 1.0)


def test_features_with_unique_values_are_no_leak() -> None:
    files = {"bytes": np.arange(N), "quantisation": [f"JPEG {n}" for n in range(N)], "ratio": np.linspace(0, 1, N)}
    assert {probe.verdict for probe in leak.probes(noise(N), LABELS, files).values()} == {"none"}


def test_position_of_the_face_is_found_in_rows_or_columns() -> None:
    canvas = np.full((N, 64, 64, 3), 255, np.uint8)
    for image, first, face in zip(canvas, FIRST, noise(N, 50), strict=True):
        image[(4 if first else 7) :, 5:55][:50] = face
    found = leak.probes(canvas, LABELS, {})
    assert found["position_rows"].verdict == found["border"].verdict == "leak"
    transposed = leak.probes(canvas.transpose(0, 2, 1, 3), LABELS, {})
    assert transposed["position_columns"] == found["position_rows"]


@pytest.mark.parametrize("rows", [slice(4), slice(-4, None)])
@pytest.mark.parametrize("columns", [slice(4), slice(-4, None)])
def test_colour_of_a_corner_is_found_if_grey_is_the_same(rows: slice, columns: slice) -> None:
    images = noise(N, 32) // 4 + 90
    images[FIRST, rows, columns] = (200, 90, 90)
    images[~FIRST, rows, columns] = (123, 130, 88)  # as grey as the other
    found = leak.probes(images, LABELS, {}, border=20)
    assert [name for name, probe in found.items() if probe.verdict == "leak"] == ["corners"]


def test_p_values_are_corrected_for_the_number_of_probes() -> None:
    # Of 30 features without information, some have a small p-value alone, but none together.
    rng = np.random.default_rng(5)
    files = {f"feature {number}": rng.integers(0, 4, N) for number in range(30)}
    images = noise(N, 8)
    alone = [
        leak.probes(images, LABELS, {name: values}, permutations=200)[name].p_value for name, values in files.items()
    ]
    together = leak.probes(images, LABELS, files, permutations=200)
    assert min(alone) < 0.1
    assert min(together[name].p_value for name in files) > 0.3


def leaking(*names: str, accuracy: float = 0.987) -> dict[str, leak.Probe]:
    every = ("border", "position_rows", "position_columns", "corners", "width", "height", "bytes", "quantisation")
    leaks, harmless = leak.Probe(accuracy, 0.5, 0.000999, 144, "leak"), leak.Probe(0.5, 0.5, 1.0, 144, "none")
    return {name: leaks if name in names else harmless for name in every}


def test_leak_of_the_border_is_explained() -> None:
    names = ("con lentes", "sin lentes")
    assert leak.explain(leaking(), names, 22, "none", faces=True) == []
    (paragraph,) = leak.explain(leaking("border", "position_rows"), names, 22, "none", faces=True)
    for words in (
        "from the outer 22 of 160 px alone, con lentes and sin lentes are classified with a balanced accuracy of 0.987 "
        "(chance 0.5, p = 0.001, n = 144)",
        "Then a balanced accuracy of about 0.99 on images of this dataset, including validate and test, does not show",
        "Set `preprocess.crop: face` in params.yaml",
    ):
        assert words in paragraph
    drawn = leak.explain(leaking("border"), names, 22, "none", faces=True, image="leak.png")[0]
    assert "n = 144); leak.png shows how. A" in drawn


@pytest.mark.parametrize(
    ("crop", "faces", "advice"),
    [
        ("none", True, "Set `preprocess.crop: face` in params.yaml"),
        ("none", False, "Find out what it is, and crop the images to their subject"),
        ("face", True, "`preprocess.crop: face` did not remove it"),
        ("face", False, "`preprocess.crop: face` did not remove it"),
    ],
)
def test_advice_depends_on_crop_and_faces(crop: Any, faces: bool, advice: str) -> None:
    (paragraph,) = leak.explain(leaking("border"), ("cats", "dogs"), 22, crop, faces)
    assert advice in paragraph
    assert ("Set `preprocess.crop: face`" in paragraph) == (crop == "none" and faces)
    # Other classes than faces may be textures.
    of_faces = crop == "face" or faces
    assert ("without the face" in paragraph, "as a texture does" in paragraph) == (of_faces, not of_faces)


def test_leaks_of_parts_and_of_files_are_explained_separately() -> None:
    names = ("con lentes", "sin lentes")
    (paragraph,) = leak.explain(leaking("position_columns"), names, 22, "face", faces=True)
    assert paragraph.startswith("position_columns predicts the label with a balanced accuracy of 0.987")
    assert "A network can see it" in paragraph
    border, files = leak.explain(leaking("border", "corners", "width", "bytes"), names, 22, "none", faces=True)
    assert "without the face" in border
    assert files.startswith("width predicts the label with")
    assert "; bytes predicts the label with" in files
    assert "corners" not in files
    assert "A network does not see this" in files


def probed(folder: Path, crop: Any, size: int = 160, **limits: Any) -> dict[str, leak.Probe]:
    files, labels = class_folders.find(folder)
    images, facts = class_folders.read(files, size, crop)
    return leak.probes(images, labels, facts, permutations=300, **limits)


@pytest.fixture(scope="session", params=[2024, 7, 11])
def drawn(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    seed = request.param
    return built_once(tmp_path_factory, f"drawn {seed}", lambda folder: drawing.draw_dataset(folder, seed, COUNTS))


def test_label_printed_on_drawn_faces_leaks_unless_aligned(drawn: Path) -> None:
    whole = probed(drawn, "none")
    assert (whole["border"].accuracy >= 0.9, whole["border"].verdict, whole["border"].n) == (True, "leak", 144)
    assert {whole[name].verdict for name in ("width", "height", "bytes", "quantisation")} == {"none"}
    aligned = probed(drawn, "face")
    assert {probe.verdict for probe in aligned.values()} == {"none"}
    assert aligned["border"].accuracy <= 0.65


def test_label_leaks_from_small_drawn_faces_unless_aligned(drawn: Path) -> None:
    assert probed(drawn, "none", 48)["border"].verdict == "leak"
    assert {probe.verdict for probe in probed(drawn, "face", 48).values()} == {"none"}


@pytest.mark.shared
def test_label_printed_on_real_images_leaks_unless_aligned(shared_data: Path, tmp_path: Path) -> None:
    source, classes = shared_data / "glasses-noglasses.zip", archive.Classes(("glasses", "noglasses"))
    archive.import_dataset(str(source), tmp_path, classes, sha256=None, max_bytes=10**8)
    whole = probed(tmp_path, "none")
    assert whole["border"].accuracy >= 0.9
    assert [name for name, probe in whole.items() if probe.verdict == "leak"] == [
        "border",
        "position_rows",
        "position_columns",
        "corners",
    ]
    aligned = probed(tmp_path, "face")
    assert aligned["border"].accuracy <= 0.65
    assert {probe.verdict for probe in aligned.values()} == {"none"}

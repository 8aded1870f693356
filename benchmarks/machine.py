"""Write into benchmarks/README.md on which machine its tables were measured."""

import os
import platform
from importlib.metadata import version
from pathlib import Path

import psutil

from readme import BENCHMARKS, write_part

PACKAGES = ("dvc", "tensorflow-cpu", "keras", "ai-edge-litert", "numpy", "pandas", "pillow", "dask")


def main() -> None:
    """Write the part."""
    write_part("machine", "python benchmarks/machine.py", describe(), BENCHMARKS)


def describe() -> str:
    """Return processor, cores, memory, system and versions as one sentence."""
    versions = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    memory = psutil.virtual_memory().total / 2**30
    kind = f"{processor()} {'with' if has_avx512() else 'without'} AVX-512"
    return (
        f"Measured on {kind}: {os.cpu_count()} cores, {memory:.0f} GiB of memory; "
        f"{platform.system()}, Python {platform.python_version()}, {versions}."
    )


def processor() -> str:
    """Return the name of the processor, or its architecture."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def has_avx512() -> bool:
    """Return whether the processor has AVX-512, with which TensorFlow trains faster."""
    info = Path("/proc/cpuinfo")
    return info.exists() and "avx512f" in info.read_text(encoding="utf-8")


if __name__ == "__main__":
    main()

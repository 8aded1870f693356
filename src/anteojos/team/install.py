"""Set up .venv from requirements.lock with the Python that runs this, which may have no package installed at all.

Run as a file, and not as a module: `import anteojos` may need what is yet to be installed.
"""

import importlib.util
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

VENV = Path(".venv")
LOCK = Path("requirements.lock")
NEEDED = 2_600_000_000  # bytes that .venv takes
PIP = (str(VENV / "bin/python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check")
# No package is ever compiled here. The one that comes as source alone is pure Python.
WHEELS = ("--only-binary", ":all:", "--no-binary", "antlr4-python3-runtime")

# What pip says, and the next step. The first that fits counts: pip without a network finds no distribution either.
NEXT_STEPS = (
    (
        r"No space left on device|Errno 28|Disk quota exceeded",
        f"The disk is full. Make room: {NEEDED / 1e9:.1f} GB here, and 1 GB for pip in the folder for temporary files "
        "(TMPDIR=/another/folder names another).",
    ),
    (
        r"DO NOT MATCH THE HASHES",
        "What arrived is not what requirements.lock names: it was damaged or changed on its way. `pip cache purge` "
        "forgets what pip keeps; a proxy or a mirror may be at fault.",
    ),
    (
        r"Connection|NameResolution|Temporary failure in name resolution|Timeout|ProxyError|SSLError|CERTIFICATE"
        r"|Network is unreachable|IncompleteRead|HTTP error|[45]\d\d (Client|Server) Error",
        "The package index cannot be reached. Check the network; behind a proxy set HTTPS_PROXY, and where your "
        "organisation has an index of its own, PIP_INDEX_URL.",
    ),
    (
        r"No matching distribution",
        "The index has no such package for this machine and this Python, if it can be reached at all. TensorFlow needs "
        "64-bit Linux with glibc (not Alpine) or macOS on Apple silicon; an index of your organisation's may lack it "
        "(PIP_INDEX_URL).",
    ),
)


def main() -> int:
    """Run the command; give its exit code."""
    found = list(obstacles())
    if found:
        print("The environment cannot be set up:", *(f"  {problem}" for problem in found), sep="\n", file=sys.stderr)
        return 1
    print(
        f"Setting up {VENV} from {LOCK}: about 2 minutes and {NEEDED / 1e9:.1f} GB of disk, this once. "
        "No compiler is needed.",
        flush=True,
    )
    subprocess.run([sys.executable, "-m", "venv", "--clear", VENV], check=True)  # noqa: S603
    # The lock is complete. Without its override, pip would install a second TensorFlow: see pyproject.toml.
    packages = ("--require-hashes", "--no-deps", "-r", str(LOCK))
    return pip(*WHEELS, *packages) or pip("--no-deps", "--no-build-isolation", "--editable", ".")


def obstacles() -> Iterator[str]:
    """Say all that keeps the environment from being set up, a line each."""
    if sys.maxsize <= 2**32:
        yield f"{sys.executable} is a 32-bit Python, for which there is no TensorFlow: make PYTHON=… names a 64-bit one"
    if importlib.util.find_spec("ensurepip") is None:
        version = "python{}.{}-venv".format(*sys.version_info)
        yield f"{sys.executable} has no module venv: on Debian and Ubuntu, apt install {version}"
    if VENV.is_symlink():
        # `venv --clear` would empty what it leads to, which others may use.
        yield f"{VENV} is a link to {VENV.readlink()}, whose content would be replaced: remove the link"
    free = shutil.disk_usage(".").free + sum(file.lstat().st_size for file in VENV.rglob("*") if not VENV.is_symlink())
    if free < NEEDED:
        yield f"{Path.cwd()} has {free / 1e9:.1f} GB free, {VENV} takes {NEEDED / 1e9:.1f} GB: make room"


def pip(*arguments: str) -> int:
    """Install with pip, pass on what it says, and where it fails say what to do; give its exit code."""
    said = []
    command = [*PIP, *arguments]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, errors="replace") as process:  # noqa: S603
        for line in process.stderr or ():
            said.append(line)
            sys.stderr.write(line)
    if process.returncode:
        print(f"\n{next_step(''.join(said))}\nThen run the same command again.", file=sys.stderr)
    return process.returncode


def next_step(said: str) -> str:
    """Return the next step, by what pip printed when it failed."""
    fitting = (step for pattern, step in NEXT_STEPS if re.search(pattern, said))
    return next(fitting, "Look what pip says above, and mend that.")


if __name__ == "__main__":
    sys.exit(main())

"""Set up .venv from requirements.lock with the Python that runs this file.

Run it as a file and not as a module: it uses the standard library only, because nothing is installed yet.
"""

import importlib.util
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

VENV = Path(".venv")
SIZE = 2_600_000_000  # bytes
PIP = (VENV / "bin/python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps")
# Never compile: every package has a wheel, except one that is pure Python.
WHEELS = ("--only-binary", ":all:", "--no-binary", "antlr4-python3-runtime")
COMMANDS = (
    (sys.executable, "-m", "venv", "--clear", VENV),
    # --no-deps: the lock is complete, and a dependency of it would install a second TensorFlow (see pyproject.toml).
    (*PIP, *WHEELS, "--require-hashes", "-r", "requirements.lock"),
    (*PIP, "--no-build-isolation", "--editable", "."),
)


def main() -> int:
    """Set up the environment, or print why this fails and remove what is incomplete. Return the exit code."""
    problems = list(obstacles())
    if problems:
        print("The environment cannot be set up:", *(f"  {line}" for line in problems), sep="\n", file=sys.stderr)
        return 1
    print(f"Setting up {VENV} from requirements.lock, once: {SIZE / 1e9:.1f} GB, 2 to 5 minutes.", flush=True)
    try:
        for command in COMMANDS:
            subprocess.run(command, check=True)  # noqa: S603
    except BaseException as error:
        shutil.rmtree(VENV, ignore_errors=True)
        if not isinstance(error, subprocess.CalledProcessError):
            raise
        print(
            "\nThe environment was not set up; the error message is above. docs/reference/errors.md, section "
            "“pip fails”, lists\nusual causes. Remove the cause, then run the same command again.",
            file=sys.stderr,
        )
        return 1
    return 0


def obstacles() -> Iterator[str]:
    """Yield each reason why the environment cannot be set up."""
    if sys.maxsize <= 2**32:
        yield f"{sys.executable} is a 32-bit Python, but TensorFlow needs 64 bit: name another with make PYTHON=…"
    if importlib.util.find_spec("ensurepip") is None:
        package = "python{}.{}-venv".format(*sys.version_info)
        yield f"{sys.executable} has no module venv: on Debian and Ubuntu, apt install {package}"
    if VENV.is_symlink():
        # `venv --clear` would empty the target, which others may use.
        yield f"{VENV} is a link to {VENV.readlink()}, and the content there would be deleted: remove the link"
    free = shutil.disk_usage(".").free + sum(file.lstat().st_size for file in VENV.rglob("*") if not VENV.is_symlink())
    if free < SIZE:
        yield f"{Path.cwd()} has {free / 1e9:.1f} GB free, {VENV} needs {SIZE / 1e9:.1f} GB: make room"


if __name__ == "__main__":
    sys.exit(main())

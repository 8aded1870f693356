"""The checkout of the project that the command runs in, as git finds it: this folder or one above it."""

import os
from pathlib import Path

PARAMS = Path("params.yaml")
MODEL = "models/model.tflite"


def find(here: Path) -> Path | None:
    """Return the folder that contains params.yaml and dvc.yaml, `here` or the nearest above it, or None."""
    folders = (here, *here.parents)
    return next((path for path in folders if (path / PARAMS).is_file() and (path / "dvc.yaml").is_file()), None)


def place(path: str) -> Path:
    """Return a file of the checkout, relative to the current folder; outside of a checkout `path` itself."""
    checkout = find(Path.cwd())
    return Path(os.path.relpath(checkout / path)) if checkout else Path(path)


def classes_for(model: Path) -> tuple[str, ...]:
    """Return the class folders in params.yaml if `model` is the model of this checkout; () if it is not.

    Also () if they cannot be read: only the pipeline needs params.yaml, and the package that reads it.
    """
    checkout = find(Path.cwd())
    if not checkout or model.resolve() != (checkout / MODEL).resolve():
        return ()
    try:
        import yaml
    except ModuleNotFoundError:
        return ()
    try:
        classes = yaml.safe_load((checkout / PARAMS).read_text(encoding="utf-8"))["dataset"]["classes"]
        return tuple(str(each["folder"]) for each in classes)
    except (OSError, ValueError, yaml.YAMLError, KeyError, TypeError):
        return ()

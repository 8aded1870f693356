"""Packages import only from the packages below them."""

import ast
from pathlib import Path

import pytest

from tests.project import ROOT

SOURCE = ROOT / "src/anteojos"
# From the lowest to the highest.
LAYERS = (
    "vocabulary",
    "runtime",
    "params",
    "sources",
    "images",
    "model",
    "evaluation",
    "labelling",
    "serve",
    "configure",
    "stages",
    "team",
    "cli",
    "__main__",
)
# Modules that import other modules only when an attribute is used.
LAZY = ("__init__",)


def layer(module: str) -> str:
    """Return the package, or the module of the top level, that a dotted name or a relative path is in."""
    return module.replace("/", ".").removesuffix(".py").split(".")[0]


def imported(path: Path) -> set[str]:
    """Return the layers that a file imports, also inside functions and for type checkers."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module == "anteojos":
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("anteojos."):
            found.add(layer((node.module or "").removeprefix("anteojos.")))
        elif isinstance(node, ast.Import):
            found |= {
                layer(alias.name.removeprefix("anteojos."))
                for alias in node.names
                if alias.name.startswith("anteojos.")
            }
    return found


@pytest.mark.parametrize("path", sorted(SOURCE.rglob("*.py")), ids=lambda path: path.relative_to(SOURCE).as_posix())
def test_package_imports_only_lower_packages(path: Path) -> None:
    own = layer(path.relative_to(SOURCE).as_posix())
    if own not in LAZY:
        allowed = LAYERS[: LAYERS.index(own) + 1]
        assert imported(path) <= set(allowed)


def test_no_stage_imports_another() -> None:
    for path in (SOURCE / "stages").glob("*.py"):
        assert "stages" not in imported(path), path.name


def test_only_modules_for_training_import_tensorflow() -> None:
    importing = {
        path.relative_to(SOURCE).as_posix()
        for path in SOURCE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Import) and {alias.name.split(".")[0] for alias in node.names} & {"tensorflow", "keras"}
    }
    assert importing <= {"model/networks.py", "model/training.py", "model/distribution.py"}

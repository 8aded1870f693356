"""Find the source files that a module imports, directly or not, from the code without running it."""

import ast
from collections.abc import Iterator
from pathlib import Path

SOURCE = Path(__file__).parents[1] / "src"
# Modules that no output depends on, so that no stage runs again if they change; their imports are not followed either.
# `cluster` decides where work runs, not what it returns (tests/runtime/cluster); `anteojos` imports names on first use;
# `stages` sets how often garbage is collected.
CHANGE_NO_OUTPUT = {"anteojos.runtime.cluster", "anteojos", "anteojos.stages"}


def imported_files(module: str) -> set[str]:
    """Return the files below `src/` that run if `module` is imported, as paths from the root.

    CHANGE_NO_OUTPUT and `__init__.py` files with nothing but a docstring are left out.
    """
    seen: set[str] = set()
    files: set[Path] = set()
    waiting = [module]
    while waiting:
        name = waiting.pop()
        path = _file_of(name)
        if name in seen | CHANGE_NO_OUTPUT or path is None:
            continue
        seen.add(name)
        # Importing a.b.c runs a and a.b first.
        waiting += [name.rpartition(".")[0]] if "." in name else []
        tree = ast.parse(path.read_text(encoding="utf-8"))
        if not all(isinstance(node, ast.Expr) for node in tree.body):
            files.add(path)
        for node in _run(tree):
            if isinstance(node, ast.Import):
                waiting += [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 0, f"{path}: relative imports are not followed"
                waiting += [node.module or "", *(f"{node.module}.{alias.name}" for alias in node.names)]
    templates = {template for path in files for template in path.parent.glob(f"{path.stem}.*.j2")}
    return {path.relative_to(SOURCE.parent).as_posix() for path in files | templates}


def _run(tree: ast.AST) -> Iterator[ast.AST]:
    """Yield all nodes of a module except those below `if TYPE_CHECKING`."""
    for node in ast.iter_child_nodes(tree):
        if not (isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"):
            yield node
            yield from _run(node)


def _file_of(module: str) -> Path | None:
    path = SOURCE.joinpath(*module.split("."))
    return next((file for file in (path / "__init__.py", path.with_suffix(".py")) if file.is_file()), None)

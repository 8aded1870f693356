"""Which source files a module imports, directly or not, read from the code without running it."""

import ast
from collections.abc import Iterator
from pathlib import Path

SOURCE = Path(__file__).parents[1] / "src"


def imported_files(module: str) -> set[str]:
    """Return the files below `src/`, as paths from the project's root, that importing `module` runs."""
    seen: set[str] = set()
    waiting = [module]
    while waiting:
        name = waiting.pop()
        path = _file_of(name)
        if name in seen or path is None:
            continue
        seen.add(name)
        # Importing a.b.c runs a and a.b first.
        waiting += [name.rpartition(".")[0]] if "." in name else []
        for node in _run(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                waiting += [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 0, f"{path}: relative imports are not followed"
                waiting += [node.module or "", *(f"{node.module}.{alias.name}" for alias in node.names)]
    files = {path for name in seen if (path := _file_of(name))}
    templates = {template for path in files for template in path.parent.glob(f"{path.stem}.*.j2")}
    return {path.relative_to(SOURCE.parent).as_posix() for path in files | templates}


def _run(tree: ast.AST) -> Iterator[ast.AST]:
    """Yield all of a module's syntax but what is for type checkers alone."""
    for node in ast.iter_child_nodes(tree):
        if not (isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"):
            yield node
            yield from _run(node)


def _file_of(module: str) -> Path | None:
    path = SOURCE.joinpath(*module.split("."))
    return next((file for file in (path / "__init__.py", path.with_suffix(".py")) if file.is_file()), None)

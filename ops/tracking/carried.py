"""The code and the libraries that a module needs, read from the text of its imports: what an MLflow model carries."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterable, Iterator
from importlib import metadata
from pathlib import Path


def code(modules: Iterable[str], root: Path) -> list[Path]:
    """Files below `root`, relative to it, that the modules reach, at once or inside functions, with their packages."""
    found: set[Path] = set()
    todo = list(modules)
    while todo:
        for path in _files(todo.pop(), root):
            if path not in found:
                found.add(path)
                todo += [name for name, _ in _imports(root / path)]
    return sorted(found)


def requirements(files: Iterable[Path], root: Path) -> list[str]:
    """Libraries that `files` import at once, each as `name==version` of this environment.

    What is imported inside functions is for other uses of a module (pandas, to read a data set) than to predict.
    """
    names = {name.partition(".")[0] for path in files for name, at_once in _imports(root / path) if at_once}
    foreign = {name for name in names if name not in sys.stdlib_module_names and not any(_files(name, root))}
    owners = metadata.packages_distributions()
    return sorted({f"{owners[name][0]}=={metadata.version(owners[name][0])}" for name in foreign})


def _imports(path: Path) -> Iterator[tuple[str, bool]]:
    yield from _within(ast.parse(path.read_text(encoding="utf-8")), at_once=True)


def _within(node: ast.AST, at_once: bool) -> Iterator[tuple[str, bool]]:
    """Dotted names that are imported, and whether when the module is; those for type checking are left out."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import):
            yield from ((alias.name, at_once) for alias in child.names)
        elif isinstance(child, ast.ImportFrom) and child.module:
            yield child.module, at_once
            yield from ((f"{child.module}.{alias.name}", at_once) for alias in child.names)
        elif not (isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING"):
            yield from _within(child, at_once and not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef))


def _files(name: str, root: Path) -> Iterator[Path]:
    """Files of a module and of the packages around it, those of them that are there."""
    parts = name.split(".")
    for count in range(1, len(parts) + 1):
        base = Path(*parts[:count])
        yield from (path for path in (base.with_suffix(".py"), base / "__init__.py") if (root / path).is_file())

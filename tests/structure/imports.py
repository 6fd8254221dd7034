"""The repository's import graph, read from the source text: nothing is imported or run."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = (
    "core",
    "modalities",
    "compression",
    "tasks",
    "training",
    "evaluation",
    "validation",
    "stages",
    "pipelines",
    "serving",
)


def sources() -> list[Path]:
    """Every Python file of the product, relative to the root."""
    return sorted(p.relative_to(ROOT) for package in PACKAGES for p in (ROOT / package).rglob("*.py"))


@cache
def _tree(path: Path) -> ast.Module:
    return ast.parse((ROOT / path).read_text(encoding="utf-8"))


@cache
def imported(path: Path) -> frozenset[str]:
    """Dotted names that a file imports, at the top or inside functions, also those only for type checking."""
    names: set[str] = set()
    for node in ast.walk(_tree(path)):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module)
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
    return frozenset(names)


def strings(path: Path) -> set[str]:
    """All string constants of a file."""
    return {n.value for n in ast.walk(_tree(path)) if isinstance(n, ast.Constant) and isinstance(n.value, str)}


@cache
def roles(path: Path) -> frozenset[str]:
    """Roles that a file asks for: the second argument of `load(task, "role")`."""
    return frozenset(
        node.args[1].value
        for node in ast.walk(_tree(path))
        if isinstance(node, ast.Call)
        and getattr(node.func, "attr", getattr(node.func, "id", "")) == "load"
        and len(node.args) == 2
        and isinstance(node.args[1], ast.Constant)
        and isinstance(node.args[1].value, str)
    )


def file_of(name: str) -> Path | None:
    """The product's file behind a dotted name, if it is one."""
    if name.split(".", maxsplit=1)[0] not in PACKAGES:
        return None
    base = Path(*name.split("."))
    return next((p for p in (base.with_suffix(".py"), base / "__init__.py") if (ROOT / p).is_file()), None)


def closure(path: Path, task: str) -> set[Path]:
    """All product files that a stage file reaches for one task, through imports and roles."""
    seen: set[Path] = set()
    todo = [path]
    while todo:
        here = todo.pop()
        if here in seen:
            continue
        seen.add(here)
        names = imported(here) | {f"tasks.{task}.{role}" for role in roles(here)}
        todo += [found for name in names if (found := file_of(name)) is not None]
    return seen

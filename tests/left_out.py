"""Modules that `-m` leaves out are not imported: with what they import that takes seconds of each process."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

WHOLE = re.compile(r"^pytestmark = (.*)$", re.MULTILINE)
"""Marks of a whole module, in one line."""
FOLDERS = {"docker": "containers"}
"""Of folders below this one whose conftest marks every case."""
MARKERS = {"slow": ("tiers",)}
"""Modules by whose functions cases are marked."""
CHAIN = re.compile(r"(not )?\w+( and (not )?\w+)*")


def unwanted(expression: str) -> set[str]:
    """Marks without which every case is that `-m` chooses; none of an expression with `or` or brackets."""
    return set(re.findall(r"\bnot (\w+)", expression)) if CHAIN.fullmatch(expression.strip()) else set()


def marks(path: Path) -> set[str]:
    """That each case of a module has, as far as one line of it says so."""
    said = WHOLE.search(path.read_text(encoding="utf-8"))
    folder = FOLDERS.get(path.relative_to(Path(__file__).parent).parts[0])
    return set(re.findall(r"pytest\.mark\.(\w+)", said[1] if said else "")) | ({folder} if folder else set())


def wanted(expression: str) -> set[str]:
    """Marks that every case has which `-m` chooses; none of an expression with `or` or brackets."""
    found = expression.strip() if CHAIN.fullmatch(expression.strip()) else ""
    return {word for word in re.findall(r"(?<!not )\b(\w+)", found) if word not in ("and", "not")}


def named(path: Path, mark: str) -> bool:
    """Whether some case of a module may have it: the module names it, or who marks for it."""
    text = path.read_text(encoding="utf-8")
    return mark in marks(path) or any(f"{by} import" in text for by in MARKERS.get(mark, ())) or f"mark.{mark}" in text


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    if not (collection_path.name.startswith("test_") and collection_path.suffix == ".py"):
        return None
    expression = config.getoption("markexpr")
    if not all(named(collection_path, mark) for mark in wanted(expression)):
        return True
    return True if marks(collection_path) & unwanted(expression) else None

"""A task is one small folder: what it shares with others leaves it (docs/architecture.md)."""

from __future__ import annotations

from imports import ROOT, sources

from core import task

FIRST = ("detection", "translation")
"""They stood before modalities did: four roles of theirs are folders."""


def test_a_task_is_small() -> None:
    for name in task.names():
        own = [path for path in sources() if path.parts[:2] == ("tasks", name) and (ROOT / path).stat().st_size]
        lines = sum(len((ROOT / path).read_text(encoding="utf-8").splitlines()) for path in own)
        files = [path for path in own if path.name != "__init__.py"]
        most = (20, 2400) if name in FIRST else (8, 700)
        assert len(files) <= most[0] and lines <= most[1], f"{name} has {len(files)} files and {lines} lines"

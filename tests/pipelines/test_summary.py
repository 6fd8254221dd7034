"""The table that a pipeline ends with fits into a terminal of 80 columns."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from core import paths
from core.files import write_json
from pipelines import summary


def row(variant: str, quality: float, scale: float = 1.0) -> dict[str, Any]:
    interval = [quality - 0.1 * scale, quality + 0.1 * scale]
    return {
        **{"variant": variant, "precision": "fp32", "test": quality, "test_interval": interval},
        **{"latency_ms": 1234.56, "size_mb": 123.456},
    }


@pytest.fixture
def printed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    wide = [row("base", 51.23, 10), row("distilled", 48.0, 10), row("pruned", 47.0, 10)]
    for task, title, rows in (("detection", "mAP@[.5:.95]", [row("base", 0.5)]), ("translation", "BLEU", wide)):
        paths.report(task).mkdir(parents=True)
        comparison = {"title": title, "better": "higher", "rows": rows, "chosen": ["distilled", "fp32"]}
        write_json(paths.report(task) / "comparison.json", comparison)
    console = Console(width=80)
    with console.capture() as captured:
        summary.show(("detection", "translation", "not run"), console)
    return captured.get()


def test_nothing_is_cut_off(printed: str) -> None:
    assert "…" not in printed
    for words in ("mAP@[.5:.95]", "0.500 (0.400 to 0.600)", "48.0 (47.0 to 49.0)", "1234.6", "123.46", "make ui"):
        assert words in printed


def test_the_choice_of_each_task_is_marked(printed: str) -> None:
    marked = [line for line in printed.splitlines() if line.rstrip().endswith("chosen")]
    assert len(marked) == 1 and "distilled fp32" in marked[0]
    assert "not run" not in printed

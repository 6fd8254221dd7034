"""Curves of pruning: what is asked of a run, and what is made of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from PIL import Image

from benchmarks.clones import ROOT
from benchmarks.pruning import page, run
from core import params


def row(variant: str, quality: float, weights: int, zeros: float = 0.0) -> dict[str, Any]:
    return {
        **{"variant": variant, "quality": quality, "interval": [0.0, 1.0], "test": 0.5, "test_interval": [0.45, 0.55]},
        **{"size_mb": 4.0, "packed_mb": 3.0, "speed": {"value": 1.25}, "speed_8": {"value": 1.5}},
        **{"parameters": weights, "macs": 2_000_000, "zeros": zeros},
    }


FOUND: dict[str, Any] = {
    **{"commit": "0" * 40, "machine": "2 cores of X", "title": "accuracy", "better": "higher"},
    **{"val_inputs": 31, "test_inputs": 40},
    "rows": [row("base", 0.8, 1000), row("magnitude_50", 0.72, 260), row("weights_50", 0.76, 1000, 0.48)],
}


@pytest.mark.parametrize("task", page.TASKS)
def test_what_is_asked_is_what_params_allow(task: str) -> None:
    asked = run.asked(yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8")), task)
    made = params.check(asked)[1][task]
    assert set(made.prune) == set(run.variants(task)) and not made.distill  # type: ignore[attr-defined]
    assert made.prune["weights_94"].pattern == "weights" and made.prune["groups_50"].ratio == 0.5  # type: ignore[attr-defined]


def test_the_page_in_docs_is_what_is_made_of_the_measurements() -> None:
    assert page.PAGE.read_text(encoding="utf-8") == page.page(), "run `python -m benchmarks.pruning table`"


def test_left_and_kept_are_of_the_base(tmp_path: Path) -> None:
    (tmp_path / "detection.json").write_text(json.dumps(FOUND), encoding="utf-8")
    text = page.page(tmp_path)
    assert (
        "| channels, by magnitude | 50 % | 26 % | 2 M | 90.0 % | 0.5 (0.45 – 0.55) | 1.25 | 1.50 | 4.00 | 3.00 |"
        in text
    )
    assert "| single weights | 50 % | 52 % | 2 M | 95.0 % |" in text
    assert "2:4" not in text.split("## detection")[1] and text.count("Not measured") == len(page.TASKS) - 1
    lower = FOUND | {"better": "lower"}
    assert page.kept(row("x", 1.0, 1), lower) == pytest.approx(0.8)


def test_the_picture_has_a_panel_a_task(tmp_path: Path) -> None:
    for task in ("detection", "translation"):
        (tmp_path / f"{task}.json").write_text(json.dumps(FOUND), encoding="utf-8")
    page.picture(tmp_path, tmp_path / "p.png")
    width, height = Image.open(tmp_path / "p.png").size
    assert width > 2 * height

"""Figures of the server: what a command keeps, and what is made of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from benchmarks.serving import page, record
from serving.ways import Way

POINT = {"p50": 10.0, "p99": 31.25, "refused": 0.0}
LOAD: dict[str, Any] = {
    **{"capacity": 100.0, "idle_p50": 9.0, "idle_p99": 12.0},
    "points": [
        {"share": 0.7, "rate": 70.0, "even": POINT, "poisson": POINT},
        {"share": 1.2, "rate": 120.0, "even": POINT, "poisson": POINT | {"refused": 0.125}},
    ],
}
PEERS: dict[str, Any] = {
    "versions": {"litserve": "0.2.19", "mlflow": "3.17.2"},
    "connections": {
        count: {
            "stillhouse": {"rate": 100.0, "p50": 9.0, "p99": 20.0, "failed": 0, "ours_over": 1.0},
            "litserve": {"rate": 80.0, "p50": 9.0, "p99": 25.0, "failed": 0, "ours_over": ours},
            "mlflow": {"rate": 70.0, "p50": 9.0, "p99": 25.0, "failed": 2, "ours_over": 1.43},
        }
        for count, ours in (("1", 0.97), ("4", 1.1), ("16", 1.25))
    },
}
OVERLOAD: dict[str, Any] = {
    **{"minutes": 10, "over": 1.5, "capacity": 100.0, "sent": 90_000, "statuses": {"200": 60_000, "429": 30_000}},
    **{"broken": 0, "wrong": 0, "memory_mb": [150.0, 180.0, 183.0]},
}


@pytest.fixture
def measured(tmp_path: Path) -> Path:
    for command, found in (("load", LOAD), ("peers", PEERS), ("overload", OVERLOAD)):
        record.keep("detection", command, found, Way(2, 1), tmp_path)
    return tmp_path


def test_the_page_in_docs_is_what_is_made_of_the_measurements() -> None:
    assert page.PAGE.read_text(encoding="utf-8") == page.page(), "run `python -m benchmarks.serving table`"


def test_a_load_under_which_nothing_is_answered_is_told(tmp_path: Path) -> None:
    nothing = {"p50": float("nan"), "p99": float("nan"), "refused": 1.0}
    points = [{"share": 1.2, "rate": 120.0, "even": nothing, "poisson": POINT}]
    path = record.keep("detection", "load", LOAD | {"points": points}, Way(2, 1), tmp_path)

    def refuse(word: str) -> None:
        raise AssertionError(f"{word} is no JSON")

    json.loads(path.read_text(), parse_constant=refuse)
    assert "| 120% | 120.0 | no answer | no answer | 100.0% | 10.0 | 31.2 | none |" in page.page(tmp_path)


def test_what_was_asked_and_missed_is_told(measured: Path) -> None:
    text = page.page(measured)
    assert "| over LitServe, 1 connection | 0.97 **missed** | not measured | not measured | 1 |" in text
    assert "| over LitServe, 16 connections | 1.25 | not measured | not measured | 1.25 |" in text
    assert "| over `mlflow models serve`, 16 | 1.43 **missed** | not measured | not measured | 2 |" in text
    assert "| 120% | 120.0 | 10.0 | 31.2 | none | 10.0 | 31.2 | 12.5% |" in text
    assert "| mlflow 3.17.2, 6 failed | 70.0 (25.0) | 70.0 (25.0) | 70.0 (25.0) |" in text
    assert "90,000 sent, answered 60,000 with 200, 30,000 with 429, 0 without an answer" in text
    assert text.count("Not measured.") == len(page.TASKS) - 1


def test_a_command_replaces_what_it_found_before_and_says_how(measured: Path) -> None:
    path = record.keep("detection", "load", LOAD | {"capacity": 50.0}, Way(1, 2), measured)
    found = json.loads(path.read_text(encoding="utf-8"))
    assert (found["load"]["capacity"], found["load"]["instances"], found["load"]["threads"]) == (50.0, 1, 2)
    assert found["peers"]["connections"] == PEERS["connections"]
    assert "onnxruntime" in found["load"]["machine"] and len(found["load"]["commit"]) == 40


def test_the_picture_has_a_panel_a_task(tmp_path: Path) -> None:
    widths = []
    for tasks in (("detection",), ("detection", "translation")):
        page.picture(dict.fromkeys(tasks, LOAD), tmp_path / "load.png")
        widths.append(Image.open(tmp_path / "load.png").width)
    assert widths[1] == 2 * widths[0]

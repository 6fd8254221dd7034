"""The tables of the public data sets say what was measured, and stand in `docs/` as they are made."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks import clones
from benchmarks.figures import run, table


def row(variant: str, precision: str, test: float, megabytes: float) -> dict[str, Any]:
    return {
        **{"variant": variant, "precision": precision, "test": test, "test_interval": [test - 0.02, test + 0.02]},
        **{"loss": {"value": 0.0114, "bound": 0.04}, "size_mb": megabytes, "latency_ms": 9.94},
        **{"speed": {"value": 1.678}, "speed_8": {"value": 1.88}, "parameters": 2_640_011, "macs": 1_174_442_112},
    }


FOUND: dict[str, Any] = {
    **{"commit": "0" * 40, "machine": "2 cores of X; torch 1", "title": "mAP", "signature": "COCO", "val_inputs": 31},
    **{"test_inputs": 1087, "chosen": ["base", "int8"], "budget": {"max_mb": 20.0, "max_loss": 0.03, "device": None}},
    "rows": [row("base", "fp32", 0.5966, 11.79), row("base", "int8", 0.5976, 3.231)],
}


def test_the_page_in_docs_is_what_is_made_of_the_measurements() -> None:
    assert table.PAGE.read_text(encoding="utf-8") == table.page(), "run `python -m benchmarks.figures table`"


def test_a_row_is_set_against_the_first(tmp_path: Path) -> None:
    (tmp_path / "bccd.json").write_text(json.dumps(FOUND), encoding="utf-8")
    text = table.page(tmp_path)
    first, second = (line for line in text.splitlines() if "2.64 M" in line)
    assert first.startswith("| base fp32 | 0.5966 (0.577 – 0.617) |  | 11.79 | 100.0 % |")
    assert second.startswith("| **base int8** | 0.5976 (0.578 – 0.618) | 0.0114 (up to 0.04) | 3.23 | 27.4 % |")
    assert second.endswith("| 9.9 | 1.68 | 1.88 | 2.64 M | 1.17 G |")
    assert "mAP on 1,087 test inputs, 31 for validation" in text
    assert "(max_mb 20, max_loss 0.03), base int8 was chosen" in text
    assert "2 cores of X; torch 1, at commit `000000000000`" in text
    assert text.count("Not measured") == len(table.PRESETS) - 1


def test_figures_are_read_from_a_finished_checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    report = tmp_path / "reports" / "detection" / "comparison.json"
    report.parent.mkdir(parents=True)
    rows = [one | {"quality": 0.5, "memory_mb": 9.0, "verdict": "ships", "operators": {}} for one in FOUND["rows"]]
    report.write_text(json.dumps(FOUND | {"timing": {}, "rows": rows}), encoding="utf-8")
    monkeypatch.setattr(run, "MEASURED", tmp_path)
    monkeypatch.setattr(run, "told", lambda *command, cwd: "1" * 40)
    found = json.loads(run.read("bccd", tmp_path).read_text(encoding="utf-8"))
    assert found["commit"] == "1" * 40 and found["chosen"] == ["base", "int8"]
    assert set(found["rows"][1]) == set(run.COLUMNS)


def test_every_measurement_is_of_a_preset() -> None:
    assert set(table.PRESETS) <= {path.stem for path in (clones.ROOT / "presets").glob("*.yaml")}
    assert {path.stem for path in run.MEASURED.glob("*.json")} <= set(table.PRESETS)

"""The table of the notes' experiments says what was measured, and stands in `docs/` as it is made."""

from __future__ import annotations

import json
from pathlib import Path

from benchmarks import clones
from benchmarks.notes import run, table

FOUND = {
    **{"commit": "0" * 40, "machine": "2 cores of X; torch 1", "training_s": 90, "epochs": 3},
    **{"parameters": 3_400_000, "macs": 385_000_000, "metric": "accuracy", "val_inputs": 10, "test_inputs": 20},
    "fp32": {"val": 0.9, "test": 0.9791, "interval": [0.97, 0.985], "size_mb": 0.96},
    "int8": {"val": 0.9, "test": 0.9781, "interval": [0.97, 0.985], "size_mb": 0.26},
}


def test_the_page_in_docs_is_what_is_made_of_the_measurements() -> None:
    assert table.PAGE.read_text(encoding="utf-8") == table.page(), "run `python -m benchmarks.notes table`"


def test_a_row_holds_both_figures_and_says_what_is_missing(tmp_path: Path) -> None:
    (tmp_path / "mnist.json").write_text(json.dumps(FOUND), encoding="utf-8")
    text = table.page(tmp_path)
    (row,) = [line for line in text.splitlines() if line.startswith("| `mnist` |")]
    for cell in ("0.9798", "0.9791 (0.9700 – 0.9850)", "0.980: short by 0.0009", "3.4 M", "385 M", "1.5 of 20"):
        assert cell in row
    assert text.count("not measured") == len(table.experiments()) - 1
    assert "- `mnist`: 2 cores of X; torch 1, at commit `000000000000`" in text


def test_every_experiment_is_a_preset_and_every_measurement_an_experiment() -> None:
    names = {experiment["preset"] for experiment in table.experiments()}
    assert names <= {path.stem for path in (clones.ROOT / "presets").glob("*.yaml")}
    assert {path.stem for path in run.MEASURED.glob("*.json")} <= names

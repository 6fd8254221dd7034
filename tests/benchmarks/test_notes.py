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
    assert text.count("not measured") == len(run.experiments()) - 1
    assert "- `mnist`: 2 cores of X; torch 1, at commit `000000000000`" in text


def test_translations_are_told_in_bleu(tmp_path: Path) -> None:
    parts = {"test": 18.256, "interval": [16.0, 20.125]}
    own = {"fp32": FOUND["fp32"] | parts, "int8": FOUND["int8"] | parts, "metric": "bleu_tokens"}
    (tmp_path / "notes-gru.json").write_text(json.dumps(FOUND | own), encoding="utf-8")
    (row,) = [line for line in table.page(tmp_path).splitlines() if line.startswith("| `notes-gru` |")]
    for cell in ("| 17.89: a GRU", "| 18.26 (16.00 – 20.12) | 18.26 | 17.89: reached |", "| 3 | 1.5 |"):
        assert cell in row


def test_figures_are_of_the_metric_that_is_asked_for(tmp_path: Path) -> None:
    checkpoint = tmp_path / "models" / "t" / "base" / "checkpoint"
    checkpoint.mkdir(parents=True)
    (checkpoint / "result.json").write_text(json.dumps({"epochs": 1, "parameters": 2, "macs": 3}))
    values = {"bleu": 1.0, "bleu_tokens": 2.0}
    scored = {"main": "bleu", "metrics": values, "intervals": {name: [v, v] for name, v in values.items()}}
    scored |= {"val": {"metrics": values, "inputs": 4}, "inputs": 5, "size_mb": 6.0}
    for precision in run.PRECISIONS:
        folder = tmp_path / "evaluations" / "t" / f"base-{precision}"
        folder.mkdir(parents=True)
        (folder / "metrics.json").write_text(json.dumps(scored))
    told = [run.figures(tmp_path, "t", metric) for metric in (None, "bleu_tokens")]
    assert [(one["metric"], one["fp32"]["test"]) for one in told] == [("bleu", 1.0), ("bleu_tokens", 2.0)]


def test_every_experiment_is_a_preset_and_every_measurement_an_experiment() -> None:
    names = {experiment["preset"] for experiment in run.experiments()}
    assert names <= {path.stem for path in (clones.ROOT / "presets").glob("*.yaml")}
    assert {path.stem for path in run.MEASURED.glob("*.json")} <= names

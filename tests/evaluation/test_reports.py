"""What people read: card, report, table at the end, picture; all from figures whose places are known."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
from candidate_rows import EXACT, chosen, faster
from PIL import Image

from core import paths
from core.files import write_json, write_text
from core.params import BudgetParams
from evaluation import candidates, gate, pareto, report, tables
from pipelines import summary

BUDGET = BudgetParams(max_mb=10.0, max_ms=50.0, max_loss=0.05, worst_quality=0.1)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def evaluation(precision: str, val: float, test: float, megabytes: float) -> None:
    """What `evaluate` writes of a candidate."""
    where = paths.evaluation("toy", "base", precision)
    scores = {"metrics": {"map": test}, "intervals": {"map": [test - 0.1, test + 0.1]}, "main": "map"}
    val_scores = {"metrics": {"map": val}, "intervals": {"map": [val - 0.2, val + 0.2]}, "inputs": 40}
    files = {"size_mb": megabytes, "signature": "COCO|<b>", "inputs": 90, "val": val_scores}
    write_json(where / "metrics.json", scores | files)
    write_json(paths.checkpoint("toy", "base") / "result.json", {"parameters": 12345, "macs": 6_700_000})


def read(precision: str, latency: float) -> dict[str, Any]:
    """The row of a candidate that takes so many milliseconds."""
    way = {"median_ms": latency, "p99_ms": latency + 1, "per_second": 1000 / latency, "speed": EXACT}
    timed = {"batch_1": way, "batch_8": way, "batch_1_all_cores": way, "memory_mb": 100.0}
    network = "Conv" if precision == "fp32" else "QLinearConv"
    costs = {network: (latency / 2, latency * 1e6, 3e6), "Resize": (1.0, 0, 0)}
    timed["operators"] = {name: dict(zip(("ms", "macs", "bytes"), cost, strict=True)) for name, cost in costs.items()}
    return candidates.read(
        paths.evaluation("toy", "base", precision), paths.checkpoint("toy", "base"), timed, "base", precision
    )


def compared() -> dict[str, Any]:
    """Three candidates of which the best on test is not the best on val."""
    evaluation("fp32", val=0.60, test=0.51, megabytes=8)
    evaluation("int8", val=0.58, test=0.50, megabytes=2)
    evaluation("fp16", val=0.40, test=0.59, megabytes=4)
    rows = [read(precision, latency) for precision, latency in (("fp32", 40), ("int8", 20), ("fp16", 10))]
    candidates.mark_front(rows, "higher")
    ships = chosen(rows, BUDGET)
    for each in rows:
        each["verdict"] = gate.words(each, ships, faster)
    return {
        "task": "toy",
        **{"metric": "map", "title": "mAP@[.5:.95]", "better": "higher"},
        "signature": "COCO|<b>",
        "val_inputs": 40,
        "test_inputs": 90,
        "budget": BUDGET.model_dump(),
        "rows": rows,
        "timing": {
            "reference": "base-fp32",
            "threads": 2,
            "rounds": {"batch_1": 200},
            "noisy": False,
            "peak_gflops": {"fp32": 8.0, "int8": 16.0},
            "int8_instructions": ["AVX-512 VNNI"],
        },
        "chosen": [ships["variant"], ships["precision"]] if ships else None,
        "verdict": gate.verdict(ships, rows, faster),
    }


def test_the_choice_is_made_on_val_whatever_test_says() -> None:
    comparison = compared()
    assert comparison["chosen"] == ["base", "int8"]
    assert comparison["verdict"]["passed"]
    assert "of the 2 candidates, out of 3" in comparison["verdict"]["why"]
    assert comparison["rows"][2]["misses"] == [
        "max_loss 0.05: is 0.2 worse than base fp32, and up to 0.2 worse is possible"
    ]


def test_a_gate_that_fails_says_so() -> None:
    evaluation("fp32", val=0.05, test=0.9, megabytes=1)
    rows = [read("fp32", 1)]
    assert gate.verdict(chosen(rows, BUDGET), rows, faster) == {
        "passed": False,
        "why": "none of 1 candidates keeps every limit of compare.budget",
    }


def test_table_and_csv_have_both_splits_under_their_names() -> None:
    rows = compared()["rows"]
    header, first = (line.split(",") for line in tables.comma_separated(rows).splitlines()[:2])
    found = dict(zip(header, first, strict=True))
    assert (found["val"], found["val low"], found["test"], found["test high"]) == ("0.6", "0.4", "0.51", "0.61")
    assert (found["parameters"], found["multiply-adds"]) == ("12.3 K", "6.7 M")
    assert len({line.count("|") for line in tables.markdown(rows).splitlines()}) == 1


def leave(task: str) -> None:
    """What validate and augment leave for the report."""
    counts = {"train": {"images": 1200, "boxes": 3400, "left_out": {}}, "val": {"images": 40}, "test": 90}
    found = {"file": "<script>alert(1)</script>", "row": 3, "field": "x", "reason": "r", "found": "f"}
    validation = {"rows": 10, "bad": 1, "bad_share": 0.1, "quarantine": [found], "clean": counts}
    write_json(paths.validated(task) / "validation.json", validation)
    paths.augmented(task).mkdir(parents=True)
    Image.new("RGB", (4, 4)).save(paths.augmented(task) / "contact_sheet.png")
    write_text(paths.prepared(task) / "x", "x")


def test_the_report_is_one_file_without_foreign_addresses_or_markup() -> None:
    comparison = compared()
    leave("toy")
    pareto.picture(comparison["rows"], comparison["title"], "higher", comparison["chosen"], Path("pareto.png"))
    page = report.render(comparison, Path("pareto.png"))
    assert "http://" not in page and "https://" not in page
    assert "<script" not in page and "&lt;script&gt;" in page
    assert "COCO|<b>" not in page
    assert "train 3,400 boxes, 1,200 images; val 40 images; test 90 rows." in page
    assert "mAP@[.5:.95] on test</dt><dd>0.5<" in page
    rate = '<td class="n">4<small>{} %</small></td><td class="n">3.00</td>'
    none = '<td class="n">–</td><td></td><td></td>'
    assert f'<th scope="row">Conv</th><td class="n">20.000</td>{rate.format(50)}{none}' in page
    assert f'<th scope="row">QLinearConv</th>{none}<td class="n">10.000</td>{rate.format(25)}' in page
    assert "8 in fp32 and 16 in int8 (AVX-512 VNNI)." in page
    outside = page[page.index('<th scope="row">outside of the graph</th>') :].split("</tr>")[0]
    assert "19.000" in outside and "9.000" in outside
    assert "9 % goes to operators that base fp32 has, too, which its precision has not changed: Resize." in page


def test_the_report_tells_what_was_lost_and_shows_it() -> None:
    comparison = compared()
    leave("toy")
    pareto.picture(comparison["rows"], comparison["title"], "higher", comparison["chosen"], Path("pareto.png"))
    for number in range(2):
        Image.new("RGB", (4, 4), (number, 0, 0)).save(f"{number}.png")
    part = {"kind": "class", "name": "<i>cat", "count": 1234, "reference": 0.5, "shown": 0.375, "gain": -0.125}
    differences = {
        **{"models": ["base fp32", "base int8"], "worse": 3, "better": 2, "compared": 90},
        **{"parts": [part], "captions": ["0.81 → 0.2"], "pictures": [[Path("0.png"), Path("1.png")]]},
    }
    page = report.render(comparison, Path("pareto.png"), differences)
    assert "of 90 inputs, each scored alone, 3 come out worse and 2 better" in page
    row = page[page.index("class &lt;i&gt;cat") :].split("</tr>")[0]
    assert [row.count(text) for text in ("1,234", ">0.5<", ">0.375<", ">-0.12<")] == [1, 1, 1, 1]
    assert report.picture(Path("0.png")) in page and report.picture(Path("1.png")) in page
    assert "base int8; mAP@[.5:.95] of this input 0.81 → 0.2</figcaption>" in page
    assert "What was lost" not in report.render(comparison, Path("pareto.png"))


def test_the_report_tells_what_was_rescued() -> None:
    comparison = compared()
    leave("toy")
    pareto.picture(comparison["rows"], comparison["title"], "higher", comparison["chosen"], Path("pareto.png"))
    assert "Where quantization lost too much" not in report.render(comparison, Path("pareto.png"))
    kept = {
        "graph": "a.onnx",
        "layer": "<i>head",
        "nodes": ["conv1", "relu1"],
        "noise": 0.173,
        "why": "7 of 8 channels",
    }
    tried = [
        {"how": "as params.yaml says", "loss": None, "mb": 1.5, "chosen": False},
        {"how": "1 layer in float", "loss": 0.0123, "mb": 1.625, "chosen": True},
    ]
    notes = {"rescue": {"aim": 0.02, "tried": tried, "kept": [kept]}}
    write_json(paths.model("toy", "base", "int8") / "quantization.json", notes)
    page = report.render(comparison, Path("pareto.png"))
    told = page[page.index("Where quantization lost too much") : page.index("Where the time goes")]
    assert "base int8, quantized as" in told and "allows, 0.02" in told
    assert [told.count(text) for text in ("no number", ">0.0123<", ">1.62<", "17 %", "7 of 8 channels")] == [1] * 5
    assert "&lt;i&gt;head<small>conv1, relu1</small>" in told


def test_the_report_tells_what_was_measured_on_a_device_and_what_is_estimated() -> None:
    """Each with its interval, and how far off estimates may be (docs/choice.md)."""
    comparison = compared()
    leave("toy")
    page = render(comparison)
    assert "ms on" not in page
    figures = {"ms": 31.0, "low": 30.0, "high": 32.0, "name": "board", "speed": EXACT}
    for each, how in zip(comparison["rows"], ("measured", "estimated", "estimated"), strict=True):
        each["device"] = figures | {"how": how}
    comparison["device"] = {
        **{"name": "board", "cpu": "<b>A72", "architecture": "aarch64", "onnxruntime": "1.31.1", "correction": 1.25},
        **{"measured": "2026-01-02T03:04:05+00:00", "error": 1.4, "references": ["base-fp32"]},
        "off": {"base-fp32": 0.8},
    }
    page = render(comparison)
    assert [page.count(f"31<small>{how}: 30 – 32</small></td>") for how in ("measured", "estimated")] == [1, 2]
    assert "board is &lt;b&gt;A72 (aarch64, ONNX Runtime 1.31.1), measured 2026-01-02" in page
    assert "Measured there: base-fp32; estimates are 0.80 times what base-fp32 took." in page
    assert "corrected by 1.25, as these models say; it may be 1.40 times too small or too large" in page
    assert "50 ms on board," in page and "<dt>on board, estimated</dt><dd>31 ms</dd>" in page


def render(comparison: dict[str, Any]) -> str:
    pareto.picture(comparison["rows"], comparison["title"], "higher", comparison["chosen"], Path("pareto.png"))
    return report.render(comparison, Path("pareto.png"))


def test_the_report_of_a_failed_gate_shows_the_reason() -> None:
    comparison = compared() | {"chosen": None}
    leave("toy")
    pareto.picture(comparison["rows"], comparison["title"], "higher", None, Path("pareto.png"))
    page = report.render(comparison, Path("pareto.png"))
    assert "No candidate keeps every limit" in page
    assert "max_loss 0.05: is 0.2 worse than base fp32" in page


def test_the_last_table_shows_test_figures_and_marks_the_choice() -> None:
    from rich.console import Console

    write_json(paths.report("toy") / "comparison.json", compared())
    console = Console(width=120, record=True, file=io.StringIO())
    summary.show(["toy"], console)
    lines = console.export_text().splitlines()
    (line,) = [line for line in lines if "int8" in line]
    assert "0.500 (0.400 to 0.600)" in line and "chosen" in line and "20.0" in line and "2.00" in line
    assert json.loads((paths.report("toy") / "comparison.json").read_text())["chosen"] == ["base", "int8"]

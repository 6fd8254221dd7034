"""Profiles of devices: what is measured there, and what is made of it for models that were there and that were not."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import toy_package
from candidate_rows import EXACT, row

from core import devices, kinds, matrix, onnx_session
from core import params as params_module
from core.devices import Kernel, Measured, Profile
from core.errors import ModelError, ParamsError
from core.files import write_json
from core.params import BudgetParams
from evaluation import candidates, gate, judged, operators, parts, tables, timing
from evaluation.device import estimate, graphs, micro, models, there
from evaluation.device.__main__ import measure
from tasks.detection.predict import Predictor

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("kind", kinds.ALL)
def test_a_graph_holds_the_kernels_that_it_is_to_measure(kind: str, tmp_path: Path) -> None:
    """As ONNX Runtime's own profile tells them, of a graph that onnx finds valid."""
    size = micro.SIZES[kind.removesuffix(kinds.INT8)][1]
    content, x, cost = graphs.make(kind, size, 3)
    (tmp_path / "row.onnx").write_bytes(content)
    onnx.checker.check_model(onnx.load(tmp_path / "row.onnx"))

    def load() -> Any:
        opened = onnx_session.session(tmp_path / "row.onnx", threads=1)
        return lambda batch: opened.run(None, {"x": batch[0]})

    found = [run for run in operators.profiled(load, [x]) if run.kind == kind and "Reorder" not in run.operator]
    assert len(found) == 3 * operators.CALLS, kind
    assert {run.macs for run in found} == {cost.macs}
    assert found[0].bytes == pytest.approx(cost.bytes, rel=0.1)  # scales, indices


def test_kernels_of_different_kinds_are_all_run(tmp_path: Path) -> None:
    content, x, costs = graphs.mixed(*micro.MIXED)
    (tmp_path / "mixed.onnx").write_bytes(content)
    onnx.checker.check_model(onnx.load(tmp_path / "mixed.onnx"), full_check=True)

    def load() -> Any:
        opened = onnx_session.session(tmp_path / "mixed.onnx", threads=1)
        return lambda batch: opened.run(None, {"x": batch[0]})

    found = operators.profiled(load, [x])
    assert len(found) == len(costs) * operators.CALLS, "ONNX Runtime has left none out"
    assert sorted({run.macs for run in found}) == sorted({cost.macs for _, cost in costs})
    assert {run.kind for run in found} == {kind for kind, _ in costs}


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A profile in a second: the smallest sizes, in few calls."""
    monkeypatch.setattr(micro, "SIZES", {kind: sizes[:1] for kind, sizes in micro.SIZES.items()})
    monkeypatch.setattr(micro, "CALLS", (20, 20))
    monkeypatch.setattr(micro, "BUSY_S", 0.0)
    monkeypatch.setattr(micro, "SWEPT_BYTES", 1000)
    monkeypatch.setattr(micro, "HOST_CALLS", 20)
    monkeypatch.setattr(models, "PATIENCE_S", 0.0)
    monkeypatch.chdir(tmp_path)


@pytest.mark.usefixtures("few")
def test_what_was_packaged_is_known_by_the_graph_that_it_was_made_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = toy_package.make(tmp_path / "package")
    made = measure("board", [package], 20)
    write_json(devices.path("board"), made.model_dump())
    assert devices.read("board") == made
    plain = tmp_path / "plain"
    plain.mkdir()
    toy_package.detector(plain / "detector.onnx")  # without the passport
    (plain / "model.json").write_bytes((package / "model" / "model.json").read_bytes())
    assert devices.files(plain) != devices.files(package / "model")
    found = made.models[devices.key(devices.files(plain))]
    assert (found.name, found.inputs, len(found.blocks)) == ("package/model", 2, timing.BLOCKS)
    assert 0 < found.low <= found.ms <= found.high < 1000
    assert set(made.kernels) == set(kinds.ALL)
    monkeypatch.setattr(micro, "kernels", lambda: made.kernels)
    again = measure("board", [], 20)
    assert again.models == made.models, "what was measured of models stays"

    def load() -> Any:
        return Predictor(package / "model", threads=1)

    inputs = sorted((package / "golden").glob("*.png"))
    timed = {
        "kernels": operators.kernels(operators.profiled(load, inputs), operators.CALLS),
        "parts": parts.measure(load, inputs, 20),
    }
    assert timed["parts"]["runs"] == {"detector.onnx": pytest.approx(1.0)}
    guessed = estimate.milliseconds(timed, made.host_ms, made)
    assert found.ms / 5 < guessed < found.ms * 5, (
        "a call of this package is Python, of which the profile knows the speed"
    )


def test_what_is_no_package_is_told(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"golden/samples\.json; expected a package"):
        models.measure(tmp_path, 20)
    write_json(tmp_path / "golden" / "samples.json", [])
    with pytest.raises(ModelError, match="holds no model folder"):
        models.measure(tmp_path, 20)


def kernel(us: float, macs: float = 0.0, moved: float = 1000.0) -> Kernel:
    return Kernel(macs=macs, bytes=moved, us=us)


def test_a_kernel_takes_what_its_like_took() -> None:
    points = [kernel(1.0, 1e4, 1e3), kernel(50.0, 1e6, 1e4)]
    assert estimate.kernel_us(points, 1e4, 1e3) == pytest.approx(1.0, rel=0.01)
    assert estimate.kernel_us(points, 1e6, 1e4) == pytest.approx(50.0, rel=0.01)
    assert 1.0 < estimate.kernel_us(points, 1e5, 3e3) < 50.0
    assert estimate.kernel_us(points, 1e8, 1e6) == pytest.approx(5000.0, rel=0.2), "what is larger computes as fast"
    assert estimate.kernel_us([kernel(2.0)], 0, 4000) == pytest.approx(8.0)


def profile(**changed: Any) -> Profile:
    """A device on which a kernel of 10^6 multiply-adds takes a millisecond, and Python twice as long as here."""
    values: dict[str, Any] = {
        **{"format": 1, "name": "board", "measured": "2026-01-01T00:00:00+00:00", "cpu": "A72", "architecture": "arm"},
        **{"int8_instructions": [], "onnxruntime": "1", "call_us": 100.0, "host_ms": 2.0, "models": {}},
        "kernels": {kind: [{"macs": 1e6, "bytes": 1e4, "us": 1000.0}] for kind in kinds.ALL},
    }
    return Profile.model_validate(values | changed)


def timed(macs: float, outside: float = 1.0, runs: float = 1.0) -> dict[str, Any]:
    kernels = [{"kind": "conv", "runs": runs, "macs": macs, "bytes": 1e4, "ms": 1.0}]
    return {"kernels": kernels, "parts": {"outside_ms": outside, "runs": {"g.onnx": runs}}}


def test_an_estimate_adds_up() -> None:
    assert estimate.milliseconds(timed(1e6), 1.0, profile()) == pytest.approx(1.0 + 0.1 + 2.0)
    decoder = timed(1e6, runs=20.0)
    assert estimate.milliseconds(decoder, 1.0, profile()) == pytest.approx(20 * 1.1 + 2.0), "each run of its graph"
    decoder["kernels"].append({"kind": kinds.UNKNOWN, "runs": 1.0, "macs": 0, "bytes": 10, "ms": 0.5})
    assert estimate.milliseconds(decoder, 1.0, profile()) == pytest.approx(20 * 1.1 + 2 * 1.5), "as Python is slower"


def was_there(ms: float, session: str = "one", wide: float = 1.1) -> Measured:
    figures = {"ms": ms, "low": ms / wide, "high": ms * wide, "blocks": [ms] * timing.BLOCKS}
    return Measured(name="kit/base-fp32", files={}, inputs=5, session=session, **figures)


def marked(there_: dict[str, Measured], *macs: float) -> tuple[list[dict[str, Any]], dict[str, Any], there.Faster]:
    """Rows of candidates of so many multiply-adds, and what is told of the device. there_: by variant."""
    rows = [row(name, 0.9, 1.0, 5.0) for name, _ in zip("abc", macs, strict=False)]
    files = {f"{each['variant']}-fp32": {"g.onnx": each["variant"] * 64} for each in rows}
    found = profile(models={devices.key(files[f"{name}-fp32"]): each.model_dump() for name, each in there_.items()})
    clock = {
        "host_ms": 1.0,
        "candidates": {name: timed(each, 0.0) for name, each in zip(files, macs, strict=True)},
    }
    told = there.mark(rows, clock, files, found)
    return rows, told, there.comparing(files, found)


def test_what_was_never_there_is_estimated_and_says_how_well() -> None:
    rows, told, _ = marked({}, 1e6, 2e6)
    first, second = (each["device"] for each in rows)
    assert first["how"] == second["how"] == "estimated" and second["ms"] == pytest.approx(2.1)
    assert (second["low"], second["high"]) == pytest.approx((2.1 / there.ERROR, 2.1 * there.ERROR))
    assert told["references"] == [] and told["error"] == there.ERROR and told["correction"] == 1.0
    assert not second["speed"]["differs"], "two estimates are known too badly for that"
    assert judged.at_most_ms(rows[1]) == second["high"]


def test_an_estimate_is_corrected_by_what_was_measured_there() -> None:
    rows, told, faster = marked({"a": was_there(2.2)}, 1e6, 2e6)
    assert told["correction"] == pytest.approx(2.0) and told["off"] == {"a-fp32": pytest.approx(0.5)}
    assert rows[0]["device"]["how"] == "measured" and judged.at_most_ms(rows[0]) == 2.2
    assert rows[1]["device"]["ms"] == pytest.approx(4.2) and told["error"] == there.CORRECTED
    assert rows[1]["device"]["high"] == pytest.approx(4.2 * there.CORRECTED)
    assert faster(rows[0], rows[1]).differs and faster(rows[0], rows[1]).value == pytest.approx(2.2 / 4.2)


def test_references_that_disagree_widen_the_estimate() -> None:
    rows, told, _ = marked({"a": was_there(1.1), "b": was_there(1.1 * 4)}, 1e6, 1e6, 1e6)
    assert told["correction"] == pytest.approx(2.0) and told["error"] == pytest.approx(2.0)
    assert rows[2]["device"]["high"] == pytest.approx(1.1 * 2 * 2)


def test_models_of_one_session_are_compared_block_by_block() -> None:
    rows, _, faster = marked({"a": was_there(2.0, wide=2.0), "b": was_there(1.0, wide=2.0)}, 1e6, 1e6)
    assert faster(rows[0], rows[1]) == timing.ratio(np.full(20, 2.0), np.full(20, 1.0))
    rows, _, faster = marked({"a": was_there(2.0, wide=2.0), "b": was_there(1.0, "two", 2.0)}, 1e6, 1e6)
    found = faster(rows[0], rows[1])
    assert math.log(found.high / found.value) == pytest.approx(math.log(2.0) * math.sqrt(2)) and not found.differs


def test_the_gate_judges_by_the_device() -> None:
    """The slowest one here is the fastest there, and what is estimated near the limit does not pass."""
    rows, _, faster = marked({"a": was_there(4.0), "b": was_there(1.0)}, 1e6, 1e6, 1e6)
    for each in rows:
        each["speed"] = {**EXACT, "value": 2.0 if each["variant"] == "a" else 1.0}
    candidates.mark_losses(rows, [dict.fromkeys(("bootstrap", "jackknife"), [0.9] * 3)] * 3, "higher")
    candidates.mark_front(rows, "higher")
    budget = BudgetParams(max_mb=10.0, max_ms=3.0, max_loss=0.1, worst_quality=0.0)
    chosen = gate.choose(rows, budget, "higher", faster)
    assert chosen is rows[1] and [each["front"] for each in rows] == [False, True, False]
    assert rows[0]["misses"] == ["max_ms 3: has 4 ms on board"]
    assert rows[2]["misses"] == ["max_ms 3: has 4 ms on board, estimated as 2"]
    assert gate.words(chosen, chosen, faster) == "ships"
    lines = tables.comma_separated(rows).splitlines()
    assert lines[0].endswith(",device speed,low,high") and "board,measured,4,3.636,4.4,1," in lines[1]
    assert len({line.count(",") for line in lines}) == 1


def test_a_budget_names_a_profile_that_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    values = params_module.read(ROOT / "params.yaml")
    monkeypatch.chdir(tmp_path)
    budget = values["detection"]["compare"]["budget"]

    def problem(name: str) -> str:
        budget["device"] = name
        with pytest.raises(ParamsError) as caught:
            params_module.check(values)
        (told,) = caught.value.problems
        return told

    assert problem("board") == (
        "detection.compare.budget.device: there is no profile devices/board.json; `python -m evaluation.device board` "
        "on that device writes it; there are: none"
    )
    assert "String should match pattern" in problem("../board") or "should match" in problem("../board")
    write_json(devices.path("board"), profile().model_dump() | {"call_us": "long"})
    assert "devices/board.json is no profile of this version: call_us: found 'long'" in problem("board")
    with pytest.raises(ModelError, match=r"remove it, and `python -m evaluation.device board` on that device writes"):
        measure("board", [])  # it would keep what the file has of models
    lacking = profile().model_dump()
    del lacking["kernels"][kinds.BATCHED], lacking["kernels"]["conv-int8"]
    write_json(devices.path("board"), lacking)
    assert problem("board") == (
        "detection.compare.budget.device: the profile devices/board.json lacks kernels of kind conv-int8, batched; "
        "`python -m evaluation.device board` on that device measures them"
    )
    assert devices.read("board").models == {}, "there it is measured again, and keeps what it has of models"
    write_json(devices.path("other"), profile().model_dump())
    assert "name: found 'board', expected 'other'" in problem("other")
    write_json(devices.path("board"), profile().model_dump())
    budget["device"] = "board"
    _, tasks = params_module.check(values)
    assert matrix.facts("detection", tasks["detection"])["device"] == "devices/board.json"
    budget["device"] = None
    _, tasks = params_module.check(values)
    assert matrix.facts("detection", tasks["detection"])["device"] == "data/detection/validated/dataset"

"""ONNX Runtime's profile, by operator."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
import toy_package

from core import onnx_session
from evaluation import operators
from evaluation.operators import Run
from tasks.detection.predict import Predictor


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return toy_package.make(tmp_path_factory.mktemp("operators") / "package")


def test_each_operator_of_the_graph_has_its_time(package: Path) -> None:
    pictures = sorted((package / "golden").glob("*.png"))
    found = operators.profile(lambda: Predictor(package / "model", threads=1), pictures)
    assert "ReduceMean" in found, found
    assert list(found) == sorted(found, key=lambda name: -found[name]["ms"])
    assert all(0 <= cost["ms"] < 1000 and cost["bytes"] > 0 for cost in found.values())


def test_a_session_that_is_opened_otherwise_leaves_no_profile(
    package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with onnx_session.profiled(tmp_path):
        pass
    Predictor(package / "model", threads=1)(sorted((package / "golden").glob("*.png")))
    assert not list(tmp_path.iterdir())


def test_the_first_run_of_a_kernel_does_not_count_for_more_than_the_others() -> None:
    runs = [Run("a", "Conv", 9000.0, 8, 20), *[Run("a", "Conv", 100.0, 8, 20)] * 4]
    runs += [*[Run("b", "Conv", 50.0, 1, 2)] * 10, Run("c", "Exp", 2.0)]
    found = operators.by_operator(runs, 5)
    assert found == {
        "Conv": pytest.approx({"ms": 0.2, "macs": 10, "bytes": 24}),
        "Exp": pytest.approx({"ms": 0.0004, "macs": 0, "bytes": 0}),
    }


def test_of_a_loop_its_kernels_count_with_their_weights_and_not_it(tmp_path: Path) -> None:
    """A decoder's steps are the body of one; its weights stand outside of that."""
    tensor, kinds = onnx.helper.make_tensor_value_info, onnx.TensorProto
    body = onnx.helper.make_graph(
        [
            onnx.helper.make_node("MatMul", ["x", "w"], ["y"], name="product"),
            onnx.helper.make_node("Identity", ["on"], ["still"]),
        ],
        "body",
        [tensor("i", kinds.INT64, []), tensor("on", kinds.BOOL, []), tensor("x", kinds.FLOAT, [1, 8])],
        [tensor("still", kinds.BOOL, []), tensor("y", kinds.FLOAT, [1, 8])],
    )
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node("Loop", ["most", "", "first"], ["last"], body=body)],
        "loop",
        [tensor("most", kinds.INT64, []), tensor("first", kinds.FLOAT, [1, 8])],
        [tensor("last", kinds.FLOAT, [1, 8])],
        [onnx.numpy_helper.from_array(np.eye(8, dtype=np.float32), "w")],
    )
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 18)], ir_version=10)
    onnx.save(model, tmp_path / "loop.onnx")
    fed = {"most": np.array(5), "first": np.ones((1, 8), np.float32)}

    def load() -> Callable[[object], object]:
        opened = onnx_session.session(tmp_path / "loop.onnx", 1)
        return lambda _: opened.run(None, fed)

    found = operators.profile(load, ["x"])
    assert "Loop" not in found and found["MatMul"]["macs"] == 5 * 64
    assert found["MatMul"]["bytes"] == 5 * 4 * (64 + 8 + 8)


def cost(ms: float, macs: float = 0, moved: float = 0) -> operators.Cost:
    return {"ms": ms, "macs": macs, "bytes": moved}


def test_the_table_has_the_longest_of_all_models_and_sums_up() -> None:
    one = {"Conv": cost(3.0, 30e6, 4e6), "Exp": cost(0.1), "Add": cost(0.2, moved=1e6)}
    other = {"QLinearConv": cost(1.0, 30e6, 1e6)}
    lines = operators.table({"a": one, "b": other}, {"a": 5.0, "b": 0.5}, {"fp32": 100.0, "int8": 240.0}, 3)
    assert [line["operator"] for line in lines] == ["Conv", operators.OUTSIDE, "QLinearConv", "2 others"]
    assert sum(line["a"]["ms"] for line in lines) == pytest.approx(5.0)
    assert lines[0]["a"] == pytest.approx({"ms": 3.0, "gflops": 20.0, "share": 0.2, "mb": 4.0})
    assert lines[2]["b"] == pytest.approx({"ms": 1.0, "gflops": 60.0, "share": 0.25, "mb": 1.0})
    assert json.loads(json.dumps(lines[1]["b"])) == {"ms": 0.0, "gflops": None, "share": None, "mb": 0.0}
    assert (lines[3]["a"]["ms"], lines[3]["a"]["mb"]) == pytest.approx((0.3, 1.0))


def test_what_a_precision_has_not_changed() -> None:
    reference = {"Conv": cost(3.0), "Softmax": cost(0.5), "Add": cost(0.1)}
    shown = {"Add": cost(0.4), "QLinearConv": cost(1.0), "Softmax": cost(0.6)}  # in no order, as JSON keeps none
    assert operators.untouched(reference, shown) == (0.5, ["Softmax", "Add"])
    assert operators.untouched(reference, {}) == (0.0, [])

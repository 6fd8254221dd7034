"""ONNX Runtime's profile, by operator."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import toy_package

from core import onnx_session
from evaluation import operators
from tasks.detection.predict import Predictor


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return toy_package.make(tmp_path_factory.mktemp("operators") / "package")


def test_each_operator_of_the_graph_has_its_time(package: Path) -> None:
    pictures = sorted((package / "golden").glob("*.png"))
    found = operators.profile(lambda: Predictor(package / "model", threads=1), pictures)
    assert "ReduceMean" in found, found
    assert list(found.values()) == sorted(found.values(), reverse=True)
    assert all(0 <= taken < 1000 for taken in found.values())


def test_a_session_that_is_opened_otherwise_leaves_no_profile(
    package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with onnx_session.profiled(tmp_path):
        pass
    Predictor(package / "model", threads=1)(sorted((package / "golden").glob("*.png")))
    assert not list(tmp_path.iterdir())


def test_the_first_run_of_a_kernel_does_not_count_for_more_than_the_others() -> None:
    runs = [("a", "Conv", 9000.0), *[("a", "Conv", 100.0)] * 4, *[("b", "Conv", 50.0)] * 10, ("c", "Exp", 2.0)]
    assert operators.by_operator(runs, 5) == pytest.approx({"Conv": 0.2, "Exp": 0.0004})


def test_the_table_has_the_longest_of_all_models_and_sums_up() -> None:
    lines = operators.table({"a": {"Conv": 3.0, "Exp": 0.1, "Add": 0.2}, "b": {"QConv": 1.0}}, {"a": 5.0, "b": 0.5}, 3)
    assert [line["operator"] for line in lines] == ["Conv", operators.OUTSIDE, "QConv", "2 others"]
    assert sum(line["a"] for line in lines) == pytest.approx(5.0)
    assert json.loads(json.dumps(lines[1])) == {"operator": operators.OUTSIDE, "a": pytest.approx(1.7), "b": 0.0}

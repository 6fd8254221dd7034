"""Histories of requests: three forms of one are one, and what is wrong is told by its place."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import series_tiny as tiny
from pydantic import ValidationError

from core.errors import DataError
from tasks.series import predict, serve

pytestmark = pytest.mark.models

LIMITS = {"items": 4, "values": 400}


@pytest.fixture(scope="module")
def predictor(exported: Path) -> predict.Predictor:
    return predict.Predictor(exported, threads=1)


@pytest.fixture(scope="module")
def text(seasons: Path) -> str:
    return predict.inputs(seasons, "test", 1)[0]


def ask(predictor: predict.Predictor, history: Any) -> dict[str, Any]:
    job = serve.plain(serve.Request(history=history), predictor, LIMITS)
    return serve.answer(job, serve.run(predictor, job.items, None))


def test_forms_of_a_history(predictor: predict.Predictor, text: str) -> None:
    head, *lines = text.split("\n")
    rows = [[float(cell) for cell in line.split(",")] for line in lines]
    assert head == "load,temperature"
    wanted = ask(predictor, text)
    other = "when;temperature;load\n" + "\n".join(f"x;{b};{a}" for a, b in [(9, 9), *rows])
    columns = {"temperature": [row[1] for row in rows], "load": [row[0] for row in rows]}
    for form in ("\n".join(lines), other, rows, [[0.0, 0.0], *rows], columns):
        assert ask(predictor, form) == wanted
    assert {name: len(values) for name, values in wanted["forecast"]["load"].items()} == {"0.1": 4, "0.5": 4, "0.9": 4}
    (plain,) = predictor([text])
    assert wanted["forecast"]["load"]["0.5"] == [step[0][1] for step in plain["quantiles"]]


@pytest.mark.parametrize(
    ("history", "told"),
    [
        ("", "has 0 steps, expected at least 12"),
        ("load,temperature\n" + "1,2\n" * 11, "has 11 steps, expected at least 12"),
        ("load,warmth\n" + "1,2\n" * 12, "has no column 'temperature'"),
        ("load,temperature\n" + "1,2\n" * 11 + "1,cold\n", "line 13: temperature is 'cold', expected a finite number"),
        ("load,temperature\n" + "1,2\n" * 11 + "1,nan\n", "line 13: temperature is 'nan'"),
        ("load,temperature\n" + "1,2\n" * 11 + "1\n", "line 13: has 1 cells, expected 2"),
        ("1,2\n" * 200, "has 401 values, expected at most 400"),
        ([[1.0, 2.0]] * 11, "has 11 steps of 2 values, expected at least 12 steps of 2 values"),
        ([[1.0]] * 12, "expected 2 numbers a row"),
        ([[1.0, 2.0]] * 11 + [[1.0, 1e39]], "temperature of step 12 is no finite number of 32 bits"),
        ([], "has 0 steps"),
        ({"load": [1.0] * 12}, "has no column 'temperature'"),
        ({"load": [1.0] * 12, "temperature": [1.0]}, "its columns differ in length"),
    ],
)
def test_what_is_no_history(predictor: predict.Predictor, history: Any, told: str) -> None:
    with pytest.raises(DataError, match=told):
        ask(predictor, history)


@pytest.mark.parametrize("history", [None, 5, [["1"]], {"load": "1"}, [[True]]])
def test_what_is_of_no_form(history: Any) -> None:
    with pytest.raises(ValidationError):
        serve.Request(history=history)


def test_tensors(predictor: predict.Predictor, text: str) -> None:
    rows = np.array([[float(cell) for cell in line.split(",")] for line in text.split("\n")[1:]])
    job = serve.tensors({"history": np.stack([rows, rows + 1])}, {}, predictor, LIMITS)
    told = serve.outputs(job, serve.run(predictor, job.items, None))["told"]
    assert told.shape == (2, 4, 1, 3) and told.dtype == np.float32
    assert told[0, :, 0, 1].tolist() == pytest.approx(ask(predictor, text)["forecast"]["load"]["0.5"])
    for wrong in ({"x": rows[None]}, {"history": rows[None, :3]}, {"history": np.zeros((5, 12, 2))}):
        with pytest.raises(DataError):
            serve.tensors(wrong, {}, predictor, LIMITS)


def test_golden_samples_are_compared(predictor: predict.Predictor, text: str) -> None:
    (found,) = predictor([text])
    assert serve.differs(found, found) is None
    assert "differ by" in str(serve.differs(found, {"quantiles": (np.array(found["quantiles"]) * 1.1).tolist()}))
    assert "expected quantiles (4, 1, 3)" in str(serve.differs(found, {"quantiles": found["quantiles"][:2]}))
    assert set(serve.features(serve.item(text))) == {
        f"{kind} of value {i}" for kind in ("mean", "deviation", "newest") for i in (1, 2)
    }


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"model": {"quantiles": [0.9]}}, "quantiles: found"),
        ({"model": {"loss": "mse"}}, "loss: `mse` is of one number"),
        ({"model": {"peephole": True}}, "peephole: is of `arch: lstm`"),
        ({"model": {"arch": "gru"}}, "prune: channels are those of `arch: dilated`"),
        ({"data": {"values": ["temperature"]}}, "data.targets: must be among data.values"),
        ({"data": {"split_by": "id"}}, "forecasts are held against what came later"),
        ({"data": {"goal": "label"}}, "label: found None with `goal: label`"),
        ({**tiny.ADDITION, "model": {"arch": "patch"}}, "model.arch: found patch with `data.goal: label`"),
    ],
)
def test_params_that_do_not_fit(changes: dict[str, Any], told: str) -> None:
    with pytest.raises(ValidationError, match=told):
        tiny.settings(**changes)

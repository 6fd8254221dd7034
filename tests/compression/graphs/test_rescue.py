"""The order in which int8 is rescued, and what is told of it."""

from __future__ import annotations

import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from compression.graphs import rescue
from compression.graphs.layers import Layer
from compression.graphs.rescue import Attempt
from compression.graphs.sensitivity import Finding
from core.errors import ModelError

FINDINGS = [Finding(Layer("a.onnx", f"layer{i}", (f"conv{i}", f"relu{i}")), 1 / (i + 1)) for i in range(12)]


class Model:
    """Loses `loss` by params, and less with each of the layers that are at fault in float."""

    def __init__(self, losses: dict[str, float], faults: int = 0, each: float = 0.0) -> None:
        self.losses, self.faults, self.each = losses, faults, each
        self.looked = 0

    def make(self, how: str, params: str, kept: tuple[Finding, ...]) -> Attempt:
        after = self.losses[params] - self.each * min(len(kept), self.faults)
        return Attempt(how, params, kept, Path(how), {}, 1.0, 1.0 - after, after, 1.0 + len(kept))

    def find(self, start: Attempt) -> list[Finding]:
        self.looked += 1
        return FINDINGS

    def attempts(self, aim: float | None) -> list[Attempt]:
        others = ((name, name) for name in self.losses if name != "first")
        return rescue.attempts(self.make, "first", aim, others, self.find)


@pytest.mark.parametrize(("loss", "aim"), [(0.01, 0.02), (0.5, None), (math.nan, None)])
def test_one_attempt_is_all_where_nothing_is_asked(loss: float, aim: float | None) -> None:
    model = Model({"first": loss, "more": 0.0})
    (only,) = model.attempts(aim)
    assert rescue.best([only], aim) is only and not model.looked


def test_other_calibration_comes_before_layers() -> None:
    model = Model({"first": 0.5, "more": 0.3, "percentile": 0.01, "never": 0.0})
    tried = model.attempts(0.02)
    assert [each.params for each in tried] == ["first", "more", "percentile"] and not model.looked
    assert rescue.best(tried, 0.02) is tried[-1]


@pytest.mark.parametrize("faults", [1, 2, 3, 4, 5, 6])
def test_the_fewest_layers_that_help_stay_in_float(faults: int) -> None:
    model = Model({"first": 0.1 * faults}, faults, 0.1)
    tried = model.attempts(0.02)
    chosen = rescue.best(tried, 0.02)
    assert len(chosen.kept) == faults and model.looked == 1
    assert len({len(each.kept) for each in tried}) == len(tried), "no attempt is made twice"


def test_half_of_the_layers_at_most() -> None:
    model = Model({"first": 1.0}, 12, 0.08)
    tried = model.attempts(0.02)
    assert max(len(each.kept) for each in tried) <= 6
    assert len(rescue.best(tried, 0.02).kept) == max(len(each.kept) for each in tried)


def test_it_goes_on_from_other_params_only_where_they_are_clearly_better() -> None:
    assert Model({"first": 0.50, "more": 0.49}, 1, 0.5).attempts(0.02)[-1].params == "first"
    assert Model({"first": 0.50, "more": 0.30}, 1, 0.3).attempts(0.02)[-1].params == "more"
    assert Model({"first": math.nan, "more": 0.30}, 1, 0.3).attempts(0.02)[-1].params == "more"


def test_what_is_told() -> None:
    model = Model({"first": 0.5}, 2, 0.25)
    tried = model.attempts(0.02)
    told = rescue.story(tried, rescue.best(tried, 0.02), 0.02, lambda layer: f"of {layer.name}")
    assert [each["chosen"] for each in told["tried"]].count(True) == 1 and len(told["kept"]) == 2
    assert [each["why"] for each in told["kept"]] == ["of layer0", "of layer1"]
    assert rescue.words(told) == (
        "it lost 0.5, more than quantize.rescue, 0.02, allows; as params.yaml says, 2 layers in float: 0, +2.00 MB "
        "(layer0, layer1)"
    )
    tried = Model({"first": math.nan}).attempts(0.02)
    told = rescue.story(tried, rescue.best(tried, 0.02), 0.02, lambda layer: f"of {layer.name}")
    assert told["tried"][0]["loss"] is None
    assert rescue.words(told).startswith("nothing of ")


def test_nodes_in_float_by_graph() -> None:
    other = Finding(Layer("b.onnx", "x", ("matmul",)), 0.1)
    assert rescue.floats([*FINDINGS[:2], other]) == {
        "a.onnx": ("conv0", "relu0", "conv1", "relu1"),
        "b.onnx": ("matmul",),
    }


def test_advice_says_what_was_tried() -> None:
    tried: list[Any] = [SimpleNamespace()] * 3
    assert "let a variant learn rounded (quantization_aware), or take int8 out" in rescue.advice(
        "detection", "int8", tried
    )
    assert "2 other ways were tried, and none lost little enough" in rescue.advice("detection", "int8", tried)
    assert "other ways" not in rescue.advice("detection", "int8", tried[:1])


def test_an_attempt_that_fails_leaves_the_others() -> None:
    """The first may do, and ships."""
    model = Model({"first": 0.05, "broken": 0.0})

    def make(how: str, params: str, kept: tuple[Finding, ...]) -> Attempt:
        if params == "broken":
            raise ModelError("no sample is finite")
        return model.make(how, params, kept)

    def find(start: Attempt) -> list[Finding]:
        raise ModelError("no sample is finite")

    tried = rescue.attempts(make, "first", 0.02, [("other", "broken")], find)
    assert [each.params for each in tried] == ["first"] and rescue.best(tried, 0.02) is tried[0]


def test_an_infinite_loss_is_told_as_none() -> None:
    tried = Model({"first": math.inf, "more": 0.0}).attempts(0.02)
    assert (
        rescue.story(tried, rescue.best(tried, 0.02), 0.02, lambda layer: f"of {layer.name}")["tried"][0]["loss"]
        is None
    )

"""Export: parity through the cache, and what the model folder holds."""

from __future__ import annotations

import json
from collections.abc import Callable

import onnx
import pytest
import translation_tiny as tiny

from modalities.text.predict.network import STATE
from tasks.translation import graphs

pytestmark = pytest.mark.models


@pytest.fixture(
    params=[
        "transformer",
        *(pytest.param(kind, marks=pytest.mark.slow) for kind in ("ssru", "gru-attention", "gru", "lstm")),
    ]
)
def made(request: pytest.FixtureRequest, exported: Callable[[str], tiny.Exported]) -> tiny.Exported:
    return exported(request.param)


def test_onnx_equals_torch_on_real_sentences(made: tiny.Exported) -> None:
    """docs/faults.md 78, the good case; dropout is on while training, so a graph left in train mode would show."""
    net, folder, data, params = made
    differences = graphs.parity(net, folder, data, params)
    assert set(differences) == {"log_probs", "attention"}
    assert max(differences.values()) < 1e-4


def test_another_model_does_not_pass_for_it(made: tiny.Exported) -> None:
    """docs/faults.md 78: parity sees weights that are not those of the graph."""
    net, folder, data, params = made
    weight = net.target_embedding.weight.data
    weight.mul_(1.1)
    try:
        assert graphs.parity(net, folder, data, params)["log_probs"] > 1e-3
    finally:
        weight.div_(1.1)


def test_the_folder_says_how_it_is_used(made: tiny.Exported) -> None:
    _, folder, _, params = made
    info = json.loads((folder / "model.json").read_text())
    assert info["task"] == "translation"
    assert info["languages"] == {"source": "en", "target": "ja", "tokenized": True}
    assert info["decode"] == {"beam": 3, "length_penalty": 1.0, "coverage_penalty": 0.0, "max_tokens": 30}
    for name in info["graphs"]:
        model = onnx.load(folder / f"{name}.onnx")
        assert model.ir_version == 10
        assert {o.domain: o.version for o in model.opset_import}[""] == params.export.opset
    inputs = {i.name for i in onnx.load(folder / "step.onnx").graph.input}
    assert inputs - set(STATE) == {*info["memory"], *(f"past_{name}" for name in info["cache"])}


def test_attention_gives_nothing_that_nobody_reads(exported: Callable[[str], tiny.Exported]) -> None:
    """A name is enough for ONNX Runtime to compute it: keys and values of the source, copied in every step."""
    for name in ("encoder", "step"):
        graph = onnx.load(exported("transformer").folder / f"{name}.onnx").graph
        read = {given for node in graph.node for given in node.input} | {output.name for output in graph.output} | {""}
        attentions = [node for node in graph.node if node.op_type == "MultiHeadAttention"]
        assert attentions and all(read.issuperset(node.output) for node in attentions)

"""Export of single graphs: form, dynamic axes, and operators that ONNX does not have."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from torch import Tensor, nn

from core.errors import ModelError
from core.onnx_session import session
from core.task import Graph
from stages.export import write_graph


class Doubled(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return 2 * nn.functional.dropout(x, 0.5, self.training)


class Eigen(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.linalg.eigvalsh(x)


def graph(module: nn.Module, *shape: int) -> Graph:
    return Graph("g", module, {"x": torch.randn(*shape)}, ["y"], {"x": {0: "batch"}})


def test_a_graph_has_the_asked_opset_and_a_dynamic_batch(tmp_path: Path) -> None:
    path = tmp_path / "g.onnx"
    write_graph(graph(Doubled(), 2, 3), path, 18)
    model = onnx.load(str(path))
    assert model.ir_version == 10
    assert {entry.domain: entry.version for entry in model.opset_import}[""] == 18
    assert [p.name for p in tmp_path.iterdir()] == ["g.onnx"]  # the weights are inside
    for batch in (1, 2, 5):
        x = np.ones((batch, 3), np.float32)
        (y,) = session(path).run(["y"], {"x": x})
        assert np.array_equal(np.asarray(y), 2 * x)  # no dropout: exported in eval mode


def test_a_graph_does_not_tell_where_it_was_made(tmp_path: Path) -> None:
    """The same model is the same file, whatever folder the code lies in."""
    path = tmp_path / "g.onnx"
    write_graph(graph(Doubled(), 2, 3), path, 18)
    assert str(Path(__file__).parents[2]).encode() not in path.read_bytes()
    assert not any(node.metadata_props or node.doc_string for node in onnx.load(str(path)).graph.node)


def test_an_operator_that_onnx_lacks_is_named(tmp_path: Path) -> None:
    """docs/faults.md 77."""
    with pytest.raises(ModelError, match=r"opset 18.*eigh"):
        write_graph(graph(Eigen(), 2, 3, 3), tmp_path / "g.onnx", 18)

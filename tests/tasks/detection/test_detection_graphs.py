"""The exported graph against torch: real samples, other batches and sizes, and nothing found."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import torch

from core.files import read_json
from tasks.detection import graphs
from tasks.detection.model.detect import Detector

pytestmark = pytest.mark.models


def test_parity_on_real_samples(tiny: Any, squares: Path, settings: Any) -> None:
    differences = graphs.parity(tiny[0], tiny[1], squares, settings)
    assert set(differences) == {"boxes", "scores", "found"}
    assert max(differences.values()) < 1e-4


def test_parity_sees_another_network(tiny: Any, squares: Path, settings: Any) -> None:
    """docs/faults.md 78: ONNX differs from torch."""
    import copy

    other = copy.deepcopy(tiny[0])
    with torch.no_grad():
        other.class_head.bias += 0.01
    assert max(graphs.parity(other, tiny[1], squares, settings).values()) > 1e-3


@pytest.mark.parametrize(("batch", "height", "width"), [(1, 64, 96), (3, 64, 96), (2, 128, 64)])
def test_batch_height_and_width_are_free(tiny: Any, batch: int, height: int, width: int) -> None:
    images = (torch.rand(batch, 3, height, width, generator=torch.Generator().manual_seed(4)) * 255).numpy()
    session = ort.InferenceSession(tiny[1] / "detector.onnx", providers=["CPUExecutionProvider"])
    with torch.no_grad():
        ours = [value.numpy() for value in Detector(tiny[0]).eval()(torch.from_numpy(images))]
    theirs = session.run(graphs.OUTPUTS, {"images": images})
    assert len(ours[0]) == len(theirs[0]) > 5
    assert set(theirs[3].tolist()) == set(range(batch))
    np.testing.assert_allclose(np.sort(ours[1]), np.sort(theirs[1]), atol=1e-4)
    assert theirs[0][:, 2].max() <= width and theirs[0][:, 3].max() <= height


def test_the_graph_is_plain_onnx_with_folded_norms(tiny: Any) -> None:
    model = onnx.load(tiny[1] / "detector.onnx")
    kinds = {node.op_type for node in model.graph.node}
    assert "NonMaxSuppression" in kinds and "BatchNormalization" not in kinds
    assert {opset.domain for opset in model.opset_import} == {""} and model.ir_version == 10
    described = read_json(tiny[1] / "model.json")
    assert {value.name for value in model.graph.input} == set(described["inputs"])
    assert {value.name for value in model.graph.output} == set(described["outputs"])
    assert described["classes"] == [{"id": 1, "name": "square"}, {"id": 4, "name": "dark"}]


def test_boxes_at_a_threshold_are_no_difference() -> None:
    box = np.array([[0, 0, 10, 10.0]], np.float32)
    one = [box, np.array([0.0501]), np.array([0]), np.array([0])]
    none = [box[:0], np.zeros(0), np.zeros(0, int), np.zeros(0, int)]
    assert graphs._differences(one, none, 0.05, 0.6)["found"] == pytest.approx(1e-4)
    one[1] = np.array([0.9])
    assert graphs._differences(one, none, 0.05, 0.6)["found"] == pytest.approx(0.85)

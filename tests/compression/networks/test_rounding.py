"""Training rounded as int8 rounds: the same numbers as ONNX Runtime's, and gradients as if there were none."""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper
from onnxruntime.quantization.quant_utils import quantize_data
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from compression.networks import distillation, parametrized, rounding
from core.onnx_session import session


def test_weights_are_rounded_as_onnx_runtime_rounds_them() -> None:
    """Golden: `onnxruntime.quantization`, symmetric, one scale a channel."""
    torch.manual_seed(0)
    weight = torch.randn(6, 3, 3, 3) * torch.logspace(-3, 1, 6).view(-1, 1, 1, 1)
    found = rounding.Rounded()(weight)
    for mine, channel in zip(found, weight, strict=True):
        zero, scale, steps = quantize_data(channel.numpy().ravel(), TensorProto.INT8, symmetric=True)
        wanted = (steps.astype(np.float32) - float(np.squeeze(zero))) * np.squeeze(scale)
        np.testing.assert_allclose(mine.numpy().ravel(), wanted, rtol=1e-5, atol=1e-9)


@pytest.mark.parametrize(("low", "high"), [(-3.0, 5.0), (0.0, 6.0), (2.0, 4.0), (-4.0, -1.0)])
def test_activations_are_rounded_as_onnx_runtime_rounds_them(low: float, high: float, tmp_path: Path) -> None:
    """Golden: `DynamicQuantizeLinear`."""
    x = torch.empty(4, 50).uniform_(low, high, generator=torch.Generator().manual_seed(1))
    nodes = [
        helper.make_node("DynamicQuantizeLinear", ["x"], ["q", "scale", "zero"]),
        helper.make_node("DequantizeLinear", ["q", "scale", "zero"], ["y"]),
    ]
    given, made = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [4, 50]) for name in "xy")
    model = helper.make_model(
        helper.make_graph(nodes, "g", [given], [made]), opset_imports=[helper.make_opsetid("", 18)]
    )
    model.ir_version = 9
    onnx.save(model, tmp_path / "m.onnx")
    (wanted,) = session(tmp_path / "m.onnx").run(None, {"x": x.numpy()})
    step = (max(high, 0.0) - min(low, 0.0)) / 255
    off = np.abs(rounding.rounded(x).numpy() - wanted)
    assert (
        off.max() < 1.01 * step and (off < 1e-5).mean() > 0.97
    )  # a number halfway between two steps may go either way


def test_gradients_pass_as_if_nothing_were_rounded() -> None:
    torch.manual_seed(0)
    plain = nn.Sequential(nn.Linear(8, 4))
    model = copy.deepcopy(plain)
    assert rounding.begin(model) == 1
    x = torch.randn(16, 8, requires_grad=True)
    model(x).sum().backward()
    assert x.grad is not None
    mine, taken = x.grad.clone(), model[0].parametrizations.weight.original.grad
    x.grad = None
    plain(x).sum().backward()
    torch.testing.assert_close(mine, x.grad, atol=0.02, rtol=0)
    assert plain[0].weight.grad is not None
    torch.testing.assert_close(taken, plain[0].weight.grad, atol=0.2, rtol=0.02)


def test_what_training_alone_has_is_not_rounded() -> None:
    student = nn.Sequential(nn.Conv2d(3, 4, 1))
    distillation.attach(student, [4], [6])
    assert rounding.begin(student) == 1
    (regressor,) = student.get_submodule(distillation.REGRESSORS).maps
    assert not hasattr(regressor, "parametrizations")


def test_what_ships_was_never_rounded() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
    before = {name: value.clone() for name, value in model.state_dict().items()}
    rounding.begin(model)
    after = parametrized.shipped(model.state_dict())
    assert set(after) == set(before)
    assert all(torch.equal(after[name], value) for name, value in before.items())
    assert not torch.equal(model[0].weight, before["0.weight"])


def test_a_norm_that_is_folded_later_changes_no_rounding() -> None:
    """Rounding, then folding, is folding, then rounding: a channel's scale moves with it."""
    torch.manual_seed(0)
    layer, norm = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4).eval()
    with torch.no_grad():
        norm.weight.copy_(torch.tensor([0.01, 3.0, -2.0, 40.0]))
    rounded = rounding.Rounded()
    folded = fuse_conv_bn_eval(layer.eval(), norm).weight
    with torch.no_grad():
        layer.weight.copy_(rounded(layer.weight))
    torch.testing.assert_close(fuse_conv_bn_eval(layer, norm).weight, rounded(folded), rtol=1e-4, atol=1e-6)


def test_what_is_tuned_rounded_loses_less_by_rounding(monkeypatch: pytest.MonkeyPatch) -> None:
    """With 3 bits for weights, where rounding costs so much that chance does not tell."""
    monkeypatch.setattr(rounding, "WEIGHTS", 3)
    x = torch.randn(512, 6, generator=torch.Generator().manual_seed(0))
    y = (x[:, :1] * x[:, 1:2]).tanh() + x[:, 2:3]

    def learn(model: nn.Module, rate: float) -> None:
        optimizer = torch.optim.Adam(model.parameters(), lr=rate)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 300)
        for _ in range(300):
            optimizer.zero_grad()
            nn.functional.mse_loss(model(x), y).backward()
            optimizer.step()
            schedule.step()

    def left(rounded: bool) -> float:
        torch.manual_seed(1)
        model, shrunk = (nn.Sequential(nn.Linear(6, 32), nn.ReLU(), nn.Linear(32, 1)) for _ in range(2))
        learn(model, 0.02)
        if rounded:
            rounding.begin(model)
        learn(model, 0.01)
        shrunk.load_state_dict(parametrized.shipped(model.state_dict()))
        rounding.begin(shrunk)
        with torch.no_grad():
            return float(nn.functional.mse_loss(shrunk(x), y))

    assert left(rounded=True) < 0.3 * left(rounded=False)

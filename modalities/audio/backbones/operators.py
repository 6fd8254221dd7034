"""Recurrent layers as ONNX's own operators, which take the length of each recording. They stand in graphs alone: run in
torch, they give zeros. (The exporter unrolls torch's own, or fails.)

The orders of gates: https://onnx.ai/onnx/operators/onnx__GRU.html and onnx__LSTM.html. B batch, F frames, C channels.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.onnx.ops import symbolic_multi_out

from modalities.audio.backbones.bodies import Crnn, Recurrent

ORDER = {nn.GRU: (1, 0, 2), nn.LSTM: (0, 3, 1, 2)}
"""Places of ONNX's gates among torch's."""
OPSET = 18
"""In which the operators are meant; newer graphs hold them as well."""


class Layers(nn.Module):
    """Says in a graph what a `Recurrent` says in torch."""

    def __init__(self, told: Recurrent):
        super().__init__()
        self.last, self.sizes, self.both = told.last, [layer.hidden_size for layer in told.ahead], told.both
        self.kind = "GRU" if isinstance(told.ahead[0], nn.GRU) else "LSTM"
        for i in range(len(told.ahead)):
            layers = [told.ahead[i], *told.back[i : i + 1]]
            for name in ("weight_ih_l0", "weight_hh_l0"):
                self.register_buffer(f"{name}_{i}", torch.stack([_ordered(layer, name) for layer in layers]))
            biases = [torch.cat([_ordered(layer, f"bias_{name}_l0") for name in ("ih", "hh")]) for layer in layers]
            self.register_buffer(f"bias_{i}", torch.stack(biases))

    def forward(self, x: Tensor, frames: Tensor) -> tuple[Tensor, Tensor]:
        lengths, ways = frames.to(torch.int32), 1 + self.both
        for i, size in enumerate(self.sizes):
            first, second, bias = (getattr(self, f"{name}_{i}") for name in ("weight_ih_l0", "weight_hh_l0", "bias"))
            settings = {"hidden_size": size, "direction": "bidirectional" if self.both else "forward"}
            more: dict[str, int] = {"linear_before_reset": 1} if self.kind == "GRU" else {}
            final = (ways, x.shape[0], size)
            shapes = [(x.shape[1], ways, x.shape[0], size), *([final] if self.kind == "GRU" else [final, final])]
            states = symbolic_multi_out(
                self.kind,
                (x.transpose(0, 1), first, second, bias, lengths),
                {**settings, **more},
                dtypes=(x.dtype,) * len(shapes),
                shapes=shapes,
                version=OPSET,
            )[0]
            x = states.permute(2, 0, 1, 3).flatten(2)
        return x, frames


def exported(body: nn.Module) -> nn.Module:
    """The body of a graph; a crnn's changes in place."""
    if isinstance(body, Crnn):
        body.recurrent = Layers(body.recurrent)
    return Layers(body) if isinstance(body, Recurrent) else body


def _ordered(layer: nn.GRU | nn.LSTM, name: str) -> Tensor:
    gates = getattr(layer, name).detach().chunk(len(ORDER[type(layer)]))
    return torch.cat([gates[place] for place in ORDER[type(layer)]])

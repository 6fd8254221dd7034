"""Networks that read steps one after another, or pieces of a window.

Shapes: B batch, T steps, W window, D width, P patches.
"""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

CELLS = {"rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}


class Recurrent(nn.Module):
    """Layers of one cell (Elman 1990; Hochreiter and Schmidhuber 1997; Cho et al. 2014), in one direction or in both.

    torch's cells add two biases for each gate; one does, as the weight of an input that is always 1.
    """

    def __init__(self, cell: str, inputs: int, width: int, layers: int, both: bool = False, peephole: bool = False):
        super().__init__()
        made: type[nn.Module] | Any = Peephole if peephole else CELLS[cell]
        options = {} if peephole else {"bias": False, "batch_first": True, "bidirectional": both}
        sizes = [inputs, *[width * (2 if both else 1)] * (layers - 1)]
        self.layers = nn.ModuleList(made(size + 1, width, **options) for size in sizes)

    def forward(self, x: Tensor, states: list[Any] | None = None) -> tuple[Tensor, list[Any]]:
        """x: (B, T, inputs). Returns: (B, T, D or 2 D), and the states of all layers at the end."""
        last = []
        for i, layer in enumerate(self.layers):
            x, state = layer(torch.cat([x, torch.ones_like(x[..., :1])], -1), states[i] if states else None)
            last.append(state)
        return x, last


class Peephole(nn.Module):
    """LSTM whose gates see the memory (Gers and Schmidhuber 2000); its steps are unrolled in the ONNX graph."""

    def __init__(self, inputs: int, width: int):
        super().__init__()
        self.given = nn.Linear(inputs, 4 * width, bias=False)
        self.before = nn.Linear(width, 4 * width, bias=False)
        self.peeps = nn.Parameter(torch.empty(3, width).uniform_(-(width**-0.5), width**-0.5))

    def forward(self, x: Tensor, state: Any = None) -> tuple[Tensor, Any]:
        steps = self.given(x)
        hidden, memory = state or 2 * (torch.zeros_like(steps[:, 0, : self.peeps.shape[1]]),)
        found = []
        for t in range(x.shape[1]):
            enter, forget, new, out = (steps[:, t] + self.before(hidden)).chunk(4, -1)
            kept = torch.sigmoid(forget + self.peeps[0] * memory) * memory
            memory = kept + torch.sigmoid(enter + self.peeps[1] * memory) * torch.tanh(new)
            hidden = torch.sigmoid(out + self.peeps[2] * memory) * torch.tanh(memory)
            found.append(hidden)
        return torch.stack(found, 1), (hidden, memory)


class Dilated(nn.Module):
    """Causal convolutions whose reach doubles with each layer, with residuals (van den Oord et al. 2016)."""

    def __init__(self, inputs: int, width: int, layers: int, kernel: int, dropout: float):
        super().__init__()
        self.inner = nn.Conv2d(inputs, width, 1)
        self.layers = nn.ModuleList(nn.Conv2d(width, width, (1, kernel), dilation=(1, 2**i)) for i in range(layers))
        self.dropout, self.kernel = nn.Dropout(dropout), kernel

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, inputs) -> (B, T, D)"""
        y = self.inner(x.transpose(1, 2)[:, :, None])
        for i, layer in enumerate(self.layers):
            y = y + self.dropout(F.relu(layer(F.pad(y, ((self.kernel - 1) * 2**i, 0)))))
        return y[:, :, 0].transpose(1, 2)


class Patches(nn.Module):
    """A small Transformer over pieces of a window, each value by itself (Nie et al. 2023, arXiv:2211.14730)."""

    def __init__(self, arch: dict[str, Any], window: int):
        super().__init__()
        width, self.size, self.heads = arch["width"], arch["patch"], arch["heads"]
        self.stride = max(1, self.size // 2)
        self.short = -(window - self.size) % self.stride
        count = (window + self.short - self.size) // self.stride + 1
        self.enter, self.place = nn.Linear(self.size, width), nn.Parameter(0.02 * torch.randn(count, width))
        parts = [(3 * width, width), (width, width), (2 * width, width), (width, 2 * width)]
        self.layers = nn.ModuleList(nn.ModuleList(nn.Linear(b, a) for a, b in parts) for _ in range(arch["layers"]))
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(2 * arch["layers"]))
        self.dropout, self.count = nn.Dropout(arch["dropout"]), count

    def forward(self, x: Tensor) -> Tensor:
        """(B, W) -> (B, P D)"""
        x = F.pad(x[:, None], (self.short, 0), mode="replicate")[:, 0] if self.short else x
        y = self.enter(torch.stack([x[:, i * self.stride : i * self.stride + self.size] for i in range(self.count)], 1))
        y = y + self.place
        for i, (asked, mixed, wide, narrow) in enumerate(self.layers):
            q, k, v = (
                z.unflatten(-1, (self.heads, -1)).transpose(1, 2) for z in asked(self.norms[2 * i](y)).chunk(3, -1)
            )
            weights = torch.softmax(q @ k.transpose(2, 3) / math.sqrt(q.shape[-1]), -1)
            y = y + self.dropout(mixed((weights @ v).transpose(1, 2).flatten(2)))
            y = y + self.dropout(narrow(F.gelu(wide(self.norms[2 * i + 1](y)))))
        return y.flatten(1)

"""Simpler simple recurrent unit, in place of a decoder's self-attention (Kim et al. 2019, "From research to production
and back: ludicrously fast neural machine translation", https://aclanthology.org/D19-5632/).

One state a layer, whatever was said before: a step of decoding costs the same at every length, and keeps no keys and
values. Shapes: `B` sentences, `T` target subwords, `D` model width.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class SSRU(nn.Module):
    """f_t = sigmoid(W_f x_t + b_f), c_t = f_t * c_(t-1) + (1 - f_t) * W x_t, out_t = relu(c_t); the products of all
    steps at once, the recurrence element by element."""

    def __init__(self, width: int):
        super().__init__()
        self.projection = nn.Linear(width, 2 * width, bias=False)
        """W and W_f: one product."""
        self.bias = nn.Parameter(torch.zeros(width))

    def forward(self, x: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """x: [B, T, D]; state before it: [B, D]. Returns: [B, T, D], the state behind it."""
        candidates, gates = self.projection(x).chunk(2, -1)
        kept = torch.sigmoid(gates + self.bias)
        added = (1 - kept) * candidates
        states = []
        for t in range(x.shape[1]):
            state = kept[:, t] * state + added[:, t]
            states.append(state)
        return torch.relu(torch.stack(states, 1)), state

"""Networks of frames: recurrent layers, convolutions before them, or a causal stack of dilated convolutions.

    lstm, gru   layers of these (Hochreiter and Schmidhuber 1997; Cho et al. 2014), in one direction or in both
    crnn        convolutions over time and frequency, then GRU layers (Cakir et al. 2017, arXiv:1702.06286)
    dilated     gates of causal convolutions that reach twice as far from block to block (WaveNet: van den Oord et al.
                2016, https://arxiv.org/abs/1609.03499, section 2)

What one recording gives depends on no other of its batch. A description holds `arch`, `inputs`, `convolutions`,
`units`, `width`, `bidirectional`, layer by layer, so that a pruned network has the same form. An LSTM has one bias a
gate: a second one adds to it.

B batch, F frames, C channels, N bands.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from modalities.audio.backbones.frontend import mask

CELLS: dict[str, type[nn.GRU] | type[nn.LSTM]] = {"gru": nn.GRU, "lstm": nn.LSTM, "crnn": nn.GRU}
TAPS = 3
DEEPEST = 6
"""Blocks after which dilation begins anew."""


class Recurrent(nn.Module):
    """(B, F, C) and the frames of each -> (B, F, width) and the same frames."""

    def __init__(self, cell: str, inputs: int, units: list[int], both: bool):
        super().__init__()
        self.both, self.width = both, units[-1] * (1 + both)
        before = [inputs, *(size * (1 + both) for size in units)]
        pairs = list(zip(before, units, strict=False))
        self.ahead = nn.ModuleList(_layer(cell, wide, size) for wide, size in pairs)
        self.back = nn.ModuleList(_layer(cell, wide, size) for wide, size in (pairs if both else []))

    def forward(self, x: Tensor, frames: Tensor) -> tuple[Tensor, Tensor]:
        place = torch.arange(x.shape[1], device=x.device)[None]
        # Each recording reversed by itself: what is behind its end never meets the recurrence before it.
        mirror = torch.where(place < frames[:, None], frames[:, None] - 1 - place, place)
        for i, ahead in enumerate(self.ahead):
            states = ahead(x)[0]
            if self.both:
                states = torch.cat([states, _taken(self.back[i](_taken(x, mirror))[0], mirror)], -1)
            x = states * mask(states, frames)
        return x, frames

    def last(self, x: Tensor, frames: Tensor) -> Tensor:
        """(B, width): of what `forward` gives, the state of each direction that has seen all."""
        ahead = x.gather(1, (frames - 1)[:, None, None].expand(-1, -1, x.shape[2]))[:, 0]
        if not self.both:
            return ahead
        half = x.shape[2] // 2
        return torch.cat([ahead[:, :half], x[:, 0, half:]], 1)


class Crnn(nn.Module):
    """Convolutions 3 x 3, of which each halves frequency and the first halves time, then GRU layers."""

    def __init__(self, arch: dict[str, Any]):
        super().__init__()
        channels, bands = [1, *arch["convolutions"]], arch["inputs"]
        self.convolutions, self.norms = nn.ModuleList(), nn.ModuleList()
        for i, (given, made) in enumerate(pairwise(channels)):
            self.convolutions.append(nn.Conv2d(given, made, 3, (2 if i == 0 else 1, 2), 1, bias=False))
            self.norms.append(nn.BatchNorm2d(made))
            bands = (bands + 1) // 2
        self.recurrent = Recurrent("gru", channels[-1] * bands, arch["units"], arch["bidirectional"])
        self.width = self.recurrent.width

    def forward(self, x: Tensor, frames: Tensor) -> tuple[Tensor, Tensor]:
        frames = (frames + 1) // 2
        x = x[:, None]
        for convolution, norm in zip(self.convolutions, self.norms, strict=True):
            x = norm(convolution(x)).relu()
            x = x * mask(x[:, 0], frames)[:, None]
        return self.recurrent(x.permute(0, 2, 1, 3).flatten(2), frames)

    def last(self, x: Tensor, frames: Tensor) -> Tensor:
        last: Tensor = self.recurrent.last(x, frames)
        return last


class Dilated(nn.Module):
    """Blocks of residual, gated convolutions that look back only."""

    def __init__(self, arch: dict[str, Any]):
        super().__init__()
        self.width = arch["width"]
        self.first = nn.Conv2d(arch["inputs"], self.width, 1)
        self.gates, self.outputs = nn.ModuleList(), nn.ModuleList()
        for i, inner in enumerate(arch["units"]):
            self.gates.append(nn.Conv2d(self.width, 2 * inner, (TAPS, 1), dilation=(2 ** (i % DEEPEST), 1)))
            self.outputs.append(nn.Conv2d(inner, self.width, 1))

    def forward(self, x: Tensor, frames: Tensor) -> tuple[Tensor, Tensor]:
        x = self.first(x.transpose(1, 2)[..., None])
        for gate, output in zip(self.gates, self.outputs, strict=True):
            reach = (TAPS - 1) * gate.dilation[0]
            wave, sigma = gate(nn.functional.pad(x, (0, 0, reach, 0))).chunk(2, 1)
            x = x + output(wave.tanh() * sigma.sigmoid())
        return x[..., 0].transpose(1, 2), frames

    def last(self, x: Tensor, frames: Tensor) -> Tensor:
        return x.gather(1, (frames - 1)[:, None, None].expand(-1, -1, x.shape[2]))[:, 0]


def build(arch: dict[str, Any]) -> nn.Module:
    """A module of (B, F, inputs) and the frames of each -> (B, F', `width`) and its frames, with `last`."""
    if arch["arch"] == "crnn":
        return Crnn(arch)
    if arch["arch"] == "dilated":
        return Dilated(arch)
    return Recurrent(arch["arch"], arch["inputs"], arch["units"], arch["bidirectional"])


def _layer(cell: str, inputs: int, units: int) -> nn.GRU | nn.LSTM:
    layer = CELLS[cell](inputs, units, batch_first=True)
    with torch.no_grad():
        nn.init.xavier_uniform_(layer.weight_ih_l0)
        nn.init.orthogonal_(layer.weight_hh_l0)
        layer.bias_ih_l0.zero_()
        layer.bias_hh_l0.zero_()
    if isinstance(layer, nn.LSTM):
        with torch.no_grad():
            layer.bias_ih_l0[units : 2 * units] = 1  # of the forget gate (Jozefowicz et al. 2015)
        zeros = layer._parameters.pop("bias_hh_l0")
        layer.register_buffer("bias_hh_l0", zeros.detach(), persistent=False)
        layer._flat_weights[layer._flat_weights_names.index("bias_hh_l0")] = layer.bias_hh_l0
    return layer


def _taken(x: Tensor, index: Tensor) -> Tensor:
    return x.gather(1, index[:, :, None].expand(-1, -1, x.shape[2]))

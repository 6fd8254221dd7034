"""The front end of a network of sound, exported with it: raw samples in, so that what is served is what was trained.

`mel`: the logarithm of the power in bands of equal width on the mel scale (Davis and Mermelstein 1980; the scale as in
HTK, 2595 lg(1 + f / 700)), of windows by Hann; `mfcc`: its discrete cosine transform (type II, orthonormal). Each band
has the mean 0 and the deviation 1 over a recording. The transform is ONNX's own STFT: its 4 kB of a window stay in
float where weights are quantized, 200 kB as weights of a convolution would be most of a small model.

B batch, T samples, F frames, C bands or coefficients.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

FLOOR = 1e-8
"""Of a power, before its logarithm: full scale is about 1e4."""


class FrontEnd(nn.Module):
    """settings: `params.model.features` with `rate`. `length`: samples of a transform, which an input has at least."""

    def __init__(self, settings: dict[str, Any]):
        super().__init__()
        self.kind, self.most = settings["kind"], settings["samples"]
        self.size, self.hop = (round(settings["rate"] * settings[name] / 1000) for name in ("window_ms", "hop_ms"))
        if self.kind == "raw":
            self.hop = 1
        self.length = 1 if self.kind == "raw" else 2 ** math.ceil(math.log2(self.size))
        self.width = 1
        if self.kind != "raw":
            self.register_buffer("window", torch.hann_window(self.size), persistent=False)
            bands = filters(settings["mels"], self.length, settings["rate"])
            self.register_buffer("bands", bands, persistent=False)
            self.width = settings["mels"] if self.kind == "mel" else settings["coefficients"]
            if self.kind == "mfcc":
                self.register_buffer("cosines", cosines(settings["mels"], self.width), persistent=False)

    def forward(self, samples: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """samples: (B, T), at least `length`; lengths: (B,) of each. Returns: (B, F, C), and the frames of each."""
        if self.kind == "raw":
            return samples[:, : self.most, None], lengths.clamp(max=self.most)
        frames = ((lengths - self.length) // self.hop + 1).clamp(min=1)
        spectrum = torch.view_as_real(
            torch.stft(samples, self.length, self.hop, self.size, self.window, center=False, return_complex=True)
        )
        logs = (spectrum.square().sum(-1).transpose(1, 2) @ self.bands).clamp(min=FLOOR).log()
        if self.kind == "mfcc":
            logs = logs @ self.cosines
        return standard(logs, frames), frames


def standard(x: Tensor, frames: Tensor) -> Tensor:
    """(B, F, C): mean 0 and deviation 1 over the real frames of each recording and band; 0 behind them."""
    real = mask(x, frames)
    count = frames[:, None, None].to(x.dtype)
    centred = (x - (x * real).sum(1, keepdim=True) / count) * real
    return centred / ((centred.square().sum(1, keepdim=True) / count).sqrt() + 1e-3)


def mask(x: Tensor, frames: Tensor) -> Tensor:
    """(B, F, 1): 1 of frames that a recording has, 0 behind them."""
    return (torch.arange(x.shape[1], device=x.device)[None] < frames[:, None]).to(x.dtype)[:, :, None]


def filters(count: int, length: int, rate: int) -> Tensor:
    """(length / 2 + 1, count): triangles of height 1, from 0 Hz to half the rate."""
    edges = torch.linspace(0, 2595 * math.log10(1 + rate / 2 / 700), count + 2, dtype=torch.float64)
    edges = 700 * (10 ** (edges / 2595) - 1)
    bins = torch.linspace(0, rate / 2, length // 2 + 1, dtype=torch.float64)[:, None]
    rising, falling = (bins - edges[:-2]) / (edges[1:-1] - edges[:-2]), (edges[2:] - bins) / (edges[2:] - edges[1:-1])
    return torch.minimum(rising, falling).clamp(min=0).float()


def cosines(bands: int, count: int) -> Tensor:
    """(bands, count): the orthonormal cosine transform of type II."""
    angles = math.pi / bands * (torch.arange(bands, dtype=torch.float64)[:, None] + 0.5) * torch.arange(count)
    made = angles.cos() * math.sqrt(2 / bands)
    made[:, 0] /= math.sqrt(2)
    return made.float()

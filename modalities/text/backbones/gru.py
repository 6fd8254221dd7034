"""GRU encoder-decoder (Cho et al. 2014), with or without global attention (Luong et al. 2015).

Shapes: `B` sentences, `S` source subwords, `T` target subwords, `D` model width, `L` layers, `V` vocabulary.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from modalities.text.backbones.dropout import Dropout
from modalities.text.backbones.table import Table
from modalities.text.backbones.transformer import MASKED
from modalities.text.inputs.tokenizer import PAD


class GRU(nn.Module):
    """`arch`: vocabulary, width, readout (units), layers, attention, dropout, and perhaps `embedding`, the inner width
    of its tables."""

    MEMORY = ("mask", "memory")
    CACHE = ("hidden",)
    """State of each layer, [B, L, D]."""

    def __init__(self, arch: dict[str, Any]):
        super().__init__()
        self.arch = arch
        width, layers = arch["width"], arch["layers"]
        self.source_embedding, self.target_embedding = (
            Table(arch["vocabulary"], width, arch.get("embedding")) for _ in range(2)
        )
        self.forward_encoder = nn.ModuleList(_gru(width, width) for _ in range(layers))
        self.backward_encoder = nn.ModuleList(_gru(width, width) for _ in range(layers))
        self.merge = nn.ModuleList(nn.Linear(2 * width, width) for _ in range(layers))
        self.bridge = nn.Linear(width, layers * width)
        # Without attention the summary of the source is an input of every step (Cho et al. 2014).
        inputs = width if arch["attention"] else 2 * width
        self.decoder = nn.ModuleList(_gru(width if i else inputs, width) for i in range(layers))
        if arch["attention"]:
            self.score = nn.Linear(width, width, bias=False)
        self.readout = nn.Linear(2 * width, arch["readout"])
        self.output = nn.Linear(arch["readout"], width)
        self.dropout = Dropout(arch["dropout"])
        self.source_embedding.initialise()
        self.target_embedding.initialise()

    def encode(self, source: Tensor) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """source: int64 [B, S], padded with PAD at the end.

        Returns: `mask` float [B, S], 0 or MASKED, and `memory` [B, S, D]: the states, or without attention the summary
        in each position; and the cache, `hidden` [B, L, D].
        """
        real = source != PAD
        mask = (~real).to(self.source_embedding.weight.dtype) * MASKED
        length = real.sum(1, keepdim=True)
        position = torch.arange(source.shape[1], device=source.device)[None]
        # Each sentence reversed by itself, so that its padding stays at the end and never meets the recurrence.
        mirror = torch.where(real, length - 1 - position, position)
        x = self._embed(self.source_embedding, source)
        for ahead, back, merge in zip(self.forward_encoder, self.backward_encoder, self.merge, strict=True):
            states = torch.cat([ahead(x)[0], _reorder(back(_reorder(x, mirror))[0], mirror)], -1)
            x = x + self.dropout(torch.tanh(merge(states)))
        weight = real.to(x.dtype)[:, :, None]
        summary = (x * weight).sum(1) / weight.sum(1)
        hidden = torch.tanh(self.bridge(summary)).unflatten(1, (len(self.decoder), -1))
        memory = x if self.arch["attention"] else summary[:, None].expand(-1, source.shape[1], -1)
        return {"mask": mask, "memory": memory}, {"hidden": hidden}

    def decode(
        self, target: Tensor, memory: dict[str, Tensor], cache: dict[str, Tensor]
    ) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
        """target: int64 [B, T], any number of steps. Returns: hidden states [B, T, D] for `project`, attention
        [B, T, S] (uniform without attention), the next cache."""
        x = self._embed(self.target_embedding, target)
        states, mask = memory["memory"], memory["mask"]
        if not self.arch["attention"]:
            x = torch.cat([x, states[:, :1].expand(-1, target.shape[1], -1)], -1)
        last = []
        for i, layer in enumerate(self.decoder):
            y, final = layer(x, cache["hidden"][:, i][None].contiguous())
            x = y if i == 0 else x + self.dropout(y)
            last.append(final[0])
        if self.arch["attention"]:
            scores = self.score(x) @ states.transpose(1, 2) + mask[:, None]
        else:
            scores = mask[:, None].expand(-1, target.shape[1], -1)
        weights = torch.softmax(scores, -1)
        context = weights @ states
        hidden = self.output(self.dropout(torch.tanh(self.readout(torch.cat([x, context], -1)))))
        return hidden, weights, {"hidden": torch.stack(last, 1)}

    def project(self, hidden: Tensor) -> Tensor:
        """[..., D] -> logits [..., V]."""
        return self.target_embedding.project(hidden)

    def forward(self, source: Tensor, target: Tensor) -> Tensor:
        """Hidden states [B, T, D] under teacher forcing; source: [B, S], target: [B, T] from BOS on."""
        return self.decode(target, *self.encode(source))[0]

    def _embed(self, table: Table, ids: Tensor) -> Tensor:
        return self.dropout(table(ids))


def _gru(inputs: int, width: int) -> nn.GRU:
    return nn.GRU(inputs, width, batch_first=True)


def _reorder(x: Tensor, index: Tensor) -> Tensor:
    """x: [B, S, D], index: [B, S]."""
    return x.gather(1, index[:, :, None].expand(-1, -1, x.shape[2]))

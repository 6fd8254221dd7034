"""Recurrent encoder-decoder (Cho et al. 2014) of GRU or LSTM layers (Hochreiter and Schmidhuber 1997), the encoder in
one direction or in both (Schuster and Paliwal 1997), with or without attention.

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

CELLS: dict[str, type[nn.GRU] | type[nn.LSTM]] = {"gru": nn.GRU, "lstm": nn.LSTM}


class Dot(nn.Module):
    """Dot products of states, one of them through a matrix (Luong et al. 2015, section 3.1, `general`)."""

    def __init__(self, width: int):
        super().__init__()
        self.score = nn.Linear(width, width, bias=False)

    def keys(self, states: Tensor) -> Tensor:
        """Encoder's [B, S, D] -> what each step is compared with, [B, S, D]."""
        return self.score(states)

    def forward(self, x: Tensor, keys: Tensor) -> Tensor:
        """Decoder's [B, T, D], keys -> scores [B, T, S]."""
        return x @ keys.transpose(1, 2)


class Additive(nn.Module):
    """v . tanh(W x + U s), a layer of its own for each pair of states (Bahdanau et al. 2015, appendix A.1.2)."""

    def __init__(self, width: int):
        super().__init__()
        self.key = nn.Linear(width, width)
        self.query = nn.Linear(width, width, bias=False)
        self.score = nn.Linear(width, 1, bias=False)

    def keys(self, states: Tensor) -> Tensor:
        """See `Dot`."""
        return self.key(states)

    def forward(self, x: Tensor, keys: Tensor) -> Tensor:
        """See `Dot`."""
        return self.score(torch.tanh(self.query(x)[:, :, None] + keys[:, None])).squeeze(-1)


ATTENTION: dict[str, type[Dot] | type[Additive]] = {"dot": Dot, "additive": Additive}


class Recurrent(nn.Module):
    """`arch`: vocabulary, perhaps `source_vocabulary`, width, readout (units), layers, cell, bidirectional, attention,
    dropout, and perhaps `embedding`, the inner width of its tables."""

    MEMORY = ("mask", "memory")
    CACHE = ("hidden",)
    """State of each layer, [B, L, D]; of LSTM layers [B, 2 L, D], the cells' behind the hidden ones."""

    def __init__(self, arch: dict[str, Any]):
        super().__init__()
        self.arch = arch
        width, layers, cell = arch["width"], arch["layers"], CELLS[arch["cell"]]
        self.states = 2 if arch["cell"] == "lstm" else 1
        self.source_embedding, self.target_embedding = (
            Table(size, width, arch.get("embedding"))
            for size in (arch.get("source_vocabulary", arch["vocabulary"]), arch["vocabulary"])
        )
        directions = 2 if arch["bidirectional"] else 1
        self.forward_encoder = nn.ModuleList(cell(width, width, batch_first=True) for _ in range(layers))
        self.backward_encoder = nn.ModuleList(
            cell(width, width, batch_first=True) for _ in range(layers if arch["bidirectional"] else 0)
        )
        self.merge = nn.ModuleList(nn.Linear(directions * width, width) for _ in range(layers))
        self.bridge = nn.Linear(width, self.states * layers * width)
        self.attention = ATTENTION[arch["attention"]](width) if arch["attention"] != "none" else None
        # Without attention the summary of the source is an input of every step (Cho et al. 2014).
        inputs = 2 * width if self.attention is None else width
        self.decoder = nn.ModuleList(cell(width if i else inputs, width, batch_first=True) for i in range(layers))
        self.readout = nn.Linear(2 * width, arch["readout"])
        self.output = nn.Linear(arch["readout"], width)
        self.dropout = Dropout(arch["dropout"])
        self.source_embedding.initialise()
        self.target_embedding.initialise()

    def encode(self, source: Tensor) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """source: int64 [B, S], padded with PAD at the end.

        Returns: `mask` float [B, S], 0 or MASKED, and `memory`: the states and behind them the attention's keys
        [B, S, 2 D], or without attention the summary in each position [B, S, D]; and the cache, see `CACHE`.
        """
        real = source != PAD
        mask = (~real).to(self.source_embedding.weight.dtype) * MASKED
        x = self._embed(self.source_embedding, source)
        if self.arch["bidirectional"]:
            length = real.sum(1, keepdim=True)
            position = torch.arange(source.shape[1], device=source.device)[None]
            # Each sentence reversed by itself, so that its padding stays at the end and never meets the recurrence.
            mirror = torch.where(real, length - 1 - position, position)
        for i, (ahead, merge) in enumerate(zip(self.forward_encoder, self.merge, strict=True)):
            states = ahead(x)[0]
            if self.arch["bidirectional"]:
                back = self.backward_encoder[i](_reorder(x, mirror))[0]
                states = torch.cat([states, _reorder(back, mirror)], -1)
            x = x + self.dropout(torch.tanh(merge(states)))
        weight = real.to(x.dtype)[:, :, None]
        summary = (x * weight).sum(1) / weight.sum(1)
        hidden = torch.tanh(self.bridge(summary)).unflatten(1, (self.states * len(self.decoder), -1))
        if self.attention is None:
            memory = summary[:, None].expand(-1, source.shape[1], -1)
        else:
            memory = torch.cat([x, self.attention.keys(x)], -1)
        return {"mask": mask, "memory": memory}, {"hidden": hidden}

    def decode(
        self, target: Tensor, memory: dict[str, Tensor], cache: dict[str, Tensor]
    ) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
        """target: int64 [B, T], any number of steps. Returns: hidden states [B, T, D] for `project`, attention
        [B, T, S] (uniform without attention), the next cache."""
        x = self._embed(self.target_embedding, target)
        states, mask = memory["memory"], memory["mask"]
        if self.attention is None:
            x = torch.cat([x, states[:, :1].expand(-1, target.shape[1], -1)], -1)
        layers, last = len(self.decoder), []
        for i, layer in enumerate(self.decoder):
            own = [cache["hidden"][:, place][None].contiguous() for place in range(i, self.states * layers, layers)]
            y, final = layer(x, tuple(own) if self.states == 2 else own[0])
            x = y if i == 0 else x + self.dropout(y)
            last.append([each[0] for each in (final if self.states == 2 else (final,))])
        if self.attention is None:
            scores = mask[:, None].expand(-1, target.shape[1], -1)
        else:
            states, keys = states.chunk(2, -1)
            scores = self.attention(x, keys) + mask[:, None]
        weights = torch.softmax(scores, -1)
        context = weights @ states
        hidden = self.output(self.dropout(torch.tanh(self.readout(torch.cat([x, context], -1)))))
        return hidden, weights, {"hidden": torch.stack([each for kind in zip(*last, strict=True) for each in kind], 1)}

    def project(self, hidden: Tensor) -> Tensor:
        """[..., D] -> logits [..., V]."""
        return self.target_embedding.project(hidden)

    def forward(self, source: Tensor, target: Tensor) -> Tensor:
        """Hidden states [B, T, D] under teacher forcing; source: [B, S], target: [B, T] from BOS on."""
        return self.decode(target, *self.encode(source))[0]

    def run_free(self, source: Tensor, target: Tensor) -> Tensor:
        """Like `forward`, but each step after the first is fed what the network itself found most probable in the one
        before it, and not `target` (Bengio et al. 2015, https://arxiv.org/abs/1506.03099)."""
        memory, cache = self.encode(source)
        tokens, found = target[:, :1], []
        for _ in range(target.shape[1]):
            hidden, _, cache = self.decode(tokens, memory, cache)
            found.append(hidden)
            with torch.no_grad():
                tokens = self.project(hidden).argmax(-1)
        return torch.cat(found, 1)

    def _embed(self, table: Table, ids: Tensor) -> Tensor:
        return self.dropout(table(ids))


def _reorder(x: Tensor, index: Tensor) -> Tensor:
    """x: [B, S, D], index: [B, S]."""
    return x.gather(1, index[:, :, None].expand(-1, -1, x.shape[2]))

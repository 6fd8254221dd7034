"""Transformer encoder-decoder (Vaswani et al. 2017) with normalisation before each sub-layer (Xiong et al. 2020).

Shapes: `B` sentences, `S` source subwords, `T` target subwords, `P` target subwords before them (in the cache), `D`
model width, `H` heads of one layer, `K` heads of all decoder layers together, `E` width of a head, `V` vocabulary.
Pruning gives layers different numbers of heads and feed-forward units, hence the lists in the architecture.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from modalities.text.backbones.dropout import Dropout
from modalities.text.backbones.ssru import SSRU
from modalities.text.backbones.table import Table
from modalities.text.inputs.tokenizer import PAD

MASKED = -1e4
"""Added to the score of a position that must not be seen; fp16 can hold it."""


def attend(query: Tensor, key: Tensor, value: Tensor, bias: Tensor | None) -> tuple[Tensor, Tensor]:
    """Scaled dot-product attention, written out: on short sentences faster than torch's fused one on CPUs.

    query: [B, H, T, E]; key, value: [B, H, S, E]; bias: broadcast to [B, H, T, S].
    Returns: [B, T, H * E] and the weights [B, H, T, S].
    """
    scores = query @ key.transpose(2, 3) / math.sqrt(query.shape[-1])
    weights = torch.softmax(scores if bias is None else scores + bias, dim=-1)
    return (weights @ value).transpose(1, 2).flatten(2), weights


def split(x: Tensor, parts: int, width: int) -> tuple[Tensor, ...]:
    """[B, T, parts * H * E] -> `parts` tensors [B, H, T, E]."""
    return x.unflatten(2, (parts, -1, width)).permute(2, 0, 3, 1, 4).unbind(0)


class SelfAttention(nn.Module):
    def __init__(self, width: int, heads: int, head_width: int):
        super().__init__()
        self.head_width = head_width
        self.projection = nn.Linear(width, 3 * heads * head_width)
        self.output = nn.Linear(heads * head_width, width)

    def forward(self, x: Tensor, bias: Tensor | None, past: tuple[Tensor, Tensor] | None = None) -> tuple[Tensor, ...]:
        """x: [B, T, D]; past: keys and values [B, H, P, E]. Returns: [B, T, D], keys and values [B, H, P + T, E]."""
        query, key, value = split(self.projection(x), 3, self.head_width)
        if past is not None:
            key, value = torch.cat([past[0], key], 2), torch.cat([past[1], value], 2)
        return self.output(attend(query, key, value, bias)[0]), key, value


class CrossAttention(nn.Module):
    def __init__(self, width: int, heads: int, head_width: int):
        super().__init__()
        self.head_width = head_width
        self.query = nn.Linear(width, heads * head_width)
        self.key_value = nn.Linear(width, 2 * heads * head_width)
        self.output = nn.Linear(heads * head_width, width)

    def memory(self, source: Tensor) -> tuple[Tensor, ...]:
        """[B, S, D] -> keys and values [B, H, S, E]."""
        return split(self.key_value(source), 2, self.head_width)

    def forward(self, x: Tensor, key: Tensor, value: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
        """Returns: [B, T, D] and the weights [B, H, T, S]."""
        (query,) = split(self.query(x), 1, self.head_width)
        attended, weights = attend(query, key, value, bias)
        return self.output(attended), weights


class FeedForward(nn.Module):
    def __init__(self, width: int, hidden: int, dropout: float):
        super().__init__()
        self.expand = nn.Linear(width, hidden)
        self.contract = nn.Linear(hidden, width)
        self.dropout = Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        return self.contract(self.dropout(torch.relu(self.expand(x))))


class EncoderLayer(nn.Module):
    def __init__(self, width: int, head_width: int, heads: int, hidden: int, dropout: float):
        super().__init__()
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(2))
        self.attention = SelfAttention(width, heads, head_width)
        self.feed_forward = FeedForward(width, hidden, dropout)
        self.dropout = Dropout(dropout)

    def forward(self, x: Tensor, bias: Tensor) -> Tensor:
        x = x + self.dropout(self.attention(self.norms[0](x), bias)[0])
        return x + self.dropout(self.feed_forward(self.norms[1](x)))


class DecoderLayer(nn.Module):
    """heads: of the attention to what was said before; None: an SSRU stands in its place."""

    def __init__(self, width: int, head_width: int, heads: int | None, cross_heads: int, hidden: int, dropout: float):
        super().__init__()
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(3))
        self.attention = SSRU(width) if heads is None else SelfAttention(width, heads, head_width)
        self.cross = CrossAttention(width, cross_heads, head_width)
        self.feed_forward = FeedForward(width, hidden, dropout)
        self.dropout = Dropout(dropout)

    def forward(
        self,
        x: Tensor,
        bias: Tensor | None,
        memory: tuple[Tensor, ...],
        memory_bias: Tensor,
        past: tuple[Tensor, ...] | None = None,
    ) -> tuple[Tensor, ...]:
        """past: what a step leaves for the next: keys and values [B, H, P, E], or the state [B, D] of an SSRU.
        Returns: [B, T, D], the cross-attention [B, H, T, S], and the next `past`."""
        before = self.norms[0](x)
        if isinstance(self.attention, SSRU):
            attended, *present = self.attention(before, x.new_zeros(len(x), x.shape[2]) if past is None else past[0])
        else:
            attended, *present = self.attention(before, bias, past)
        x = x + self.dropout(attended)
        attended, weights = self.cross(self.norms[1](x), memory[0], memory[1], memory_bias)
        x = x + self.dropout(attended)
        return x + self.dropout(self.feed_forward(self.norms[2](x))), weights, *present


class Transformer(nn.Module):
    """`arch`: vocabulary, perhaps `source_vocabulary`, width, head_width, dropout, max_tokens, a list of sizes for each
    layer, and perhaps `embedding`, the inner width of its tables. Where decoder layers have no `heads`, SSRUs remember
    what was said, and the order, too: positions are the encoder's alone."""

    MEMORY = ("mask", "memory_key", "memory_value")

    def __init__(self, arch: dict[str, Any]):
        super().__init__()
        self.arch = arch
        width, head_width, dropout = arch["width"], arch["head_width"], arch["dropout"]
        self.source_embedding, self.target_embedding = (
            Table(size, width, arch.get("embedding"))
            for size in (arch.get("source_vocabulary", arch["vocabulary"]), arch["vocabulary"])
        )
        self.encoder = nn.ModuleList(
            EncoderLayer(width, head_width, layer["heads"], layer["feed_forward"], dropout) for layer in arch["encoder"]
        )
        self.decoder = nn.ModuleList(
            DecoderLayer(width, head_width, layer.get("heads"), layer["cross_heads"], layer["feed_forward"], dropout)
            for layer in arch["decoder"]
        )
        self.encoder_norm, self.decoder_norm = nn.LayerNorm(width), nn.LayerNorm(width)
        self.dropout = Dropout(dropout)
        self.register_buffer("positions", sinusoids(arch["max_tokens"] + 2, width), persistent=False)
        self.cross_heads = [layer["cross_heads"] for layer in arch["decoder"]]
        self.heads = [layer["heads"] for layer in arch["decoder"] if "heads" in layer]
        self.CACHE = ("key", "value") if self.heads else ("state",)
        """Keys and values of the subwords so far, [B, K, P, E], or the SSRUs' states, [B, layers, D]."""
        self.source_embedding.initialise()
        self.target_embedding.initialise()
        for module in (*self.encoder.modules(), *self.decoder.modules()):
            if isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def embed(self, table: Table, ids: Tensor, start: int = 0) -> Tensor:
        """ids: [B, T] at positions from `start`. Returns: [B, T, D]."""
        return self.dropout(table(ids) + self.positions[start : start + ids.shape[1]])

    def encode(self, source: Tensor) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """source: int64 [B, S], padded with PAD.

        Returns: what every step sees: `mask` float [B, S], 0 or MASKED, and `memory_key`, `memory_value` [B, K, S, E];
        and the cache before the first step, which is empty, or states of 0.
        """
        mask = (source == PAD).to(self.source_embedding.weight.dtype) * MASKED
        x = self.embed(self.source_embedding, source)
        for layer in self.encoder:
            x = layer(x, mask[:, None, None, :])
        x = self.encoder_norm(x)
        pairs = [layer.cross.memory(x) for layer in self.decoder]
        keys, values = (torch.cat([pair[i] for pair in pairs], 1) for i in range(2))
        memory = {"mask": mask, "memory_key": keys, "memory_value": values}
        if not self.heads:
            return memory, {"state": x.new_zeros(source.shape[0], len(self.decoder), x.shape[2])}
        empty = keys.new_zeros(source.shape[0], sum(self.heads), 0, keys.shape[3])
        return memory, {"key": empty, "value": empty}

    def decode(
        self, target: Tensor, memory: dict[str, Tensor], cache: dict[str, Tensor] | None = None
    ) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
        """Several steps at once without a cache (training), or exactly one step with it; SSRUs take several as well.

        target: int64 [B, T]. Returns: hidden states [B, T, D] for `project`, the last layer's cross-attention, mean
        over heads [B, T, S], and the cache with T more subwords.
        """
        steps = target.shape[1]
        bias = None
        if cache is None and self.heads:
            bias = torch.full((steps, steps), MASKED, device=target.device).triu(1)
        if self.heads:
            x = self.embed(self.target_embedding, target, 0 if cache is None else cache["key"].shape[2])
        else:
            x = self.dropout(self.target_embedding(target))
        keys, values = (
            memory["memory_key"].split(self.cross_heads, 1),
            memory["memory_value"].split(self.cross_heads, 1),
        )
        pasts: list[Any] = [None] * len(self.decoder)
        if cache is not None:
            each = (cache[name].split(self.heads, 1) if self.heads else cache[name].unbind(1) for name in self.CACHE)
            pasts = list(zip(*each, strict=True))
        present, weights = [], x
        for layer, key, value, past in zip(self.decoder, keys, values, pasts, strict=True):
            x, weights, *left = layer(x, bias, (key, value), memory["mask"][:, None, None, :], past)
            present.append(left)
        if cache is not None:
            join = torch.cat if self.heads else torch.stack
            cache = {name: join([left[i] for left in present], 1) for i, name in enumerate(self.CACHE)}
        return self.decoder_norm(x), weights.mean(1), cache or {}

    def project(self, hidden: Tensor) -> Tensor:
        """[..., D] -> logits [..., V]."""
        return self.target_embedding.project(hidden)

    def forward(self, source: Tensor, target: Tensor) -> Tensor:
        """Hidden states [B, T, D] under teacher forcing; source: [B, S], target: [B, T] from BOS on."""
        return self.decode(target, self.encode(source)[0])[0]


def sinusoids(length: int, width: int) -> Tensor:
    """Position encodings [length, width] (Vaswani et al. 2017, 3.5)."""
    position = torch.arange(length)[:, None]
    rate = torch.exp(torch.arange(0, width, 2) * (-math.log(10000.0) / width))
    table = torch.zeros(length, width)
    table[:, 0::2] = torch.sin(position * rate)
    table[:, 1::2] = torch.cos(position * rate)[:, : width // 2]
    return table

"""A trained Transformer as the modules that are exported: with ONNX Runtime's attention, and a cache that only grows.

Hypotheses of a sentence that have a past in common have it once in the cache: its entries are the subwords of all
hypotheses, step after step, and `seen` says which of them each hypothesis has behind it. So no step copies keys and
values from one hypothesis to another.

Shapes: `N` sentences, `Q` hypotheses of each, `S` source subwords, `P` entries of the cache, `D` model width, `H` heads
of a layer, `E` width of a head, `M` = N * Q, or N * S.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from modalities.text.export.operators import Grid, add_and_norm, attend, attend_cached
from modalities.text.export.step import Step
from modalities.text.inputs.tokenizer import PAD


class Linear(nn.Module):
    """[M, in] -> [M, out] as a product and a sum, which can be quantized; ONNX Runtime fuses them else."""

    def __init__(self, layer: nn.Linear):
        super().__init__()
        self.register_buffer("weight", layer.weight.detach().t().contiguous())
        self.register_buffer("bias", layer.bias.detach())

    def forward(self, x: Tensor) -> Tensor:
        return x @ self.weight + self.bias


class FeedForward(nn.Module):
    def __init__(self, layer: Any):
        super().__init__()
        self.expand, self.contract = Linear(layer.expand), Linear(layer.contract)

    def forward(self, x: Tensor) -> Tensor:
        return self.contract(torch.relu(self.expand(x)))


class Embedding(nn.Module):
    """Scaled vectors of subwords with those of their positions."""

    def __init__(self, table: Any, positions: Tensor):
        super().__init__()
        scale = math.sqrt(table.width)
        expand = None if table.expand is None else (table.expand.weight.detach().t() * scale).contiguous()
        self.register_buffer("table", table.weight.detach() * (scale if expand is None else 1.0))
        self.register_buffer("expand", expand)
        self.register_buffer("positions", positions)

    def forward(self, ids: Tensor, position: Tensor, grid: Grid) -> Tensor:
        """ids: [N, Q], position: [1] or [Q]. Returns: [M, D]."""
        vectors = nn.functional.embedding(ids, self.table)
        if self.expand is not None:
            vectors = vectors @ self.expand
        return grid.flat(vectors + nn.functional.embedding(position, self.positions))


class EncoderLayer(nn.Module):
    def __init__(self, layer: Any):
        super().__init__()
        self.norms, self.feed_forward = layer.norms, FeedForward(layer.feed_forward)
        self.projection, self.output = Linear(layer.attention.projection), Linear(layer.attention.output)
        self.heads = layer.attention.output.in_features // layer.attention.head_width

    def forward(self, x: Tensor, normal: Tensor, real: Tensor, grid: Grid) -> tuple[Tensor, Tensor]:
        """x, normal: [M, D], what the layer is added to, and that normalized; real: int32 [N, S].

        Returns: [M, D], and what is still to be added to it.
        """
        query, key, value = grid.spread(self.projection(normal)).chunk(3, 2)
        attended, _ = attend(query, key, value, real, self.heads)
        x, normal = add_and_norm(x, self.output(grid.flat(attended)), self.norms[1])
        return x, self.feed_forward(normal)


class TransformerEncoder(nn.Module):
    """source: int64 [N, S] -> `real` int32 [N, S], 0 for padding, and of each decoder layer keys and values
    [N, H, S, E]."""

    def __init__(self, model: Any):
        super().__init__()
        self.embedding, self.norm = Embedding(model.source_embedding, model.positions), model.encoder_norm
        self.layers = nn.ModuleList(EncoderLayer(layer) for layer in model.encoder)
        self.first = model.encoder[0].norms[0]
        self.nexts = [layer.norms[0] for layer in model.encoder[1:]] + [model.encoder_norm]
        self.memories = nn.ModuleList(Linear(layer.cross.key_value) for layer in model.decoder)
        self.head_width = model.arch["head_width"]

    def forward(self, source: Tensor) -> tuple[Tensor, ...]:
        real, grid = (source != PAD).to(torch.int32), Grid(source)
        x = self.embedding(source, torch.arange(source.shape[1]), grid)
        normal = self.first(x)
        for layer, norm in zip(self.layers, self.nexts, strict=True):
            x, more = layer(x, normal, real, grid)
            x, normal = add_and_norm(x, more, norm)
        parts = []
        for memory in self.memories:
            both = grid.spread(memory(normal)).unflatten(2, (-1, self.head_width)).transpose(1, 2)
            parts += both.chunk(2, 1)
        return (real, *parts)


class DecoderLayer(nn.Module):
    def __init__(self, layer: Any):
        super().__init__()
        own, cross = layer.attention, layer.cross
        self.norms, self.feed_forward = layer.norms, FeedForward(layer.feed_forward)
        self.projection, self.output = Linear(own.projection), Linear(own.output)
        self.cross_query, self.cross_output = Linear(cross.query), Linear(cross.output)
        self.heads = own.output.in_features // own.head_width
        self.cross_heads = cross.output.in_features // cross.head_width

    def forward(
        self, x: Tensor, normal: Tensor, memory: list[Tensor], past: list[Tensor], given: dict[str, Tensor], grid: Grid
    ) -> tuple[Tensor, Tensor, Tensor, list[Tensor]]:
        """x, normal: [M, D], what the layer is added to, and that normalized.

        Returns: [M, D], what is still to be added to it, scores of the source [N, H, Q, S], and the layer's next cache.
        """
        query, key, value = grid.spread(self.projection(normal)).chunk(3, 2)
        attended, *present = attend_cached(query, key, value, past[0], past[1], given["seen"], self.heads)
        x, normal = add_and_norm(x, self.output(grid.flat(attended)), self.norms[1])
        query = grid.spread(self.cross_query(normal))
        attended, scores = attend(query, memory[0], memory[1], given["real"], self.cross_heads)
        x, normal = add_and_norm(x, self.cross_output(grid.flat(attended)), self.norms[2])
        return x, self.feed_forward(normal), scores, present


class TransformerStep(Step):
    """Cache: of each layer `key` and `value` [N, H, P, E]."""

    attention = "attention_scores"

    def __init__(self, model: Any):
        cache = [f"{part}_{i}" for i in range(len(model.decoder)) for part in ("key", "value")]
        super().__init__(model, ("tokens", "position", "seen"), memory_names(model), cache)
        self.embedding = Embedding(model.target_embedding, model.positions)
        self.layers = nn.ModuleList(DecoderLayer(layer) for layer in model.decoder)
        self.first = model.decoder[0].norms[0]
        self.nexts = [layer.norms[0] for layer in model.decoder[1:]] + [model.decoder_norm]

    def decode(self, given: dict[str, Tensor], grid: Grid) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
        x = self.embedding(given["tokens"], given["position"], grid)
        normal, scores = self.first(x), x
        present: dict[str, Tensor] = {}
        for i, (layer, norm) in enumerate(zip(self.layers, self.nexts, strict=True)):
            memory = [given[f"memory_{part}_{i}"] for part in ("key", "value")]
            past = [given[f"past_{part}_{i}"] for part in ("key", "value")]
            x, more, scores, both = layer(x, normal, memory, past, given, grid)
            x, normal = add_and_norm(x, more, norm)
            present |= {f"key_{i}": both[0], f"value_{i}": both[1]}
        return normal, scores, present


def memory_names(model: Any) -> list[str]:
    """What `TransformerEncoder` gives."""
    return ["real", *(f"memory_{part}_{i}" for i in range(len(model.decoder)) for part in ("key", "value"))]

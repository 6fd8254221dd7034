"""One step of beam search as a graph: from the subwords of all hypotheses to the best ways to go on.

What a step reads, beside memory and cache:
    tokens    int64 [N, Q]  the last subword of each hypothesis
    origin    int64 [N, Q]  which hypothesis of the step before each goes on from
    seen      int32 [N, Q, P + Q]  0 for a subword that a hypothesis has not behind it, of all those of all hypotheses,
                            step after step; the last Q are `tokens`
    position  int64 [1]     subwords before these
    scores    [N, Q, 1]     log-probabilities so far, nats; `search.NONE`: a hypothesis that is none
    banned    [V]           what is added to log-probabilities: 0, or `search.NONE` for a subword that must not follow
    count     int64 [1]     how many ways to go on each sentence wants
as far as the network needs them, and what it gives beside the next cache:
    values     [N, count]   the largest log-probabilities of hypotheses with one subword more, in falling order
    index      int64 [N, count]  what they are of: hypothesis * V + subword
    attention  [N, Q, S]    weights of the source subwords, which sum to 1; or `attention_scores` [N, H, Q, S], whose
                            softmax, and mean over heads, these are

Hypotheses of a sentence are queries of one product with its memory, which no step repeats. Shapes: `N` sentences, `Q`
hypotheses of each (1 in the first step), `V` vocabulary, `S` source subwords, `P` those in the cache.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from modalities.text.export import operators
from modalities.text.export.operators import Grid

RESULTS = ("values", "index")
AXES = {
    "tokens": {0: "batch", 1: "beam"},
    "origin": {0: "batch", 1: "beam"},
    "seen": {0: "batch", 1: "beam", 2: "seen"},
    "position": {},
    "scores": {0: "batch", 1: "beam"},
    "banned": {},
    "count": {},
}
"""Of the inputs that tell a step where the search stands."""


class Step(nn.Module):
    """Of any network; `decode` is its own. `forward` takes `inputs` in their order."""

    def __init__(self, model: Any, needed: tuple[str, ...], memory: list[str], cache: list[str]):
        super().__init__()
        self.needed, self.memory, self.cache = (*needed, "scores", "banned", "count"), memory, cache
        # Their own, transposed: a weight shared with an embedding look-up cannot be quantized as a MatMul's.
        *narrow, projection = model.target_embedding.matrices()
        self.register_buffer("narrow", narrow[0] if narrow else None)
        self.register_buffer("projection", projection)

    @property
    def inputs(self) -> list[str]:
        return [*self.needed, *self.memory, *(f"past_{name}" for name in self.cache)]

    @property
    def outputs(self) -> list[str]:
        return [*RESULTS, self.attention, *(f"present_{name}" for name in self.cache)]

    attention = "attention"

    def decode(self, given: dict[str, Tensor], grid: Grid) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
        """given: by name. Returns: hidden states [N * Q, D], what `attention` names, the next cache, first axis N."""
        raise NotImplementedError

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        given = dict(zip(self.inputs, inputs, strict=True))
        grid = Grid(given["tokens"])
        hidden, attention, cache = self.decode(given, grid)
        last = hidden if self.narrow is None else hidden @ self.narrow
        log_probs = grid.spread(torch.log_softmax(last @ self.projection, -1))
        values, index = operators.best(grid.joined(log_probs + given["banned"] + given["scores"]), given["count"])
        return (values, index, attention, *(cache[name] for name in self.cache))


class RecurrentStep(Step):
    """Of a network whose cache holds nothing but the state after the last subword."""

    def __init__(self, model: Any):
        super().__init__(model, ("tokens", "origin"), list(model.MEMORY), list(model.CACHE))
        self.model = model

    def decode(self, given: dict[str, Tensor], grid: Grid) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
        tokens, origin = given["tokens"], given["origin"]
        states = {name: operators.rows(given[f"past_{name}"], origin).flatten(0, 1) for name in self.cache}
        # Little beside the network: a sentence's memory is one vector a subword.
        memory = {name: given[name] for name in self.memory}
        seen = {name: x[:, None].expand(-1, grid.shape[1], *x.shape[1:]).flatten(0, 1) for name, x in memory.items()}
        hidden, attention, states = self.model.decode(tokens.flatten()[:, None], seen, states)
        present = {name: x.unflatten(0, grid.shape) for name, x in states.items()}
        return hidden[:, 0], attention[:, 0].unflatten(0, grid.shape), present


class RecurrentEncoder(nn.Module):
    """source: int64 [N, S] -> memory, and the first cache, of one hypothesis each: first axes N, 1."""

    def __init__(self, model: Any):
        super().__init__()
        self.model = model

    def forward(self, source: Tensor) -> tuple[Tensor, ...]:
        memory, cache = self.model.encode(source)
        return (*memory.values(), *(x[:, None] for x in cache.values()))

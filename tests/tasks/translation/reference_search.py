"""Beam search as its formulas are written: the network in torch, all log-probabilities in numpy, and the cache of each
hypothesis copied. What ships must find the same (`test_translation_search.py`).

Shapes: `N` sentences still open, `K` beams, `V` vocabulary, `S` source subwords, `t` subwords so far.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from modalities.text.inputs.tokenizer import BOS, EOS, PAD, UNK


@dataclass
class Found:
    ids: list[int]
    score: float
    attention: np.ndarray
    """[t + 1, S]."""


@torch.no_grad()
def search(model: Any, source: torch.Tensor, beam: int, penalty: float, limit: int) -> list[Found | None]:
    """source: int64 [N, S]. The best hypothesis of each sentence."""
    memory, cache = model.encode(source)
    count = len(source)
    best: list[Found | None] = [None] * count
    memory, cache = ({name: x.repeat_interleave(beam, 0) for name, x in state.items()} for state in (memory, cache))
    sentence = np.arange(count)
    scores = np.full((count, beam), -np.inf)
    scores[:, 0] = 0  # all beams start equal: only one may go on from the first step
    ended = np.zeros(count, dtype=int)
    history = np.zeros((count, beam, 0), dtype=np.int64)
    attention = np.zeros((count, beam, 0, source.shape[1]))
    tokens = np.full((count * beam, 1), BOS)
    for length in range(1, limit + 2):
        hidden, weights, cache = model.decode(torch.from_numpy(tokens), memory, cache)
        log_probs = torch.log_softmax(model.project(hidden[:, 0]), -1).double().numpy()
        log_probs[:, [PAD, UNK, BOS]] = -np.inf
        n, vocabulary = len(sentence), log_probs.shape[1]
        if length > limit:
            log_probs[:, :EOS] = log_probs[:, EOS + 1 :] = -np.inf
        every = (scores.reshape(-1, 1) + log_probs).reshape(n, beam * vocabulary)
        index = np.argsort(-every, axis=1, kind="stable")[:, : 2 * beam]
        score = np.take_along_axis(every, index, 1)
        parent, token = index // vocabulary, index % vocabulary
        attention = np.concatenate([attention, weights.numpy().reshape(n, beam, 1, -1)], axis=2)
        stops = ((token == EOS) & np.isfinite(score))[:, :beam]
        final = np.where(stops, score[:, :beam] / length**penalty, -np.inf)
        for row, column in np.argwhere(stops):
            known, origin = best[sentence[row]], parent[row, column]
            if known is None or final[row, column] > known.score:
                found = Found(history[row, origin].tolist(), float(final[row, column]), attention[row, origin])
                best[sentence[row]] = found
        ended += stops.sum(1)
        onward = np.argsort(token == EOS, axis=1, kind="stable")[:, :beam]
        score, parent, token = (np.take_along_axis(x, onward, 1) for x in (score, parent, token))
        rows = np.flatnonzero((ended < beam) & (length <= limit))
        if not len(rows):
            break
        origin, keep = ((rows[:, None] * beam + x).reshape(-1) for x in (parent[rows], np.arange(beam)))
        cache = {name: x[torch.from_numpy(origin)] for name, x in cache.items()}
        memory = {name: x[torch.from_numpy(keep)] for name, x in memory.items()}
        scores, sentence, ended = score[rows], sentence[rows], ended[rows]
        history = np.concatenate([history[rows[:, None], parent[rows]], token[rows][:, :, None]], axis=2)
        attention = attention[rows[:, None], parent[rows]]
        tokens = token[rows].reshape(-1, 1)
    return best

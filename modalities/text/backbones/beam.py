"""Beam search in torch, for a teacher's translations, by the rule of `modalities/text/predict/search.py`, which ships.

That one is no part of training: it may change, and nothing has to learn again.
Shapes: `N` sentences still open, `K` beams, `V` vocabulary, `t` subwords so far.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from modalities.text.inputs.tokenizer import BOS, EOS, PAD, UNK


@torch.no_grad()
def beam(model: Any, source: Tensor, width: int, penalty: float, limit: int) -> list[list[list[int]]]:
    """For each sentence the hypotheses that end within `limit` steps, best first; none where it goes on and on.

    source: int64 [B, S]; width: K; penalty: exponent of the length, EOS counted, by which a log-probability is divided.
    A sentence ends when K of its hypotheses have ended, each when it was among the K best; <unk> and <pad> are banned.
    Returns: ids without BOS and EOS.
    """
    memory, cache = (
        {name: x.repeat_interleave(width, 0) for name, x in state.items()} for state in model.encode(source)
    )
    ended: list[list[tuple[float, list[int]]]] = [[] for _ in source]
    sentence = list(range(len(source)))  # which one a row of the tensors below is about
    scores = torch.full((len(source), width), -torch.inf, dtype=torch.float64, device=source.device)
    scores[:, 0] = 0  # all beams start equal: only one may go on from the first step
    tokens, history = source.new_full((len(source) * width, 1), BOS), source.new_zeros((len(source), width, 0))
    for length in range(1, limit + 1):
        hidden, _, cache = model.decode(tokens, memory, cache)
        log_probs = torch.log_softmax(model.project(hidden[:, -1]).float(), -1)
        log_probs[:, [PAD, UNK, BOS]] = -torch.inf
        most = min(2 * width, log_probs.shape[1])  # no more of one beam can be among the best 2K of all
        best, subwords = log_probs.topk(most)
        total = scores.view(-1, 1) + best.double()
        score, index = total.view(len(scores), -1).topk(min(2 * width, width * most))
        parent, token = index // most, subwords.view(len(scores), -1).gather(1, index)
        stops = (token == EOS) & score.isfinite()
        for row, column in stops[:, :width].nonzero().tolist():
            ids = history[row, parent[row, column]].tolist()
            ended[sentence[row]].append((float(score[row, column]) / length**penalty, ids))
        onward = (token == EOS).int().argsort(dim=1, stable=True)[:, :width]  # the best that do not end
        rows = [row for row, place in enumerate(sentence) if len(ended[place]) < width]
        if not rows:
            break
        kept = torch.tensor(rows, device=source.device)
        scores, parent, token = (x.gather(1, onward)[kept] for x in (score, parent, token))
        origin = (kept[:, None] * width + parent).flatten()
        cache = {name: x[origin] for name, x in cache.items()}
        if len(rows) < len(sentence):
            memory = {
                name: x[(kept[:, None] * width).flatten()].repeat_interleave(width, 0) for name, x in memory.items()
            }
            sentence = [sentence[row] for row in rows]
        history = torch.cat([history[kept[:, None], parent], token[:, :, None]], 2)
        tokens = token.reshape(-1, 1)
    return [[ids for _, ids in sorted(each, key=lambda hypothesis: -hypothesis[0])] for each in ended]

"""Greedy decoding in torch, for validation while training; what ships is `modalities/text/predict/search.py`."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from modalities.text.inputs.tokenizer import BOS, EOS, PAD, UNK


@torch.no_grad()
def greedy(model: Any, source: Tensor, limit: int) -> list[list[int]]:
    """The most probable subword at each step until EOS, at most `limit` of them; <unk> and <pad> are banned.

    source: int64 [B, S]. Returns: B lists of ids without BOS and EOS.
    """
    memory, cache = model.encode(source)
    tokens = source.new_full((source.shape[0], 1), BOS)
    chosen, alive = [], torch.ones(source.shape[0], dtype=torch.bool, device=source.device)
    for _ in range(limit):
        hidden, _, cache = model.decode(tokens, memory, cache)
        logits = model.project(hidden[:, -1])
        logits[:, [PAD, UNK, BOS]] = -torch.inf
        tokens = logits.argmax(-1, keepdim=True)
        tokens[~alive] = EOS
        chosen.append(tokens)
        alive &= tokens[:, 0] != EOS
        if not alive.any():
            break
    return [row[: row.index(EOS)] if EOS in row else row for row in torch.cat(chosen, 1).tolist()]

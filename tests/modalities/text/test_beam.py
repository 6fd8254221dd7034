"""A teacher's beam search in torch: by the rule of the search that ships, over a small random table."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from modalities.text.backbones.beam import beam
from modalities.text.inputs.tokenizer import BOS, EOS
from modalities.text.predict.search import Arrays, search

SENTENCES, LONG = 6, 200
SHAPE = (SENTENCES, 9, 9)


class Bigram:
    """Logits [sentence, last subword, next subword], and by `sooner` more of an end at each step; the cache remembers
    the whole history."""

    def __init__(self, seed: int, sooner: float = 0.2) -> None:
        self.sooner = sooner
        self.logits = torch.tensor(np.random.default_rng(seed).normal(size=SHAPE).astype(np.float32) * 2)

    def encode(self, source: Tensor) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        return {"which": source[:, 0]}, {"history": source[:, :0]}

    def decode(
        self, tokens: Tensor, memory: dict[str, Tensor], cache: dict[str, Tensor]
    ) -> tuple[Tensor, None, dict[str, Tensor]]:
        history = torch.cat([cache["history"], tokens], 1)
        assert (history[:, 0] == BOS).all() and not (history == EOS).any()
        logits = self.logits[memory["which"], tokens[:, 0]].clone()
        if history.shape[1] > 1:  # a cache that is mixed up shows
            logits += 0.3 * self.logits[memory["which"], history[:, -2]]
        logits[:, EOS] += self.sooner * history.shape[1]
        return logits[:, None], None, {"history": history}

    def project(self, hidden: Tensor) -> Tensor:
        return hidden

    def step(self, state: Arrays, memory: Arrays, cache: Arrays) -> tuple[np.ndarray, np.ndarray, None, Arrays]:
        """One of `modalities.text.predict.search.Step`: the cache is [N, hypotheses, subwords so far]."""
        tokens, which = state["tokens"], memory["which"][:, None]
        past = cache["history"][np.arange(len(tokens))[:, None], state["origin"]].reshape(tokens.size, -1)
        seen = {"which": torch.tensor(np.broadcast_to(which, tokens.shape).reshape(-1))}
        history = {"history": torch.tensor(past)}
        hidden, _, after = self.decode(torch.tensor(tokens.reshape(-1, 1)), seen, history)
        log_probs = torch.log_softmax(hidden[:, -1], -1).numpy().reshape(*tokens.shape, -1)
        flat = (log_probs + state["banned"] + state["scores"]).reshape(len(tokens), -1)
        index = np.argsort(-flat, axis=1, kind="stable")[:, : int(state["count"][0])]
        values = np.take_along_axis(flat, index, axis=1)
        return values, index, None, {"history": after["history"].numpy().reshape(*tokens.shape, -1)}


SOURCE = torch.arange(SENTENCES)[:, None]


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize(("width", "penalty"), [(1, 0.0), (2, 1.0), (4, 1.0), (5, 0.0)])
def test_the_best_is_that_of_the_search_that_ships(seed: int, width: int, penalty: float) -> None:
    model = Bigram(seed)
    memory = {"which": np.arange(SENTENCES)}  # its own: a search moves rows
    cache = {"history": np.zeros((SENTENCES, 1, 0), dtype=np.int64)}
    wanted = [found.ids for found in search(model.step, memory, cache, SHAPE[-1], width, penalty, LONG)]
    found = beam(model, SOURCE, width, penalty, LONG)
    assert [several[0] for several in found] == wanted
    assert all(len(several) >= width for several in found)
    assert all(len({tuple(ids) for ids in several}) == len(several) for several in found)


def test_they_come_best_first() -> None:
    model = Bigram(1)
    for sentence, several in enumerate(beam(model, SOURCE, 4, 1.0, LONG)):
        scores = []
        for ids in several:
            memory, cache = model.encode(SOURCE[[sentence]])
            total = 0.0
            for given, said in zip([BOS, *ids], [*ids, EOS], strict=True):
                hidden, _, cache = model.decode(torch.tensor([[given]]), memory, cache)
                total += float(torch.log_softmax(hidden[0, -1], -1)[said])
            scores.append(total / (len(ids) + 1))
        assert scores == sorted(scores, reverse=True)


def test_what_comes_to_no_end_is_nothing() -> None:
    assert beam(Bigram(0, sooner=-50.0), SOURCE, 3, 1.0, 12) == [[]] * SENTENCES

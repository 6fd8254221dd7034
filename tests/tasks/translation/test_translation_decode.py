"""Search in numpy: against every possible output of a small random table, and its rules."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from modalities.text.inputs.tokenizer import BOS, EOS, PAD, UNK
from modalities.text.predict.search import Arrays, search

VOCABULARY = 7  # the four special ones, and 4, 5, 6


def table(seed: int, sentences: int = 1) -> np.ndarray:
    """Log-probabilities [sentence, last subword, next subword] of a bigram model."""
    logits = np.random.default_rng(seed).normal(size=(sentences, VOCABULARY, VOCABULARY)) * 2
    return logits - np.log(np.exp(logits).sum(-1, keepdims=True))


def bigram(model: np.ndarray) -> tuple[object, Arrays, Arrays, int]:
    """The step of a bigram model; the cache remembers the whole history, to see that beams keep theirs, and `seen` says
    the same of the subwords of all of them."""

    def step(state: Arrays, memory: Arrays, cache: Arrays) -> tuple[np.ndarray, np.ndarray, np.ndarray, Arrays]:
        which, tokens, rows = memory["sentence"], state["tokens"], np.arange(len(memory["sentence"]))[:, None]
        history = np.concatenate([cache["history"][rows, state["origin"]], tokens[:, :, None]], axis=2)
        every = np.concatenate([cache["every"], tokens], axis=1)
        assert history.shape[2] == int(state["position"][0]) + 1
        for row, past in enumerate(history):
            for beam, own in enumerate(past):
                assert own[0] == BOS and EOS not in own, row
                assert own.tolist() == every[row][state["seen"][row, beam] == 1].tolist(), row
        log_probs = model[which[:, None], tokens] + state["banned"] + state["scores"]
        flat = log_probs.reshape(len(which), -1)
        index = np.argsort(-flat, axis=1, kind="stable")[:, : int(state["count"][0])]
        seen = np.broadcast_to(which[:, None, None], (*tokens.shape, 2)).astype(float)
        return flat[rows, index], index, seen, {"history": history, "every": every}

    count = len(model)
    cache = {"history": np.zeros((count, 1, 0), dtype=np.int64), "every": np.zeros((count, 0), dtype=np.int64)}
    return step, {"sentence": np.arange(count)}, cache, VOCABULARY


def score(model: np.ndarray, ids: tuple[int, ...], penalty: float) -> float:
    path = [BOS, *ids, EOS]
    return sum(model[a, b] for a, b in itertools.pairwise(path)) / (len(ids) + 1) ** penalty


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("penalty", [0.0, 1.0])
def test_a_wide_beam_finds_the_best_of_all_outputs(seed: int, penalty: float) -> None:
    model = table(seed)
    outputs = [ids for n in range(4) for ids in itertools.product((4, 5, 6), repeat=n)]
    best = max(outputs, key=lambda ids: score(model[0], ids, penalty))
    (found,) = search(*bigram(model), beam=60, penalty=penalty, limit=3)
    assert tuple(found.ids) == best
    assert found.score == pytest.approx(score(model[0], best, penalty))


def test_beam_one_is_greedy() -> None:
    for seed in range(10):
        model = table(seed)[0]
        expected, last = [], BOS
        while len(expected) < 6:
            allowed = model[last].copy()
            allowed[[PAD, UNK, BOS]] = -np.inf
            last = int(allowed.argmax())
            if last == EOS:
                break
            expected.append(last)
        assert search(*bigram(model[None]), beam=1, penalty=0.0, limit=6)[0].ids == expected


def test_a_batch_gives_what_single_sentences_give() -> None:
    model = table(3, sentences=9)
    together = search(*bigram(model), beam=4, penalty=1.0, limit=8)
    for i, found in enumerate(together):
        (alone,) = search(*bigram(model[i : i + 1]), beam=4, penalty=1.0, limit=8)
        assert found.ids == alone.ids
        assert found.score == pytest.approx(alone.score)
        assert found.attention.shape == (len(found.ids) + 1, 2)
        assert (found.attention == i).all()


def test_banned_subwords_never_appear_and_the_limit_holds() -> None:
    model = np.full((1, VOCABULARY, VOCABULARY), -5.0)
    model[:, :, [PAD, UNK, BOS]] = 0.0
    model[:, :, EOS] = -50.0
    (found,) = search(*bigram(model), beam=2, penalty=1.0, limit=5)
    assert len(found.ids) == 5
    assert set(found.ids) <= {4, 5, 6}

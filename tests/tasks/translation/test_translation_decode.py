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


def ranked(model: np.ndarray, penalty: float, prefix: tuple[int, ...] = (), limit: int = 3) -> list[tuple[int, ...]]:
    """All outputs that begin with `prefix`, best first; scores are of what follows it."""
    rest = [ids for n in range(limit + 1 - len(prefix)) for ids in itertools.product((4, 5, 6), repeat=n)]
    rest.sort(key=lambda ids: -following(model, prefix, ids, penalty))
    return [(*prefix, *ids) for ids in rest]


def following(model: np.ndarray, prefix: tuple[int, ...], ids: tuple[int, ...], penalty: float) -> float:
    path = [(BOS, *prefix)[-1], *ids, EOS]
    return sum(model[a, b] for a, b in itertools.pairwise(path)) / (len(ids) + 1) ** penalty


@pytest.mark.parametrize("penalty", [0.0, 1.0])
def test_a_wide_beam_ranks_all_outputs(penalty: float) -> None:
    model = table(11)
    (found,) = search(*bigram(model), beam=60, penalty=penalty, limit=3)
    several = [found, *found.others()]
    assert [tuple(each.ids) for each in several] == ranked(model[0], penalty)
    for each in several:
        assert each.score == pytest.approx(score(model[0], tuple(each.ids), penalty))
        assert each.attention.shape == (len(each.ids) + 1, 2)


def test_a_narrow_beam_gives_as_many_as_it_has_hypotheses() -> None:
    for found in search(*bigram(table(3, sentences=9)), beam=4, penalty=1.0, limit=8):
        several = [found, *found.others()]
        assert len({tuple(each.ids) for each in several}) == len(several) >= 4
        assert [each.score for each in several] == sorted((each.score for each in several), reverse=True)


def test_prefixes_of_many_lengths_in_one_batch() -> None:
    """Of each the continuations are ranked as all of them are; a prefix may be as long as a translation."""
    prefixes = [(), (4,), (6, 6), (5, 4, 6), (6,)]
    model = table(5, sentences=len(prefixes))
    together = search(*bigram(model), beam=60, penalty=1.0, limit=3, prefixes=prefixes)
    for i, (found, prefix) in enumerate(zip(together, prefixes, strict=True)):
        several = [found, *found.others()]
        assert [tuple(each.ids) for each in several] == ranked(model[i], 1.0, prefix)
        for each in several:
            expected = following(model[i], prefix, tuple(each.ids[len(prefix) :]), 1.0)
            assert each.score == pytest.approx(expected)
            assert each.attention.shape == (len(each.ids) + 1, 2) and (each.attention == i).all()


@pytest.mark.parametrize("beam", [1, 3])
def test_a_prefix_changes_nothing_for_those_beside_it(beam: int) -> None:
    model = table(8, sentences=6)
    plain = search(*bigram(model), beam=beam, penalty=1.0, limit=8)
    prefixes = [(), (5, 5, 4, 6, 4), (), (6,), (), (4,) * 8]
    for prefix, alone, found in zip(
        prefixes, plain, search(*bigram(model), beam=beam, penalty=1.0, limit=8, prefixes=prefixes), strict=True
    ):
        assert tuple(found.ids[: len(prefix)]) == prefix
        if not prefix:
            assert (found.ids, found.score) == (alone.ids, alone.score)


def test_a_bonus_ranks_what_has_ended() -> None:
    """It is told the sentence, and the attention of each hypothesis."""

    def shorter(number: int, attention: np.ndarray) -> float:
        assert (attention == number).all()
        return -100.0 * len(attention)

    for found in search(*bigram(table(2, sentences=3)), beam=4, penalty=0.0, limit=6, bonus=shorter):
        lengths = [len(each.ids) for each in [found, *found.others()]]
        assert lengths == sorted(lengths) and len(set(lengths)) > 1

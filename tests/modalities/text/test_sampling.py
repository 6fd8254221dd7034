"""Translations that are drawn: as often as their probabilities say, and the same whatever shares their batch."""

from __future__ import annotations

import itertools
from collections import Counter
from typing import Any

import numpy as np
import pytest

from core.errors import ModelError
from modalities.text.inputs.tokenizer import BOS, EOS, PAD, UNK
from modalities.text.predict import sampling
from modalities.text.predict.sampling import Sampling, draw, nucleus, sample
from modalities.text.predict.search import Arrays

VOCABULARY, LIMIT, CRITICAL = 8, 2, 3.0
"""CRITICAL: standard deviations by which a chi-square statistic may be above its mean."""


def table(seed: int, sentences: int, vocabulary: int = VOCABULARY) -> np.ndarray:
    """Log-probabilities [sentence, last subword, next subword] of a bigram model."""
    logits = np.random.default_rng(seed).normal(size=(sentences, vocabulary, vocabulary)) * 1.5
    return logits - np.log(np.exp(logits).sum(-1, keepdims=True))


def drawn(model: np.ndarray, how: Sampling, generators: list[np.random.Generator], **options: Any) -> list[Any]:
    counts: list[int] = options.pop("counts", [])

    def step(state: Arrays, memory: Arrays, cache: Arrays) -> tuple[np.ndarray, np.ndarray, np.ndarray, Arrays]:
        which, tokens = memory["sentence"], state["tokens"]
        every = (model[which[:, None], tokens] + state["banned"] + state["scores"])[:, 0].astype(np.float32)
        counts.append(int(state["count"][0]))
        index = np.argsort(-every, axis=1, kind="stable")[:, : counts[-1]]
        history = np.concatenate([cache["history"], tokens], axis=1)
        assert state["seen"].shape == (len(which), 1, history.shape[1])
        assert history.shape[1] == state["position"][0] + 1 and (history[:, 0] == BOS).all()
        seen = np.broadcast_to(which[:, None, None], (len(which), 1, 2)).astype(float)
        return np.take_along_axis(every, index, 1), index, seen, {"history": history}

    memory = {"sentence": np.arange(len(model))}
    cache = {"history": np.zeros((len(model), 0), np.int64)}
    return sample(step, memory, cache, model.shape[1], how, generators, 1.0, options.pop("limit", LIMIT), **options)


def allowed(log_probs: np.ndarray, how: Sampling) -> np.ndarray:
    """The distribution of a step, by its definition."""
    p = np.exp(log_probs / how.temperature)
    p[[PAD, UNK, BOS]] = 0
    p /= p.sum()
    order = np.argsort(-p)
    most = 1 + int(np.flatnonzero(p[order].cumsum() >= how.top_p * (1 - 1e-9))[0])
    p[order[most:]] = 0
    return p / p.sum()


@pytest.mark.parametrize("few", [5, 64])
@pytest.mark.parametrize(("temperature", "top_p"), [(1.0, 1.0), (0.7, 0.8), (1.6, 0.9)])
def test_frequencies_are_those_of_the_exact_distribution(
    temperature: float, top_p: float, few: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sampling, "FEW", few)
    how, model, times = Sampling(temperature, top_p), table(4, 1), 1500
    together = np.repeat(model, times, 0)
    found = drawn(together, how, [np.random.default_rng(i) for i in range(times)])
    counts = Counter(tuple(each.ids) for each in found)
    exact = {}
    for length in range(LIMIT + 1):
        for ids in itertools.product(range(EOS + 1, VOCABULARY), repeat=length):
            path = [BOS, *ids, *([EOS] if length < LIMIT else [])]
            exact[ids] = np.prod([allowed(model[0, a], how)[b] for a, b in itertools.pairwise(path)])
    assert sum(exact.values()) == pytest.approx(1) and set(counts) <= {ids for ids, p in exact.items() if p}
    often = {ids: p * times for ids, p in exact.items() if p * times >= 5}
    statistic = sum((counts[ids] - expected) ** 2 / expected for ids, expected in often.items())
    freedom = len(often) - 1
    assert freedom > 3 and statistic < freedom + CRITICAL * (2 * freedom) ** 0.5


def test_a_nucleus_among_few_is_that_of_all() -> None:
    """Or it is said that they do not tell."""
    random, told = np.random.default_rng(0), 0
    for _ in range(600):
        logits = np.sort(random.normal(size=50) * random.uniform(0.3, 5))[::-1]
        values = logits - np.log(np.exp(logits).sum())
        how = Sampling(random.uniform(0.4, 2.5), random.uniform(0.2, 0.99))
        exact, few = nucleus(values, 50, how), nucleus(values[:20], 50, how)
        assert exact is not None and len(exact) == np.count_nonzero(_tempered(values, how))
        if few is not None:
            told += 1
            assert len(few) == len(exact)
    assert told > 100


def _tempered(values: np.ndarray, how: Sampling) -> np.ndarray:
    p = np.exp(values / how.temperature)
    before = p.cumsum() / p.sum() - p / p.sum()
    return np.where(before < how.top_p * (1 - 1e-12), p, 0)


def test_more_is_asked_for_only_where_few_do_not_tell() -> None:
    model = table(1, 3, 200)
    for scale, wide in ((8.0, False), (0.1, True)):
        logits = model * scale
        sharp = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
        counts: list[int] = []
        drawn(sharp, Sampling(1.0, 0.9), [np.random.default_rng(i) for i in range(3)], limit=4, counts=counts)
        assert sampling.FEW in counts and (200 in counts[:2]) == wide


def test_alone_as_in_a_batch_and_again() -> None:
    model, how = table(6, 9), Sampling(1.3, 0.95, seed=5)
    prefixes = [[], [4, 5], [], [7], [], [6] * 6, [], [], []]

    def several(rows: list[int]) -> list[Any]:
        own, begun = [how.generator([7, row]) for row in rows], [prefixes[row] for row in rows]
        return drawn(model[rows], how, own, limit=6, prefixes=begun)

    together = several(list(range(9)))
    assert len({len(each.ids) for each in together}) > 2, "sentences leave the batch at several steps"
    for row, found in enumerate(together):
        (alone,) = several([row])
        assert (alone.ids, alone.score) == (found.ids, found.score)
        assert found.ids[: len(prefixes[row])] == prefixes[row] and len(found.ids) <= 6
        path = [BOS, *found.ids, EOS]
        terms = [model[row, a, b] for a, b in itertools.pairwise(path)][len(prefixes[row]) :]
        assert found.score == pytest.approx(sum(terms) / len(terms), abs=1e-5)
        assert found.attention.shape == (len(found.ids) + 1, 2) and (found.attention[:, 0] >= 0).all()
    assert (
        how.generator([4, 5]).random() != how.generator([5, 4]).random() != Sampling(seed=6).generator([5, 4]).random()
    )


def test_near_ties_are_drawn_by_the_same_numbers() -> None:
    """Whichever comes first in a batch of another size."""
    for seed in range(50):
        one, other = (
            index[draw(np.array([0.5, 0.5, 0.1]), index, np.random.default_rng(seed))]
            for index in (np.array([9, 4, 6]), np.array([4, 9, 6]))
        )
        assert one == other


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"temperature": 0.0}, "temperature is 0.0, expected more than 0"),
        ({"top_p": 0.0}, "top_p is 0.0, expected more than 0, and at most 1"),
        ({"top_p": 1.5}, "top_p is 1.5"),
        ({"seed": -1}, "seed is -1, expected 0 or more"),
        ({"top_k": 3}, r"unknown \['top_k'\]; valid: temperature, top_p, seed"),
    ],
)
def test_what_is_no_sampling_is_refused(values: dict[str, Any], words: str) -> None:
    with pytest.raises(ModelError, match=words):
        Sampling.of(values)

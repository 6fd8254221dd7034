"""Greedy and beam search in numpy over a step function that keeps a cache; knows no model and no runtime.

Shapes: `N` sentences still open, `K` beams, `V` vocabulary, `S` source subwords, `t` subwords so far.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from modalities.text.inputs.tokenizer import BOS, EOS, PAD, UNK

Arrays = dict[str, np.ndarray]
Step = Callable[[np.ndarray, Arrays, Arrays], tuple[np.ndarray, np.ndarray, Arrays]]
"""(tokens [M, 1], memory, cache) -> log-probabilities [M, V], attention [M, S], next cache; first axis always M."""


@dataclass
class Hypothesis:
    """A translation: subwords without BOS and EOS; for each of them, and EOS, its attention to the source [t, S]."""

    ids: list[int]
    score: float
    """Log-probability (nats) divided by length^penalty, EOS counted."""
    attention: np.ndarray


def search(step: Step, memory: Arrays, cache: Arrays, beam: int, penalty: float, limit: int) -> list[Hypothesis]:
    """The best hypothesis of each sentence; beam 1 is greedy decoding.

    memory, cache: of the encoder, first axis N. limit: most subwords before EOS.
    penalty: exponent of the length by which a log-probability is divided (Wu et al. 2016: a similar power; 0 favours
    short output).
    <pad>, <unk> and BOS are banned. A sentence ends when K of its hypotheses have ended, each when it was among the K
    best.
    """
    count = len(next(iter(memory.values())))
    best: list[Hypothesis | None] = [None] * count
    memory, cache = ({name: np.repeat(x, beam, axis=0) for name, x in state.items()} for state in (memory, cache))
    sentence = np.arange(count)  # [N] which sentence a row of the arrays below is about
    scores = np.full((count, beam), -np.inf)
    scores[:, 0] = 0  # all beams start equal: only one may go on from the first step
    ended = np.zeros(count, dtype=int)
    history = np.zeros((count, beam, 0), dtype=np.int64)
    attention: np.ndarray | None = None
    tokens = np.full((count * beam, 1), BOS, dtype=np.int64)
    for length in range(1, limit + 2):
        log_probs, weights, cache = step(tokens, memory, cache)
        log_probs = log_probs.astype(np.float64)
        log_probs[:, [PAD, UNK, BOS]] = -np.inf
        n, vocabulary = len(sentence), log_probs.shape[1]
        if length > limit:  # what is still open ends here
            log_probs[:, :EOS] = log_probs[:, EOS + 1 :] = -np.inf
        score, index = _top((scores.reshape(-1, 1) + log_probs).reshape(n, beam * vocabulary), 2 * beam)
        parent, token = index // vocabulary, index % vocabulary
        seen = weights.reshape(n, beam, 1, -1)
        attention = seen if attention is None else np.concatenate([attention, seen], axis=2)

        stops = (token == EOS) & np.isfinite(score)
        final = np.where(stops[:, :beam], score[:, :beam] / length**penalty, -np.inf)
        for row in np.flatnonzero(stops[:, :beam].any(1)):
            column = int(final[row].argmax())
            known = best[sentence[row]]
            if known is None or final[row, column] > known.score:
                origin = parent[row, column]
                ids = history[row, origin].tolist()
                best[sentence[row]] = Hypothesis(ids, float(final[row, column]), attention[row, origin].copy())
        ended += stops[:, :beam].sum(1)

        onward = np.argsort(token == EOS, axis=1, kind="stable")[:, :beam]  # the best that do not end
        score, parent, token = (_pick(x, onward) for x in (score, parent, token))
        open_ = (ended < beam) & (length <= limit)
        if not open_.any():
            break
        rows = np.flatnonzero(open_)
        source = (rows[:, None] * beam + parent[rows]).reshape(-1)
        cache = {name: x[source] for name, x in cache.items()}
        if len(rows) < n:
            keep = (rows[:, None] * beam + np.arange(beam)).reshape(-1)
            memory = {name: x[keep] for name, x in memory.items()}
        scores, sentence, ended = score[rows], sentence[rows], ended[rows]
        history = np.concatenate([history[rows[:, None], parent[rows]], token[rows][:, :, None]], axis=2)
        attention = attention[rows[:, None], parent[rows]]
        tokens = token[rows].reshape(-1, 1)
    return [hypothesis or Hypothesis([], -np.inf, np.zeros((0, 0))) for hypothesis in best]


def _top(scores: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """The k largest of each row in descending order: values and columns; ties go to the smaller column."""
    k = min(k, scores.shape[1])
    columns = np.sort(np.argpartition(-scores, k - 1, axis=1)[:, :k], axis=1)
    values = _pick(scores, columns)
    order = np.argsort(-values, axis=1, kind="stable")
    return _pick(values, order), _pick(columns, order)


def _pick(x: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """`np.take_along_axis` of the second axis, whose checks take longer than the copy does here."""
    return x[np.arange(len(x))[:, None], columns]

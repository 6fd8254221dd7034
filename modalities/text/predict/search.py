"""Greedy and beam search over a step that keeps a cache and finds the best ways to go on; knows no model, no runtime.

Shapes: `N` sentences still open, `K` beams, `Q` hypotheses of each in a step (1 in the first, then K), `V` vocabulary,
`S` source subwords, `P` subwords of all hypotheses before a step, `t` subwords of one.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from modalities.text.inputs.tokenizer import BOS, EOS, PAD, UNK

NONE = -1e30
"""Log-probability of what cannot be: a banned subword, a hypothesis that is none. No infinity, which calibration takes
for a fault of the data."""
IMPOSSIBLE = NONE / 2
"""What is less is one of these, with or without others added."""
Arrays = dict[str, np.ndarray]
Step = Callable[[Arrays, Arrays, Arrays], tuple[np.ndarray, np.ndarray, np.ndarray | None, Arrays]]
"""(where the search stands, memory, cache) -> values and index [N, count], attention [N, ..., Q, S] if it is wanted,
the next cache; first axis always N. What each is says `modalities.text.export.step`."""


@dataclass
class Hypothesis:
    """A translation: subwords without BOS and EOS; for each of them, and EOS, its attention to the source."""

    ids: list[int]
    score: float
    """Log-probability (nats) divided by length^penalty, EOS counted."""
    attention: np.ndarray | None
    """[t, ..., S]; None where the step gave none."""


@dataclass
class _Sentence:
    """What is known of one sentence while its search goes on."""

    number: int
    score: float = -math.inf
    """Of the best hypothesis that has ended."""
    path: list[int] = field(default_factory=list)
    """Which hypothesis it was in each step."""
    ended: int = 0
    """Hypotheses that ended when they were among the K best."""
    parents: list[list[int]] = field(default_factory=list)
    """Of each step but the first: which hypothesis of the step before each of its hypotheses goes on from."""
    tokens: list[list[int]] = field(default_factory=list)
    """Likewise its last subword."""
    attention: list[np.ndarray] = field(default_factory=list)
    """Of each step [..., Q, S]."""

    def advance(self, values: list[float], index: list[int], vocabulary: int, beam: int, divisor: float) -> list[float]:
        """From the best ways to go on, in falling order, end what ends, and make a step of the K best others.

        Returns: their scores.
        """
        scores: list[float] = []
        parents: list[int] = []
        tokens: list[int] = []
        for rank, (score, way) in enumerate(zip(values, index, strict=True)):
            if score < IMPOSSIBLE:
                break
            parent, token = divmod(way, vocabulary)
            if token != EOS:
                scores.append(score)
                parents.append(parent)
                tokens.append(token)
                if len(scores) == beam:
                    break
            elif rank < beam:
                self._end(parent, score / divisor)
        for _ in range(beam - len(scores)):  # hypotheses that are none
            scores.append(NONE)
            parents.append(0)
            tokens.append(BOS)
        self.parents.append(parents)
        self.tokens.append(tokens)
        return scores

    def _end(self, last: int, score: float) -> None:
        """Hypothesis `last` of the newest step ends."""
        self.ended += 1
        if score > self.score:
            self.score, self.path = score, [last]
            for parents in reversed(self.parents):
                self.path.append(parents[self.path[-1]])
            self.path.reverse()

    def found(self) -> Hypothesis:
        """The best that has ended."""
        ids = [tokens[which] for tokens, which in zip(self.tokens, self.path[1:], strict=False)]
        seen = [weights[..., which, :] for weights, which in zip(self.attention, self.path, strict=False)]
        return Hypothesis(ids, self.score, np.stack(seen) if seen else None)


def search(
    step: Step, memory: Arrays, cache: Arrays, vocabulary: int, beam: int, penalty: float, limit: int
) -> list[Hypothesis]:
    """The best hypothesis of each sentence; beam 1 is greedy decoding.

    memory, cache: of the encoder, first axis N; they are written to. limit: most subwords before EOS.
    penalty: exponent of the length by which a log-probability is divided (Wu et al. 2016: a similar power; 0 favours
    short output).
    <pad>, <unk> and BOS are banned. A sentence ends when K of its hypotheses have ended, each when it was among the K
    best.
    """
    sentences = [_Sentence(i) for i in range(len(next(iter(memory.values()))))]
    found = [Hypothesis([], -math.inf, None)] * len(sentences)
    banned, only_end = (np.full(vocabulary, each, np.float32) for each in (0, NONE))
    banned[[PAD, UNK, BOS]] = NONE
    only_end[EOS] = 0
    tokens, origin = (np.full((len(sentences), 1), first) for first in (BOS, 0))
    scores = np.zeros((len(sentences), 1, 1), np.float32)
    seen, itself = np.ones((len(sentences), 1, 1), np.int32), np.eye(beam, dtype=np.int32)
    for length in range(1, limit + 2):
        last = length > limit  # what is still open ends here
        state = {
            "tokens": tokens,
            "origin": origin,
            "seen": seen,
            "position": np.array([length - 1]),
            "scores": scores,
            "banned": only_end if last else banned,
            "count": np.array([min(2 * beam, tokens.shape[1] * vocabulary)]),
        }
        values, index, weights, cache = step(state, memory, cache)
        onward: list[list[float]] = []
        for row, (sentence, best, ways) in enumerate(zip(sentences, values.tolist(), index.tolist(), strict=True)):
            if weights is not None:
                sentence.attention.append(weights[row])
            onward.append(sentence.advance(best, ways, vocabulary, beam, length**penalty))
            if last or sentence.ended >= beam:
                found[sentence.number] = sentence.found()
        open_ = [not last and sentence.ended < beam for sentence in sentences]
        if not any(open_):
            break
        if not all(open_):
            rows = _kept(open_)
            sentences, onward = [sentences[row] for row in rows], [onward[row] for row in rows]
            seen = seen[rows]
            memory, cache = ({name: _moved(x, rows) for name, x in state.items()} for state in (memory, cache))
        tokens = np.array([sentence.tokens[-1] for sentence in sentences])
        origin = np.array([sentence.parents[-1] for sentence in sentences])
        scores = np.array(onward, np.float32)[:, :, None]
        seen = _grown(seen, origin, itself)
    return found


def _grown(seen: np.ndarray, origin: np.ndarray, itself: np.ndarray) -> np.ndarray:
    """`seen` of the next step: that of the hypothesis that each goes on from, and itself. itself: [K, K]."""
    rows, beam = origin.shape
    grown = np.empty((rows, beam, seen.shape[2] + beam), np.int32)
    grown[:, :, :-beam] = seen[np.arange(rows)[:, None], origin]
    grown[:, :, -beam:] = itself
    return grown


def _kept(open_: list[bool]) -> list[int]:
    """Rows of the sentences that are still open, the last of them in the places of those that have ended: so the fewest
    rows move."""
    count = sum(open_)
    movers = iter([row for row in range(count, len(open_)) if open_[row]])
    return [row if open_[row] else next(movers) for row in range(count)]


def _moved(x: np.ndarray, rows: list[int]) -> np.ndarray:
    """The rows in their new places, in the same memory: to copy them all takes as long as a tenth of a step."""
    for place, row in enumerate(rows):
        if place != row:
            x[place] = x[row]  # `row` is behind all places
    return x[: len(rows)]

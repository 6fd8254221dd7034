"""Greedy and beam search over a step that keeps a cache and finds the best ways to go on; knows no model, no runtime.

Shapes: `N` sentences still open, `K` beams, `Q` hypotheses of each in a step (1 in the first, then K), `V` vocabulary,
`S` source subwords, `P` subwords of all hypotheses before a step, `t` subwords of one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

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
Bonus = Callable[[int, np.ndarray], float]
"""(number of a sentence, attention [t, ..., S] of a hypothesis that ends) -> what is added to its score."""


@dataclass
class Hypothesis:
    """A translation: subwords without BOS and EOS; for each of them, and EOS, its attention to the source."""

    ids: list[int]
    score: float
    """Log-probability (nats) of what follows the prefix, divided by its length^penalty, EOS counted, and the bonus."""
    attention: np.ndarray | None
    """[t, ..., S]; None where the step gave none."""
    others: Callable[[], list[Hypothesis]] = field(default=list, repr=False, compare=False)
    """Makes those of the same sentence that ended as well, best first; no two have the same ids."""


class _End(NamedTuple):
    """Where a hypothesis has ended."""

    score: float
    steps: int
    """Subwords of it."""
    which: int
    """It was of those of its last step."""


@dataclass
class _Sentence:
    """What is known of one sentence while its search goes on."""

    number: int
    prefix: Sequence[int] = ()
    """Subwords that all hypotheses begin with."""
    ended: list[_End] = field(default_factory=list)
    """Hypotheses that ended when they were among the K best."""
    parents: list[list[int]] = field(default_factory=list)
    """Of each step but the first: which hypothesis of the step before each of its hypotheses goes on from."""
    tokens: list[list[int]] = field(default_factory=list)
    """Likewise its last subword."""
    attention: list[np.ndarray] = field(default_factory=list)
    """Of each step [..., Q, S]."""

    def advance(
        self,
        values: list[float],
        index: list[int],
        vocabulary: int,
        beam: int,
        divisor: float,
        bonus: Bonus | None = None,
    ) -> list[float]:
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
                self._end(parent, score / divisor, bonus)
        for _ in range(beam - len(scores)):  # hypotheses that are none
            scores.append(NONE)
            parents.append(0)
            tokens.append(BOS)
        self.parents.append(parents)
        self.tokens.append(tokens)
        return scores

    def force(self, token: int, beam: int) -> list[float]:
        """A step of one hypothesis, which goes on by `token`. Returns: as `advance`."""
        self.parents.append([0] * beam)
        self.tokens.append([token] + [BOS] * (beam - 1))
        return [0.0] + [NONE] * (beam - 1)

    def _end(self, which: int, score: float, bonus: Bonus | None) -> None:
        """A hypothesis of the newest step ends."""
        end = _End(score, len(self.parents), which)
        if bonus is not None:
            end = end._replace(score=score + bonus(self.number, self._attention(self._path(end))))
        self.ended.append(end)

    def found(self) -> Hypothesis:
        """The best that has ended; of equal ones the first."""
        if not self.ended:
            return Hypothesis([], -math.inf, None)
        first, *others = sorted(self.ended, key=lambda end: -end.score)
        best = self._hypothesis(first)
        best.others = lambda: [self._hypothesis(end) for end in others]
        return best

    def _hypothesis(self, end: _End) -> Hypothesis:
        path = self._path(end)
        ids = [tokens[which] for tokens, which in zip(self.tokens, path[1:], strict=False)]
        return Hypothesis(ids, end.score, self._attention(path) if self.attention else None)

    def _path(self, end: _End) -> list[int]:
        """Which hypothesis it was in each step."""
        path = [end.which]
        for parents in reversed(self.parents[: end.steps]):
            path.append(parents[path[-1]])
        return path[::-1]

    def _attention(self, path: list[int]) -> np.ndarray:
        return np.stack([weights[..., which, :] for weights, which in zip(self.attention, path, strict=False)])


def search(
    step: Step,
    memory: Arrays,
    cache: Arrays,
    vocabulary: int,
    beam: int,
    penalty: float,
    limit: int,
    prefixes: Sequence[Sequence[int]] | None = None,
    bonus: Bonus | None = None,
) -> list[Hypothesis]:
    """The best hypothesis of each sentence; beam 1 is greedy decoding.

    memory, cache: of the encoder, first axis N; they are written to. limit: most subwords before EOS.
    penalty: exponent of the length by which a log-probability is divided (Wu et al. 2016: a similar power; 0 favours
    short output).
    prefixes: subwords that each translation begins with, `limit` at most, of any ids but EOS.
    bonus: of hypotheses that end; `step` has to give attention for it.
    <pad>, <unk> and BOS are banned behind a prefix. A sentence ends when K of its hypotheses have ended, each when it
    was among the K best: so that there are K, unless there are not so many.
    """
    count = len(next(iter(memory.values())))
    sentences = [_Sentence(i, prefix) for i, prefix in enumerate(prefixes or [()] * count)]
    forced = max(len(sentence.prefix) for sentence in sentences)
    found = [Hypothesis([], -math.inf, None)] * count
    banned, only_end = allowances(vocabulary)
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
            if length <= forced and length <= len(sentence.prefix):
                onward.append(sentence.force(sentence.prefix[length - 1], beam))
                continue
            own = length - len(sentence.prefix)
            onward.append(sentence.advance(best, ways, vocabulary, beam, own**penalty, bonus))
            if last or len(sentence.ended) >= beam:
                found[sentence.number] = sentence.found()
        open_ = [not last and len(sentence.ended) < beam for sentence in sentences]
        if not any(open_):
            break
        if not all(open_):
            rows = kept(open_)
            sentences, onward = [sentences[row] for row in rows], [onward[row] for row in rows]
            seen = seen[rows]
            memory, cache = ({name: moved(x, rows) for name, x in state.items()} for state in (memory, cache))
        tokens = np.array([sentence.tokens[-1] for sentence in sentences])
        origin = np.array([sentence.parents[-1] for sentence in sentences])
        scores = np.array(onward, np.float32)[:, :, None]
        seen = _grown(seen, origin, itself)
    return found


def allowances(vocabulary: int) -> tuple[np.ndarray, np.ndarray]:
    """What is added to log-probabilities in all steps but the last, and in that one, which ends what is open."""
    banned, only_end = (np.full(vocabulary, each, np.float32) for each in (0, NONE))
    banned[[PAD, UNK, BOS]] = NONE
    only_end[EOS] = 0
    return banned, only_end


def _grown(seen: np.ndarray, origin: np.ndarray, itself: np.ndarray) -> np.ndarray:
    """`seen` of the next step: that of the hypothesis that each goes on from, and itself. itself: [K, K]."""
    rows, beam = origin.shape
    grown = np.empty((rows, beam, seen.shape[2] + beam), np.int32)
    grown[:, :, :-beam] = seen[np.arange(rows)[:, None], origin]
    grown[:, :, -beam:] = itself
    return grown


def kept(open_: list[bool]) -> list[int]:
    """Rows of the sentences that are still open, the last of them in the places of those that have ended: so the fewest
    rows move."""
    count = sum(open_)
    movers = iter([row for row in range(count, len(open_)) if open_[row]])
    return [row if open_[row] else next(movers) for row in range(count)]


def moved(x: np.ndarray, rows: list[int]) -> np.ndarray:
    """The rows in their new places, in the same memory: to copy them all takes as long as a tenth of a step."""
    for place, row in enumerate(rows):
        if place != row:
            x[place] = x[row]  # `row` is behind all places
    return x[: len(rows)]

"""Greedy and beam search over a step that keeps a cache and finds the best ways to go on; knows no model, no runtime.

Shapes: `N` sentences still open, `K` beams, `Q` hypotheses of each in a step (1 in the first, then K), `V` vocabulary,
`S` source subwords, `P` subwords of all hypotheses before a step, `t` subwords of one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
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
Ahead = Callable[[Arrays, Arrays, Arrays, int, int], tuple[np.ndarray, np.ndarray, Arrays, Arrays]]
"""(where the search stands, memory, cache, K, most steps) -> values and index of each of the T steps that it took
[T, N, count], where the search stands after them, the next cache. It stops where sentences may have ended."""
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

    def follow(
        self, values: list[list[float]], index: list[list[int]], vocabulary: int, beam: int, before: int, penalty: float
    ) -> None:
        """`advance` by several steps, until K hypotheses have ended. before: steps that were taken."""
        own = before - len(self.prefix)
        for best, ways in zip(values, index, strict=True):
            own += 1
            if beam > 1:
                self.advance(best, ways, vocabulary, beam, own**penalty)
            elif ways[0] == EOS and best[0] > IMPOSSIBLE:
                self._end(0, best[0] / own**penalty, None)
            else:
                self.parents.append([0])
                self.tokens.append(ways)
            if len(self.ended) >= beam:
                break

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
    ahead: Ahead | None = None,
) -> list[Hypothesis]:
    """The best hypothesis of each sentence; beam 1 is greedy decoding.

    memory, cache: of the encoder, first axis N; they are written to. limit: most subwords before EOS.
    penalty: exponent of the length by which a log-probability is divided (Wu et al. 2016: a similar power; 0 favours
    short output).
    prefixes: subwords that each translation begins with, `limit` at most, of any ids but EOS.
    bonus: of hypotheses that end; `step` has to give attention for it.
    ahead: takes several steps at once, without attention, where all prefixes have been said and not all has to end.
    <pad>, <unk> and BOS are banned behind a prefix. A sentence ends when K of its hypotheses have ended, each when it
    was among the K best: so that there are K, unless there are not so many.
    """
    count = len(next(iter(memory.values())))
    sentences = [_Sentence(i, prefix) for i, prefix in enumerate(prefixes or [()] * count)]
    forced = max(len(sentence.prefix) for sentence in sentences)
    found = [Hypothesis([], -math.inf, None)] * count
    banned, only_end = allowances(vocabulary)
    state = _first(count)
    ways = 2 * beam if beam > 1 else 1  # K of them may end; alone, the best goes on or ends
    steps = 0
    while sentences:
        last = steps == limit  # what is still open ends here
        most = min(ways, state["tokens"].shape[1] * vocabulary)
        given = {**state, "banned": only_end if last else banned, "count": np.array([most])}
        onward: list[list[float]] = []
        if ahead is None or last or steps < forced or most < ways:
            values, index, weights, cache = step(given, memory, cache)
            steps += 1
            for row, (sentence, best, which) in enumerate(zip(sentences, values.tolist(), index.tolist(), strict=True)):
                if weights is not None:
                    sentence.attention.append(weights[row])
                if steps <= len(sentence.prefix):
                    onward.append(sentence.force(sentence.prefix[steps - 1], beam))
                    continue
                own = steps - len(sentence.prefix)
                onward.append(sentence.advance(best, which, vocabulary, beam, own**penalty, bonus))
        else:
            values, index, after, cache = ahead(given, memory, cache, beam, limit - steps)
            state = {**state, **after}
            taken = (x.swapaxes(0, 1).tolist() for x in (values, index))
            for sentence, best, which in zip(sentences, *taken, strict=True):
                sentence.follow(best, which, vocabulary, beam, steps, penalty)
            steps += len(values)
        open_ = [not last and len(sentence.ended) < beam for sentence in sentences]
        if not all(open_):
            for sentence, goes_on in zip(sentences, open_, strict=True):
                if not goes_on:
                    found[sentence.number] = sentence.found()
            rows = kept(open_)
            if not rows:
                break
            sentences, onward = [sentences[row] for row in rows], [onward[row] for row in rows if onward]
            memory, cache = ({name: moved(x, rows) for name, x in part.items()} for part in (memory, cache))
            state = {name: x if name == "position" else x[rows] for name, x in state.items()}
        if onward:
            state = _next(state, sentences, onward)
    return found


@lru_cache(8)
def _first(count: int) -> Arrays:
    """Where the search of so many sentences begins."""
    return {
        "tokens": np.full((count, 1), BOS),
        "origin": np.zeros((count, 1), np.int64),
        "seen": np.ones((count, 1, 1), np.int32),
        "position": np.array([0]),
        "scores": np.zeros((count, 1, 1), np.float32),
        "ended": np.zeros((count, 1), np.int64),
    }


def _next(state: Arrays, sentences: Sequence[_Sentence], scores: list[list[float]]) -> Arrays:
    """Where it stands after a step. scores: [N, K]."""
    origin = np.array([sentence.parents[-1] for sentence in sentences])
    return {
        "tokens": np.array([sentence.tokens[-1] for sentence in sentences]),
        "origin": origin,
        "seen": _grown(state["seen"], origin, np.eye(origin.shape[1], dtype=np.int32)),
        "position": state["position"] + 1,
        "scores": np.array(scores, np.float32)[:, :, None],
        "ended": np.array([[len(sentence.ended)] for sentence in sentences]),
    }


@lru_cache(8)
def allowances(vocabulary: int) -> tuple[np.ndarray, np.ndarray]:
    """What is added to log-probabilities in all steps but the last, and in that one, which ends what is open."""
    banned, only_end = (np.full(vocabulary, each, np.float32) for each in (0, NONE))
    banned[[PAD, UNK, BOS]] = NONE
    only_end[EOS] = 0
    banned.flags.writeable = only_end.flags.writeable = False
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

"""Translations drawn by their probability, over the step of the search; knows no model, no runtime.

Temperature and nucleus (Holtzman et al. 2020, https://arxiv.org/abs/1904.09751, section 3.1): of each step's
distribution p the power 1 / temperature, of that the fewest most probable subwords that have `top_p` of it together.

Shapes: `N` sentences still open, `V` vocabulary, `C` subwords of whose probabilities a step tells, the most probable.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from core.errors import ModelError
from modalities.text.inputs.tokenizer import BOS, EOS
from modalities.text.predict.search import IMPOSSIBLE, Arrays, Hypothesis, Step, allowances, kept, moved

FEW = 64
"""Subwords that a step is asked for first; the nucleus is among them as a rule."""


@dataclass(frozen=True)
class Sampling:
    """How to draw."""

    temperature: float = 1.0
    """Below 1 the probable becomes more probable."""
    top_p: float = 1.0
    """1: of the whole vocabulary."""
    seed: int = 0

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Self:
        """Raises: ModelError that names the option, what was found and what was expected."""
        if unknown := set(values) - set(cls.__dataclass_fields__):
            raise ModelError(f"sample: unknown {sorted(unknown)}; valid: {', '.join(cls.__dataclass_fields__)}")
        made = cls(**values)
        if not 0 < made.temperature < float("inf"):
            raise ModelError(f"sample: temperature is {made.temperature}, expected more than 0; for none, beam 1")
        if not 0 < made.top_p <= 1:
            raise ModelError(f"sample: top_p is {made.top_p}, expected more than 0, and at most 1")
        if made.seed < 0:
            raise ModelError(f"sample: seed is {made.seed}, expected 0 or more")
        return made

    def generator(self, source: Sequence[int]) -> np.random.Generator:
        """Of a sentence, by seed and subwords alone: what shares its batch, and where, changes nothing."""
        return np.random.default_rng([self.seed, *source])


def sample(
    step: Step,
    memory: Arrays,
    cache: Arrays,
    vocabulary: int,
    sampling: Sampling,
    generators: Sequence[np.random.Generator],
    penalty: float,
    limit: int,
    prefixes: Sequence[Sequence[int]] | None = None,
) -> list[Hypothesis]:
    """A translation of each sentence, drawn by its own generator. The others: see `modalities.text.predict.search`.

    Their scores are those of the model, at temperature 1 and over the whole vocabulary.
    """
    prefixes = prefixes or [()] * len(generators)
    found = [Hypothesis([], 0.0, None) for _ in generators]
    attention: list[list[np.ndarray]] = [[] for _ in generators]
    banned, only_end = allowances(vocabulary)
    rows = list(range(len(generators)))
    state = {
        "tokens": np.full((len(rows), 1), BOS),
        "origin": np.zeros((len(rows), 1), np.int64),
        "seen": np.ones((len(rows), 1, 1), np.int32),
        "scores": np.zeros((len(rows), 1, 1), np.float32),
        "banned": banned,
    }
    for length in range(1, limit + 2):
        state["position"] = np.array([length - 1])
        if length > limit:
            state["banned"] = only_end
        asked = vocabulary if sampling.top_p == 1 else min(FEW, vocabulary)
        values, index, weights, after = step({**state, "count": np.array([asked])}, memory, cache)
        forced = [length <= len(prefixes[row]) for row in rows]
        nuclei = [
            None if skip else nucleus(own, vocabulary, sampling) for own, skip in zip(values, forced, strict=True)
        ]
        if any(own is None and not skip for own, skip in zip(nuclei, forced, strict=True)):
            values, index, weights, after = step({**state, "count": np.array([vocabulary])}, memory, cache)
            nuclei = [nucleus(own, vocabulary, sampling) for own in values]
        cache = after
        tokens = []
        for place, row in enumerate(rows):
            hypothesis = found[row]
            if weights is not None:
                attention[row].append(weights[place, ..., 0, :])
            if forced[place]:
                token = prefixes[row][length - 1]
            else:
                own = nuclei[place]
                assert own is not None
                chosen = draw(own, index[place], generators[row])
                token = int(index[place, chosen])
                hypothesis.score += float(values[place, chosen])
            tokens.append(token)
            if token != EOS:
                hypothesis.ids.append(token)
                continue
            hypothesis.score /= (length - len(prefixes[row])) ** penalty
            hypothesis.attention = np.stack(attention[row]) if attention[row] else None
        open_ = [token != EOS for token in tokens]
        if not any(open_):
            break
        if not all(open_):
            places = kept(open_)
            rows, tokens = [rows[place] for place in places], [tokens[place] for place in places]
            memory, cache = ({name: moved(x, places) for name, x in part.items()} for part in (memory, cache))
        state["tokens"], state["origin"] = np.array(tokens)[:, None], np.zeros((len(rows), 1), np.int64)
        state["seen"] = np.ones((len(rows), 1, length + 1), np.int32)
        state["scores"] = np.zeros((len(rows), 1, 1), np.float32)
    return found


def nucleus(values: np.ndarray, vocabulary: int, sampling: Sampling) -> np.ndarray | None:
    """values: [C], log-probabilities of the most probable subwords in falling order.

    Returns: weights of those in the nucleus, which do not sum to 1; None where fewer than V do not tell which they are.
    """
    log_probs = values[values > IMPOSSIBLE].astype(np.float64)
    weights = np.exp((log_probs - log_probs[0]) / sampling.temperature)
    sums = weights.cumsum()
    unknown = vocabulary - len(values)
    if not unknown:
        return weights[: 1 + int(np.searchsorted(sums, sampling.top_p * sums[-1] * (1 - 1e-12)))]
    # The rest has the mass R, of which a subword has at most the last one's. To a power above 1 it is most where a few
    # have all they can, to one below 1 where all have the same.
    rest = max(0.0, 1.0 - float(np.exp(log_probs).sum()))
    power = 1 / sampling.temperature
    most = rest * np.exp(log_probs[-1] * (power - 1)) if power >= 1 else unknown * (rest / unknown) ** power
    most = float(most * np.exp(-log_probs[0] * power)) + 1e-6  # what single precision may have lost
    fewest, largest = (int(np.searchsorted(sums, sampling.top_p * total)) for total in (sums[-1], sums[-1] + most))
    return weights[: 1 + fewest] if fewest == largest < len(weights) else None


def draw(weights: np.ndarray, index: np.ndarray, generator: np.random.Generator) -> int:
    """weights: of the first subwords in `index`. Returns: which of them.

    They stand in the order of the vocabulary: two of nearly one probability, of which either may be the first in
    another batch, are drawn by the same numbers.
    """
    order = index[: len(weights)].argsort()
    sums = weights[order].cumsum()
    at = min(int(np.searchsorted(sums, generator.random() * sums[-1], side="right")), len(order) - 1)
    return int(order[at])

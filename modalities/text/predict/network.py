"""Encoder and step of a model folder through ONNX Runtime, and a search by them. What they read and give says
`modalities.text.export.step`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from core.onnx_session import CPU, session
from modalities.text.inputs.tokenizer import PAD
from modalities.text.predict.coverage import coverage
from modalities.text.predict.sampling import Sampling, sample
from modalities.text.predict.search import Arrays, Hypothesis, search

STATE = ("tokens", "origin", "seen", "position", "scores", "banned", "count")
"""Where a search stands; a step needs the rest of its inputs from encoder and cache."""


class Network:
    """Of the graphs `encoder.onnx` and `step.onnx`. memory: encoder outputs that every step reads."""

    def __init__(self, folder: Path, memory: list[str], threads: int = 0, provider: str = CPU):
        self.memory = memory
        self.encoder = session(folder / "encoder.onnx", threads, provider)
        self.stepper = session(folder / "step.onnx", threads, provider)
        given = {node.name: node.shape for node in self.stepper.get_inputs()}
        self.empty = {name: shape for name, shape in given.items() if name.startswith("past_")}
        self.results = ["values", "index", *(name.replace("past_", "present_") for name in self.empty)]
        self.needed = [name for name in given if name in STATE]
        (self.vocabulary,) = given["banned"]
        self.attention = next(node.name for node in self.stepper.get_outputs() if node.name.startswith("attention"))

    def encode(self, source: np.ndarray) -> tuple[Arrays, Arrays]:
        """source: int64 [B, S]. Returns: memory and the first cache."""
        names = [output.name for output in self.encoder.get_outputs()]
        outputs = dict(zip(names, self.encoder.run(names, {"source": source}), strict=True))
        cache = {}
        for name, shape in self.empty.items():
            initial = outputs.get(name.replace("past_", "initial_"))
            sizes = [len(source), *(size if isinstance(size, int) else 0 for size in shape[1:])]
            cache[name] = np.zeros(sizes, np.float32) if initial is None else initial
        return {name: outputs[name] for name in self.memory}, cache

    def step(
        self, state: Arrays, memory: Arrays, cache: Arrays, attention: bool = False
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray | None, Arrays]:
        """See `modalities.text.predict.search.Step`; attention: whether it is wanted."""
        names = [*self.results, self.attention] if attention else self.results
        values, index, *rest = self.stepper.run(names, self.fed(state, memory, cache))
        return values, index, rest.pop() if attention else None, dict(zip(cache, rest, strict=True))

    def fed(self, state: Arrays, memory: Arrays, cache: Arrays) -> Arrays:
        """What the graph of a step reads."""
        return {**{name: state[name] for name in self.needed}, **memory, **cache}

    def weights(self, attention: np.ndarray) -> np.ndarray:
        """What a step gives as attention -> weights [..., S], which sum to 1."""
        if self.attention == "attention":
            return attention
        exponentials = np.exp(attention - attention.max(-1, keepdims=True))
        weights: np.ndarray = (exponentials / exponentials.sum(-1, keepdims=True)).mean(1)
        return weights

    def hypotheses(
        self,
        sources: Sequence[Sequence[int]],
        prefixes: Sequence[Sequence[int]],
        decode: Mapping[str, Any],
        sampling: Sampling | None = None,
        attention: bool = False,
    ) -> list[Hypothesis]:
        """What comes out for each source, as one batch: the best found, or what `sampling` draws.

        prefixes: subwords that each begins with; decode: `beam`, `length_penalty`, `coverage_penalty`, `max_tokens`;
        attention: whether it is wanted.
        """
        memory, cache = self.encode(pad(sources))
        weight, penalty, limit = (decode[name] for name in ("coverage_penalty", "length_penalty", "max_tokens"))
        if sampling is not None:
            step, drawn = partial(self.step, attention=attention), [sampling.generator(ids) for ids in sources]
            return sample(step, memory, cache, self.vocabulary, sampling, drawn, penalty, limit, prefixes)

        def covered(number: int, given: np.ndarray) -> float:
            return float(weight * coverage(self.weights(given)[:, : len(sources[number])]))

        step, bonus = partial(self.step, attention=attention or weight > 0), covered if weight > 0 else None
        return search(step, memory, cache, self.vocabulary, decode["beam"], penalty, limit, prefixes, bonus)


def pad(rows: Sequence[Sequence[int]]) -> np.ndarray:
    """int64 [len(rows), longest row], filled with PAD at the end."""
    result = np.full((len(rows), max(map(len, rows))), PAD, dtype=np.int64)
    for row, ids in zip(result, rows, strict=True):
        row[: len(ids)] = ids
    return result

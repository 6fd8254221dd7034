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
from modalities.text.predict.looper import Looper
from modalities.text.predict.sampling import Sampling, sample
from modalities.text.predict.search import Arrays, Hypothesis, search

STATE = ("tokens", "origin", "seen", "position", "scores", "banned", "count")
"""Where a search stands; a step needs the rest of its inputs from encoder and cache."""


class Network:
    """Of the graphs `encoder.onnx` and `step.onnx`. memory: encoder outputs that every step reads.
    beam: that of most searches."""

    def __init__(self, folder: Path, memory: list[str], threads: int = 0, provider: str = CPU, beam: int = 1):
        self.memory = memory
        self.encoder = session(folder / "encoder.onnx", threads, provider)
        self.stepper = session(folder / "step.onnx", threads, provider)
        # On other devices each number that says whether a loop goes on would come from there to the processor.
        self.looper = Looper(folder / "step.onnx", threads, beam) if provider == CPU else None
        given = {node.name: node.shape for node in self.stepper.get_inputs()}
        self.encoded = [output.name for output in self.encoder.get_outputs()]
        past = [name for name in given if name.startswith("past_")]
        self.empty = {name: [size if isinstance(size, int) else 0 for size in given[name][1:]] for name in past}
        self.begun = any(name.startswith("initial_") for name in self.encoded)
        self.results = ["values", "index", *(name.replace("past_", "present_") for name in past)]
        self.needed = [name for name in given if name in STATE]
        (self.vocabulary,) = given["banned"]
        self.attention = next(node.name for node in self.stepper.get_outputs() if node.name.startswith("attention"))

    def encode(self, source: np.ndarray) -> tuple[Arrays, Arrays]:
        """source: int64 [B, S]. Returns: memory and the first cache."""
        outputs = dict(zip(self.encoded, self.encoder.run(self.encoded, {"source": source}), strict=True))
        memory = {name: outputs[name] for name in self.memory}
        if not self.begun:
            return memory, {name: np.zeros((len(source), *sizes), np.float32) for name, sizes in self.empty.items()}
        return memory, {name: outputs[name.replace("past_", "initial_")] for name in self.empty}

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
        beam = decode["beam"]
        ahead = self.looper.ahead(beam, len(sources)) if self.looper and not (bonus or attention) else None
        return search(step, memory, cache, self.vocabulary, beam, penalty, limit, prefixes, bonus, ahead)


def pad(rows: Sequence[Sequence[int]]) -> np.ndarray:
    """int64 [len(rows), longest row], filled with PAD at the end."""
    if len(rows) == 1:
        return np.array(rows)
    result = np.full((len(rows), max(map(len, rows))), PAD, dtype=np.int64)
    for row, ids in zip(result, rows, strict=True):
        row[: len(ids)] = ids
    return result

"""Text in, translation out: numpy, SentencePiece and ONNX Runtime.

Reads a model folder: `encoder.onnx`, `step.onnx`, `tokenizer.model`, `languages.json`, and `model.json` with
    memory   encoder outputs that every step reads
    cache    step inputs `past_X` that the step gives back as `present_X`; where the encoder gives `initial_X` it is the
             first one, else the cache starts with length 0
    format   `FORMAT`; what steps read and give beside these says `modalities.text.export.step`
    decode   beam, length_penalty, max_tokens
    limits   max_tokens: longest source, subwords
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from core.errors import ModelError
from core.files import read_json
from core.onnx_session import CPU, session
from modalities.text.inputs import coders, tokenizer
from modalities.text.inputs.tokenizer import EOS, PAD
from modalities.text.predict.search import Arrays, Hypothesis, search

MODES: dict[str, dict[str, Any]] = {"greedy": {"beam": 1}}
"""Further ways to predict, which `evaluate` scores beside the one that ships: name -> options of `Predictor`."""
QUICK: dict[str, Any] = {"beam": 1}
"""How to predict where the pipeline only looks whether a model still works."""
EXAMPLE = "The meeting starts at nine."
"""An input, for the model card."""
STATE = ("tokens", "origin", "seen", "position", "scores", "banned", "count")
"""Where a search stands; a step needs the rest of its inputs from encoder and cache."""
CHUNK = 64
"""Sentences searched together at most; beams multiply their cache."""
FORMAT = 2
"""Of the model folder. 1: steps gave log-probabilities, and the search reordered their cache."""


class Predictor:
    """See `core.task.Predictor`. Options `beam`, `length_penalty` and `max_tokens` override the stored ones."""

    def __init__(self, folder: Path, threads: int = 0, provider: str = CPU, **options: Any):
        folder = Path(folder)
        try:
            self.info = read_json(folder / "model.json")
            self.tokenizer = coders.load((folder / tokenizer.ASSET).read_bytes())
        except FileNotFoundError as error:
            raise ModelError(f"{error.filename} is missing: {folder} is not a model folder of `translation`") from None
        if self.info.get("format") != FORMAT:
            raise ModelError(
                f"{folder / 'model.json'}: found format {self.info.get('format')!r}, expected {FORMAT}; the folder was "
                "made by another version: run `export`, and what follows it, again"
            )
        if unknown := set(options) - set(self.info["decode"]):
            raise ModelError(f"unknown options {sorted(unknown)}; valid: {', '.join(sorted(self.info['decode']))}")
        self.decode = {**self.info["decode"], **{name: value for name, value in options.items() if value is not None}}
        self.decode["max_tokens"] = min(self.decode["max_tokens"], self.info["limits"]["max_tokens"])
        self.encoder = session(folder / "encoder.onnx", threads, provider)
        self.stepper = session(folder / "step.onnx", threads, provider)
        given = {node.name: node.shape for node in self.stepper.get_inputs()}
        self.empty = {name: shape for name, shape in given.items() if name.startswith("past_")}
        self.results = ["values", "index", *(name.replace("past_", "present_") for name in self.empty)]
        self.needed = [name for name in given if name in STATE]
        (self.vocabulary,) = given["banned"]
        self.attention = next(node.name for node in self.stepper.get_outputs() if node.name.startswith("attention"))

    def __call__(self, inputs: Sequence[str]) -> list[str]:
        """Translations of `inputs`, in their order; "" for a text without subwords."""
        hypotheses = self.search(inputs)[1]
        return self.tokenizer.decode([hypothesis.ids for hypothesis in hypotheses])

    def align(self, inputs: Sequence[str]) -> list[dict[str, Any]]:
        """For each text `source` and `target` subwords, and `attention` [target][source], whose rows sum to 1."""
        return [self.alignment(*result) for result in zip(*self.search(inputs, attention=True), strict=True)]

    def alignment(self, source: Sequence[int], hypothesis: Hypothesis) -> dict[str, Any]:
        """Of a result of `search` with attention; see `align`."""
        attention = hypothesis.attention
        weights = np.zeros((0, len(source))) if attention is None else self.weights(attention)
        return {
            "source": self.tokenizer.pieces(source),
            "target": self.tokenizer.pieces([*hypothesis.ids, EOS][: len(weights)], "target"),
            "attention": [row[: len(source)].tolist() for row in weights],
        }

    def weights(self, attention: np.ndarray) -> np.ndarray:
        """What a step gives as attention -> weights [..., S], which sum to 1."""
        if self.attention == "attention":
            return attention
        exponentials = np.exp(attention - attention.max(-1, keepdims=True))
        weights: np.ndarray = (exponentials / exponentials.sum(-1, keepdims=True)).mean(1)
        return weights

    def search(
        self, inputs: Sequence[str], beam: int | None = None, attention: bool = False
    ) -> tuple[list[list[int]], list[Hypothesis]]:
        """Subwords of each source, and its best hypothesis. beam: None is the predictor's own."""
        limit = self.info["limits"]["max_tokens"]
        sources = [[*ids[: limit - 1], EOS] for ids in self.tokenizer.encode(inputs)]
        found: list[Hypothesis] = [Hypothesis([], 0.0, None)] * len(sources)
        settings = beam or self.decode["beam"], self.decode["length_penalty"], self.decode["max_tokens"]
        # Sentences of similar length together: little padding, and they end at about the same step.
        order = sorted((i for i in range(len(sources)) if len(sources[i]) > 1), key=lambda i: len(sources[i]))
        for start in range(0, len(order), CHUNK):
            chunk = order[start : start + CHUNK]
            memory, cache = self.encode(pad([sources[i] for i in chunk]))
            step = partial(self.step, attention=attention)
            for i, hypothesis in zip(chunk, search(step, memory, cache, self.vocabulary, *settings), strict=True):
                found[i] = hypothesis
        return sources, found

    def encode(self, source: np.ndarray) -> tuple[Arrays, Arrays]:
        """source: int64 [B, S]. Returns: memory and the first cache."""
        names = [output.name for output in self.encoder.get_outputs()]
        outputs = dict(zip(names, self.encoder.run(names, {"source": source}), strict=True))
        cache = {}
        for name, shape in self.empty.items():
            initial = outputs.get(name.replace("past_", "initial_"))
            sizes = [len(source), *(size if isinstance(size, int) else 0 for size in shape[1:])]
            cache[name] = np.zeros(sizes, np.float32) if initial is None else initial
        return {name: outputs[name] for name in self.info["memory"]}, cache

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


def inputs(dataset: Path, split: str, limit: int | None = None) -> list[str]:
    """Source sentences of a canonical dataset."""
    import pandas as pd

    return pd.read_parquet(dataset / f"{split}.parquet", columns=["source"])["source"].tolist()[:limit]


def pad(rows: Sequence[Sequence[int]]) -> np.ndarray:
    """int64 [len(rows), longest row], filled with PAD at the end."""
    result = np.full((len(rows), max(map(len, rows))), PAD, dtype=np.int64)
    for row, ids in zip(result, rows, strict=True):
        row[: len(ids)] = ids
    return result

"""Text in, translation out: numpy, SentencePiece and ONNX Runtime.

Reads a model folder: `encoder.onnx`, `step.onnx`, `tokenizer.model`, `languages.json`, and `model.json` with
    memory   encoder outputs that every step reads
    cache    step inputs `past_X` that the step gives back as `present_X`; where the encoder gives `initial_X` it is the
             first one, else the cache starts with length 0
    format   `FORMAT`; what steps read and give beside these says `modalities.text.export.step`
    decode   beam, length_penalty, max_tokens; perhaps coverage_penalty
    limits   max_tokens: longest source, subwords
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from core.errors import ModelError
from core.files import read_json
from core.onnx_session import CPU
from modalities.text.inputs import coders, tokenizer
from modalities.text.inputs.tokenizer import EOS
from modalities.text.predict import nbest, prefixes
from modalities.text.predict.network import Network
from modalities.text.predict.sampling import Sampling
from modalities.text.predict.search import Hypothesis

MODES: dict[str, dict[str, Any]] = {"greedy": {"beam": 1}}
"""Further ways to predict, which `evaluate` scores beside the one that ships: name -> options of `Predictor`."""
QUICK: dict[str, Any] = {"beam": 1}
"""How to predict where the pipeline only looks whether a model still works."""
EXAMPLE = "The meeting starts at nine."
"""An input, for the model card."""
CHUNK = 64
"""Sentences searched together at most; beams multiply their cache."""
FORMAT = 2
"""Of the model folder. 1: steps gave log-probabilities, and the search reordered their cache."""


class Predictor(Network):
    """See `core.task.Predictor`. Options `beam`, `length_penalty`, `coverage_penalty` and `max_tokens` override the
    stored ones. sample: `temperature`, `top_p`, `seed`; translations are then drawn, not searched."""

    def __init__(
        self,
        folder: Path,
        threads: int = 0,
        provider: str = CPU,
        sample: Mapping[str, Any] | None = None,
        **options: Any,
    ):
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
        stored = {"coverage_penalty": 0.0, **self.info["decode"]}
        if unknown := set(options) - set(stored):
            raise ModelError(f"unknown options {sorted(unknown)}; valid: {', '.join(sorted([*stored, 'sample']))}")
        self.decode = {**stored, **{name: value for name, value in options.items() if value is not None}}
        self.decode["max_tokens"] = min(self.decode["max_tokens"], self.info["limits"]["max_tokens"])
        self.sampling = None if sample is None else Sampling.of(sample)
        super().__init__(folder, self.info["memory"], threads, provider, self.decode["beam"])

    def __call__(self, inputs: Sequence[str]) -> list[str]:
        """Translations of `inputs`, in their order; "" for a text without subwords."""
        hypotheses = self.search(inputs)[1]
        return self.tokenizer.decode([hypothesis.ids for hypothesis in hypotheses])

    def best(self, inputs: Sequence[str], count: int, begun: Sequence[str] | None = None) -> list[list[nbest.Scored]]:
        """Of each text the `count` best translations, best first, or as many as there are. begun: see `search`.

        Raises: DataError when the beam is narrower.
        """
        nbest.bounded(count, self.decode["beam"], "count")
        return [nbest.distinct(each, self.tokenizer, count) for each in self.search(inputs, begun=begun)[1]]

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

    def search(
        self,
        inputs: Sequence[str],
        beam: int | None = None,
        attention: bool = False,
        begun: Sequence[str] | None = None,
    ) -> tuple[list[list[int]], list[Hypothesis]]:
        """Subwords of each source, and its best hypothesis. beam: None is the predictor's own; begun: what each
        translation begins with (`modalities.text.predict.prefixes`), "" where that is open."""
        limit, decode = self.info["limits"]["max_tokens"], {**self.decode, "beam": beam or self.decode["beam"]}
        sources = [[*ids[: limit - 1], EOS] for ids in self.tokenizer.encode(inputs)]
        forced = self.forced(begun) if begun and any(begun) else [[] for _ in sources]
        found = [Hypothesis(ids, 0.0, None) for ids in forced]
        # Sentences of similar length together: little padding, and they end at about the same step.
        order = sorted((i for i in range(len(sources)) if len(sources[i]) > 1), key=lambda i: len(sources[i]))
        for start in range(0, len(order), CHUNK):
            chunk = order[start : start + CHUNK]
            own = [sources[i] for i in chunk]
            several = self.hypotheses(own, [forced[i] for i in chunk], decode, self.sampling, attention)
            for i, hypothesis in zip(chunk, several, strict=True):
                found[i] = hypothesis
        return sources, found

    def forced(self, begun: Sequence[str], names: Sequence[str] | None = None) -> list[list[int]]:
        """Subwords that translations begin with. Raises: DataError; names: what it calls each."""
        names = names or [f"begun[{i}]" for i in range(len(begun))]
        return prefixes.encode(begun, self.tokenizer, self.decode["max_tokens"], names)


def inputs(dataset: Path, split: str, limit: int | None = None) -> list[str]:
    """Source sentences of a canonical dataset."""
    import pandas as pd

    return pd.read_parquet(dataset / f"{split}.parquet", columns=["source"])["source"].tolist()[:limit]

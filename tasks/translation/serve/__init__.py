"""Role `serve` of translation: text over HTTP in, its translation out; numpy, pydantic and what `predict` imports.

A text is split into sentences, which are translated one by one (with those of other requests) and joined again; a
sentence longer than the model reads is cut, so that nothing of it is lost. White space between sentences stays where it
has a newline, and is what the target language writes elsewhere. What has neither letter nor digit is not translated: it
stays as it is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import SequenceMatcher
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.errors import DataError
from core.task import Job, Limits, Tensor
from modalities.text.predict import nbest
from modalities.text.predict.search import Hypothesis
from modalities.text.serve import begun
from modalities.text.serve.features import features as features_of
from modalities.text.serve.requests import INPUTS, LIMITS, RAW, check, decoded, whole
from modalities.text.serve.texts import Part, in_script, parts
from tasks.translation.predict import EXAMPLE, Predictor
from tasks.translation.serve.messages import BEAMS, OPTIONS, Request, Response

__all__ = ["INPUTS", "LIMITS", "OPTIONS", "RAW", "Request", "Response"]  # of the role

VERB = "translate"
PIPELINE_TAG = "translation"
OUTPUTS = (Tensor("translation", "BYTES", (-1,)),)
MAX_BATCH = 16
SENTENCE = 80
"""Characters of a usual one."""
SIMILAR = 0.6
"""Ratio of characters in common from which a golden sample's translation is what was packaged. int8 kernels differ by
CPU: on the embedded sample another rounding of activations changed 6 % of translations, to 0.79 at the least, and
damaged weights brought most below 0.6."""


@dataclass(frozen=True)
class State:
    predictor: Predictor
    texts: list[tuple[str, list[Part]]]
    """For each text, the white space that it begins with and its parts."""
    alignment: bool = False
    alternatives: int | None = None


@dataclass(frozen=True)
class Result:
    text: str
    source: list[int]
    """Subwords of the sentence."""
    hypothesis: Hypothesis


def about(predictor: Predictor) -> dict[str, Any]:
    """See `core.task.Serve`."""
    languages = predictor.info["languages"]
    return {
        "source": languages["source"],
        "target": languages["target"],
        "tokenized": languages["tokenized"],
        "beam": predictor.decode["beam"],
        "max_tokens": predictor.info["limits"]["max_tokens"],
        "example": EXAMPLE if languages["source"].split("-")[0] == "en" else "",
    }


def plain(request: Request, predictor: Predictor, limits: Limits) -> Job:
    """See `core.task.Serve`."""
    single = isinstance(request.text, str)
    texts = [request.text] if isinstance(request.text, str) else request.text
    names = ["text"] if single else [f"text[{i}]" for i in range(len(texts))]
    if request.alternatives is not None:
        nbest.bounded(request.alternatives, request.beam or predictor.decode["beam"], "alternatives")
    job = _job(texts, names, request.beam, request.check_language, predictor, limits)
    for i, prefix in enumerate(begun.given(request.prefix, not single, len(texts), limits)):
        begun.begin(job.items, job.state.texts[i][1], prefix, begun.named(i, not single), predictor.forced)
    return replace(job, state=replace(job.state, alignment=request.alignment, alternatives=request.alternatives))


def answer(job: Job, results: Sequence[Result]) -> dict[str, Any]:
    """See `core.task.Serve`."""
    translations = [
        {"text": text, "sentences": [_sentence(part, results, job.state) for part in pieces]}
        for text, (_, pieces) in zip(_joined(job, results), job.state.texts, strict=True)
    ]
    return {"translations": translations}


def divided(job: Job) -> list[Job]:
    """See `core.task.Serve`: of several texts each; of one its sentences, whose translations joined are the text's."""
    state, texts = job.state, job.state.texts
    if len(texts) == 1:
        (before, pieces), *_ = texts
        texts = [("" if i else before, [piece]) for i, piece in enumerate(pieces)] or texts
    made, start = [], 0
    for before, pieces in texts:
        own = [replace(part, item=None if part.item is None else part.item - start) for part in pieces]
        count = sum(part.item is not None for part in pieces)
        items = job.items[start : start + count]
        made.append(Job(items, job.options, replace(state, texts=[(before, own)])))
        start += count
    return made


def tensors(
    inputs: Mapping[str, NDArray[Any]], parameters: Mapping[str, Any], predictor: Predictor, limits: Limits
) -> Job:
    """See `core.task.Serve`."""
    if set(inputs) != {"text"}:
        raise DataError(f"inputs: expected 'text', found {sorted(inputs)}")
    texts = decoded(inputs["text"], "text", limits)
    beam, checked = whole(parameters.get("beam")), parameters.get("check_language", True)
    if beam is not None and (isinstance(beam, bool) or not isinstance(beam, int) or not 1 <= beam <= BEAMS):
        raise DataError(f"parameters: beam is {beam!r}, expected a whole number from 1 to {BEAMS}")
    if not isinstance(checked, bool):
        raise DataError(f"parameters: check_language is {checked!r}, expected true or false")
    return _job(texts, [f"text[{i}]" for i in range(len(texts))], beam, checked, predictor, limits)


def outputs(job: Job, results: Sequence[Result]) -> dict[str, NDArray[Any]]:
    """See `core.task.Serve`."""
    return {"translation": np.array([text.encode() for text in _joined(job, results)], dtype=object)}


def run(predictor: Predictor, items: Sequence[begun.Item], options: Any) -> list[Result]:
    """See `core.task.Serve`. options: the beam."""
    texts, prefixes = [begun.source(item) for item in items], [begun.prefix(item) for item in items]
    sources, hypotheses = predictor.search(texts, options, attention=True, begun=prefixes)
    texts = predictor.tokenizer.decode([hypothesis.ids for hypothesis in hypotheses])
    return [Result(*result) for result in zip(texts, sources, hypotheses, strict=True)]


def differs(expected: Any, found: Any) -> str | None:
    """See `core.task.Serve`."""
    if expected == found:
        return None
    ratio = SequenceMatcher(None, expected, found, autojunk=False).ratio()
    if ratio >= SIMILAR:
        return None
    return (
        f"expected {expected!r}, found {found!r}: {ratio:.0%} of the characters in common, expected at least "
        f"{SIMILAR:.0%}"
    )


def item(value: Any) -> str:
    """The sentence itself."""
    return str(value)


def features(item: begun.Item) -> dict[str, float]:
    """See `core.task.Serve`."""
    return features_of(begun.source(item))


def cost(item: begun.Item, options: Any) -> float:
    """See `core.task.Serve`: of each hypothesis, a step for every subword, and something for the sentence itself."""
    return float(options) * (1.0 + len(begun.source(item)) / SENTENCE)


def _job(
    texts: Sequence[str],
    names: Sequence[str],
    beam: int | None,
    check_language: bool,
    predictor: Predictor,
    limits: Limits,
) -> Job:
    check(texts, names, limits)
    if check_language:
        for text, name in zip(texts, names, strict=True):
            in_script(text, name, predictor.info["languages"]["source"])
    items: list[str] = []
    languages, limit = predictor.info["languages"], predictor.info["limits"]["max_tokens"] - 1  # <eos>

    def subwords(part: str) -> int:
        return len(predictor.tokenizer.encode([part])[0])

    state = State(predictor, [parts(text, languages, limit, subwords, items) for text in texts])
    return Job(items, beam or predictor.decode["beam"], state)


def _joined(job: Job, results: Sequence[Result]) -> list[str]:
    """The translation of each text."""
    return [
        before + "".join(_translation(part, results) + part.space for part in pieces)
        for before, pieces in job.state.texts
    ]


def _translation(part: Part, results: Sequence[Result]) -> str:
    return part.source if part.item is None else results[part.item].text


def _sentence(part: Part, results: Sequence[Result], state: State) -> dict[str, Any]:
    aligned = others = None
    if part.item is not None:
        result = results[part.item]
        if state.alignment:
            aligned = state.predictor.alignment(result.source, result.hypothesis)
        if state.alternatives:
            others = nbest.distinct(result.hypothesis, state.predictor.tokenizer, state.alternatives)
    return {
        "source": part.source,
        "text": _translation(part, results),
        "alignment": aligned,
        "alternatives": others and [each._asdict() for each in others],
    }

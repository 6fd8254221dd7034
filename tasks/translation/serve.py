"""Role `serve` of translation: text over HTTP in, its translation out; numpy, pydantic and what `predict` imports.

A text is split into sentences, which are translated one by one (with those of other requests) and joined again; a
sentence longer than the model reads is cut, so that nothing of it is lost. White space between sentences stays where it
has a newline, and is what the target language writes elsewhere. What has neither letter nor digit is not translated: it
stays as it is.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainValidator, WithJsonSchema

from core.errors import DataError
from core.task import Job, Limits, Tensor
from tasks.translation.common import sentences
from tasks.translation.common.languages import WITHOUT_SPACES
from tasks.translation.common.scripts import LETTER, main_script, script_share, script_words
from tasks.translation.common.search import Hypothesis
from tasks.translation.predict import EXAMPLE, Predictor

VERB = "translate"
RAW = {"text/plain": "text"}
INPUTS = (Tensor("text", "BYTES", (-1,)),)
OUTPUTS = (Tensor("translation", "BYTES", (-1,)),)
OPTIONS = {
    "beam": "hypotheses searched side by side, 1 to 16; 1 is greedy (default: the model's own)",
    "check_language": "refuse text that is not in the script of the source language (default true)",
}
MAX_BATCH = 16
BEAMS = 16
FEWEST_LETTERS = 4
"""Fewer do not tell a script: `OK` stands in texts of any language."""
FEWEST_IN_SCRIPT = 0.3
"""Share of letters that must be in the script of the source language."""
SIMILAR = 0.6
"""Ratio of characters in common from which a golden sample's translation is what was packaged. int8 kernels differ by
CPU, and dynamic quantization by what shares the batch: on the embedded sample that changed 6 % of translations, to 0.79
at the least, and damaged weights brought most below 0.6."""
CONTROLS = r"\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ufffd"
REFUSED = re.compile(rf"[{CONTROLS}\ud800-\udfff]")
TEXT = {"type": "string", "pattern": rf"^[^{CONTROLS}]*[^\s{CONTROLS}][^{CONTROLS}]*$", "examples": [EXAMPLE]}
"""What is translated, as JSON Schema."""
NEWLINES = re.compile(r"[\n\r\u2028\u2029]")


def _texts(value: Any) -> str | list[str]:
    """A text or texts of JSON; the bytes of a raw body are UTF-8."""
    if isinstance(value, bytes):
        try:
            return value.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise ValueError(f"no valid UTF-8 at byte {error.start}: {error.reason}") from None
    if isinstance(value, str) or (isinstance(value, list) and all(isinstance(text, str) for text in value)):
        return value
    kinds = type(value).__name__
    if isinstance(value, list):
        index, other = next((i, text) for i, text in enumerate(value) if not isinstance(text, str))
        kinds = f"a list with {type(other).__name__} at index {index}"
    raise ValueError(f"expected a string or a list of strings, found {kinds}")


def _whole(value: Any) -> Any:
    """JSON Schema takes 2.0 for an integer."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


class Request(BaseModel):
    """One text or several."""

    model_config = ConfigDict(strict=True, extra="forbid")

    text: Annotated[
        str | list[str],
        PlainValidator(_texts),
        WithJsonSchema({"anyOf": [TEXT, {"type": "array", "items": TEXT, "minItems": 1}]}),
    ] = Field(description="Text in the source language: sentences, paragraphs; or a list of texts")
    alignment: bool = Field(False, description="Tell which subwords of the source each subword was translated from")
    beam: Annotated[int | None, BeforeValidator(_whole)] = Field(None, ge=1, le=BEAMS, description=OPTIONS["beam"])
    check_language: bool = Field(True, description=OPTIONS["check_language"])


class Alignment(BaseModel):
    """Attention of each target subword to the source's."""

    source: list[str]
    target: list[str]
    attention: list[list[float]] = Field(description="[target][source]; rows sum to 1")


class Sentence(BaseModel):
    """A sentence, or a part of one that is longer than the model reads."""

    source: str
    text: str
    alignment: Alignment | None


class Translation(BaseModel):
    """Of one text."""

    text: str
    sentences: list[Sentence]


class Response(BaseModel):
    """A translation for each text, in order."""

    translations: list[Translation]


@dataclass(frozen=True)
class Part:
    """A piece of a text between white space."""

    source: str
    item: int | None
    """Which of the job's items it is; None: not translated."""
    space: str
    """Behind it, in the translation."""


@dataclass(frozen=True)
class State:
    predictor: Predictor
    texts: list[tuple[str, list[Part]]]
    """For each text, the white space that it begins with and its parts."""
    alignment: bool = False


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
    return _job(texts, names, request.beam, request.check_language, request.alignment, predictor, limits)


def answer(job: Job, results: Sequence[Result]) -> dict[str, Any]:
    """See `core.task.Serve`."""
    translations = [
        {"text": text, "sentences": [_sentence(part, results, job.state) for part in parts]}
        for text, (_, parts) in zip(_joined(job, results), job.state.texts, strict=True)
    ]
    return {"translations": translations}


def tensors(
    inputs: Mapping[str, NDArray[Any]], parameters: Mapping[str, Any], predictor: Predictor, limits: Limits
) -> Job:
    """See `core.task.Serve`."""
    if set(inputs) != {"text"}:
        raise DataError(f"inputs: expected 'text', found {sorted(inputs)}")
    texts = [_utf8(value, f"text[{i}]") for i, value in enumerate(inputs["text"][: limits.items + 1].tolist())]
    beam, check = _whole(parameters.get("beam")), parameters.get("check_language", True)
    if beam is not None and (isinstance(beam, bool) or not isinstance(beam, int) or not 1 <= beam <= BEAMS):
        raise DataError(f"parameters: beam is {beam!r}, expected a whole number from 1 to {BEAMS}")
    if not isinstance(check, bool):
        raise DataError(f"parameters: check_language is {check!r}, expected true or false")
    return _job(texts, [f"text[{i}]" for i in range(len(texts))], beam, check, False, predictor, limits)


def outputs(job: Job, results: Sequence[Result]) -> dict[str, NDArray[Any]]:
    """See `core.task.Serve`."""
    return {"translation": np.array([text.encode() for text in _joined(job, results)], dtype=object)}


def run(predictor: Predictor, items: Sequence[str], options: Any) -> list[Result]:
    """See `core.task.Serve`. options: the beam."""
    sources, hypotheses = predictor.search(items, options)
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


def features(item: str) -> dict[str, float]:
    """Length in characters and words; share of digits and of capitals in the characters; of Latin in the letters."""
    count = max(1, len(item))
    return {
        "characters": float(len(item)),
        "words": float(len(item.split())),
        "digits": sum(map(str.isdigit, item)) / count,
        "capitals": sum(map(str.isupper, item)) / count,
        "latin": script_share(item, "en"),
    }


def _utf8(value: bytes, name: str) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError as error:
        raise DataError(f"{name}: no valid UTF-8 at byte {error.start}: {error.reason}") from None


def _job(
    texts: Sequence[str],
    names: Sequence[str],
    beam: int | None,
    check_language: bool,
    alignment: bool,
    predictor: Predictor,
    limits: Limits,
) -> Job:
    if not 1 <= len(texts) <= limits.items:
        found = "none" if not texts else f"more than {limits.items}"
        raise DataError(f"text: has {found}, expected 1 to {limits.items} texts")
    for text, name in zip(texts, names, strict=True):
        _check(text, name, predictor.info["languages"]["source"] if check_language else None, limits)
    items: list[str] = []
    state = State(predictor, [_parts(text, predictor, items) for text in texts], alignment)
    return Job(items, beam or predictor.decode["beam"], state)


def _check(text: str, name: str, language: str | None, limits: Limits) -> None:
    """Raises: DataError when a text cannot be translated."""
    if not text.strip():
        raise DataError(f"{name} is empty, expected at least one character that is no white space")
    if len(text) > limits.characters:
        raise DataError(f"{name} has {len(text)} characters, expected at most {limits.characters}")
    if bad := REFUSED.search(text):
        raise DataError(
            f"{name} has the character U+{ord(bad[0]):04X} at position {bad.start()}, expected text without control "
            "characters (but tab and newline), lone surrogates and replacement characters"
        )
    if language is None or len(LETTER.findall(text)) < FEWEST_LETTERS:
        return
    share = script_share(text, language)
    if share < FEWEST_IN_SCRIPT:
        raise DataError(
            f"{name} does not look like {language!r}, the language that the model translates from: {share:.0%} of its "
            f"letters are {script_words(language)}, expected at least {FEWEST_IN_SCRIPT:.0%}; most are "
            f"{main_script(text)}. Send text in {language!r}, or set check_language to false"
        )


def _parts(text: str, predictor: Predictor, items: list[str]) -> tuple[str, list[Part]]:
    """White space that a text begins with, and its parts; their sources that are to be translated go to `items`."""
    languages, limit = predictor.info["languages"], predictor.info["limits"]["max_tokens"] - 1  # <eos>
    body = text.lstrip()
    gap = "" if languages["target"].split("-")[0] in WITHOUT_SPACES else " "

    def subwords(part: str) -> int:
        return len(predictor.tokenizer.encode([part])[0])

    pieces = [
        piece
        for sentence in sentences.split(body, languages["tokenized"])
        for piece in sentences.cut(sentence, limit, subwords)
    ]
    parts = []
    for i, piece in enumerate(pieces):
        source = piece.strip()
        after = piece[len(piece.rstrip()) :] if source else piece
        space = after if NEWLINES.search(after) else gap if i + 1 < len(pieces) else ""
        translated = any(map(str.isalnum, source))
        parts.append(Part(source, len(items) if translated else None, space))
        if translated:
            items.append(source.replace("\t", " "))
    return text[: len(text) - len(body)], parts


def _joined(job: Job, results: Sequence[Result]) -> list[str]:
    """The translation of each text."""
    return [
        before + "".join(_translation(part, results) + part.space for part in parts)
        for before, parts in job.state.texts
    ]


def _translation(part: Part, results: Sequence[Result]) -> str:
    return part.source if part.item is None else results[part.item].text


def _sentence(part: Part, results: Sequence[Result], state: State) -> dict[str, Any]:
    aligned = None
    if state.alignment and part.item is not None:
        result = results[part.item]
        aligned = state.predictor.alignment(result.source, result.hypothesis)
    return {"source": part.source, "text": _translation(part, results), "alignment": aligned}

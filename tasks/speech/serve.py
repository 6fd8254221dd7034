"""Role `serve` of speech: recordings over HTTP in, what is said in them out; imports no torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, Field

from core.task import Job, Limits, Tensor
from modalities.audio.serve.requests import (
    INPUTS,
    LIMITS,
    RAW,
    AudioRequest,
    Item,
    cost,
    features,
    item,
    of_files,
    of_tensors,
    size,
)
from tasks.speech.predict import Predictor

__all__ = ["INPUTS", "LIMITS", "RAW", "cost", "features", "item", "size"]  # of the role

VERB = "transcribe"
PIPELINE_TAG = "automatic-speech-recognition"
OUTPUTS = (Tensor("text", "BYTES", (-1,)), Tensor("score", "FP32", (-1,)))
"""Of each recording what is said in it, and the log-probability of that."""
OPTIONS: dict[str, str] = {}
MAX_BATCH = 8
CLOSE = 0.05
"""By which a log-probability may differ on another CPU for each letter, whose int8 kernels round otherwise."""


class Request(AudioRequest):
    """A recording."""


class Class(BaseModel):
    label: str
    probability: float


class Symbol(BaseModel):
    symbol: str
    start: float = Field(description="Seconds from the beginning")


class Response(BaseModel):
    """What is said, how sure that is, and what led to it."""

    seconds: float
    text: str
    score: float = Field(description="Log-probability of the text")
    classes: list[Class] | None = Field(None, description="Of a model of classes: all, likeliest first")
    symbols: list[Symbol] | None = Field(None, description="Of a model of transcripts: each unit, and when it began")


def about(predictor: Predictor) -> dict[str, Any]:
    """See `core.task.Serve`."""
    target = "class" if predictor.classes else "transcript"
    return {"target": target, "units": predictor.units, "symbols": predictor.symbols, "rate": predictor.rate}


def plain(request: Request, predictor: Predictor, limits: Limits) -> Job:
    """See `core.task.Serve`."""
    return Job(of_files([request.audio], ["audio"], predictor.rate, limits), None, None)


def answer(job: Job, results: Sequence[Any]) -> dict[str, Any]:
    """See `core.task.Serve`."""
    ((one,), (item,)) = results, job.items
    return {"seconds": len(item.samples) / item.rate, **one}


def tensors(
    inputs: Mapping[str, NDArray[Any]], parameters: Mapping[str, Any], predictor: Predictor, limits: Limits
) -> Job:
    """See `core.task.Serve`."""
    return Job(of_tensors(inputs, predictor.rate, limits), None, None)


def outputs(job: Job, results: Sequence[Any]) -> dict[str, NDArray[Any]]:
    """See `core.task.Serve`."""
    return {
        "text": np.array([one["text"].encode() for one in results], dtype=object),
        "score": np.array([one["score"] for one in results], dtype=np.float32),
    }


def run(predictor: Predictor, items: Sequence[Item], options: Any) -> list[Any]:
    """See `core.task.Serve`."""
    return predictor.transcribe([item.samples for item in items])


def differs(expected: Any, found: Any) -> str | None:
    """See `core.task.Serve`. Another text is taken where both are as likely."""
    room = CLOSE * (1 + len(expected["text"]))
    if not abs(expected["score"] - found["score"]) <= room:
        return f"the text has the log-probability {found['score']:.3f}, expected {expected['score']:.3f}"
    return None

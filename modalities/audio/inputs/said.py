"""What a network gave of a recording -> JSON values: its text, how sure that is, what led to it; what it is given."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modalities.audio.inputs import ctc, symbols
from modalities.audio.inputs.decode import Samples


def padded(every: Sequence[Samples], least: int) -> dict[str, NDArray[Any]]:
    """What the graph is fed. least: samples of a recording; shorter ones end in silence."""
    lengths = np.array([max(len(one), least) for one in every], np.int64)
    batch = np.zeros((len(every), int(lengths.max())), np.float32)
    for row, one in zip(batch, every, strict=True):
        row[: len(one)] = one
    return {"samples": batch, "lengths": lengths}


def of_class(logits: NDArray[Any], names: Sequence[str]) -> dict[str, Any]:
    """{"text" (the likeliest class), "score" (its log-probability), "classes" ({"label", "probability"}, likeliest
    first)}"""
    shares = np.exp(logits.astype(np.float64) - logits.max())
    shares /= shares.sum()
    order = np.argsort(-shares, kind="stable")
    classes = [{"label": names[i], "probability": float(shares[i])} for i in order]
    return {"text": names[order[0]], "score": float(np.log(shares[order[0]])), "classes": classes}


def of_transcript(found: ctc.Found, names: Sequence[str], units: str, step: float) -> dict[str, Any]:
    """{"text", "score" (log-probability), "symbols" ({"symbol", "start"}: seconds from the beginning)}"""
    said = [names[symbol - 1] for symbol in found.symbols]
    placed = [{"symbol": one, "start": round(frame * step, 4)} for one, frame in zip(said, found.frames, strict=True)]
    return {"text": symbols.joined(said, units).strip(), "score": found.score, "symbols": placed}

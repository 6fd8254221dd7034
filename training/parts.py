"""Batches computed in parts: the same optimiser steps with less memory, asked for when memory ran out.

    STILLHOUSE_BATCH_PARTS      how many parts a batch has, default 1; the flow sets it for a retry

Gradients of the parts are averaged. Where a loss divides by a count within the batch (boxes, tokens), or BatchNorm
takes its statistics, a part counts for itself, so results are close to those of whole batches and not the same.
"""

from __future__ import annotations

import os
from typing import Any

from core.errors import StillhouseError

VARIABLE = "STILLHOUSE_BATCH_PARTS"


def number() -> int:
    """Parts of a batch, at least 1."""
    text = os.environ.get(VARIABLE, "1")
    if not text.isdecimal() or not 1 <= int(text) <= 1024:
        raise StillhouseError(f"{VARIABLE} must be a number from 1 to 1024, found {text!r}")
    return int(text)


def smaller(train: Any) -> Any:
    """`train` (a section of params) with batches of one part: whatever limits them is divided."""
    limits = {name: getattr(train, name, None) for name in ("batch_size", "batch_tokens")}
    parts = number()
    return train.model_copy(update={name: max(1, limit // parts) for name, limit in limits.items() if limit})

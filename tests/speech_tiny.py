"""A tiny canonical dataset of tones, and settings of a tiny network, for tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core import params
from tasks.speech.params import Params

PARAMS = Path(__file__).resolve().parents[1] / "params.yaml"
RATE = 8000


def settings(**changes: Any) -> Params:
    """Those of params.yaml, of a tiny network; changes: sections, of which these keys differ."""
    values = params.read(PARAMS)["speech"]
    body = {"arch": "crnn", "convolutions": [8], "units": [8], "width": 8, "bidirectional": True}
    tiny: dict[str, Any] = {"model": {"body": body, "dropout": 0.0}, "data": {"sample": {"clips": 60, "keys": 2}}}
    for section, keys in [*tiny.items(), *changes.items()]:
        values[section] = keys and values[section] | keys
    return Params.model_validate(values)


def tone(seconds: float = 0.2, hertz: float = 440.0, rate: int = RATE) -> NDArray[np.float32]:
    """(T,): half of full scale."""
    return (0.5 * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)).astype(np.float32)

"""Role `predict`: a number as text -> a number."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from core import onnx_session
from core.files import read_json

EXAMPLE = "0.25"


class Predictor:
    def __init__(self, folder: Path, threads: int = 0, provider: str = onnx_session.CPU, **options: Any) -> None:
        self.session = onnx_session.session(folder / "line.onnx", threads, provider)

    def __call__(self, inputs: Sequence[str]) -> list[float]:
        (y,) = self.session.run(None, {"x": np.array([[float(text)] for text in inputs], np.float32)})
        return [float(value) for value in y[:, 0]]


def inputs(dataset: Path, split: str, limit: int | None = None) -> list[str]:
    return [str(point["x"]) for point in read_json(dataset / f"{split}.json")[:limit]]

"""What a model folder says of itself: `model.json`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from core.errors import ModelError
from core.files import read_json


def settings(folder: Path, task: str, form: int, needed: Sequence[str]) -> dict[str, Any]:
    """`model.json`, checked: of `task`, in the format `form`, with the keys `needed`. Raises: ModelError."""
    path = folder / "model.json"
    try:
        values = read_json(path)
    except FileNotFoundError:
        raise ModelError(f"{path} does not exist; expected a model folder made by `export` or `quantize`") from None
    except ValueError as error:
        raise ModelError(f"{path} is no JSON ({error}); make the model folder again") from None
    if not isinstance(values, dict) or (values.get("task"), values.get("format")) != (task, form):
        raise ModelError(f"{path}: expected task {task!r}, format {form}; make the model folder again")
    if missing := [key for key in needed if key not in values]:
        raise ModelError(f"{path} lacks {missing}; make the model folder again")
    return values

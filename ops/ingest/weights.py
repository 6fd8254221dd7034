"""A file of initial weights from where `<task>.model.weights` says: a path, or a URL with its sha256.

It imports no other readers of sources: what it hands out is told by its sha256, so a stage need not run again for it.
"""

from __future__ import annotations

import os
from pathlib import Path

from core import paths
from core.errors import SourceError
from core.files import sha256
from core.params import ModelParams
from ops.ingest.download import alone, download


def fetch(params: ModelParams, task: str, allow_private: bool = False) -> tuple[Path, str]:
    """The file and its sha256. Raises: SourceError naming `<task>.model.weights`."""
    expected = params.weights_sha256
    try:
        if params.weights_kind == "url":
            assert expected is not None  # params have seen to it
            with alone(expected):
                return download(params.weights, expected, allow_private), expected
        file = Path(os.path.expandvars(params.weights)).expanduser()
        found = _digest(file)
        if expected not in (None, found):
            raise SourceError(f"sha256 is {found}, `weights_sha256` in params.yaml expects {expected}")
        return file, found
    except SourceError as error:
        raise type(error)(f"{task}.model.weights {params.weights_address!r}: {error}") from None


def _digest(path: Path) -> str:
    if path.is_dir():
        raise SourceError("this is a folder; name the file in it, e.g. weights.safetensors")
    if not path.is_file():
        raise SourceError("there is no such file; mend the path in params.yaml")
    if path.resolve().is_relative_to(paths.checkpoint("any", "base").parents[2].resolve()):
        raise SourceError(
            "the pipeline itself writes this file, and removes it before it trains; name a copy elsewhere"
        )
    try:
        return sha256(path)
    except PermissionError:
        raise SourceError("it cannot be read: permission denied; give this user read access") from None

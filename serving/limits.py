"""What one request may hold: `items`, and what the modalities say of their inputs, each with its flag `--max-NAME`."""

from __future__ import annotations

import importlib
from functools import cache
from pathlib import Path
from typing import Any

import modalities
from core.task import Limit, Limits

ITEMS = Limit("items", 64, 65536, "inputs of a request")


@cache
def known() -> tuple[Limit, ...]:
    """`items`, and those in `modalities/*/limits.py`; imports nothing heavy."""
    found = [ITEMS]
    for path in sorted(Path(next(iter(modalities.__path__))).glob("*/limits.py")):
        found += importlib.import_module(f"modalities.{path.parent.name}.limits").LIMITS
    return tuple({limit.name: limit for limit in found}.values())


def defaults() -> Limits:
    return {limit.name: limit.default for limit in known()}


def of(role: Any, given: Limits) -> Limits:
    """What a role may look up: as the server was told, else as the limit says."""
    return {limit.name: limit.default for limit in role.LIMITS} | dict(given)

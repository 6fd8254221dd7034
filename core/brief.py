"""Nested values as one line for a terminal: `images: train 104, val 24, test 32; rejected 0`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def brief(values: Mapping[str, Any]) -> str:
    """Names without underscores, floats with four digits; what is empty is left out."""
    texts = {name: text for name, value in values.items() if (text := _value(value))}
    nested = {name for name in texts if isinstance(values[name], Mapping)}
    shown = [f"{name.replace('_', ' ')}{':' if name in nested else ''} {text}" for name, text in texts.items()]
    return ("; " if nested else ", ").join(shown)


def _value(value: Any) -> str:
    if isinstance(value, Mapping):
        return brief(value)
    if isinstance(value, list | tuple | set):
        return " | ".join(_value(entry) for entry in value)  # an entry may hold spaces and commas
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: ""}[value]
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:.4g}" if isinstance(value, float) else str(value)

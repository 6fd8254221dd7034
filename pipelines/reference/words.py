"""Types, ranges and values of knobs in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml

KINDS = {
    "integer": "whole number",
    "number": "number",
    "string": "text",
    "boolean": "`true`, `false`",
    "object": "mapping",
    "null": "`null`",
}


def kind(schema: Mapping[str, Any]) -> str:
    """What a knob takes. schema: of its value, as JSON Schema has it."""
    if "anyOf" in schema:
        return ", or ".join(kind(each) for each in schema["anyOf"])
    if choices := [schema["const"]] if "const" in schema else schema.get("enum"):
        return ", ".join(f"`{each}`" for each in choices)
    name = schema.get("type", "object")
    if name == "array":
        return _list(schema)
    limits = f"like `{schema['pattern']}`" if "pattern" in schema else _range(schema)
    return " ".join(part for part in (KINDS[name], limits) if part)


def _list(schema: Mapping[str, Any]) -> str:
    least, most = schema.get("minItems"), schema.get("maxItems")
    many = f"list of {least}: " if least == most and least else "list, not empty: " if least else "list: "
    return many + (kind(schema["items"]) if schema.get("items") else "anything")


def _range(schema: Mapping[str, Any]) -> str:
    low, high = schema.get("minimum"), schema.get("maximum")
    if low is not None and high is not None:
        return f"from {low:,} to {high:,}"
    told = {"minimum": "at least", "exclusiveMinimum": "above", "maximum": "at most", "exclusiveMaximum": "below"}
    return ", ".join(f"{words} {schema[key]:,}" for key, words in told.items() if key in schema)


def value(found: Any) -> str:
    """As it is written in `params.yaml`, in one line."""
    text = yaml.safe_dump(found, default_flow_style=True, width=float("inf"), sort_keys=False, allow_unicode=True)
    return text.removesuffix("\n").removesuffix("\n...").strip()

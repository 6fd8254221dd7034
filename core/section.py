"""A mapping in `params.yaml`, and what is told of one that is wrong."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from core.errors import suggest


class Section(BaseModel):
    """One mapping in `params.yaml`: unknown keys, text for numbers and the like are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


@dataclass(frozen=True)
class Kinds:
    """In the annotation of a field whose value is one of several sections, told by its `name`; for the reference."""

    sections: tuple[type[Section], ...]


def typed(model: type[Any], value: Any, prefix: str, problems: list[str]) -> Any:
    """`value` as `model`; None when it cannot be, with what was wrong added to `problems`. prefix: place of `value`."""
    if not isinstance(value, dict):
        problems.append(f"{prefix}: expected a mapping, found {value!r}")
        return None
    try:
        return model.model_validate(value)
    except ValidationError as error:
        for item in error.errors():
            place = ".".join(str(part) for part in (prefix, *item["loc"]) if part != "")
            problems.append(f"{place}: {_explain(model, item)}" if place else _explain(model, item))
        return None


def _explain(model: type[BaseModel], item: Any) -> str:
    kind, given = item["type"], item["input"]
    if kind == "extra_forbidden":
        return f"unknown key; {suggest(str(item['loc'][-1]), _fields(model, item['loc'][:-1]))}"
    if kind == "missing":
        return "missing"
    if kind == "literal_error":
        return f"found {given!r}, expected {item['ctx']['expected']}"
    message = re.sub(r"^(Input|Value error,)\s*", "", item["msg"])
    return message if kind == "value_error" else f"found {given!r}, {message}"


def _fields(model: Any, loc: tuple[Any, ...]) -> list[str]:
    """Names (as written in YAML) of the fields of the section at `loc`."""
    for part in loc:
        field = next((f for n, f in model.model_fields.items() if part in (n, f.alias)), None)
        if field is None:
            continue  # a key of a dict: its value type was reached through the field before it
        model = next((a for a in leaves(field.annotation) if hasattr(a, "model_fields")), model)
    return [field.alias or name for name, field in model.model_fields.items()]


def leaves(annotation: Any) -> list[Any]:
    """The plain types in an annotation: of `dict[str, A] | None`, `str`, `A` and `None`'s."""
    args = getattr(annotation, "__args__", None)
    return [leaf for arg in args for leaf in leaves(arg)] if args else [annotation]

"""What the models that check `params.yaml` say of each knob."""

from __future__ import annotations

import ast
import inspect
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, get_args, get_origin

from pydantic.fields import FieldInfo

from core.section import Kinds, Section, leaves

KEYS = ("NAME", "SETTING")
"""Stand in a path for keys that `params.yaml` chooses: the name of a variant, and what `search` varies of it."""


@dataclass(frozen=True)
class Row:
    """A knob, or a section that has been told already."""

    path: tuple[str, ...]
    schema: Mapping[str, Any]
    """Of its value, as JSON Schema has it."""
    default: Any
    """What holds where the knob is left out; `...`: it must be there."""
    meaning: str
    """The docstring of the field; empty: it has none."""
    module: str
    """Where the field is written."""
    same_as: tuple[str, ...] | None = None
    """Path of the section of the same model."""
    kinds: tuple[type[Section], ...] = ()
    """Of a value that is one of several sections."""


def rows(
    model: type[Section], above: tuple[str, ...] = (), told: dict[Any, tuple[str, ...]] | None = None
) -> Iterator[Row]:
    """Every knob of a model and of the sections within it. told: models that were met -> where; it is added to."""
    told = {} if told is None else told
    schemas = model.model_json_schema(by_alias=True)["properties"]
    for name, field in model.model_fields.items():
        alias = field.alias or name
        path, module, schema = (*above, alias), _module(model, name), schemas[alias]
        sections = [leaf for leaf in leaves(field.annotation) if isinstance(leaf, type) and issubclass(leaf, Section)]
        if len(sections) != 1:
            kinds = next((each.sections for each in field.metadata if isinstance(each, Kinds)), ())
            meaning = _docs(sys.modules[module]).get((_owner(model, name).__name__, name), "")
            yield Row(path, schema, _default(field), meaning, module, kinds=kinds)
            continue
        within = (*path, *KEYS[: _depth(field.annotation)])
        if sections[0] in told:
            yield Row(within, schema, _default(field), "", module, same_as=told[sections[0]])
        else:
            told[sections[0]] = within
            yield from rows(sections[0], within, told)


def section(model: type[Section], name: str) -> type[Section] | None:
    """The model of a section of the first level, as `params.yaml` calls it; None: it is a plain value."""
    field = next(field for key, field in model.model_fields.items() if name == (field.alias or key))
    return next(
        (each for each in leaves(field.annotation) if isinstance(each, type) and issubclass(each, Section)), None
    )


def meaning(model: type[Section] | None) -> str:
    """The docstring of a section in one line; empty: it has none of its own."""
    return " ".join((vars(model).get("__doc__") or "").split()) if model else ""


def _depth(annotation: Any) -> int:
    """How many mappings with keys of the file's own lie between a field and its section."""
    own = 1 if get_origin(annotation) is dict else 0
    return own + max((_depth(each) for each in get_args(annotation)), default=0)


def _default(field: FieldInfo) -> Any:
    if field.is_required():
        return ...
    found = field.get_default(call_default_factory=True)
    return found.model_dump() if isinstance(found, Section) else found


def _owner(model: type[Any], name: str) -> type[Any]:
    return next(each for each in model.__mro__ if name in inspect.get_annotations(each))


def _module(model: type[Any], name: str) -> str:
    return _owner(model, name).__module__


@cache
def _docs(module: Any) -> dict[tuple[str, str], str]:
    """(class, field) -> its docstring, or that of the type that the same module has defined for it."""
    found, types = dict[tuple[str, str], str](), dict[str, str]()
    tree = ast.parse(inspect.getsource(module))
    for statement, after in zip(tree.body, tree.body[1:], strict=False):
        if isinstance(statement, ast.Assign) and (text := _text(after)) and isinstance(statement.targets[0], ast.Name):
            types[statement.targets[0].id] = text
    for each in tree.body:
        if not isinstance(each, ast.ClassDef):
            continue
        for statement, after in zip(each.body, [*each.body[1:], ast.Pass()], strict=True):
            if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
                kind = statement.annotation.id if isinstance(statement.annotation, ast.Name) else ""
                found[each.name, statement.target.id] = _text(after) or types.get(kind, "")
    return found


def _text(statement: ast.stmt) -> str:
    if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant):
        return " ".join(str(statement.value.value).split())
    return ""

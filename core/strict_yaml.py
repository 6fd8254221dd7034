"""YAML as plain values, without what makes a file mean something else than it says: tags, a key that stands twice."""

from __future__ import annotations

import re
from typing import Any

import yaml


def mapping(text: str) -> dict[str, Any]:
    """The mapping that a document holds. Raises: ValueError that says where and what is wrong."""
    try:
        value = _read(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f"line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise ValueError(f"{place}: {getattr(error, 'problem', error)}") from None
    if not isinstance(value, dict):
        raise ValueError(f"must hold a mapping, found {type(value).__name__}")
    return value


def _read(text: str) -> Any:
    try:
        return yaml.load(text, Loader=_Fast)  # noqa: S506 - a SafeLoader that also refuses duplicate keys
    except yaml.YAMLError:
        return yaml.load(text, Loader=_Strict)  # noqa: S506 - likewise; it names the place where what is missing began


class _Unique:
    """To a SafeLoader with this, a key that stands twice is an error, not a silent winner."""

    construct_object: Any

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        seen: set[Any] = set()
        for key_node, _ in node.value:
            if key_node.tag == "tag:yaml.org,2002:merge":
                continue
            key = self.construct_object(key_node, deep=True)
            if isinstance(key, list | dict):
                raise yaml.constructor.ConstructorError(
                    None, None, f"a key must be a word, found {key!r}", key_node.start_mark
                )
            if key in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key!r} stands twice", key_node.start_mark
                )
            seen.add(key)
        made: dict[Any, Any] = super().construct_mapping(node, deep)  # type: ignore[misc]
        return made


class _Strict(_Unique, yaml.SafeLoader):
    """In Python."""


class _Fast(_Unique, getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """By libyaml, where it is there: a seventh of the time."""


# YAML 1.1 reads 1e-3 as text; read it as the number it is.
for _loader in (_Strict, _Fast):
    _loader.add_implicit_resolver(
        "tag:yaml.org,2002:float",
        re.compile(r"^[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+$"),
        list("-+0123456789."),
    )

"""The entries of stages that DVC writes into dvc.lock and into its run cache."""

from __future__ import annotations

from typing import Any


def is_entry(value: Any) -> bool:
    """The shape of a stage in dvc.lock and in the run cache."""
    if not isinstance(value, dict) or not value.get("cmd") or value.keys() - {"cmd", "deps", "params", "outs"}:
        return False
    if not isinstance(value.get("params", {}), dict):
        return False
    artifacts = [value.get(key, []) for key in ("deps", "outs")]
    return all(
        isinstance(items, list) and all(isinstance(i, dict) and "path" in i for i in items) for items in artifacts
    )


def parsed(text: str) -> Any:
    """YAML with all scalars as text, None if it is none.

    As text, because DVC writes YAML 1.2, and PyYAML reads 1.1, where a stage `on` is True.
    """
    import yaml

    loader: Any = getattr(yaml, "CBaseLoader", yaml.BaseLoader)
    try:
        return yaml.load(text, Loader=loader)  # noqa: S506  # the base loader makes no objects
    except yaml.YAMLError:
        return None

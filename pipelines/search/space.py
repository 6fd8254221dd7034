"""Which variant and which settings a trial has: asked of Optuna, and written into params."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import optuna

from core import chains, knobs
from core.knobs import Knob, Knobs

KINDS = ("prune", "distill")
"""Sections of smaller variants."""


def suggest(trial: optuna.Trial, space: Knobs) -> tuple[str, dict[str, Any]]:
    """A variant, and of each of its knobs, by its path, a value."""
    variant = str(trial.suggest_categorical("variant", list(space)))
    return variant, {path: _value(trial, f"{variant}.{path}", knob) for path, knob in space[variant].items()}


def _value(trial: optuna.Trial, name: str, knob: Knob) -> Any:
    if knob.choices is not None:
        # Optuna stores words and numbers only; a choice may be a list.
        return json.loads(str(trial.suggest_categorical(name, [json.dumps(choice) for choice in knob.choices])))
    assert knob.low is not None and knob.high is not None
    if isinstance(knob.low, int) and isinstance(knob.high, int):
        return trial.suggest_int(name, knob.low, knob.high)
    low, high = float(knob.low), float(knob.high)
    return min(max(float(f"{trial.suggest_float(name, low, high):.4g}"), low), high)


def chosen(trial: optuna.trial.FrozenTrial) -> tuple[str, dict[str, Any]]:
    """Variant and values of a trial that was made."""
    return trial.user_attrs["variant"], trial.user_attrs["values"]


def params(values: Mapping[str, Any], task: str, variant: str, found: Mapping[str, Any]) -> dict[str, Any]:
    """Plain values of `params.yaml` with this task alone, what was found for the knobs of `variant`, and of the smaller
    variants that one and those that it is made of."""
    made: dict[str, Any] = json.loads(json.dumps(values))  # YAML's anchors share mappings, these may differ now
    made["tasks"] = [task]
    smaller = {name: kind for kind in KINDS for name in made[task].get(kind) or {}}
    for path, value in found.items():
        knobs.place(made[task], knobs.within_task(smaller[variant], variant, path), value)
    kept = [variant]
    while kept[-1] in smaller and kept[-1] not in kept[:-1]:  # a chain that leads back is refused where it is checked
        kept.append(made[task][smaller[kept[-1]]][kept[-1]].get("of", chains.ROOT))
    for name, kind in smaller.items():
        if name not in kept:
            del made[task][kind][name]
    made[task].pop("search", None)
    return made

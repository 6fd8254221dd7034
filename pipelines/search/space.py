"""Which variant and which settings a trial has: asked of Optuna, and written into params."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from typing import Any

import optuna

from core import chains, knobs
from core.knobs import Knob, Knobs
from core.params import TaskParams


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
    return round(trial.suggest_float(name, float(knob.low), float(knob.high)), 4)


def chosen(trial: optuna.trial.FrozenTrial) -> tuple[str, dict[str, Any]]:
    """Variant and values of a trial that was made."""
    return trial.user_attrs["variant"], trial.user_attrs["values"]


def params(values: Mapping[str, Any], task: str, params: TaskParams, variant: str, found: Mapping[str, Any]) -> Any:
    """Plain values of `params.yaml` with this task alone, and of its smaller variants `variant` with what was found for
    its knobs, and those that it is made of."""
    made = copy.deepcopy(dict(values))
    made["tasks"] = [task]
    kept = chains.ancestry(params, variant)
    for kind in ("prune", "distill"):
        section = {name: settings for name, settings in (made[task].get(kind) or {}).items() if name in kept}
        if variant in section:
            for path, value in found.items():
                knobs.place(section[variant], path, value)
        if kind in made[task]:
            made[task][kind] = section
    made[task].pop("search", None)
    return made

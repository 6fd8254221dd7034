"""Trials in a database: one study for each state of what they depend on, so that figures of one base stand together."""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import optuna
from optuna.trial import TrialState

from core import devices, paths

DIRECTIONS: list[Literal["minimize", "maximize"]] = ["minimize", "maximize", "minimize"]
"""Of the loss on `val` against the base, of the speed, and of megabytes."""

PLACE = "checkout"
"""Attribute of a trial: number of the checkout that it runs in."""


def key(values: Mapping[str, Any], task: str) -> str:
    """Names what trials of a task can be compared in: all its params with what is searched, its local sources, and
    the profile of the device that its budget names.

    values: plain values of `params.yaml`.
    """
    looked_at = [paths.noted(task), paths.noted_weights(task)]
    if device := values[task]["compare"]["budget"].get("device"):
        looked_at.append(devices.path(device))
    noted = [path.read_text("utf-8") for path in looked_at if path.is_file()]
    state = [values["seed"], values["learning_threads"], values["environment"], values[task], noted]
    return hashlib.sha256(json.dumps(state, sort_keys=True).encode()).hexdigest()[:12]


def opened(database: Path, name: str) -> optuna.Study:
    """The study of earlier searches, or a new one; trials that were killed come first again, in the checkouts where
    their trainings can go on. What a trial may find that still runs, the sampler takes for no good: `constant_liar`
    (https://optuna.readthedocs.io/en/stable/reference/samplers/generated/optuna.samplers.TPESampler.html)."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)  # of `group`
    study = optuna.create_study(
        study_name=name,
        storage=f"sqlite:///{database.resolve()}",
        directions=DIRECTIONS,
        sampler=optuna.samplers.TPESampler(multivariate=True, group=True, constant_liar=True),
        load_if_exists=True,
    )
    for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        study.enqueue_trial(trial.params, user_attrs={PLACE: trial.user_attrs.get(PLACE, 0)})
        study.tell(trial.number, state=TrialState.FAIL)
    return study

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
    """The study of earlier searches, or a new one; a trial that was killed comes first again."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)  # of `group`
    study = optuna.create_study(
        study_name=name,
        storage=f"sqlite:///{database.resolve()}",
        directions=DIRECTIONS,
        sampler=optuna.samplers.TPESampler(multivariate=True, group=True),
        load_if_exists=True,
    )
    for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        study.enqueue_trial(trial.params)
        study.tell(trial.number, state=TrialState.FAIL)
    return study

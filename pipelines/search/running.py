"""Trials that run at once: a thread of this process waits for each, and one alone speaks with the study."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any, NamedTuple

import optuna
from optuna.trial import TrialState

from core import params
from core.errors import ParamsError
from core.params import TaskParams
from evaluation import judged
from pipelines.search import space, studies, trials, view
from pipelines.search.workspace import Workspace

Rows = tuple[dict[str, Any], dict[str, Any]]
"""Of the trial and of the base."""


class Begun(NamedTuple):
    trial: optuna.Trial
    place: Workspace
    params: TaskParams


class Running:
    """Asks the study for trials, runs each in a checkout that is free, and tells the study how it ended."""

    def __init__(self, places: Sequence[Workspace], values: dict[str, Any], study: optuna.Study, folder: Path) -> None:
        """values: plain values of `params.yaml`. folder: for logs."""
        self._free, self._values, self._study, self._folder = list(places), values, study, folder
        self._pool = ThreadPoolExecutor(len(places), "trial")
        self._begun: dict[Future[Rows], Begun] = {}

    @property
    def free(self) -> bool:
        return bool(self._free)

    @property
    def busy(self) -> bool:
        return bool(self._begun)

    def begin(self) -> tuple[int, str] | None:
        """Begin a trial. Returns: its number and why it has ended already, where its settings do not go together."""
        trial, place = self._study.ask(), self._free[0]
        settings = place.params.search
        assert settings is not None
        variant, found = space.suggest(trial, settings)
        for name, value in (("variant", variant), ("values", found)):
            trial.set_user_attr(name, value)
        made = space.params(self._values, place.task, variant, found)
        try:
            own = params.check(made)[1][place.task]
        except ParamsError as error:
            why = "; ".join(error.problems)
            trial.set_user_attr(view.INVALID, why)
            trial.set_constraint(view.INVALID, 1.0)
            self._study.tell(trial, state=TrialState.PRUNED)
            return trial.number, why
        wanted = trial.user_attrs.get(studies.PLACE)
        place = next((each for each in self._free if each.number == wanted), place)
        if wanted != place.number:  # new, or its own is taken: there its trainings begin anew, and go on after a kill
            trial.set_user_attr(studies.PLACE, place.number)
        self._free.remove(place)
        place.write(made)
        log = self._folder / f"{trial.number}.log"
        future = self._pool.submit(trials.run, place, own, variant, str(trial.number), log)
        self._begun[future] = Begun(trial, place, own)
        return None

    def doing(self) -> list[str]:
        """A line for each trial that runs."""
        return [
            f"trial {trial.number} runs: {trial.user_attrs['variant']} {trial.user_attrs['values']}"
            for trial, _, _ in self._begun.values()
        ]

    def ended(self) -> Iterator[tuple[int, str]]:
        """Wait for the next trials that end, and tell the study; number of each, and why it was stopped or failed."""
        for future in wait(self._begun, return_when=FIRST_COMPLETED).done:
            trial, place, own = self._begun.pop(future)
            self._free.append(place)
            yield trial.number, self._tell(trial, own, future)

    def _tell(self, trial: optuna.Trial, own: TaskParams, future: Future[Rows]) -> str:
        try:
            row, base = future.result()
        except trials.HopelessError as why:
            for name, beyond in why.excess.items():
                trial.set_constraint(name, beyond)
            self._study.tell(trial, state=TrialState.PRUNED)
            return str(why)
        except trials.FailedError as why:
            self._study.tell(trial, state=TrialState.FAIL)
            return str(why)
        for name, found in (("row", row), ("base", base)):
            trial.set_user_attr(name, {key: value for key, value in found.items() if key != "operators"})
        for name, beyond in trials.excess(row, own).items():
            trial.set_constraint(name, beyond)
        self._study.tell(trial, [row["loss"]["value"], judged.speed(row)["value"], row["size_mb"]])
        return ""

    def stop(self) -> None:
        """End trials that run; the study has them as running, so the next search begins with them."""
        for _, place, _ in self._begun.values():
            place.stop()
        self._pool.shutdown(wait=True, cancel_futures=True)

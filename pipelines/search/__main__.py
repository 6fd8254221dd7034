"""See the package."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import optuna
from filelock import FileLock, Timeout
from optuna.trial import FrozenTrial, TrialState
from rich.console import Console
from rich.live import Live

import pipelines.search
from core import knobs, matrix, params
from core.errors import StillhouseError, suggest
from core.files import write_json
from core.params import TaskParams
from core.visible import visible
from ops import tracking
from pipelines import sources
from pipelines.flow.slots import Share, visible_gpus
from pipelines.repro import ready
from pipelines.search import space, studies, view
from pipelines.search.running import Running
from pipelines.search.workspace import FOLDER, Workspace

FAILURES = 3
"""Trials that fail one after the other, and the search ends: what is wrong is hardly their settings."""
INVALIDS = 100
"""Likewise of settings that do not go together, which cost nothing."""


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m pipelines.search",
        description=pipelines.search.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("task")
    parser.add_argument("--minutes", type=float, default=20.0, help="no trial begins after that (20)")
    parser.add_argument("--trials", type=int, default=1_000_000, help="this many at most")
    parser.add_argument("--jobs", type=int, default=1, help="stages of a trial at once, by pipelines.flow (1)")
    parser.add_argument("--parallel", type=int, default=1, help="trials at once, each in a checkout of its own (1)")
    arguments = parser.parse_args()
    try:
        search(arguments.task, arguments.minutes, arguments.trials, arguments.jobs, arguments.parallel)
    except StillhouseError as error:
        print(f"error: {visible(str(error))}", file=sys.stderr)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        print("stopped; the same command goes on with what ran", file=sys.stderr)
        sys.exit(130)


def search(task: str, minutes: float, most: int, jobs: int = 1, parallel: int = 1) -> None:
    """Run trials until the time is up; print the front and what to write into `params.yaml`.

    Raises: StillhouseError where there is nothing to search, the reference would change, or another search of it runs.
    """
    head, tasks = params.load()
    if min(jobs, parallel) < 1 or max(jobs, parallel) > 1 < min(jobs, parallel):
        told = f"found --jobs {jobs} --parallel {parallel}, expected numbers of at least 1, one of them 1"
        raise StillhouseError(f"search: {told}: stages of one trial side by side, or trials")
    if task not in tasks:
        raise StillhouseError(f"search: task {task!r} is not in `tasks` of params.yaml: {list(tasks)}")
    if not tasks[task].search:
        raise StillhouseError(f"search: {task} has no section `search` in params.yaml that says what to try")
    made = [*matrix.pruned(tasks[task]), *matrix.distilled(tasks[task])]
    if unknown := [name for name in tasks[task].search or {} if name not in made]:
        known = suggest(unknown[0], made) if made else "there is none"
        raise StillhouseError(f"search: {task}.search.{unknown[0]} is of no variant of {task}; {known}")
    _keeps_reference(task, tasks[task])
    values = params.read(Path("params.yaml"))
    place = FOLDER / task
    place.mkdir(parents=True, exist_ok=True)
    lock = FileLock(place / "lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise StillhouseError(f"search: another search of {task} runs in this checkout") from None
    with lock, tracking.sending():
        ready()
        for told in sources.refresh(tasks):
            print(told)
        places = workplaces(task, tasks[task], jobs, parallel)
        if parallel * head.learning_threads > (cores := len(os.sched_getaffinity(0))):
            print(f"note: {parallel} trials that learn with {head.learning_threads} threads each share {cores} cores")
        name = studies.key(values, task)
        folder = place / name
        folder.mkdir(exist_ok=True)
        loop(places, values, studies.opened(place / "trials.db", name), folder, minutes, most)


def workplaces(task: str, settings: TaskParams, jobs: int, parallel: int) -> list[Workspace]:
    """Checkouts for so many trials at once, up to date, each with its share of cores and GPUs while others run."""
    shares: list[Share | None] = [None]
    if parallel > 1:
        gpus, threads = visible_gpus(), max(1, len(os.sched_getaffinity(0)) // parallel)
        own = [gpus[i % len(gpus) : i % len(gpus) + 1] if gpus else () for i in range(parallel)]
        shares = [Share(threads, each, 0, False, True) for each in own]
    places = [Workspace(task, settings, jobs, number, share) for number, share in enumerate(shares)]
    for place in places:
        place.refresh()
    return places


def _keeps_reference(task: str, settings: TaskParams) -> None:
    """Raises: StillhouseError where a knob changes what all trials are compared with."""
    first = settings.precisions[0]
    changing = [
        f"{name}.{path}" for name, found in (settings.search or {}).items() for path in found if knobs.of_quantize(path)
    ]
    if first != "fp32" and changing:
        told = f"search: {task}.search.{changing[0]} would change the reference of all trials, base {first}"
        raise StillhouseError(f"{told}; name fp32 first in {task}.precisions, or leave it out")


def loop(
    places: Sequence[Workspace], values: dict[str, Any], study: optuna.Study, folder: Path, minutes: float, most: int
) -> None:
    """places: a trial runs in each at once."""
    task, settings, console = places[0].task, places[0].params, Console()
    end = time.monotonic() + 60 * minutes
    with Live(view.page(study.trials), console=console, auto_refresh=False, transient=not console.is_terminal) as live:
        search = Running(places, values, study, folder)
        told = Told(live, study, folder, end)
        count = 0
        try:
            while True:
                while search.free and time.monotonic() < end and count < most:
                    count += 1
                    if ended := search.begin():
                        told.ended(*ended)
                told.page(search.doing())
                if not search.busy:
                    break
                for number, why in search.ended():
                    told.ended(number, why)
        finally:
            search.stop()
    if not console.is_terminal:
        console.print(view.page(study.trials))
    kinds = {name: "prune" if name in matrix.pruned(settings) else "distill" for name in settings.search or {}}
    console.print(view.advice(study.trials, task, kinds), highlight=False)


class Told:
    """What is told of trials that have ended, and when a search gives up."""

    def __init__(self, live: Live, study: optuna.Study, folder: Path, end: float) -> None:
        self.live, self.study, self.folder, self.end = live, study, folder, end
        self.failed = self.invalid = 0

    def ended(self, number: int, why: str) -> None:
        """Raises: StillhouseError after too many that came to nothing."""
        write_json(self.folder / "front.json", [summary(each) for each in view.front(self.study.trials)])
        trial = self.study.trials[number]
        self.live.console.print(view.line(trial, why), highlight=False)
        self.failed = self.failed + 1 if trial.state is TrialState.FAIL else 0
        self.invalid = self.invalid + 1 if view.INVALID in trial.user_attrs else 0
        if self.failed == FAILURES:
            raise StillhouseError(f"search: {FAILURES} trials failed one after the other: {why}")
        if self.invalid == INVALIDS:
            told = f"search: {INVALIDS} trials one after the other had settings that do not go together"
            raise StillhouseError(f"{told}, the last one: {why}; narrow what the section `search` tries")

    def page(self, doing: Sequence[str]) -> None:
        left = f"{max(0, self.end - time.monotonic()) / 60:.0f} min left"
        running = "\n".join([*doing, left]) if doing else ""
        self.live.update(view.page(self.study.trials, running), refresh=True)


def summary(trial: FrozenTrial) -> dict[str, object]:
    """A trial of the front for `front.json`."""
    variant, values = space.chosen(trial)
    row = trial.user_attrs["row"]
    kept = {key: row[key] for key in ("precision", "quality", "loss", "speed", "size_mb", "latency_ms", "misses")}
    kept |= {"device": row["device"]} if row.get("device") else {}
    return {"trial": trial.number, "variant": variant, "values": values, **kept}


if __name__ == "__main__":
    main()

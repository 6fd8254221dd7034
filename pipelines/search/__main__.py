"""See the package."""

from __future__ import annotations

import argparse
import sys
import time
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
from evaluation import judged
from ops import tracking
from pipelines import sources
from pipelines.repro import ready
from pipelines.search import space, studies, trials, view
from pipelines.search.workspace import FOLDER, Workspace

FAILURES = 3
"""Trials that fail one after the other, and the search ends: what is wrong is hardly their settings."""


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
    arguments = parser.parse_args()
    try:
        search(arguments.task, arguments.minutes, arguments.trials, arguments.jobs)
    except StillhouseError as error:
        print(f"error: {visible(str(error))}", file=sys.stderr)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        print("stopped; the same command goes on with this trial", file=sys.stderr)
        sys.exit(130)


def search(task: str, minutes: float, most: int, jobs: int = 1) -> None:
    """Run trials until the time is up; print the front and what to write into `params.yaml`.

    Raises: StillhouseError where there is nothing to search, the reference would change, or another search of it runs.
    """
    _, tasks = params.load()
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
        workspace = Workspace(task, tasks[task], jobs)
        workspace.refresh()
        name = studies.key(values, task)
        folder = place / name
        folder.mkdir(exist_ok=True)
        loop(workspace, values, studies.opened(place / "trials.db", name), folder, minutes, most)


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
    workspace: Workspace, values: dict[str, Any], study: optuna.Study, folder: Path, minutes: float, most: int
) -> None:
    settings, console, end = workspace.params, Console(), time.monotonic() + 60 * minutes
    assert settings.search is not None
    with Live(view.page(study.trials), console=console, auto_refresh=False, transient=not console.is_terminal) as live:
        count = failed = 0
        while time.monotonic() < end and count < most:
            count += 1
            trial = study.ask()
            variant, found = space.suggest(trial, settings.search)
            trial.set_user_attr("variant", variant)
            trial.set_user_attr("values", found)
            doing = f"trial {trial.number} runs: {variant} {found}; {max(0, end - time.monotonic()) / 60:.0f} min left"
            live.update(view.page(study.trials, doing), refresh=True)
            workspace.write(space.params(values, workspace.task, variant, found))
            told = attempt(workspace, study, trial, variant, folder)
            write_json(folder / "front.json", [summary(each) for each in view.front(study.trials)])
            ended = study.trials[trial.number]
            live.console.print(view.line(ended, told), highlight=False)
            live.update(view.page(study.trials), refresh=True)
            failed = failed + 1 if ended.state is TrialState.FAIL else 0
            if failed == FAILURES:
                raise StillhouseError(f"search: {FAILURES} trials failed one after the other: {told}")
    if not console.is_terminal:
        console.print(view.page(study.trials))
    kinds = {name: "prune" if name in matrix.pruned(settings) else "distill" for name in settings.search}
    console.print(view.advice(study.trials, workspace.task, kinds), highlight=False)


def attempt(workspace: Workspace, study: optuna.Study, trial: optuna.Trial, variant: str, folder: Path) -> str:
    """Run a trial and tell the study; returns why it was stopped or failed."""
    log = folder / f"{trial.number}.log"
    try:
        row, base = trials.run(workspace, variant, str(trial.number), log)
    except trials.HopelessError as why:
        for name, beyond in why.excess.items():
            trial.set_constraint(name, beyond)
        study.tell(trial, state=TrialState.PRUNED)
        return str(why)
    except trials.FailedError as why:
        study.tell(trial, state=TrialState.FAIL)
        return str(why)
    for name, found in (("row", row), ("base", base)):
        trial.set_user_attr(name, {key: value for key, value in found.items() if key != "operators"})
    for name, beyond in trials.excess(row, workspace.params).items():
        trial.set_constraint(name, beyond)
    study.tell(trial, [row["loss"]["value"], judged.speed(row)["value"], row["size_mb"]])
    return ""


def summary(trial: FrozenTrial) -> dict[str, object]:
    """A trial of the front for `front.json`."""
    variant, values = space.chosen(trial)
    row = trial.user_attrs["row"]
    kept = {key: row[key] for key in ("precision", "quality", "loss", "speed", "size_mb", "latency_ms", "misses")}
    kept |= {"device": row["device"]} if row.get("device") else {}
    return {"trial": trial.number, "variant": variant, "values": values, **kept}


if __name__ == "__main__":
    main()

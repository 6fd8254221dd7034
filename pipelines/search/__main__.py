"""See the package."""

from __future__ import annotations

import argparse
import sys
import time
import warnings
from pathlib import Path
from typing import Literal

import optuna
from filelock import FileLock, Timeout
from optuna.trial import FrozenTrial, TrialState
from rich.console import Console
from rich.live import Live

import pipelines.search
from core import matrix, params
from core.errors import StillhouseError
from core.files import write_json
from core.params import TaskParams
from core.visible import visible
from ops import tracking
from pipelines.repro import ready
from pipelines.search import space, trials, view
from pipelines.search.workspace import FOLDER, Workspace

DIRECTIONS: list[Literal["minimize", "maximize"]] = ["minimize", "maximize"]
"""Of the loss on `val` against the base, and of the speed."""
FAILURES = 3
"""One after the other, and the search ends: what is wrong is not the settings."""


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

    Raises: StillhouseError where there is nothing to search, or another search of this task runs.
    """
    _, tasks = params.load()
    if task not in tasks:
        raise StillhouseError(f"search: task {task!r} is not in `tasks` of params.yaml: {list(tasks)}")
    if not tasks[task].search:
        raise StillhouseError(f"search: {task} has no section `search` in params.yaml that says what to try")
    folder = FOLDER / task
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / "lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise StillhouseError(f"search: another search of {task} runs in this checkout") from None
    with lock, tracking.sending():
        ready()
        workspace = Workspace(task, jobs)
        workspace.refresh()
        loop(workspace, tasks[task], studied(folder, task), folder, minutes, most)


def studied(folder: Path, task: str) -> optuna.Study:
    """The study of earlier searches, or a new one; a trial that was killed comes first again."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)  # of `group`
    study = optuna.create_study(
        study_name=task,
        storage=f"sqlite:///{(folder / 'trials.db').resolve()}",
        directions=DIRECTIONS,
        sampler=optuna.samplers.TPESampler(multivariate=True, group=True),
        load_if_exists=True,
    )
    for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        study.enqueue_trial(trial.params)
        study.tell(trial.number, state=TrialState.FAIL)
    return study


def loop(
    workspace: Workspace, settings: TaskParams, study: optuna.Study, folder: Path, minutes: float, most: int
) -> None:
    task, console, end = workspace.task, Console(), time.monotonic() + 60 * minutes
    values = params.read(Path("params.yaml"))
    assert settings.search is not None
    with Live(view.page(study.trials), console=console, auto_refresh=False, transient=not console.is_terminal) as live:
        count = 0
        while time.monotonic() < end and count < most:
            count += 1
            trial = study.ask()
            variant, found = space.suggest(trial, settings.search)
            trial.set_user_attr("variant", variant)
            trial.set_user_attr("values", found)
            doing = f"trial {trial.number} runs: {variant} {found}; {max(0, end - time.monotonic()) / 60:.0f} min left"
            live.update(view.page(study.trials, doing), refresh=True)
            workspace.write(space.params(values, task, settings, variant, found))
            told = attempt(workspace, settings, study, trial, variant, folder)
            write_json(folder / "front.json", [summary(each) for each in view.front(study.trials)])
            live.console.print(view.line(study.trials[trial.number], told), highlight=False)
            live.update(view.page(study.trials), refresh=True)
            last = [each.state for each in study.trials if each.state.is_finished()][-FAILURES:]
            if last == [TrialState.FAIL] * FAILURES:
                raise StillhouseError(f"search: {FAILURES} trials failed one after the other: {told}")
    if not console.is_terminal:
        console.print(view.page(study.trials))
    kinds = {name: "prune" if name in matrix.pruned(settings) else "distill" for name in settings.search}
    console.print(view.advice(study.trials, task, kinds), highlight=False)


def attempt(
    workspace: Workspace, settings: TaskParams, study: optuna.Study, trial: optuna.Trial, variant: str, folder: Path
) -> str:
    """Run a trial and tell the study; returns why it was stopped or failed."""
    log = folder / f"{trial.number}.log"
    try:
        row, base = trials.run(workspace, workspace.task, settings, variant, str(trial.number), log)
    except trials.HopelessError as why:
        study.tell(trial, state=TrialState.PRUNED)
        return str(why)
    except trials.FailedError as why:
        study.tell(trial, state=TrialState.FAIL)
        return str(why)
    for name, found in (("row", row), ("base", base)):
        trial.set_user_attr(name, {key: value for key, value in found.items() if key != "operators"})
    for name, beyond in zip(("loss", "mb", "ms"), trials.excess(row, settings), strict=True):
        trial.set_constraint(name, beyond)
    study.tell(trial, [row["loss"]["value"], row["speed"]["value"]])
    return ""


def summary(trial: FrozenTrial) -> dict[str, object]:
    """A trial of the front for `front.json`."""
    variant, values = space.chosen(trial)
    row = trial.user_attrs["row"]
    kept = {key: row[key] for key in ("precision", "quality", "loss", "speed", "size_mb", "latency_ms", "misses")}
    return {"trial": trial.number, "variant": variant, "values": values, **kept}


if __name__ == "__main__":
    main()

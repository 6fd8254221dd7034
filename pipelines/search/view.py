"""What a search shows: the trials on the front, which grows, and what runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import yaml
from optuna.trial import FrozenTrial, TrialState
from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from core.knobs import of_quantize, within_task
from evaluation import judged
from pipelines.search.space import chosen

INVALID = "invalid"
"""Attribute of a trial whose settings do not go together."""
WORDS = {
    TrialState.COMPLETE: "done",
    TrialState.PRUNED: "stopped early",
    TrialState.FAIL: "failed",
    TrialState.RUNNING: "running",
    TrialState.WAITING: "waiting",
}


def page(trials: Sequence[FrozenTrial], running: str = "") -> RenderableType:
    """The front as a table, how many trials there are, and a line about the one that runs."""
    counts = {state: sum(trial.state is state for trial in trials) for state in WORDS}
    kinds = [(count, WORDS[state]) for state, count in counts.items()]
    told = ", ".join(f"{count} {word}" for count, word in kinds if count)
    parts: list[RenderableType] = [table(front(trials), base(trials)), Text(f"trials: {told or 'none'}", style="dim")]
    if running:
        parts.append(Text(running))
    return Group(*parts)


def table(trials: Sequence[FrozenTrial], base: Mapping[str, Any] | None) -> Table:
    """The base, and the trials, the fastest last."""
    grid = Table(header_style="bold", pad_edge=False, collapse_padding=True, box=box.SIMPLE_HEAD)
    for name in ("trial", "loss on val", "speed", "MB"):
        grid.add_column(name, justify="right", no_wrap=True)
    grid.add_column("budget", no_wrap=True)
    grid.add_column("model", overflow="fold")
    if base is not None:
        grid.add_row("", *_figures(base), _within(base), f"{base['variant']} {base['precision']}")
    for trial in trials:
        row, (_, values) = trial.user_attrs["row"], chosen(trial)
        settings = ", ".join(f"{path} {value}" for path, value in values.items())
        told = f"{row['variant']} {row['precision']}: {settings}"
        style = "dim" if row["misses"] else ""
        grid.add_row(str(trial.number), *_figures(row), _within(row), told, style=style)
    return grid


def _figures(row: Mapping[str, Any]) -> tuple[str, str, str]:
    return f"{row['loss']['value']:.3g}", f"{judged.speed(row)['value']:.2f}", f"{row['size_mb']:.2f}"


def _within(row: Mapping[str, Any]) -> str:
    return "missed" if row["misses"] else "kept"


def base(trials: Sequence[FrozenTrial]) -> dict[str, Any] | None:
    """The base as the last trial has quantized and timed it."""
    timed = [trial for trial in trials if trial.state is TrialState.COMPLETE]
    return timed[-1].user_attrs["base"] if timed else None


def front(trials: Sequence[FrozenTrial]) -> list[FrozenTrial]:
    """Trials that no other one beats in loss, speed and size, the slowest first."""
    done = [trial for trial in trials if trial.state is TrialState.COMPLETE]
    kept = [trial for trial in done if not any(_beats(other, trial) for other in done)]
    return sorted(kept, key=lambda trial: float(judged.speed(trial.user_attrs["row"])["value"]))


def _beats(one: FrozenTrial, other: FrozenTrial) -> bool:
    rows = (each.user_attrs["row"] for each in (one, other))
    ours, theirs = ((row["loss"]["value"], -judged.speed(row)["value"], row["size_mb"]) for row in rows)
    return all(a <= b for a, b in zip(ours, theirs, strict=True)) and (ours != theirs or one.number < other.number)


def advice(trials: Sequence[FrozenTrial], task: str, kinds: Mapping[str, str]) -> str:
    """What to write into `params.yaml`: the fastest and the smallest trial within the budget, where they beat the base.

    kinds: variant -> its section.
    """
    done = [trial for trial in trials if trial.state is TrialState.COMPLETE]
    within = [trial for trial in done if not trial.user_attrs["row"]["misses"]]
    if not within:
        return "no trial keeps every limit of compare.budget yet; search longer, or loosen it"
    told = []
    for word, least in (("fastest", lambda row: -judged.speed(row)["value"]), ("smallest", lambda row: row["size_mb"])):
        best = min(within, key=lambda trial: least(trial.user_attrs["row"]))
        whole, winner = best.user_attrs["base"], f"trial {best.number}"
        variant, values = chosen(best)
        if not whole["misses"] and least(whole) <= least(best.user_attrs["row"]):
            winner = f"base {whole['precision']} yet"
            values = {path: value for path, value in values.items() if of_quantize(path)}  # made as in that trial
        places = {within_task(kinds[variant], variant, path): value for path, value in values.items()}
        told.append(f"the {word} within compare.budget is {winner}{'; for params.yaml:' if places else ''}")
        told += [f"  {task}.{place}: {_yaml(value)}" for place, value in places.items()]
    return "\n".join(told)


def _yaml(value: Any) -> str:
    return yaml.safe_dump(value, default_flow_style=True).removesuffix("\n").removesuffix("\n...")


def _where(row: Mapping[str, Any]) -> str:
    found = row.get("device")
    return f" on {found['name']}{', as estimated' if found['how'] == 'estimated' else ''}" if found else ""


def line(trial: FrozenTrial, why: str = "") -> str:
    """One trial that has ended, for a log."""
    variant, values = chosen(trial)
    settings = ", ".join(f"{path} {value}" for path, value in values.items())
    if trial.state is not TrialState.COMPLETE:
        how = "not tried" if INVALID in trial.user_attrs else WORDS[trial.state]
        return f"trial {trial.number}: {variant} ({settings}): {how}: {why}"
    row: dict[str, Any] = trial.user_attrs["row"]
    missed = f"; misses {'; '.join(row['misses'])}" if row["misses"] else ""
    return (
        f"trial {trial.number}: {variant} ({settings}): {row['precision']} loses {row['loss']['value']:.3g}, "
        f"{judged.speed(row)['value']:.2f} times as fast{_where(row)}, {row['size_mb']:.2f} MB{missed}"
    )

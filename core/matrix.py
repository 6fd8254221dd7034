"""Which stage instances there are, as `params.yaml` asks for them: the file `matrix.yaml`, over which `dvc.yaml` loops.

DVC's own `matrix` is a product of lists, the same for all tasks; here each task has its own variants and precisions,
and lacks the stages for which it has no section in `params.yaml`. `matrix.yaml` is made by `python -m pipelines.matrix`
(`make repro` and `make flow` do it by themselves) and stands in git, so that a plain `dvc repro` finds it. Only names
that were checked get into it, so no value of `params.yaml` reaches the shell that runs a `cmd`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import product
from pathlib import Path
from typing import get_args

from core import chains, devices, paths, task
from core.errors import ParamsError
from core.files import write_json, write_text
from core.params import TaskParams, parse

FILE = Path("matrix.yaml")
HEADING = """\
# Which stages there are: dvc.yaml loops over this. Made from params.yaml by `python -m pipelines.matrix`, which
# `make repro` and `make flow` do by themselves; do not edit it. Of each task: where its roles lie, what it trains on.
"""
Axes = Callable[[TaskParams], tuple[list[str], ...] | None]


def augments(params: TaskParams) -> bool:
    """Whether a task makes augmented copies of its train split."""
    return getattr(params, "augment", None) is not None


def pruned(params: TaskParams) -> list[str]:
    """Variants that the stage `prune` makes."""
    return list(getattr(params, "prune", None) or {})


def distilled(params: TaskParams) -> list[str]:
    """Variants that the stage `distill` makes."""
    return list(getattr(params, "distill", None) or {})


def explains(params: TaskParams) -> bool:
    """Whether a task shows what led to its predictions."""
    return getattr(params, "explain", None) is not None


def variants(params: TaskParams) -> list[str]:
    """`base`, then what is made of it: each is exported, quantized, evaluated and compared."""
    return ["base", *pruned(params), *distilled(params)]


def quantized(params: TaskParams) -> list[str]:
    """Precisions that the stage `quantize` makes of fp32."""
    return [precision for precision in params.precisions if precision != "fp32"]


STAGES: dict[str, Axes] = {
    "prepare": lambda params: (),
    "validate": lambda params: (),
    "augment": lambda params: () if augments(params) else None,
    "train": lambda params: (),
    "prune": lambda params: (pruned(params),),
    "distill": lambda params: (distilled(params),),
    "export": lambda params: (variants(params),),
    "quantize": lambda params: (variants(params), quantized(params)),
    "evaluate": lambda params: (variants(params), list(params.precisions)),
    "explain": lambda params: (variants(params), list(params.precisions)) if explains(params) else None,
    "latency": lambda params: (),
    "compare": lambda params: (),
    "package": lambda params: (),
    "publish": lambda params: (),
}
"""What follows a task's name in the arguments of a stage, as lists; None: the task lacks the stage."""
AXES = ("variant", "precision")


def instances(tasks: Mapping[str, TaskParams]) -> dict[str, dict[str, dict[str, str]]]:
    """Stage -> key of each instance (`detection-base-int8`) -> its `task`, `variant` and `precision`; in stages that
    make variants also `of` which it is made, and its `teacher`."""
    found: dict[str, dict[str, dict[str, str]]] = {}
    for stage, axes in STAGES.items():
        found[stage] = {}
        for name, params in tasks.items():
            for words in product(*lists) if (lists := axes(params)) is not None else ():
                item = dict(zip(AXES, words, strict=False))
                if stage in ("prune", "distill"):
                    item["of"] = chains.made_of(params)[item["variant"]]
                    item["teacher"] = chains.taught_by(params)[item["variant"]]
                found[stage]["-".join([name, *words])] = {"task": name, **item}
    return found


def facts(name: str, params: TaskParams) -> dict[str, str]:
    """What `dvc.yaml` fills in for each instance of a task.

    A role's name -> where it lies; `train` -> the dataset that is trained on; `sheet` -> what `compare` shows of it;
    `views` -> the params that make views of an input at load; `explained` -> what `compare` shows of explanations;
    `device` -> the profile that its budget names.
    What a task lacks is something that it has anyway; the roles of stages that it does not have are left out.
    """
    augmented = augments(params)
    idle = {role for role, used in (("augment", augmented), ("quantize", quantized(params))) if not used}
    wanted = [role for kind in (task.Required, task.Inherited) for role in get_args(kind) if role not in idle]
    roles = {role: str(task.place(name, role)) for role in wanted}
    optional = {role: str(task.place(name, role)) for role in get_args(task.Optional) if task.has(name, role)}
    return {
        "task": name,
        "modality": task.modality(name),
        **roles,
        **dict.fromkeys(get_args(task.Optional), roles["score"]),
        **optional,
        "train": str(paths.trained_on(name, augmented)),
        "sheet": str(paths.augmented(name) / "contact_sheet.png" if augmented else paths.clean(name)),
        "views": f"{name}.augment" if augmented else f"{name}.train",
        "device": str(devices.path(named) if (named := params.compare.budget.device) else paths.clean(name)),
        "explained": f"{'explanations' if explains(params) else 'evaluations'}/{name}",
    }


def text(tasks: Mapping[str, TaskParams]) -> str:
    """All of `matrix.yaml`; every task's facts are an anchor, so that they are read once."""
    lines = [HEADING + "matrix:", "  tasks:"]
    for name, params in tasks.items():
        lines.append(f"    {name}: &{name}")
        lines += [f"      {key}: {value}" for key, value in facts(name, params).items()]
    for stage, keys in instances(tasks).items():
        lines.append(f"  {stage}:" if keys else f"  {stage}: {{}}")
        for key, item in keys.items():
            words = "".join(f", {axis}: {item[axis]}" for axis in (*AXES, "of", "teacher") if axis in item)
            lines.append(f"    {key}: {{<<: *{item['task']}{words}}}" if words else f"    {key}: *{key}")
    return "\n".join(lines) + "\n"


def fits(tasks: Mapping[str, TaskParams]) -> bool:
    """Whether `matrix.yaml` is that of these params."""
    return FILE.is_file() and FILE.read_text(encoding="utf-8") == text(tasks)


def write(tasks: Mapping[str, TaskParams]) -> None:
    """`matrix.yaml` anew, and of a new task what is noted of local files, which are none as far as is known here:
    stages depend on it, and `make repro` keeps it up to date."""
    for name in tasks:
        for noted in (paths.noted(name), paths.noted_weights(name)):
            if not noted.exists():
                write_json(noted, {})
    if not fits(tasks):
        write_text(FILE, text(tasks))


def changes(tasks: Mapping[str, TaskParams]) -> tuple[list[str], list[str]]:
    """Stage instances (`prune@detection-small`) that `matrix.yaml` lacks, and those that it has too many."""
    wanted = {f"{stage}@{key}" for stage, keys in instances(tasks).items() for key in keys}
    there = {f"{stage}@{key}" for stage, keys in read().items() for key in keys}
    return sorted(wanted - there), sorted(there - wanted)


def read() -> dict[str, dict[str, dict[str, str]]]:
    """`matrix.yaml` as DVC reads it: stage -> key -> item; empty where there is none. Raises: ParamsError."""
    try:
        content = parse(FILE.read_text(encoding="utf-8"), FILE)["matrix"]
        return {stage: dict(keys or {}) for stage, keys in content.items() if stage != "tasks"}
    except FileNotFoundError:
        return {}
    except (AttributeError, KeyError, TypeError, ValueError):
        raise ParamsError([f"{FILE} is damaged; `python -m pipelines.matrix` makes it anew"]) from None

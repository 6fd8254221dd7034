"""`docs/params.md`, from the models and from `params.yaml`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

from core import compression, task
from core.params import Head, Name, TaskParams
from core.section import Section
from pipelines.reference import words
from pipelines.reference.comments import said as said_in
from pipelines.reference.models import KEYS, Row, meaning, rows, section

PAGE, PARAMS = Path("docs/params.md"), Path("params.yaml")
NAME = ("name",)
"""The setting by which sections of several kinds are told."""
HEADING = """\
# Every knob

Made by `python -m pipelines.reference` from the models that check `params.yaml`, from its values and its comments; do
not edit it. `make repro` checks all of `params.yaml` before anything runs, and tells every problem at once, with the
choices there are.

`NAME` stands for the name of a variant. The third column has the value of `params.yaml`, by task where they differ;
*unless given* marks what holds where a knob is left out, as few may be. Presets (`make preset`) set others.
"""
SHARED = """\
## What all tasks share

A task that takes fewer values of a shared knob lists it again.
"""


class All(TaskParams):
    """The sections that every task has, and those of stages that a task may lack."""

    prune: dict[Name, compression.Prune]
    distill: dict[Name, compression.Distill]
    quantize: compression.Quantize


def page(text: str) -> str:
    """The whole page. text: of `params.yaml`."""
    values = yaml.safe_load(text)
    said = {each.path: each.comment for each in said_in(text)}
    tasks = [name for name in values if name in task.names()]
    head = [Known(row, {"": _found(values, row.path)}, said.get(row.path, "")) for row in rows(Head)]
    parts = [HEADING, "## The top of the file\n", _table(head), SHARED]
    parts += _sections("", _known(list(rows(All)), tasks, values, said), All)
    several: list[Known] = []
    for name in tasks:
        model = task.load(name, "params").Params
        found = _known([row for row in rows(model) if not row.module.startswith("core.")], [name], values, said)
        parts += [f"## {name}\n", *_sections(f"{name}: ", found, model)]
        several += [each for each in found if each.row.kinds]
    parts += _kinds(several)
    return "\n".join(parts)


class Known:
    """A knob with what `params.yaml` has of it."""

    def __init__(self, row: Row, found: Mapping[str, Any], comment: str) -> None:
        self.row, self.found, self.comment = row, found, comment

    @property
    def meaning(self) -> str:
        return self.row.meaning or self.comment

    @property
    def value(self) -> str:
        """What `params.yaml` has, task by task where it differs."""
        told = {name: words.value(each) for name, each in self.found.items() if each is not ...}
        if not told:
            default = self.row.default
            return "*no such section*" if default is ... else f"`{words.value(default)}` *unless given*"
        if len(set(told.values())) == 1:
            return f"`{next(iter(told.values()))}`"
        return ", ".join(f"{name} `{each}`" for name, each in told.items())


def _known(found: list[Row], tasks: list[str], values: Mapping[str, Any], said: Mapping[Any, str]) -> list[Known]:
    known = []
    for row in found:
        paths = {name: _real((name, *row.path), values) for name in tasks}
        comments = {name: said[path] for name, path in paths.items() if said.get(path)}
        found_in = {name: _found(values, path) for name, path in paths.items()}
        known.append(Known(row, found_in, _joined(comments)))
    return known


def _joined(comments: Mapping[str, str]) -> str:
    """What tasks say of a shared knob: once, or task by task where they say different things."""
    tasks = dict[str, list[str]]()
    for name, comment in comments.items():
        tasks.setdefault(comment, []).append(name)
    if len(tasks) < 2:
        return next(iter(tasks), "")
    return "; ".join(f"{', '.join(names)}: {comment}" for comment, names in tasks.items())


def _real(path: tuple[str, ...], values: Any) -> tuple[str, ...]:
    """A path with the first variant that there is in place of `NAME`."""
    real: list[str] = []
    for step in path:
        name = next(iter(values), step) if step in KEYS and isinstance(values, Mapping) else step
        values = values.get(name) if isinstance(values, Mapping) else None
        real.append(name)
    return tuple(real)


def _found(values: Any, path: tuple[str, ...]) -> Any:
    """The value at a path; `...` where there is none."""
    for step in path:
        if not isinstance(values, Mapping) or step not in values:
            return ...
        values = values[step]
    return values


def _sections(before: str, found: list[Known], model: type[Section]) -> list[str]:
    """A heading and a table for each section of the first level."""
    parts, groups = list[str](), dict[str, list[Known]]()
    for each in found:
        groups.setdefault(each.row.path[0], []).append(each)
    for name, group in groups.items():
        told = meaning(section(model, name))
        parts += [f"### {before}`{name}`\n", *([f"{told}\n"] if told else []), _table(group)]
    return parts


def _table(found: Iterable[Known]) -> str:
    lines = ["| knob | takes | in `params.yaml` | meaning |", "| --- | --- | --- | --- |"]
    for each in found:
        path = ".".join(each.row.path)
        if each.row.same_as:
            lines.append(f"| `{path}` | as `{'.'.join(each.row.same_as)}` | | the same knobs |")
        else:
            cells = [f"`{path}`", words.kind(each.row.schema), each.value, each.meaning]
            lines.append(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |")
    return "\n".join([*lines, ""])


def _kinds(found: Iterable[Known]) -> list[str]:
    """Sections of which a knob takes one, each once."""
    places = dict[tuple[type[Section], ...], list[str]]()
    for each in found:
        places.setdefault(each.row.kinds, []).append(".".join(each.row.path))
    parts = []
    for kinds, paths in places.items():
        named = ", ".join(f"`{path}`" for path in dict.fromkeys(paths))
        parts += [f"## What {named} take\n", "By `name`; a setting that is left out is as published.\n"]
        for kind in kinds:
            own = {row.path: Known(row, {}, "") for row in rows(kind)}
            told, name = meaning(kind), words.kind(own.pop(NAME).row.schema)
            parts += [f"### {name}\n", *([f"{told}\n"] if told else []), _table(own.values())]
    return parts

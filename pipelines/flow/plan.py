"""What there is to do, as DVC sees it: its DAG, which stages changed and why. Nothing of it is restated here."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from core.errors import StillhouseError
from pipelines.dvc import private
from pipelines.flow import needs
from pipelines.flow.needs import Needs

WAIT_FOR_OTHERS_S = 600.0
"""How long to wait for outputs that another DVC process is writing."""


@dataclass(frozen=True)
class Step:
    """One stage instance of the plan."""

    name: str
    parents: tuple[str, ...]
    """Steps of the same plan that must be done before."""
    why: tuple[str, ...] = ()
    """What DVC sees changed; empty: nothing, it runs only if a parent changes what it reads."""
    needs: Needs = field(default_factory=Needs)
    command: str = ""
    deps: tuple[str, ...] = ()
    outs: tuple[str, ...] = ()
    """Files and folders that it reads (params are none) and writes, relative to the repository."""


@dataclass(frozen=True)
class Plan:
    steps: Mapping[str, Step]
    """In an order that DVC could run them in."""
    force: bool = False

    @property
    def children(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {name: [] for name in self.steps}
        for step in self.steps.values():
            for parent in step.parents:
                found[parent].append(step.name)
        return found

    def reasons(self) -> dict[str, tuple[str, ...]]:
        """For each step that may run, why: its own changes, or the parents that may run before it."""
        found: dict[str, tuple[str, ...]] = {}
        for name, step in self.steps.items():
            if step.why:
                found[name] = step.why
            elif above := [parent for parent in step.parents if parent in found]:
                found[name] = tuple(f"after {parent}" for parent in above)
        return found

    def below(self, name: str) -> set[str]:
        """Every step that depends on `name`, directly or not."""
        children, found, stack = self.children, set(), [name]
        while stack:
            for child in children[stack.pop()]:
                if child not in found:
                    found.add(child)
                    stack.append(child)
        return found

    def remaining(self, seconds: Mapping[str, float]) -> dict[str, float]:
        """For each step the length of the longest path from its start to the end: the critical path's measure.

        seconds: of each step, 0 for what need not run.
        """
        children = self.children
        found: dict[str, float] = {}
        for name in reversed(list(self.steps)):
            found[name] = seconds.get(name, 0.0) + max((found[child] for child in children[name]), default=0.0)
        return found


def make(targets: Sequence[str] = (), *, force: bool = False, downstream: bool = False) -> Plan:
    """Ask DVC in the working directory what `dvc repro TARGET ...` would look at, in which order and why.

    targets: stages, as for `dvc repro`; none: all. downstream: the targets and what depends on them, as in DVC.
    Raises: StillhouseError for what DVC refuses, and for a `meta` that cannot be used.
    """
    if downstream and not targets:
        raise StillhouseError("--downstream needs a TARGET, as in DVC: the stage to begin with")
    patience = time.monotonic() + WAIT_FOR_OTHERS_S
    while True:
        try:
            return _read(targets, force, downstream)
        except private.BusyError as error:  # another DVC runs a stage and holds its files
            if time.monotonic() > patience:
                raise StillhouseError(
                    f"another DVC process is at work here: {error}. Wait for it or end it, then run again"
                ) from None
            time.sleep(1.0)
        except private.RefusedError as error:
            raise StillhouseError(
                f"DVC cannot plan: {error}" + (f" ({error.why})" if error.why not in str(error) else "")
            ) from None


def _read(targets: Sequence[str], force: bool, downstream: bool) -> Plan:
    """One look at the repository, during which no other DVC changes it."""
    with private.looking(targets, downstream=downstream) as look:
        wanted = needs.read({stage.name: stage.meta for stage in look.stages})
        changes = look.changes()
    steps = {
        stage.name: Step(
            stage.name,
            stage.parents,
            ("forced",) if force else tuple(_reasons(changes.get(stage.name, ()))),
            wanted[stage.name],
            stage.command,
            stage.deps,
            stage.outs,
        )
        for stage in look.stages
    }
    return Plan(_ordered(steps), force)


def _reasons(changes: Iterable[Any]) -> Iterator[str]:
    """DVC's status entries of one stage as short sentences."""
    for change in changes:
        if isinstance(change, str):
            yield change  # `changed command`, `always changed`
            continue
        for kind, entries in change.items():
            for path, state in entries.items():
                if isinstance(state, Mapping):  # a params file: key -> state
                    yield from (f"param {key} {how}" for key, how in state.items())
                else:
                    yield f"{'output' if kind == 'changed outs' else 'dependency'} {path} {state}"


def _ordered(steps: dict[str, Step]) -> dict[str, Step]:
    """Parents first; DVC's own order where several are possible."""
    done: dict[str, Step] = {}
    for name in steps:
        stack = [name]
        while stack:
            step = steps[stack[-1]]
            waiting = [parent for parent in step.parents if parent not in done]
            if waiting:
                stack.extend(waiting)
            else:
                done.setdefault(stack.pop(), step)
    return done

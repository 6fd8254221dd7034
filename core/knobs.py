"""Section `search` of a task: which values of which settings of its smaller variants `pipelines.search` tries."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

from pydantic import model_validator

from core.errors import suggest
from core.section import Section


class Knob(Section):
    """Numbers from `low` to `high`, whole ones where both are; or one of `choices`."""

    low: int | float | None = None
    high: int | float | None = None
    choices: list[Any] | None = None

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        a_range = self.low is not None and self.high is not None
        if a_range == (self.choices is not None) or (self.low is None) != (self.high is None):
            raise ValueError("expected either `low` and `high`, or `choices`")
        if a_range and not self.low < self.high:  # type: ignore[operator]
            raise ValueError(f"found low {self.low} and high {self.high}, expected low < high")
        if self.choices is not None and len(self.choices) < 2:
            raise ValueError(f"choices: found {self.choices}, expected two or more")
        return self


Knobs = dict[str, dict[str, Knob]]
"""Variant -> path of a setting in its section (`train.epochs`) -> its values."""


def check(search: Knobs, variants: Mapping[str, Any]) -> None:
    """Raises: ValueError naming the first setting that there is not. variants: name -> its section; of a variant that
    there is not, `pipelines.search` tells, since it is for a search alone."""
    for name in set(search) & set(variants):
        for path in search[name]:
            section: Any = variants[name].model_dump(by_alias=True)
            for step in path.split("."):
                if not isinstance(section, Mapping) or step not in section:
                    known = list(section) if isinstance(section, Mapping) else []
                    raise ValueError(f"search.{name}.{path}: no such setting; {suggest(step, known)}")
                section = section[step]


def place(section: dict[str, Any], path: str, value: Any) -> None:
    """Set the setting at `path` of a variant's section, as plain values."""
    *above, last = path.split(".")
    for step in above:
        section = section[step]
    section[last] = value

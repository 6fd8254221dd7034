"""Section `search` of a task: which values of which settings of its smaller variants, and of its quantization,
`pipelines.search` tries."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

from pydantic import model_validator

from core.errors import suggest
from core.section import Section, typed

QUANTIZE = "quantize"
"""The section of the task that a knob's path may begin with: `quantize.method`. All variants share it, so in the
comparison of a trial the base is quantized likewise; the reference, the base in fp32, is the same in every trial."""


class Knob(Section):
    """Numbers from `low` to `high`, whole ones where both are; or one of `choices`."""

    low: int | float | None = None
    """The smallest value that is tried."""
    high: int | float | None = None
    """The largest one."""
    choices: list[Any] | None = None
    """All values that are tried, in place of `low` and `high`."""

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
"""Variant -> path of a setting in its section (`train.epochs`) or in that of `QUANTIZE` -> its values."""


def check(search: Knobs, variants: Mapping[str, Section], quantize: Section | None) -> None:
    """Raises: ValueError naming the first setting that there is not, or the first value that a setting does not take
    with the others as they are. variants: name -> its section; of a variant that there is not, `pipelines.search`
    tells, since it is for a search alone."""
    for name, found in search.items():
        for path, knob in found.items() if name in variants else ():
            _check_path(name, path, _plain(variants[name], quantize))
            _check_values(name, path, knob, variants[name], quantize)


def _plain(variant: Section, quantize: Section | None) -> dict[str, Any]:
    """What knobs of a variant may name, as plain values."""
    own = variant.model_dump(by_alias=True)
    return own if quantize is None else own | {QUANTIZE: quantize.model_dump(by_alias=True)}


def _check_path(name: str, path: str, section: Any) -> None:
    for step in path.split("."):
        if not isinstance(section, Mapping) or step not in section:
            known = list(section) if isinstance(section, Mapping) else []
            raise ValueError(f"search.{name}.{path}: no such setting; {suggest(step, known)}")
        section = section[step]


def _check_values(name: str, path: str, knob: Knob, variant: Section, quantize: Section | None) -> None:
    for value in (knob.low, knob.high) if knob.choices is None else knob.choices:
        own, problems = _plain(variant, quantize), list[str]()
        place(own, path, value)
        shared = own.pop(QUANTIZE, None)
        typed(type(variant), own, f"search.{name}", problems)
        if quantize is not None:
            typed(type(quantize), shared, f"search.{name}.{QUANTIZE}", problems)
        if problems:
            raise ValueError(problems[0])


def within_task(kind: str, variant: str, path: str) -> str:
    """Where in the task's section the setting at `path` stands: `prune.small.ratio`, or `quantize.method`.

    kind: the section that the variant is in.
    """
    return path if of_quantize(path) else f"{kind}.{variant}.{path}"


def of_quantize(path: str) -> bool:
    """Whether a setting is one of the task's section `quantize`, not of a variant."""
    return path.split(".", maxsplit=1)[0] == QUANTIZE


def place(section: dict[str, Any], path: str, value: Any) -> None:
    """Set the setting at `path` of a section, as plain values."""
    *above, last = path.split(".")
    for step in above:
        section = section[step]
    section[last] = value

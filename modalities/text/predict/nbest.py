"""The best translations of a text, and how probable each is."""

from __future__ import annotations

from typing import NamedTuple

from core.errors import DataError
from modalities.text.inputs.coders import Coder
from modalities.text.predict.search import Hypothesis


class Scored(NamedTuple):
    """A translation."""

    text: str
    score: float
    """That of its `Hypothesis`."""


def bounded(count: int, beam: int, name: str) -> int:
    """`count`, which an error calls `name`. Raises: DataError when a search with so many beams has not so many."""
    if 1 <= count <= beam:
        return count
    raise DataError(f"{name} is {count}, expected 1 to {beam}, the beam: a wider one finds more, and takes longer")


def distinct(best: Hypothesis, coder: Coder, count: int) -> list[Scored]:
    """`count` at most, best first. The same text in other subwords is told once, as its best hypothesis."""
    found: dict[str, float] = {}
    for hypothesis in [best, *best.others()] if count > 1 else [best]:
        (text,) = coder.decode([hypothesis.ids])
        found.setdefault(text, hypothesis.score)
        if len(found) == count:
            break
    return [Scored(*each) for each in found.items()]

"""Sentences of requests whose translation begins with what the client gave."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from core.errors import DataError
from core.task import Limits
from modalities.text.limits import CHARACTERS
from modalities.text.serve.requests import REFUSED
from modalities.text.serve.texts import Part


class Begun(NamedTuple):
    """An item."""

    source: str
    prefix: str


Item = str | Begun


def source(item: Item) -> str:
    return item if isinstance(item, str) else item.source


def prefix(item: Item) -> str:
    """ "" where all is open."""
    return "" if isinstance(item, str) else item.prefix


def given(value: str | Sequence[str] | None, several: bool, count: int, limits: Limits) -> list[str]:
    """The prefix of each of `count` texts, "" where none is given; several: whether the texts are a list.

    Raises: DataError when there are not as many, or one is too long or holds characters that are no text.
    """
    if value is None:
        return [""] * count
    prefixes = [value] if isinstance(value, str) else list(value)
    if isinstance(value, str) == several or len(prefixes) != count:
        found = "a string" if isinstance(value, str) else f"a list of {len(prefixes)}"
        expected = f"a list of {count}, like text" if several else "a string, as text is one"
        raise DataError(f"prefix: found {found}, expected {expected}")
    if (together := sum(map(len, prefixes))) > limits[CHARACTERS.name]:
        raise DataError(f"prefix: has {together} characters, expected at most {limits[CHARACTERS.name]}")
    for i, each in enumerate(prefixes):
        if bad := REFUSED.search(each):
            raise DataError(f"{named(i, several)} has the character U+{ord(bad[0]):04X}, expected text without it")
    return prefixes


def named(number: int, several: bool) -> str:
    """What an error calls a prefix."""
    return f"prefix[{number}]" if several else "prefix"


def begin(
    items: list[Item], pieces: Sequence[Part], wanted: str, name: str, forced: Callable[[list[str], list[str]], object]
) -> None:
    """Put `wanted` before the translation of a text: of its first part, among `items`. forced: raises a DataError where
    a model cannot say it.

    Raises: DataError also when that part is none that is translated.
    """
    if not wanted.strip():
        return
    number = pieces[0].item
    if number is None:
        raise DataError(f"{name}: the text begins with {pieces[0].source!r}, which is not translated; leave it out")
    forced([wanted], [name])
    items[number] = Begun(source(items[number]), wanted)

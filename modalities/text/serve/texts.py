"""Texts of requests: what is refused, and how a text falls into the pieces that are translated."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from core.errors import DataError
from modalities.text.inputs.languages import spaced
from modalities.text.inputs.scripts import LETTER, main_script, script_share, script_words
from modalities.text.serve import sentences

FEWEST_LETTERS = 4
"""Fewer do not tell a script: `OK` stands in texts of any language."""
FEWEST_IN_SCRIPT = 0.3
"""Share of letters that must be in the script of the source language."""
NEWLINES = re.compile(r"[\n\r\u2028\u2029]")


@dataclass(frozen=True)
class Part:
    """A piece of a text between white space."""

    source: str
    item: int | None
    """Which of the job's items it is; None: not translated."""
    space: str
    """Behind it, in the translation."""


def in_script(text: str, name: str, language: str) -> None:
    """name: what an error calls the text; language: that it must be in.

    Raises: DataError when it is in the script of another.
    """
    if len(LETTER.findall(text)) < FEWEST_LETTERS:
        return
    share = script_share(text, language)
    if share < FEWEST_IN_SCRIPT:
        raise DataError(
            f"{name} does not look like {language!r}, the language that the model translates from: {share:.0%} of its "
            f"letters are {script_words(language)}, expected at least {FEWEST_IN_SCRIPT:.0%}; most are "
            f"{main_script(text)}. Send text in {language!r}, or set check_language to false"
        )


def parts(
    text: str, languages: Mapping[str, Any], limit: int, subwords: Callable[[str], int], items: list[str]
) -> tuple[str, list[Part]]:
    """White space that a text begins with, and its parts; their sources that are to be translated go to `items`.

    languages: `source`, `target` and `tokenized` of the model; limit: subwords of a part, as `subwords` counts them.
    """
    body = text.lstrip()
    gap = " " if spaced(languages["target"]) else ""

    pieces = [
        piece
        for sentence in sentences.split(body, languages["tokenized"])
        for piece in sentences.cut(sentence, limit, subwords)
    ]
    found = []
    for i, piece in enumerate(pieces):
        source = piece.strip()
        after = piece[len(piece.rstrip()) :] if source else piece
        space = after if NEWLINES.search(after) else gap if i + 1 < len(pieces) else ""
        translated = any(map(str.isalnum, source))
        found.append(Part(source, len(items) if translated else None, space))
        if translated:
            items.append(source.replace("\t", " "))
    return text[: len(text) - len(body)], found

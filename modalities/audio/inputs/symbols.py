"""What a network says: names of classes, or units of transcripts behind the blank of `ctc`."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterable, Mapping
from typing import Any

ASSET = "symbols.json"


def normal(text: str, words: Mapping[str, str]) -> str:
    """A transcript in one form: NFC, lower case, one space between words; `words` as in `params.data`.

    >>> normal("0_1  1", {"0": "no", "1": "yes"})
    'no yes yes'
    """
    parts = re.split(r"[\s_]+", unicodedata.normalize("NFC", text).lower().strip())
    return " ".join(words.get(part, part) for part in parts if part)


def split(text: str, units: str) -> list[str]:
    """A transcript's units."""
    return text.split() if units == "words" else list(text)


def joined(parts: Iterable[str], units: str) -> str:
    return (" " if units == "words" else "").join(parts)


def write(texts: Iterable[str], target: str, units: str) -> dict[str, bytes]:
    """The assets of a checkpoint. texts: of the train split."""
    names = set(texts) if target == "class" else {unit for text in texts for unit in split(text, units)}
    return {ASSET: json.dumps(sorted(names), ensure_ascii=False).encode()}


def read(assets: Mapping[str, bytes]) -> list[Any]:
    found: list[Any] = json.loads(assets[ASSET])
    return found

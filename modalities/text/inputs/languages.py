"""The language pair of a dataset: `languages.json`, which travels from `prepare` into every checkpoint and model."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from modalities.text.inputs import codes

ASSET = "languages.json"
WITHOUT_SPACES = ("ja", "zh", "th", "lo", "km", "my", "bo", "dz", "shn", "mnw", "nod", "khb", "tdd")
"""Languages whose words are not separated by spaces."""


def spaced(tag: str) -> bool:
    """Whether the words of a language are separated by spaces."""
    return codes.base(tag) not in WITHOUT_SPACES or codes.romanised(tag)


@dataclass(frozen=True)
class Languages:
    source: str
    target: str
    tokenized: bool
    """Whether tokens are separated by spaces already, also where the language has none."""

    @property
    def target_base(self) -> str:
        """`pt` of `pt-BR`, `ja` of `jpn`."""
        return codes.base(self.target)


def parse(content: bytes) -> Languages:
    values = json.loads(content)
    return Languages(values["source"], values["target"], values["tokenized"])


def read(dataset: Path) -> Languages:
    """Of a canonical dataset or a model folder."""
    return parse((dataset / ASSET).read_bytes())

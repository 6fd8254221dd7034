"""What the readers of the formats hand on: sentence pairs, bad ones included, all normalised the same way."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from core.errors import SourceError

NORMALISED = (
    ("byte-order marks", re.compile("\ufeff"), ""),
    ("bidirectional marks", re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]"), ""),
    ("tabs and line breaks inside a sentence", re.compile("[\t\n\r\u2028\u2029]+"), " "),
)
"""What is changed in every sentence and counted in the summary: what, where, by what."""


class Pair(NamedTuple):
    split: str | None
    """None: the source gives none."""
    source: str
    target: str
    file: str
    row: int


@dataclass
class Raw:
    pairs: list[Pair] = field(default_factory=list)
    rejected: list[dict[str, Any]] = field(default_factory=list)
    """Rows that are no pair of texts: {"file", "row", "field", "reason"}."""
    changes: Counter[str] = field(default_factory=Counter)
    """Sentences changed by normalisation, by what was changed."""
    notes: list[str] = field(default_factory=list)

    def add(self, split: str | None, source: str, target: str, file: str, row: int) -> None:
        self.pairs.append(Pair(split, self.normalise(source), self.normalise(target), file, row))

    def reject(self, file: str, row: int, column: str, reason: str) -> None:
        self.rejected.append({"file": file, "row": row, "field": column, "reason": reason})

    def normalise(self, text: str) -> str:
        """Remove invisible marks and outer spaces; control characters stay, for `validate` to quarantine."""
        for name, pattern, by in NORMALISED:
            text, count = pattern.subn(by, text)
            self.changes[name] += bool(count)
        return text.strip(" \u3000\u00a0")


def lines(path: Path, name: str, raw: Raw) -> Iterator[tuple[int, str | None, str]]:
    r"""(1-based number, text, "") of each line of a UTF-8 file, or (number, None, reason) of one that is not UTF-8.

    Lines end in \n or \r\n and nothing else: U+2028 and the like inside a sentence must not shift the lines after it.
    Raises: SourceError for UTF-16.
    """
    content = path.read_bytes()
    if content[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise SourceError(f"{name} is UTF-16, expected UTF-8; convert it with `iconv -f UTF-16 -t UTF-8`")
    if content.startswith(b"\xef\xbb\xbf"):
        raw.changes["byte-order marks"] += 1
        content = content[3:]
        skipped = 3
    else:
        skipped = 0
    pieces = content.split(b"\n")
    if not pieces[-1]:
        pieces.pop()
    for number, piece in enumerate(pieces, 1):
        stripped = piece.removesuffix(b"\r")
        raw.changes["CRLF line ends"] += len(stripped) < len(piece)
        try:
            yield number, stripped.decode("utf-8"), ""
        except UnicodeDecodeError as error:
            yield (
                number,
                None,
                (
                    f"is UTF-8 text; byte {error.start} of the line (byte {skipped + error.start} of the file, "
                    f"0x{stripped[error.start]:02x}) is not"
                ),
            )
        skipped += len(piece) + 1


def language(tags: Iterable[str], wanted: str) -> str | None:
    """The tag that names the language `wanted` best: the same, else a variant of it, else the language without region.

    >>> language(["EN-us", "ja"], "en"), language(["pt", "pt_BR"], "pt-BR"), language(["pt-PT"], "pt-BR")
    ('EN-us', 'pt_BR', None)
    """
    plain = {tag: tag.replace("_", "-").lower() for tag in tags}
    aim = wanted.lower()
    tests = (lambda tag: tag == aim, lambda tag: tag.startswith(aim + "-"), lambda tag: tag == aim.split("-")[0])
    return next((tag for test in tests for tag in sorted(plain) if test(plain[tag])), None)


def named_side(tags: Iterable[str], wanted: str, aliases: tuple[str, ...]) -> str | None:
    """The column or key that holds one side: named by language, else by one of `aliases` (`source`, `src`)."""
    known = list(tags)
    return language(known, wanted) or next((tag for tag in known if tag.lower() in aliases), None)


SOURCE_NAMES = ("source", "src")
TARGET_NAMES = ("target", "tgt", "trg")

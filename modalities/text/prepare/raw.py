"""What the readers of the formats hand on: sentence pairs, bad ones included, all normalised the same way."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from core.errors import SourceError
from core.visible import visible
from modalities.text.inputs import codes
from modalities.text.prepare.files import content

NORMALISED = (
    ("byte-order marks", re.compile("\ufeff"), ""),
    ("bidirectional marks", re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]"), ""),
    ("tabs and line breaks inside a sentence", re.compile("[\t\n\r\u2028\u2029]+"), " "),
)
"""What is changed in every sentence and counted in the summary: what, where, by what."""


DECOMPOSED = "decomposed characters"
INVISIBLE = ("Cf", "Zs", "Zl", "Zp")
"""Categories of characters of which nothing is seen: zero-width spaces and joiners, soft hyphens, spaces."""
FOUND = 200
"""Characters that are shown of what was found."""
ENCODINGS = {"ja": ("shift_jis", "euc_jp"), "zh": ("gb18030", "big5"), "ko": ("cp949",), "th": ("cp874",),
             "ru": ("cp1251", "koi8_r"), "uk": ("cp1251",), "bg": ("cp1251",), "el": ("cp1253",), "tr": ("cp1254",),
             "he": ("cp1255",), "ar": ("cp1256",), "vi": ("cp1258",), "pl": ("cp1250",), "cs": ("cp1250",),
             "hu": ("cp1250",)}  # fmt: skip
"""Older encodings of a language, the likeliest first; of others Windows-1252."""


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
    """Rows that are no pair of texts: {"file", "row", "field", "reason", "found"}."""
    changes: Counter[str] = field(default_factory=Counter)
    """Sentences changed by normalisation, by what was changed."""
    notes: list[str] = field(default_factory=list)

    def add(self, split: str | None, source: str, target: str, file: str, row: int) -> None:
        self.pairs.append(Pair(split, self.normalise(source), self.normalise(target), file, row))

    def reject(self, file: str, row: int, column: str, reason: str, found: str = "") -> None:
        """reason: the same for every row of a kind; found: what stands in this one."""
        texts = {"field": column, "reason": reason, "found": found[:FOUND]}
        self.rejected.append({"file": file, "row": row} | {key: visible(text) for key, text in texts.items()})

    def normalise(self, text: str) -> str:
        """Compose (NFC), remove invisible marks and outer spaces; what holds nothing visible becomes empty. Control
        characters stay, for `validate` to quarantine."""
        if not unicodedata.is_normalized("NFC", text):
            text = unicodedata.normalize("NFC", text)
            self.changes[DECOMPOSED] += 1
        for name, pattern, by in NORMALISED:
            text, count = pattern.subn(by, text)
            self.changes[name] += bool(count)
        if text and all(unicodedata.category(character) in INVISIBLE for character in text):
            return ""
        return text.strip(" \u3000\u00a0")


def name_of(path: Path, root: Path) -> str:
    """What rows and messages call a file: its path below the root, as it may be written."""
    return visible(path.relative_to(root).as_posix())


def lines(path: Path, name: str, raw: Raw, language: str = "") -> Iterator[tuple[int, str | None, str]]:
    r"""(1-based number, text, "") of each line of a UTF-8 file, or (number, None, place) of one that is not UTF-8.

    Lines end in \n or \r\n, in a file without any \n in \r, and in nothing else: U+2028 and the like
    inside a sentence must not shift the lines after it.
    language: of the file, for a note of the encoding that it looks like. Raises: SourceError for UTF-16.
    """
    data = content(path)
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise SourceError(f"{name} is UTF-16, expected UTF-8; convert it with `iconv -f UTF-16 -t UTF-8`")
    if data.startswith(b"\xef\xbb\xbf"):
        raw.changes["byte-order marks"] += 1
        data = data[3:]
        skipped = 3
    else:
        skipped = 0
    if b"\n" not in data and b"\r" in data:  # of a classic Mac
        data = data.replace(b"\r", b"\n")
        raw.changes["CR line ends"] += data.count(b"\n")
    pieces = data.split(b"\n")
    if not pieces[-1]:
        pieces.pop()
    told = False
    for number, piece in enumerate(pieces, 1):
        stripped = piece.removesuffix(b"\r")
        raw.changes["CRLF line ends"] += len(stripped) < len(piece)
        try:
            yield number, stripped.decode("utf-8"), ""
        except UnicodeDecodeError as error:
            if not told and (looks := _encoding(data, stripped, language)):
                raw.notes.append(f"{name} has lines that are not UTF-8; {looks}")
            told = True
            place = f"byte {error.start} of the line (byte {skipped + error.start} of the file, "
            yield number, None, f"{place}0x{stripped[error.start]:02x})"
        skipped += len(piece) + 1


NOT_UTF8 = "is UTF-8 text"


def _encoding(data: bytes, line: bytes, language: str) -> str:
    """Which encoding a file looks like, with what its line would be."""
    for encoding in (*ENCODINGS.get(codes.base(language), ()), "cp1252"):
        try:
            data.decode(encoding)
            shown = line.decode(encoding)[:60]
        except UnicodeDecodeError:
            continue
        return f"all of it reads as {encoding}, e.g. {shown!r}: if that is right, `iconv -f {encoding} -t UTF-8`"
    return ""


def language(tags: Iterable[str], wanted: str) -> str | None:
    """The tag that names the language `wanted` best: the same, else a variant of it, else the language without region;
    codes of ISO 639 and English names are one language (`codes.normal`).

    >>> language(["EN-us", "ja"], "en"), language(["pt", "pt_BR"], "pt-BR"), language(["pt-PT"], "pt-BR")
    ('EN-us', 'pt_BR', None)
    >>> language(["deu", "eng"], "de"), language(["English", "German"], "de")
    ('deu', 'German')
    """
    plain = {tag: codes.normal(tag) for tag in tags}
    aim = codes.normal(wanted)
    tests = (lambda tag: tag == aim, lambda tag: tag.startswith(aim + "-"), lambda tag: tag == aim.split("-")[0])
    return next((tag for test in tests for tag in sorted(plain) if test(plain[tag])), None)


def named_side(tags: Iterable[str], wanted: str, aliases: tuple[str, ...]) -> str | None:
    """The column or key that holds one side: named by language, else by one of `aliases` (`source`, `src`)."""
    known = list(tags)
    return language(known, wanted) or next((tag for tag in known if tag.lower() in aliases), None)


SOURCE_NAMES = ("source", "src", "source_text", "src_text", "source_sentence")
TARGET_NAMES = ("target", "tgt", "trg", "target_text", "tgt_text", "target_sentence")

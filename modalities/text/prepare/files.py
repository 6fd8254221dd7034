"""Names and bytes of files of text, as corpora are called and packed."""

from __future__ import annotations

import gzip
import re
import zlib
from pathlib import Path

from core.errors import SourceError

GZIP = b"\x1f\x8b"
RATIO = 200
SMALL = 100 * 10**6
"""Unpacked bytes below which the ratio does not matter."""
ENDINGS = (".gz", ".txt")


def content(path: Path) -> bytes:
    """The bytes of a file, unpacked where it is gzip. Raises: SourceError for a damaged one, or one that blows up."""
    data = path.read_bytes()
    if not data.startswith(GZIP):
        return data
    most = max(SMALL, RATIO * len(data))
    try:
        with gzip.open(path) as opened:
            data = opened.read(most + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise SourceError(f"{path.name} is damaged gzip: {error}; pack it again") from None
    if len(data) > most:
        raise SourceError(f"{path.name} unpacks to more than {most} bytes, {RATIO} times its size; unpack it yourself")
    return data


def suffix(path: Path) -> str:
    """Ending in lower case, without that of a packer: `.tsv` of `Pairs.TSV.gz`."""
    return Path(path.name.removesuffix(".gz")).suffix.lower()


def plain(path: Path) -> str:
    """Name without the endings of packers and of text: `train.en` of `train.en.txt.gz`."""
    name = path.name
    for ending in ENDINGS:
        name = name.removesuffix(ending)
    return name


def stem(path: Path) -> str:
    """Name without language and endings, in which a split may stand: `train` of `train.en.txt` and of `train.txt`."""
    return parts(path)[0] or plain(path)


def parts(path: Path) -> tuple[str, str]:
    """Name and what may be a language: `train`, `en` of `train.en.txt` or `train-en.txt`, "" and `en` of `en.txt`."""
    name = plain(path)
    stem, dot, tag = name.rpartition(".")
    if dot:
        return stem, tag
    found = re.fullmatch(r"(?:(.*)[-_])?([A-Za-z]+)", name)
    return (found[1] or "", found[2]) if found and path.name != name else ("", "")

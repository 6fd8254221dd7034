"""TMX (Translation Memory eXchange 1.4): each `<tu>` holds one `<tuv xml:lang=..>` a language with its text in `<seg>`.

The `row` of a pair is the number of its `<tu>`, from 1. Entities and external references are refused (defusedxml).
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element, ParseError  # types only; defusedxml parses

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import iterparse

from core.errors import SourceError
from core.strict_xml import opened
from modalities.splits import split_of
from modalities.text.prepare.files import parts, suffix
from modalities.text.prepare.raw import Raw, language, name_of

NEEDS = "tmx: files *.tmx whose <tuv> elements have xml:lang {source} and {target}"
LANG = "{http://www.w3.org/XML/1998/namespace}lang"
CODES = ("bpt", "ept", "ph", "it", "ut")
"""Inline elements that hold formatting codes, no words."""


def find(files: Sequence[Path], data: Any) -> list[tuple[Path, ...]]:
    return [(path,) for path in files if suffix(path) == ".tmx"]


def read(units: Sequence[tuple[Path, ...]], root: Path, data: Any) -> Raw:
    """Raises: SourceError for XML that is broken or has entities."""
    raw = Raw()
    for (path,) in units:
        name = name_of(path, root)
        for row, sides in enumerate(_units(path, name), 1):
            tags = [language(sides, wanted) for wanted in (data.source_language, data.target_language)]
            for column, tag, wanted in zip(
                ("source", "target"), tags, (data.source_language, data.target_language), strict=True
            ):
                if tag is None:
                    raw.reject(name, row, column, f"has xml:lang {wanted}", ", ".join(sorted(sides)) or "none")
                    break
            else:
                source, target = (sides[str(tag)] for tag in tags)
                raw.add(split_of(parts(path)[0]), source, target, name, row)
    return raw


def _units(path: Path, name: str) -> Iterator[dict[str, str]]:
    """Text by language tag of each translation unit; a file larger than the memory is read piece by piece."""
    try:
        body: Element | None = None
        with opened(path) as file:
            for event, element in iterparse(file, events=("start", "end")):
                tag = element.tag.rpartition("}")[2]
                if event == "start" and tag == "body":
                    body = element
                elif event == "end" and tag == "tu":
                    yield _sides(element)
                    if body is not None:
                        body.clear()
    except DefusedXmlException as error:
        raise SourceError(
            f"{name} declares XML entities or external references ({type(error).__name__}), which are never followed; "
            "remove them"
        ) from None
    except LookupError as error:
        raise SourceError(f"{name} declares an {error}, which Python does not know; save it as UTF-8") from None
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise SourceError(f"{name} is damaged gzip: {error}; pack it again") from None
    except (ParseError, ValueError) as error:
        raise SourceError(f"{name} is no well-formed XML: {error}; mend it or leave it out") from None


def _sides(unit: Element) -> dict[str, str]:
    sides: dict[str, str] = {}
    for variant in unit:
        tag = variant.get(LANG) or variant.get("lang")
        segment = next((child for child in variant if child.tag.rpartition("}")[2] == "seg"), None)
        if tag and segment is not None:
            sides.setdefault(tag, " ".join(_words(segment).split()))
    return sides


def _words(element: Element) -> str:
    """Text without formatting codes, however deep it lies."""
    parts: list[str] = []
    left: list[Element | str] = [element]
    while left:
        first = left.pop()
        if isinstance(first, str):
            parts.append(first)
            continue
        for child in reversed(first):
            left += [child.tail or "", "" if child.tag.rpartition("}")[2] in CODES else child]
        left.append(first.text or "")
    return "".join(parts)

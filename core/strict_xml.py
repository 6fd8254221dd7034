"""XML of anybody's making: no entities, any encoding that Python knows.

The parser below ElementTree (expat) reads only a few encodings, and not under every name: Python itself writes
`encoding='utf8'`, which expat takes for one byte a letter (https://github.com/python/cpython/issues/148821). So the
text is decoded here, as the declaration says.
"""

from __future__ import annotations

import codecs
import gzip
import io
import re
from pathlib import Path
from typing import IO
from xml.etree.ElementTree import Element

from defusedxml import ElementTree as SafeElementTree

MARKS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
DECLARED = re.compile(rb"^\s*<\?xml[^>]*?encoding\s*=\s*[\"']([A-Za-z0-9._:-]+)[\"']")
GZIP = b"\x1f\x8b"
NO_TEXT = ("idna", "punycode", "unicode_escape", "raw_unicode_escape", "undefined", "utf-7")
"""What Python calls encodings and no file has."""


def opened(path: Path) -> IO[str]:
    """The file as text, unpacked where it is gzip. Raises: LookupError for an encoding that Python does not know."""
    with path.open("rb") as file:
        packed = file.read(2) == GZIP
    binary = gzip.open if packed else open
    with binary(path, "rb") as file:
        head = file.read(1024)
    declared = DECLARED.match(head.removeprefix(codecs.BOM_UTF8))
    name = declared[1].decode() if declared else "utf-8"
    by_mark = next((encoding for mark, encoding in MARKS if head.startswith(mark)), None)
    encoding = by_mark or codecs.lookup(name).name.replace("utf-8", "utf-8-sig")
    if encoding.replace("-", "_") in [no.replace("-", "_") for no in NO_TEXT]:
        raise LookupError(f"unknown encoding: {name}")
    return io.TextIOWrapper(binary(path, "rb"), encoding=encoding)


def parse(path: Path) -> Element:
    """The root element, tags without their namespaces.

    Raises: DefusedXmlException for a DTD; ParseError for no XML; LookupError for an unknown encoding; UnicodeError for
    text that is not in it.
    """
    with opened(path) as file:
        root: Element = SafeElementTree.fromstring(file.read(), forbid_dtd=True)
    for element in root.iter():
        element.tag = str(element.tag).rpartition("}")[2]
    return root

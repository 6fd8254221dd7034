"""Ways to spoil a valid source (`raw_sources`); the same for the same seed.

`spoiled` changes bytes, lines, values of JSON and elements of XML, or names and places, as data of strangers is damaged
or made by other tools.
"""

from __future__ import annotations

import copy
import gzip
import json
import os
import random
import re
import unicodedata
import zlib
from collections.abc import Callable, Iterator
from typing import Any
from xml.etree import ElementTree

from raw_sources import ENDINGS, FOLDER, PIPE, Link, Source, valid

# What is put in the place of a value.

DIGITS = "9" * 5000
DEEP = "[" * 30_000
NUMBERS = (
    "NaN", "nan", "-nan", "inf", "-inf", "Infinity", "1e999", "-1e999", "1e308", "-1e308", "9" * 400, DIGITS, "-1",
    "-0", "0", "1e-320", "0.5", "007", "1,5", "1_000", "٣", "²", "0x10", "9223372036854775808", "true", "",
)  # fmt: skip
TEXTS = (
    "", " ", "\0", "\x1b[31mred", "\u202eabc", "\ufeffx", "\u2028", "\x85", "\x1c", "a\nb", "a\tb", '"', "'", "\\", ",",
    "|", "<b>", "&amp;", "&lt", "{'a': 1}", "=1+1", "..", "../../etc/passwd", "/etc/passwd", "C:\\data\\a.png", "~",
    "*", "%s{0}", "x" * 5000, "é", "e\u0301", "日本", "💩", "null", "no", "---", "&a *a", "!!python/object:os.system x",
    "<!DOCTYPE a [<!ENTITY b 'c'>]>", "train", "names", "CON", "a" * 255 + ".png",
)  # fmt: skip
VALUES: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 3, 0.5, 1e308, -1e308, float("nan"), float("inf"), 10**30, 10**400, 2**63, [], {},
    {"a": 1}, [{"a": [1]}], [1, 2], [1, 2, 5, 4, 3], ["cat"], "\ud800", "\udcff.png", *TEXTS, *NUMBERS[:12],
)  # fmt: skip
ENCODINGS = (
    "utf-16",
    "utf-16-le",
    "utf-32",
    "utf-8-sig",
    "latin-1",
    "cp1252",
    "shift_jis",
    "euc_jp",
    "gb18030",
    "utf-7",
)


# Ways to spoil the bytes of a file.

Way = Callable[[random.Random, bytes, bytes], bytes]


def flip(rng: random.Random, content: bytes, other: bytes) -> bytes:
    made = bytearray(content)
    for _ in range(rng.choice([1, 1, 3, 20])):
        if made:
            made[rng.randrange(len(made))] ^= 1 << rng.randrange(8)
    return bytes(made)


def cut(rng: random.Random, content: bytes, other: bytes) -> bytes:
    return content[: rng.randrange(len(content) + 1)]


def beheaded(rng: random.Random, content: bytes, other: bytes) -> bytes:
    return content[rng.randrange(len(content) + 1) :]


def emptied(rng: random.Random, content: bytes, other: bytes) -> bytes:
    return b""


def doubled(rng: random.Random, content: bytes, other: bytes) -> bytes:
    return content + rng.choice([b"", b"\n"]) + content


def exchanged(rng: random.Random, content: bytes, other: bytes) -> bytes:
    return other


def joined(rng: random.Random, content: bytes, other: bytes) -> bytes:
    return content + other


def inserted(rng: random.Random, content: bytes, other: bytes) -> bytes:
    at = rng.randrange(len(content) + 1)
    junk = rng.choice(
        [b"\0", b"\xff", b"\xff\xfe", b"\x1f\x8b", b"\xc3", b"\r", b"\n\n", b'"', b"\x1b[2J", b"\xed\xa0\x80"]
    )
    return content[:at] + junk + content[at:]


def reencoded(rng: random.Random, content: bytes, other: bytes) -> bytes:
    return content.decode("utf-8", "replace").encode(rng.choice(ENCODINGS), "replace")


def marked(rng: random.Random, content: bytes, other: bytes) -> bytes:
    return (
        rng.choice([b"\xef\xbb\xbf", b"\xef\xbb\xbf" * 2, b"\xff\xfe", b"\xfe\xff", b"\x1f\x8b", b"\n", b" "]) + content
    )


def packed(rng: random.Random, content: bytes, other: bytes) -> bytes:
    whole = gzip.compress(content, mtime=0)
    return whole[: rng.choice([len(whole), rng.randrange(len(whole))])]


def line_ends(rng: random.Random, content: bytes, other: bytes) -> bytes:
    plain = content.replace(b"\r\n", b"\n")
    return plain.replace(b"\n", rng.choice([b"\r\n", b"\r", b"\n\n", b"\xe2\x80\xa8", b"\x0b", b""]))


def number(rng: random.Random, content: bytes, other: bytes) -> bytes:
    """Another number in the place of one."""
    places = list(re.finditer(rb"-?\d+(\.\d+)?", content))
    if not places:
        return content
    place = rng.choice(places)
    return content[: place.start()] + rng.choice(NUMBERS).encode() + content[place.end() :]


def word(rng: random.Random, content: bytes, other: bytes) -> bytes:
    """Another text in the place of a word."""
    places = list(re.finditer(rb"[^\s<>,:=\"/\[\]{}]+", content))
    if not places:
        return content
    place = rng.choice(places)
    return content[: place.start()] + rng.choice(TEXTS).encode() + content[place.end() :]


def deep(rng: random.Random, content: bytes, other: bytes) -> bytes:
    """Brackets or elements within each other, in the place of a word or number."""
    places = list(re.finditer(rb"\w+", content)) or [re.match(b"", b"")]
    place = rng.choice(places)
    assert place is not None
    nested = rng.choice([DEEP, "<a>" * 3000 + "</a>" * 3000, '{"a":' * 30_000, "<b>" * 3000])
    return content[: place.start()] + nested.encode() + content[place.end() :]


def lines(rng: random.Random, content: bytes, other: bytes) -> bytes:
    """A line left out, repeated, moved, joined with the next or emptied."""
    rows = content.splitlines(keepends=True)
    if not rows:
        return content
    at, way = rng.randrange(len(rows)), rng.randrange(5)
    row = rows[at]
    if way == 0:
        del rows[at]
    elif way == 1:
        rows.insert(at, row)
    elif way == 2:
        rows.insert(rng.randrange(len(rows)), rows.pop(at))
    elif way == 3:
        rows[at] = row.rstrip(b"\r\n")
    else:
        rows[at] = rng.choice([b"\n", b"   \n", b"\t\n", b"#\n", b"...\n"])
    return b"".join(rows)


def cells(rng: random.Random, content: bytes, other: bytes) -> bytes:
    """What stands between two cells or words left out, repeated or another one."""
    places = list(re.finditer(rb"[\t, ;|=]", content))
    if not places:
        return content
    place = rng.choice(places)
    by = rng.choice([b"", b"\t\t", b",", b";", b"\t", b"  ", b"\xc2\xa0", b'"', b',"'])
    return content[: place.start()] + by + content[place.end() :]


def value(rng: random.Random, content: bytes, other: bytes) -> bytes:
    """A value of JSON left out, repeated, exchanged or of another type; in a file of lines, of one line."""
    rows = content.split(b"\n")
    at = rng.randrange(len(rows))
    for part in (content, rows[at]):
        try:
            root = json.loads(part)
        except (ValueError, RecursionError):
            continue
        changed = json.dumps(_changed(rng, root), ensure_ascii=True).encode()
        return changed if part is content else b"\n".join([*rows[:at], changed, *rows[at + 1 :]])
    return word(rng, content, other)


def _changed(rng: random.Random, root: Any) -> Any:
    root = copy.deepcopy(root)
    holders = [node for node in _nodes(root) if isinstance(node, dict | list) and node]
    if not holders:
        return rng.choice(VALUES)
    node = rng.choice(holders)
    key = rng.choice(list(node)) if isinstance(node, dict) else rng.randrange(len(node))
    way = rng.randrange(6)
    if way == 0:
        del node[key]
    elif way == 1 and isinstance(node, list):
        node.append(copy.deepcopy(node[key]))
    elif way == 1 and isinstance(node, dict):
        node[str(key).upper()] = node.pop(key)
    elif way == 2:
        node[key] = str(node[key])
    elif way == 3:
        node[key] = copy.deepcopy(rng.choice(list(_nodes(root))))
    else:
        node[key] = rng.choice(VALUES)
    return root


def _nodes(root: Any) -> Iterator[Any]:
    yield root
    for child in root.values() if isinstance(root, dict) else root if isinstance(root, list) else ():
        yield from _nodes(child)


def element(rng: random.Random, content: bytes, other: bytes) -> bytes:
    """An element of XML left out, repeated, moved, renamed, with other text or another attribute."""
    try:
        root = ElementTree.fromstring(content)
    except (ElementTree.ParseError, ValueError, LookupError):
        return word(rng, content, other)
    parents = [parent for parent in root.iter() if len(parent)]
    if not parents:
        return content
    parent = rng.choice(parents)
    child = rng.choice(list(parent))
    way = rng.randrange(7)
    if way == 0:
        parent.remove(child)
    elif way == 1:
        parent.append(copy.deepcopy(child))
    elif way == 2:
        rng.choice(parents).append(copy.deepcopy(child))
    elif way == 3:
        child.tag = rng.choice(["a", child.tag.upper(), "{urn:x}" + child.tag.rpartition("}")[2]])
    elif way == 4:
        child.text = rng.choice([text for text in (*TEXTS, *NUMBERS) if "\0" not in text])
    elif way == 5:
        child.attrib = {rng.choice(["lang", "xml:lang", "id"]): rng.choice(["en", "ja", "", "x" * 300])}
    else:
        child.clear()
    encoding = rng.choice(["utf-8", "utf-8", "utf-16", "utf8", "us-ascii", "iso-8859-1"])
    return bytes(ElementTree.tostring(root, encoding=encoding, xml_declaration=rng.random() < 0.8))


def declared(rng: random.Random, content: bytes, other: bytes) -> bytes:
    """Another head of XML: an encoding that it has not, or a DTD."""
    body = re.sub(rb"^\s*<\?xml.*?\?>\s*", b"", content, flags=re.S)
    encoding = rng.choice(
        ["utf-16", "x-none", "hex", "rot13", "idna", "utf-7", "latin-1", "cp932", "mbcs", "zlib_codec"]
    )
    dtd = rng.choice(["", "", '<!DOCTYPE a SYSTEM "http://localhost/a.dtd">', "<!DOCTYPE a [<!ENTITY b 'c'>]>"])
    return f'<?xml version="1.0" encoding="{encoding}"?>{dtd}'.encode() + body


BYTES: tuple[Way, ...] = (
    flip, cut, beheaded, emptied, doubled, exchanged, joined, inserted, reencoded, marked, packed, line_ends,
)  # fmt: skip
TEXT: tuple[Way, ...] = (number, number, word, word, lines, lines, cells, deep)
BY_ENDING: dict[str, tuple[Way, ...]] = {
    ".json": (value, value, value, value, value, value),
    ".jsonl": (value, value, value, value),
    ".xml": (element, element, element, element, declared),
    ".tmx": (element, element, element, element, declared),
}


# Ways to spoil names and places.


def renamed(rng: random.Random, source: Source, path: str) -> str:
    """Another last part of a path, which a program or a person might have written."""
    folder, slash, name = path.rpartition("/")
    stem, dot, ending = name.rpartition(".")
    made = rng.choice(
        [
            name.upper(), name.capitalize(), f"{stem}{dot}{ending.upper()}", f"{stem}.txt", f"{stem}.json",
            f"{stem}.xml", f"{stem}.csv", f"{stem}.yaml", f"{stem}.tmx", f"{stem}.png", f"{stem}.jpeg", f"{stem}.gz",
            f"{stem}.heic", stem or name, f" {name}", f"{name} ", f"{stem} (1).{ending}", f".{name}", f"{name}~",
            f"-{name}",
            f"{unicodedata.normalize('NFD', 'é')}{name}", f"日本 {name}", f"\x1b[31m{name}", f"a\nb{name}",
            f"\u202e{name}", os.fsdecode(b"\xff") + name, f"{'x' * (250 - len(name))}.{ending}", f"train.{ending}",
            f"{stem}.{ending}.{ending}", f"{stem};{ending}", f"{stem}'\"{ending}", f"..{name}", f"{name}.",
            "%00" + name, f"{{}}{name}", f"test_{name}", f"{name}\\a", "CON",
        ]
    )  # fmt: skip
    return folder + slash + made


def place(rng: random.Random, source: Source) -> None:
    """A file renamed, moved, copied, removed, or in its place a folder, a link or a pipe."""
    path = rng.choice(sorted(source))
    name = path.rpartition("/")[2]
    way = rng.randrange(12)
    if way <= 2:
        source[renamed(rng, source, path)] = source.pop(path)
    elif way == 3:
        other = rng.choice(sorted(source)).rpartition("/")[0]
        moved = rng.choice([f"{other}/{name}", f"{other}/deeper/still/{name}", f"more/{name}", name]).lstrip("/")
        source[moved] = source.pop(path)
    elif way == 4:
        source[renamed(rng, source, path)] = source[path]
    elif way == 5:
        del source[path]
    elif way == 6:
        source[path] = FOLDER
    elif way == 7:
        source[path] = PIPE
    elif way == 8:
        up = "../" * path.count("/")
        targets = [
            path.rpartition("/")[2],
            ".",
            "..",
            "/etc/hostname",
            "/nowhere",
            f"{up}.",
            f"{up}../outside.txt",
            up + rng.choice(sorted(set(source) - {path}) or ["nothing"]),
        ]
        source[path] = Link(rng.choice(targets))
    elif way == 9:
        top = path.partition("/")[0]  # a whole folder gets another name
        by = rng.choice(
            [top.upper(), f"{top} ", "train", "test", "data", f".{top}", f"\x1b{top}", os.fsdecode(b"\xfe"), "en"]
        )
        for inner in [one for one in source if one.partition("/")[0] == top]:
            source[by + inner[len(top) :]] = source.pop(inner)
    elif way == 10:
        around = rng.choice(["a", "a/b", "a/b/c", "train", "en"])
        for inner in sorted(source):
            source[f"{around}/{inner}"] = source.pop(inner)
    else:
        junk = rng.choice(["data.json", "notes.txt", "data.yaml", "a.csv", "classes.txt", "a.xml", "x.tmx", "more.png"])
        source[junk] = rng.choice(
            [b"", b"{}", b"[]", b"names train\n", b"\0", b'{"images": "annotations"}', FOLDER, PIPE]
        )


def spoiled(name: str, seed: int) -> tuple[Source, str]:
    """The valid source `name` with one to three faults, and what was done to it."""
    rng = random.Random(f"{name} {seed}")
    source = dict(valid(name))
    done = []
    for _ in range(rng.choice([1, 1, 1, 2, 3])):
        if not source or rng.random() < 0.25:
            if source:
                place(rng, source)
            done.append("a place")
            continue
        told = [path for path in sorted(source) if not path.endswith(ENDINGS)]
        path = rng.choice(told if told and rng.random() < 0.8 else sorted(source))
        content, other = source[path], source[rng.choice(sorted(source))]
        if not isinstance(content, bytes):
            continue
        ending = "." + path.rpartition(".")[2]
        ways = BYTES if path.endswith(ENDINGS) else (*BYTES, *TEXT, *TEXT, *BY_ENDING.get(ending, ()))
        way = rng.choice(ways)
        if ending == ".gz" and rng.random() < 0.5:
            content = gzip.compress(way(rng, gzip.decompress(content), b"x\n") if _whole(content) else content, mtime=0)
        else:
            content = way(rng, content, other if isinstance(other, bytes) else b"")
        source[path] = content
        done.append(f"{way.__name__} of {path!r}")
    return source, ", then ".join(done)


def _whole(content: bytes) -> bool:
    try:
        gzip.decompress(content)
    except (OSError, EOFError, zlib.error):
        return False
    return True

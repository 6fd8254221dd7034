"""The passport inside of an ONNX file, and whether the file still is what was packaged; without onnx or ONNX Runtime.

An ONNX file is a protobuf message, and of messages that stand one behind the other protobuf reads the whole: lists are
joined (https://protobuf.dev/programming-guides/encoding/#last-one-wins). So a graph is stamped by bytes behind its own,
which add one entry to `ModelProto.metadata_props` (field 14, a `StringStringEntryProto` with key = 1 and value = 2:
https://github.com/onnx/onnx/blob/v1.19.0/onnx/onnx.proto). The value is JSON, {"format", "links"}; the last
link, `graph`, has size and sha256 of the bytes before: those of the file that was evaluated. So every byte is vouched
for, the graph's by that digest and the stamp's by being just what its content is written as.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any, NamedTuple

from core.errors import ModelError
from core.protobuf import BYTES, message, read_varint, tag
from ops.passport import chain

KEY = "stillhouse.passport"
FORMAT = 2
LINK = "graph"


class Stamped(NamedTuple):
    """An ONNX file that carries a passport."""

    content: bytes
    """The whole file."""
    text: str
    """What stands in its metadata."""
    links: list[dict[str, Any]]

    @property
    def own(self) -> dict[str, Any]:
        """`size` (bytes) and `sha256` of the graph as it was before it was stamped, as the passport says."""
        return dict(self.links[-1]["value"])


def stamp(folder: Path, links: list[dict[str, Any]]) -> None:
    """Give every ONNX file below `folder` the passport that ends in `links`. Raises: ModelError if one has one."""
    for path in sorted(folder.rglob("*.onnx")):
        if stamped(path):
            raise ModelError(f"{path} carries a passport already; package the graph that `export` or `quantize` made")
        content = path.read_bytes()
        own = chain.chained({LINK: _measured(content)}, links[-1]["chain"])
        path.write_bytes(content + _entry(_text({"format": FORMAT, "links": [*links, *own]})))


def stamped(path: Path) -> bool:
    """Whether an ONNX file carries a passport, of whatever form."""
    return _mark() in path.read_bytes()


def read(path: Path) -> Stamped:
    """The passport in an ONNX file, of the right form but not verified. Raises: ModelError."""
    if not path.is_file():
        raise ModelError(f"{path} is no file; expected an ONNX file or a folder made by the stage package")
    content = path.read_bytes()
    at = content.rfind(_mark())
    if at < 0:
        raise ModelError(f"{path} carries no passport; expected an ONNX file of a package")
    try:
        length, start = read_varint(content, at + len(_mark()))
        text = content[start : start + length].decode()
        value = json.loads(text)
        if value.keys() != {"format", "links"} or value["format"] != FORMAT:
            raise ValueError(f"expected format {FORMAT} and links")
        links = chain.checked(value["links"])
        own = links[-1]["value"]
        if links[-1]["name"] != LINK or own.keys() != {"size", "sha256"} or not isinstance(own["size"], int):
            raise ValueError(f"the last link is not {LINK!r}")
    except (ValueError, AttributeError, IndexError, RecursionError) as error:
        raise ModelError(f"{path}: its passport is damaged: {type(error).__name__} {error}") from None
    return Stamped(content, text, links)


def verify(path: Path) -> list[str]:
    """What is not as it was packaged, the first broken link first. Raises: ModelError when there is no passport."""
    found = read(path)
    problems = chain.broken(found.links)
    size = found.own["size"]
    if _measured(found.content[:size]) != found.own:
        problems.append(f"link {LINK!r} is broken: the graph is not the one that was packaged")
    if found.content[size:] != _entry(found.text) or found.text != _text(json.loads(found.text)):
        problems.append("the passport does not stand behind the graph as it was written")
    return problems


def _measured(content: bytes) -> dict[str, Any]:
    return {"size": len(content), "sha256": hashlib.sha256(content).hexdigest()}


def _text(value: Any) -> str:
    """JSON; its keys keep the order that they were given, and that they are read in."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def _entry(text: str) -> bytes:
    return message(14, message(1, KEY) + message(2, text))


def _mark() -> bytes:
    """What stands before the length of the value; JSON cannot hold it, since it escapes control characters."""
    return message(1, KEY) + tag(2, BYTES)

"""Answers as bytes, made in pieces: a large one must not keep Python from the threads that serve others, and what it
holds is counted while it grows."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import orjson
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

PIECE = 64 * 1024
"""Bytes that are sent at once."""
JSON = "application/json"
GZIP = "gzip"
FEW = 2048
"""Values that are written at once: some 0.05 ms in which nobody else has Python."""
LARGE = 16 * 1024
"""Bytes from which an answer is compressed for who takes it so: less travels in a few packets as it is."""
LEVEL = 1
"""Of zlib: answers are made once and read once."""


@dataclass(frozen=True)
class Answer:
    """Of a request; made in a thread."""

    pieces: list[bytes]
    media_type: str = JSON
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def size(self) -> int:
        return sum(map(len, self.pieces))

    def compressed(self) -> Answer:
        """Nothing in an answer is secret, so its length tells no more than it does by itself."""
        machine = zlib.compressobj(LEVEL, wbits=31)
        pieces = [packed for piece in self.pieces if (packed := machine.compress(piece))]
        headers = {**self.headers, "Content-Encoding": GZIP, "Vary": "Accept-Encoding"}
        return Answer([*pieces, machine.flush()], self.media_type, headers)

    def response(self) -> Response:
        return _Pieces(self)


class _Pieces(Response):
    """Sends piece by piece, each let go when the client has taken it."""

    def __init__(self, answer: Answer):
        super().__init__(media_type=answer.media_type, headers={**answer.headers, "Content-Length": str(answer.size)})
        self._pieces = list(answer.pieces)  # another request may be answered by the same

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        self._pieces.reverse()
        while self._pieces:
            await send({"type": "http.response.body", "body": self._pieces.pop(), "more_body": bool(self._pieces)})


def accepts(header: str, wanted: str) -> bool:
    """Whether a list of media types or codings names a wanted one, and not to refuse it (`q=0`): RFC 9110, 12.5."""
    for entry in header.lower().split(","):
        name, *parameters = (part.strip() for part in entry.split(";"))
        if name == wanted:
            return not any(re.fullmatch(r"q\s*=\s*0(\.0*)?", parameter) for parameter in parameters)
    return False


def json(value: Any) -> list[bytes]:
    """`value` as JSON, in pieces of about `PIECE` bytes or more."""
    return joined(_parts(value))


def joined(parts: Iterator[bytes]) -> list[bytes]:
    pieces: list[bytes] = []
    held, size = [], 0
    for part in parts:
        held.append(part)
        size += len(part)
        if size >= PIECE:
            pieces.append(b"".join(held))
            held, size = [], 0
    if held or not pieces:
        pieces.append(b"".join(held))
    return pieces


def _parts(value: Any) -> Iterator[bytes]:
    """What holds few values is written at once, what holds more one by one, so that others have a turn between."""
    if _left(value, FEW) >= 0:
        yield _dumps(value)
    elif isinstance(value, dict):
        yield from _row("{", "}", ((_dumps(str(key)) + b":", inner) for key, inner in value.items()))
    elif _has_inner(value):
        yield from _row("[", "]", ((b"", inner) for inner in value))
    else:
        slices = (_dumps(value[start : start + FEW])[1:-1] for start in range(0, len(value), FEW))
        yield b"["
        yield next(slices)
        for part in slices:
            yield b"," + part
        yield b"]"


def _left(value: Any, most: int) -> int:
    """`most` without the values inside, below 0 when there are more; counted no further than that."""
    if isinstance(value, dict):
        inside: Iterable[Any] = value.values()
    elif not isinstance(value, list):
        return most - 1
    elif not _has_inner(value):
        return most - len(value)
    else:
        inside = value
    for inner in inside:
        most = _left(inner, most) if isinstance(inner, dict | list) else most - 1
        if most < 0:
            break
    return most


def _has_inner(value: list[Any]) -> bool:
    """Elements of a list are of one kind, as a rule; where they are not, more is written at once."""
    return bool(value) and isinstance(value[0], dict | list)


def _dumps(value: Any) -> bytes:
    return orjson.dumps(value, option=orjson.OPT_SERIALIZE_NUMPY)


def _row(start: str, end: str, entries: Iterator[tuple[bytes, Any]]) -> Iterator[bytes]:
    separator = start.encode()
    for key, inner in entries:
        yield separator + key
        yield from _parts(inner)
        separator = b","
    yield end.encode()

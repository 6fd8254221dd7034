"""Answers as bytes, made in pieces: a large one must not keep Python from the threads that serve others, and what it
holds is counted while it grows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pydantic_core
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

PIECE = 64 * 1024
"""Bytes that are sent at once."""
JSON = "application/json"


@dataclass(frozen=True)
class Answer:
    """Of a request; made in a thread."""

    pieces: list[bytes]
    media_type: str = JSON
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def size(self) -> int:
        return sum(map(len, self.pieces))

    def response(self) -> Response:
        return _Pieces(self)


class _Pieces(Response):
    """Sends piece by piece, each let go when the client has taken it."""

    def __init__(self, answer: Answer):
        super().__init__(media_type=answer.media_type, headers={**answer.headers, "Content-Length": str(answer.size)})
        self._pieces = answer.pieces

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        self._pieces.reverse()
        while self._pieces:
            await send({"type": "http.response.body", "body": self._pieces.pop(), "more_body": bool(self._pieces)})


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
    """Lists of lists and objects are written element by element, what holds only plain values at once."""
    if isinstance(value, dict) and any(isinstance(inner, dict | list) for inner in value.values()):
        yield from _row("{", "}", ((pydantic_core.to_json(str(key)) + b":", inner) for key, inner in value.items()))
    elif isinstance(value, list) and any(isinstance(inner, dict | list) for inner in value):
        yield from _row("[", "]", ((b"", inner) for inner in value))
    else:
        yield pydantic_core.to_json(value)


def _row(start: str, end: str, entries: Iterator[tuple[bytes, Any]]) -> Iterator[bytes]:
    separator = start.encode()
    for key, inner in entries:
        yield separator + key
        yield from _parts(inner)
        separator = b","
    yield end.encode()

"""A client that writes bytes to a socket as it likes, and reads the answers."""

from __future__ import annotations

import json
import re
import socket
import time
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Reply:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Talk:
    """What came back."""

    replies: list[Reply] = field(default_factory=list)
    closed: bool = False
    """By the server."""
    seconds: float = 0.0

    @property
    def statuses(self) -> list[int]:
        return [reply.status for reply in self.replies]


def request(target: str, body: bytes = b"", method: str = "POST", **headers: str) -> bytes:
    """A whole request; `Content_Type="text/plain"` is a header, and `Content_Length` is what it should be unless it is
    given."""
    given = {"Host": "localhost", **({"Content_Length": str(len(body))} if body else {}), **headers}
    lines = [f"{method} {target} HTTP/1.1", *(f"{name.replace('_', '-')}: {value}" for name, value in given.items())]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body


def talk(port: int, *parts: bytes, pause: float = 0.0, end: bool = False, count: int = 1, seconds: float = 10) -> Talk:
    """Send `parts`, `pause` seconds apart, then read until there are `count` final replies or the server closes.

    end: close our side when all is sent. seconds: to wait for the replies.
    """
    result, began = Talk(), time.monotonic()
    with socket.create_connection(("127.0.0.1", port)) as connection:
        try:
            for part in parts:
                connection.sendall(part)
                time.sleep(pause)
            if end:
                connection.shutdown(socket.SHUT_WR)
        except OSError:  # it has closed meanwhile; what it said may still be there
            pass
        read(connection, result, count, seconds)
    result.seconds = time.monotonic() - began
    return result


def read(connection: socket.socket, result: Talk, count: int, seconds: float) -> None:
    content, limit = b"", time.monotonic() + seconds
    while sum(reply.status >= 200 for reply in result.replies) < count and (left := limit - time.monotonic()) > 0:
        connection.settimeout(left)
        try:
            part = connection.recv(65536)
        except TimeoutError:
            return
        except OSError:
            part = b""
        if not part:
            result.closed = True
            assert content == b"", f"the connection was closed within an answer: {content[:200]!r}"
            return
        found, content = parsed(content + part)
        result.replies += found


def parsed(content: bytes) -> tuple[list[Reply], bytes]:
    """Whole replies at the beginning of `content`, and what is left of it."""
    found: list[Reply] = []
    while b"\r\n\r\n" in content:
        head, rest = content.split(b"\r\n\r\n", 1)
        first, *lines = head.decode("latin-1").split("\r\n")
        match = re.fullmatch(r"HTTP/1\.1 (\d{3}) [ -~]*", first)
        assert match, f"no status line: {first!r}"
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        length = int(headers.get("content-length", 0))
        if len(rest) < length:
            break
        found.append(Reply(int(match[1]), headers, rest[:length]))
        content = rest[length:]
    return found, content

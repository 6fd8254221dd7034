"""HTTP over a bare socket, for what no client library sends."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from running import Running


class Answer(NamedTuple):
    status: int
    headers: dict[str, str]
    """Names in small letters."""
    body: bytes

    @property
    def error(self) -> str:
        content = json.loads(self.body)
        assert list(content) == ["error"]
        return str(content["error"])


@contextmanager
def connected(server: Running) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", server.port), timeout=60) as made:
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        yield made


def head(path: str, method: str = "POST", **headers: Any) -> bytes:
    """Request line and headers; `_` in a name stands for `-`."""
    lines = [f"{method} {path} HTTP/1.1", "Host: localhost"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode()


def chunked(parts: Iterable[bytes]) -> Iterator[bytes]:
    for part in parts:
        yield b"%x\r\n%b\r\n" % (len(part), part)
    yield b"0\r\n\r\n"


def send(connection: socket.socket, parts: Iterable[bytes]) -> None:
    """All parts, or as many as the server takes before it closes the connection."""
    try:
        for part in parts:
            connection.sendall(part)
    except (BrokenPipeError, ConnectionResetError):
        pass


def received(connection: socket.socket) -> bytes:
    """Until the server closes the connection."""
    found = b""
    try:
        while part := connection.recv(65536):
            found += part
    except ConnectionResetError:
        pass
    return found


def answer(connection: socket.socket) -> Answer:
    """One answer. Raises: EOFError when the connection is closed before its end."""
    content = b""
    while b"\r\n\r\n" not in content:
        content += _more(connection, content)
    first, _, rest = content.partition(b"\r\n\r\n")
    line, *fields = first.decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (field.partition(":") for field in fields)}
    while len(rest) < int(headers["content-length"]):
        rest += _more(connection, rest)
    return Answer(int(line.split(" ")[1]), headers, rest)


def _more(connection: socket.socket, so_far: bytes) -> bytes:
    part = connection.recv(65536)
    if not part:
        raise EOFError(f"the connection was closed after {so_far[:500]!r}")
    return part

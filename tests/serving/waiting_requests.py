"""Requests that wait in a server's queue as long as a test needs: its batches leave when the test fills them."""

from __future__ import annotations

import json
import socket
from contextlib import ExitStack

import raw_http
from running import Running

TEXT = "i eat rice ."
JSON = {"Content_Type": "application/json"}


def waits(items: int = 64) -> tuple[str, ...]:
    """Options of a server that computes so many items together, and waits ten seconds for them."""
    return "--max-wait-ms", "10000", "--max-batch", str(items)


def asked(stack: ExitStack, server: Running, text: str | list[str] = TEXT) -> socket.socket:
    """A connection with a request for a translation under way."""
    connection, rest = begun(stack, server, text)
    raw_http.send(connection, [rest])
    return connection


def begun(stack: ExitStack, server: Running, text: str | list[str] = TEXT) -> tuple[socket.socket, bytes]:
    """Likewise, without its last bytes."""
    connection = stack.enter_context(raw_http.connected(server))
    body = json.dumps({"text": text}).encode()
    raw_http.send(connection, [raw_http.head("/v1/translate", Content_Length=len(body), **JSON) + body[:5]])
    return connection, body[5:]

"""Attempts of a process to reach another machine, whatever library makes them (audit hooks: PEP 578)."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

HERE = (None, "", "localhost", "127.0.0.1", "::1", b"localhost")


def watch(tell: Callable[[str], Any]) -> None:
    """Call `tell` with a sentence for each attempt, from now on: a hook cannot be taken away."""

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "socket.connect" and isinstance(arguments[1], tuple):
            host = str(arguments[1][0])
            if host not in HERE and not host.startswith("127."):
                tell(f"connect {host}")
        elif event == "socket.getaddrinfo" and arguments[0] not in HERE:
            tell(f"look up {arguments[0]!r}")

    sys.addaudithook(hook)

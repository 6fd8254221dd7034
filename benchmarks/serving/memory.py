"""Memory of a server under the worst requests that it takes: of all its processes, sampled while they are sent.

Each kind alone, then all together, from several clients' connections: bodies that never end, pictures of few bytes and
as many pixels as a request may have, tensors and texts as large as they may be, answers that nobody reads.
"""

from __future__ import annotations

import http.client
import io
import json
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

from PIL import Image

from benchmarks.serving.subject import Server

SECONDS = 8.0
"""Of each kind."""
CLIENTS = 32
SIDE = 7071
"""Of a square just below 50 million pixels, which is 6 kB as a PNG of one bit a pixel."""
BODY = 15_900_000


def memory(server: Server, models: dict[str, Any]) -> None:
    """models: role `serve` by the model's name. Printed."""
    kinds = {name: attack for name, attack in attacks(models).items() if attack is not None}
    print(f"at rest {server.memory_mb():.0f} MB")
    worst = 0.0
    for name, running in {
        **{name: [attack] for name, attack in kinds.items()},
        "together": list(kinds.values()),
    }.items():
        statuses: Counter[Any] = Counter()
        most = _under(server, running, statuses)
        worst = max(worst, most)
        print(f"  {name}: {most:.0f} MB at most, {dict(statuses)}, then {server.memory_mb():.0f} MB")
    print(f"at most {worst:.0f} MB")


def attacks(models: dict[str, Any]) -> dict[str, Callable[[int], Any] | None]:
    """By name; each sends one request to a port and returns its status."""
    image = next((name for name, role in models.items() if "image" in [tensor.name for tensor in role.INPUTS]), None)
    text = next((name for name, role in models.items() if "text" in [tensor.name for tensor in role.INPUTS]), None)
    buffer = io.BytesIO()
    Image.new("1", (SIDE, SIDE)).save(buffer, "PNG")
    kind = {"Content-Type": "application/json"}
    long = json.dumps({"text": "Go on. " * 2857, "alignment": True, "beam": 16}).encode()
    verbs = {name: f"/v1/{role.VERB}" for name, role in models.items()}
    return {
        "bodies that never end": lambda port: _unfinished(port, next(iter(verbs.values()))),
        "large bodies": lambda port: _ask(port, next(iter(verbs.values())), bytes(BODY), kind),
        "a picture of 50 million pixels": (
            (lambda port: _ask(port, verbs[image], buffer.getvalue(), {"Content-Type": "image/png"})) if image else None
        ),
        "a text of 2,857 sentences": (lambda port: _ask(port, verbs[text], long, kind)) if text else None,
    }


def _under(server: Server, running: list[Callable[[int], Any]], statuses: Counter[Any]) -> float:
    end = time.monotonic() + SECONDS
    most = [server.memory_mb()]

    def ask(attack: Callable[[int], Any]) -> None:
        while time.monotonic() < end:
            try:
                statuses[attack(server.port)] += 1
            except (OSError, http.client.HTTPException) as error:
                statuses[type(error).__name__] += 1

    threads = [threading.Thread(target=ask, args=(running[i % len(running)],)) for i in range(CLIENTS)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        most.append(server.memory_mb())
        time.sleep(0.02)
    return max(most)


def _ask(port: int, path: str, body: bytes, headers: dict[str, str]) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request("POST", path, body, headers)
        return connection.getresponse().status  # and the answer is left unread
    finally:
        connection.close()


def _unfinished(port: int, path: str) -> str:
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/png\r\nContent-Length: {BODY}\r\n\r\n"
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        connection.sendall(head.encode() + bytes(BODY - 1))
        time.sleep(2)
    return "held"

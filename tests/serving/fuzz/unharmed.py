"""What must hold whatever was sent: the same process serves, nothing in its log is a fault, and it predicts right."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx
from running import Running


@dataclass(frozen=True)
class Known:
    """Inputs of both models, and what their own Predictors answer."""

    picture: bytes
    boxes: list[dict[str, Any]]
    text: str
    translation: str


@contextmanager
def unharmed(server: Running, known: Known) -> Iterator[None]:
    worker, before = server.worker.pid, server.logged
    yield
    predicts_right(server, known)
    assert server.worker.pid == worker, "the worker died and another took its place"
    faults = [event for event in server.log(before) if is_fault(event)]
    assert not faults, faults


def predicts_right(server: Running, known: Known) -> None:
    found = server.http.post("/v1/detect", content=known.picture, headers={"Content-Type": "image/png"})
    assert found.status_code == 200, found.text
    assert found.json()["boxes"] == known.boxes, found.text
    found = server.http.post("/v1/translate", json={"text": known.text})
    assert found.status_code == 200, found.text
    assert found.json()["translations"][0]["text"] == known.translation, found.text


def is_fault(event: dict[str, Any]) -> bool:
    """An error, an answer of 5xx, or a line that the server's own logger did not write."""
    return event.get("level") == "error" or event.get("status", 0) >= 500 or event["event"] == ""


def is_refused(answer: httpx.Response) -> bool:
    """Whether it is a 4xx that says why; what is neither that nor 200 fails the test."""
    if answer.status_code == 200:
        return False
    assert 400 <= answer.status_code < 500, (answer.status_code, answer.text)
    assert set(answer.json()) == {"error"}
    reason = answer.json()["error"]
    assert isinstance(reason, str)
    assert reason.strip()
    assert "Traceback" not in reason
    assert '.py"' not in reason
    return True

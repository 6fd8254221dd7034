"""What every refusal must be: its status, and one clear reason that gives nothing away."""

from __future__ import annotations

import re

import httpx


def refused(answer: httpx.Response, status: int, reason: str) -> None:
    """reason: a regular expression."""
    assert answer.status_code == status, answer.text
    content = answer.json()
    assert list(content) == ["error"]
    assert re.search(reason, content["error"]), content["error"]
    assert "Traceback" not in answer.text
    assert ".py" not in answer.text

"""How long a request may take: what it asks for, at most what the server allows."""

from __future__ import annotations

from starlette.requests import Request

from serving.errors import RefusalError
from serving.settings import Settings

HEADER = "x-deadline-ms"


def of(request: Request, settings: Settings) -> float:
    """Seconds from now. Raises: RefusalError 400."""
    text = request.headers.get(HEADER)
    if text is None:
        return settings.deadline_s
    if not (text.isascii() and text.isdecimal() and len(text) < 10 and int(text) > 0):
        raise RefusalError(400, f"X-Deadline-Ms: expected milliseconds, a whole number above 0, found {text[:32]!r}")
    return min(settings.deadline_s, int(text) / 1000)

"""What a request is refused with: a status below 500 and a reason that tells the client what to do."""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError
from starlette.responses import JSONResponse

GONE = 499
"""As nginx counts a client that closed its connection."""
MOST = 5
"""Faults of a request that one answer names."""


class RefusalError(Exception):
    """Ends a request with `status` and `{"error": reason}`."""

    def __init__(self, status: int, reason: str, headers: dict[str, str] | None = None):
        super().__init__(reason)
        self.status, self.reason, self.headers = status, reason, headers or {}

    def response(self) -> JSONResponse:
        return answer(self.status, self.reason, self.headers)


class ClientGoneError(Exception):
    """The client has closed the connection: nobody waits for an answer."""


def answer(status: int, reason: str, headers: dict[str, str] | None = None) -> JSONResponse:
    return JSONResponse({"error": reason}, status, headers)


def busy(reason: str, seconds: float = 1.0) -> RefusalError:
    """429. seconds: after which a retry may succeed."""
    return RefusalError(429, reason, {"Retry-After": str(max(1, min(60, round(seconds))))})


def faults(error: ValidationError) -> RefusalError:
    """400 for a body that is not of its model, without the client's own values in it."""
    found: list[Any] = error.errors(include_url=False, include_input=False, include_context=False)
    texts = [f"{'.'.join(map(str, fault['loc'])) or 'body'}: {fault['msg']}" for fault in found[:MOST]]
    more = f"; and {len(found) - MOST} more" if len(found) > MOST else ""
    return RefusalError(400, "; ".join(texts) + more)

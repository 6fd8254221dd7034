"""What a request with sound may hold at most; imports nothing heavy, since the server's command line reads it."""

from __future__ import annotations

from core.task import Limit

SECONDS = Limit("seconds", 120, 86_400, "of a recording, and of all recordings of a request together")
LIMITS = (SECONDS,)

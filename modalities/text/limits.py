"""What a request with texts may hold at most; imports nothing heavy, since the server's command line reads it."""

from __future__ import annotations

from core.task import Limit

CHARACTERS = Limit("characters", 20_000, 10**9, "of a text, and of all texts of a request together")
LIMITS = (CHARACTERS,)

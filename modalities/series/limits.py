"""What a request with histories may hold at most; imports nothing heavy, since the server's command line reads it."""

from __future__ import annotations

from core.task import Limit

VALUES = Limit("values", 1_000_000, 10**9, "of a history (steps x columns), and of all histories of a request together")
LIMITS = (VALUES,)

"""What a request with images may hold at most; imports nothing heavy, since the server's command line reads it."""

from __future__ import annotations

from core.task import Limit

PIXELS = Limit("pixels", 50_000_000, 10**10, "of an image, and of all images of a request together")
LIMITS = (PIXELS,)

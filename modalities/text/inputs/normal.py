"""When two sentences count as the same."""

from __future__ import annotations

import unicodedata


def key(sentence: str) -> str:
    """Equal for sentences that a reader would call the same: case, width and spacing do not count."""
    return " ".join(unicodedata.normalize("NFKC", sentence).casefold().split())

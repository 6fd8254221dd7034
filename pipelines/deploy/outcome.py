"""What became of one declared thing on the server."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Outcome:
    name: str
    """Of a pool, or `FLOW/DEPLOYMENT`."""
    what: Literal["created", "updated", "unchanged", "undeclared", "deleted", "declared"]
    """`undeclared`: on the server only; `declared`: no server was asked."""
    changed: Sequence[str] = ()
    """Fields that differed from the server's."""

"""A few of many, for people to look at."""

from __future__ import annotations


def spread(count: int, most: int) -> list[int]:
    """At most `most` of `count` positions, the first among them, evenly spread: neighbours are often alike."""
    taken = min(count, most)
    return [i * count // taken for i in range(taken)]

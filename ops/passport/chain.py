"""Links that hold one another: each has `name`, `value` and `chain`, the sha256 over the chain of the link before it,
its name and its value, so that none can be changed, moved or taken out alone.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any


def chained(values: Mapping[str, Any], start: str = "") -> list[dict[str, Any]]:
    """Links of `values`, in their order. start: the chain that they go on."""
    links, end = [], start
    for name, value in values.items():
        end = digest([end, name, value])
        links.append({"name": name, "value": value, "chain": end})
    return links


def broken(links: list[dict[str, Any]]) -> list[str]:
    """Each link that does not follow from the one before it, the first one first."""
    starts = ["", *(link["chain"] for link in links)]
    return [
        f"link {link['name']!r} is broken: its digest does not follow from its value and the link before it"
        for start, link in zip(starts, links, strict=False)
        if link["chain"] != digest([start, link["name"], link["value"]])
    ]


def checked(links: Any) -> list[dict[str, Any]]:
    """`links`, if they have the form of links. Raises: ValueError."""
    if not isinstance(links, list) or len(links) < 2:
        raise ValueError("`links` is no list of at least two links")
    for link in links:
        if not isinstance(link, dict) or link.keys() != {"name", "value", "chain"}:
            raise ValueError("a link has other keys than name, value and chain")
        if not isinstance(link["name"], str) or not isinstance(link["chain"], str):
            raise ValueError("name or chain of a link is no text")
    digest(links)  # NaN and half characters have none
    return links


def digest(value: Any) -> str:
    """sha256 of the one JSON text that stands for `value`, hex. Raises: ValueError for NaN, which is not JSON."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()

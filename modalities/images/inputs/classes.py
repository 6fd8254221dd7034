"""The classes that a checkpoint carries: its asset `classes.json`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

ASSET = "classes.json"


def write(categories: Sequence[dict[str, Any]]) -> dict[str, bytes]:
    """The asset of a dataset's categories `{"id", "name"}`."""
    return {ASSET: json.dumps({"classes": list(categories)}, ensure_ascii=False, indent=1).encode()}


def classes(assets: dict[str, bytes]) -> list[dict[str, Any]]:
    """`{"id", "name"}` of each class, in the order of the network's outputs."""
    return json.loads(assets[ASSET])["classes"]

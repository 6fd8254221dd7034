"""What is true of the images of a split."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from modalities.images.inputs import canonical


def read(dataset: Path, split: str, *names: str) -> list[dict[str, Any]]:
    """In the split's order `names` of each record (see `canonical`) as JSON values, and the data set's `categories`."""
    records, entries = canonical.read_split(dataset, split)
    return [{name: record[name].tolist() for name in names} | {"categories": entries} for record in records]


def categories(references: Sequence[Any]) -> list[dict[str, Any]]:
    """{"id", "name"} of each; none where there is no reference."""
    return references[0]["categories"] if references else []

"""Role `checks`: points lie where the line may be."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from core.files import read_json, write_json
from core.task import Expectation
from modalities.splits import SPLITS


def tables(dataset: Path, params: Any) -> dict[str, pd.DataFrame]:
    rows = [{**point, "split": split} for split in SPLITS for point in read_json(dataset / f"{split}.json")]
    return {"points": pd.DataFrame(rows)}


def expectations(params: Any, tables: Mapping[str, pd.DataFrame]) -> dict[str, list[Expectation]]:
    between = {"column": "y", "min_value": -5, "max_value": 5}
    return {"points": [Expectation("expect_column_values_to_be_between", between, "y is between -5 and 5")]}


def clean(dataset: Path, bad: Mapping[str, set[Any]], folder: Path, params: Any) -> dict[str, Any]:
    counts = {}
    for split in SPLITS:
        kept = [point for point in read_json(dataset / f"{split}.json") if point["id"] not in bad["points"]]
        write_json(folder / f"{split}.json", kept)
        counts[split] = len(kept)
    return counts


def refuse(dataset: Path, params: Any) -> list[str]:
    return [f"the split {split} is empty" for split in SPLITS if not read_json(dataset / f"{split}.json")]

"""Role `checks` of classification: what is demanded of labels of whole pictures, with one each or several."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.task import Expectation
from modalities.images.checks import labels, pictures

if TYPE_CHECKING:
    import pandas as pd


def tables(dataset: Path, params: Any) -> dict[str, pd.DataFrame]:
    return labels.tables(dataset, params.validation.max_pixels)


def expectations(params: Any, tables: Mapping[str, pd.DataFrame]) -> dict[str, list[Expectation]]:
    return labels.expectations(params.validation.min_side, params.data.multilabel)


def clean(dataset: Path, bad: Mapping[str, set[Any]], folder: Path, params: Any) -> dict[str, Any]:
    return labels.clean(dataset, bad, folder)


def refuse(dataset: Path, params: Any) -> list[str]:
    return pictures.refuse(dataset, "image")

"""What is demanded of steps, one by one, and of the splits of numbers over time."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.task import Expectation
from modalities import shift
from modalities.series.inputs import windows
from modalities.series.inputs.windows import PREFIX, Windows
from modalities.splits import SPLITS

if TYPE_CHECKING:
    import pandas as pd


def tables(dataset: Path, params: Any) -> dict[str, pd.DataFrame]:
    """`steps`: a row each, with how long each value has stayed what it is (`still <name>`)."""
    import pandas as pd

    plan = windows.layout(dataset)
    rows = pd.concat([windows.table(dataset, split).assign(split=split) for split in SPLITS], ignore_index=True)
    for column in plan.columns:
        changed = (rows.groupby("series_id")[column].diff() != 0).cumsum()
        rows[f"still {column.removeprefix(PREFIX)}"] = rows.groupby(changed).cumcount() + 1
    return {"steps": rows.rename(columns={column: f"value {column.removeprefix(PREFIX)}" for column in plan.columns})}


def expectations(params: Any, tables: Mapping[str, pd.DataFrame]) -> dict[str, list[Expectation]]:
    """Values near those of train, sensors that do not hang, and of labels a class that is known."""
    rows, settings, found = tables["steps"], params.validation, []
    for column in [name for name in map(str, rows) if name.startswith("value ")]:
        name = column.removeprefix("value ")
        train = rows[rows["split"] == "train"][column]
        low, middle, high = train.quantile([0.25, 0.5, 0.75])
        reach = settings.reach * float((high - low) or train.std(ddof=0) or 1.0)
        bounds = {"column": column, "min_value": float(middle - reach), "max_value": float(middle + reach)}
        told = f"{name} is at most {settings.reach:g} interquartile ranges from the median of train, {middle:.4g}"
        found.append(Expectation("expect_column_values_to_be_between", bounds, told))
        if settings.max_still is not None:
            bounds = {"column": f"still {name}", "max_value": settings.max_still}
            told = f"{name} stays what it is for at most {settings.max_still} steps"
            found.append(Expectation("expect_column_values_to_be_between", bounds, told))
    if params.data.goal == "label":
        known = {"column": "label", "min_value": 0}
        found.append(Expectation("expect_column_values_to_be_between", known, "the label is one of data.classes"))
    return {"steps": found}


def clean(dataset: Path, bad: Mapping[str, set[Any]], folder: Path, params: Any) -> dict[str, Any]:
    """Steps that leave are gaps: there is no window over them."""
    plan, counts, warnings = windows.layout(dataset), dict[str, Any](), []
    folder.mkdir(parents=True, exist_ok=True)
    plan.write(folder)
    kept = {split: (rows := windows.table(dataset, split))[~rows["id"].isin(bad["steps"])] for split in SPLITS}
    for split, rows in kept.items():
        rows.to_parquet(folder / f"{split}.parquet", index=False)
        counts[split] = len(rows)
        for column in plan.columns if split != "train" else ():
            name = column.removeprefix(PREFIX)
            told = shift.of_figures(split, rows[column], kept["train"][column], "steps", name, "{:.4g}".format, "")
            warnings += told
    return counts | {"warnings": warnings}


def refuse(dataset: Path, params: Any) -> list[str]:
    """A split without a window, one that begins before the one before it ends, a class that train lacks."""
    plan, problems = windows.layout(dataset), []
    for split in SPLITS:
        if not len(Windows(dataset, split)):
            problems.append(
                f"{split} has no window of {plan.window} + {plan.horizon} steps in a row; take a shorter data.window "
                "or data.horizon, fill gaps (data.fill, data.max_gap), or give it a larger share (data.splits)"
            )
    rows = {split: windows.table(dataset, split) for split in SPLITS}
    for earlier, later in pairwise(SPLITS) if plan.shared else ():
        if rows[earlier]["step"].max() >= rows[later]["step"].min():
            problems.append(f"{later} begins before {earlier} ends: a leak across time")
    lacking = [name for i, name in enumerate(plan.classes) if not (rows["train"]["label"] == i).any()]
    return problems + [f"train has no step of class {name!r}" for name in lacking]

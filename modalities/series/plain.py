"""A canonical dataset of numbers over time as plain files: `train.csv`, `val.csv` and `test.csv`, a line a step."""

from __future__ import annotations

from pathlib import Path

from core.files import write_text
from modalities.series.inputs.windows import IN_TIME, PREFIX, layout, table

FORMS = ("csv",)


def export(dataset: Path, folder: Path, form: str) -> int:
    """Write the dataset into the new folder `folder`; returns how many steps.

    Columns are `series_id`, `step`, `time` where there is one, the values, and `label`, the class, where there is one.
    """
    plan, count = layout(dataset), 0
    for split in IN_TIME:
        rows = table(dataset, split)
        columns = ["series_id", "step", *(["time"] if rows["time"].any() else []), *plan.columns]
        found = rows[columns].rename(columns={column: column.removeprefix(PREFIX) for column in plan.columns})
        if plan.classes:
            found["label"] = [plan.classes[label] if label >= 0 else "" for label in rows["label"]]
        write_text(folder / f"{split}.csv", found.to_csv(index=False, lineterminator="\n"))
        count += len(found)
    return count

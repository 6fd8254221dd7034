"""Rows of any format -> the canonical dataset (`modalities.series.inputs.windows`): one clock, splits by time, gaps by
rule.

The steps of the clock are `data.every` apart, or what is commonest between two rows, and are counted from the earliest
row of all series. Without a column of time the rows of a series are its steps. What is held out comes behind train; of
labels whole series may be drawn instead (`data.split_by: id`). Gaps are filled within a split, so that nothing of a
later one gets into an earlier one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from core import rows as tables
from core.errors import SourceError, suggest
from core.files import write_jsonl
from core.visible import visible
from modalities import splits
from modalities.series.inputs.histories import LARGEST
from modalities.series.inputs.windows import PREFIX, Layout

MISSING = ("", "na", "nan", "nat", "null", "none", "-", "?")
"""What stands in a cell, in lower case, where there is nothing."""
OFF = 1e-3
"""Of a step, by which a row may lie beside it."""


LOOKED_AT = 200
"""Rows from which it is told which columns have numbers: more than half of them do."""
LAST = 2**53
"""Steps that are counted exactly."""


class Row(NamedTuple):
    split: str | None
    """As the file's name says it."""
    file: str
    row: int
    cells: tables.Cells


def prepare(source: Path, folder: Path, params: Any, seed: int) -> dict[str, Any]:
    """See `core.task.Prepare`. Raises: SourceError naming file, row and field."""
    data, rejected = params.data, list[dict[str, Any]]()

    def reject(file: str, row: int, field: str, reason: str, found: Any) -> None:
        told = {"field": visible(field), "reason": reason, "found": visible(str(found)[:200])}
        rejected.append({"file": file, "row": row, **told})

    rows, notes, form = _read(source, data.format, reject)
    values, targets = _columns(rows, data)
    numbers = list(dict.fromkeys([*values, *targets]))
    frame = pd.DataFrame([cells for row in rows if (cells := _cells(row, data, numbers, reject))])
    if frame.empty:
        raise SourceError(f"{source}: none of {len(rows)} rows has numbers in {values}; name others in data.values")
    count = len(frame := _clocked(frame, data, reject, notes))
    shared, horizon = data.split_by == "time", data.horizon if data.goal == "forecast" else 0
    classes = data.classes or sorted(frame["label"].dropna().unique(), key=lambda name: (len(name), name))
    frame["label"] = frame["label"].map({name: i for i, name in enumerate(classes)}).fillna(-1).astype(int)
    sizes = (data.window, horizon, data.stride, data.season)
    plan = Layout(data.goal, values, targets, classes, data.label_of, *sizes, shared)
    frame = _by_time(frame, data, notes) if shared else _by_series(frame, plan.columns, data, seed, notes)
    removed = count - len(frame)
    frame = _filled(frame, plan.columns, data, notes)
    frame["id"] = np.arange(len(frame))
    for split in splits.SPLITS:
        frame[frame["split"] == split].drop(columns="split").to_parquet(folder / f"{split}.parquet", index=False)
    plan.write(folder)
    write_jsonl(folder / "rejected.jsonl", rejected)
    counts: dict[str, Any] = {split: int((frame["split"] == split).sum()) for split in splits.SPLITS}
    told = {"format": form, "sources": frame["series_id"].nunique(), "removed": removed, "notes": notes}
    return counts | told


def _read(source: Path, form: str, reject: tables.Reject) -> tuple[list[Row], list[str], str]:
    """Rows of all files, those of train first: without times their order is all that there is."""
    found, notes = tables.files(source, form)
    splits_of = {path: {"trainval": "train"}.get(said := splits.split_of(path.stem) or "", said) for path in found}
    order = sorted(found, key=lambda path: (splits.SPLITS.index(splits_of[path] or "train"), found[path]))
    rows = [
        Row(splits_of[path] or None, found[path], *each)
        for path in order
        for each in tables.read(path, found[path], form, reject)
    ]
    return rows, notes, tables.form_of(order[0]) if form == "auto" else form


def _columns(rows: Sequence[Row], data: Any) -> tuple[list[str], list[str]]:
    """Names of values and of targets. Raises: SourceError naming the file that lacks one."""
    first, apart = list(rows[0].cells) if rows else [], [data.time, data.id, data.label]
    counts = {name: sum(_number(row.cells.get(name)) is not None for row in rows[:LOOKED_AT]) for name in first}
    most = [name for name, count in counts.items() if 2 * count > len(rows[:LOOKED_AT])]
    values = data.values or [name for name in most if name not in apart]
    if not values:
        raise SourceError(f"no column of numbers among {visible(str(first[:12]))}; name some in data.values")
    targets = (data.targets or values) if data.goal == "forecast" else []
    for row in {row.file: row for row in reversed(rows)}.values():
        wanted = [name for name in [*values, *targets, *apart] if name is not None]
        if lacking := [name for name in wanted if name not in row.cells]:
            raise SourceError(f"{row.file}, row {row.row}: no {lacking[0]!r}; {suggest(lacking[0], list(row.cells))}")
    return values, targets


def _number(cell: Any) -> float | None:
    """NaN where there is none; None: it is something else."""
    if cell is None or (isinstance(cell, str) and cell.strip().lower() in MISSING):
        return math.nan
    try:
        found = math.inf if isinstance(cell, bool | list | dict) else float(cell)
    except (TypeError, ValueError, OverflowError):
        return None
    return None if abs(found) > LARGEST else found


def _cells(row: Row, data: Any, numbers: Sequence[str], reject: tables.Reject) -> dict[str, Any] | None:
    """A row with its numbers; None where one is none."""
    found: dict[str, Any] = {"file": row.file, "row": row.row, "split": row.split, "series_id": "", "label": None}
    for name in numbers:
        if (value := _number(row.cells.get(name))) is None:
            return reject(row.file, row.row, name, "is a finite number", row.cells[name])
        found[PREFIX + name] = value
    for key, name in (("series_id", data.id), ("label", data.label), ("time", data.time)):
        if name is not None:
            cell = row.cells.get(name)
            text = str(int(cell) if isinstance(cell, float) and cell.is_integer() else cell).strip()
            if text.lower() in MISSING:
                return reject(row.file, row.row, name, "is not empty", text)
            found[key] = visible(text[:200])
    return found


def _clocked(frame: pd.DataFrame, data: Any, reject: tables.Reject, notes: list[str]) -> pd.DataFrame:
    """With its steps, in their order; rows whose time is none, or was there before, leave. Raises: SourceError."""
    if data.time is None:
        return frame.assign(step=frame.groupby("series_id").cumcount(), time="")
    numbers = pd.to_numeric(frame["time"], errors="coerce")
    plain = bool(numbers.notna().all())
    try:
        every: Any = (float(data.every) if plain else pd.Timedelta(data.every)) if data.every else None
    except ValueError:
        raise SourceError(
            f"data.every: {data.every!r} is no time between two steps, as `1h`, `15min` or `1D`"
        ) from None
    frame = frame.assign(
        at=numbers if plain else pd.to_datetime(frame["time"], errors="coerce", utc=True, format="mixed")
    )
    none, twice = frame["at"].isna(), frame.duplicated(["series_id", "at", "split"])
    for reason, wrong in (("is a time", none), ("is a time that its series did not have before", twice & ~none)):
        for file, row, found in frame[wrong][["file", "row", "time"]].to_numpy().tolist():
            reject(file, row, data.time, reason, found)
    frame = frame[~none & ~twice].sort_values(["series_id", "at"], kind="stable")
    between = frame.groupby("series_id")["at"].diff().dropna()
    if frame.empty or (every is None and between.empty):
        raise SourceError(f"{data.time}: there are no two times of one series; name the time between two in data.every")
    every = between.mode().min() if every is None else every
    if not every > 0 * every or not (frame["at"].max() - frame["at"].min()) / every < LAST:
        raise SourceError(f"{data.time}: times that are {every} apart are no clock; set data.every")
    step = (frame["at"] - frame["at"].min()) / every
    beside = (step - step.round()).abs() > OFF
    if beside.any() and data.irregular == "refuse":
        row = frame[beside].iloc[0]
        raise SourceError(
            f"{row['file']}, row {row['row']}: {data.time} is {row['time']}, expected a multiple of {every} behind the "
            f"first time; {int(beside.sum())} rows lie beside it. Set data.every, or data.irregular to resample"
        )
    frame = frame.assign(step=np.floor(step + OFF).astype(int)).drop(columns="at")
    if data.irregular == "resample":
        keys, means = ["series_id", "step"], [name for name in map(str, frame) if name.startswith(PREFIX)]
        notes.append(f"{int(beside.sum())} rows lie beside the clock of {every}: a step is the mean of its rows")
        frame[means] = frame.groupby(keys)[means].transform("mean")
        frame = frame.drop_duplicates(keys)
    return frame


def _by_time(frame: pd.DataFrame, data: Any, notes: list[str]) -> pd.DataFrame:
    """Held-out splits at the same steps of all series. Raises: SourceError where given ones overlap in time."""
    if data.steps is not None:
        notes.append(f"{int((frame['step'] >= data.steps).sum())} rows behind {data.steps} steps are left out")
        frame = frame[frame["step"] < data.steps]
    given = frame["split"].fillna("train")
    if {"val"} == set(given) - {"train"}:
        given = given.replace("val", "test")
        notes.append("the source's val (dev) is kept as test, a new val is the end of train")
    count = frame["step"].nunique()
    for name, share in (("test", data.splits.test), ("val", data.splits.val)):
        if name not in set(given):
            steps = np.unique(frame["step"][given == "train"])
            if len(steps) < 2:
                raise SourceError(f"{len(steps)} steps of train are too few to take {name!r} from their end")
            begin = steps[max(1, len(steps) - max(1, round(share * count)))]
            given = given.mask((given == "train") & (frame["step"] >= begin), name)
    for earlier, later in pairwise(splits.SPLITS):
        before, after = frame["step"][given == earlier].max(), frame[given == later]
        if (over := after[after["step"] <= before]).size:
            row = over.iloc[0]
            raise SourceError(
                f"{row['file']}, row {row['row']}: {later} has {row['time'] or row['step']}, beyond which "
                f"{earlier} goes: a leak across time. What is held out comes later; mend the files, or make one of them"
            )
    return frame.assign(split=given)


def _by_series(frame: pd.DataFrame, columns: list[str], data: Any, seed: int, notes: list[str]) -> pd.DataFrame:
    """Whole series, equal ones together."""
    groups = dict(list(frame.groupby("series_id", sort=True)))
    keys = [str(part[columns].to_numpy().tolist()) for part in groups.values()]
    given, shares = [part["split"].iloc[0] for part in groups.values()], (data.splits.val, data.splits.test)
    found, told = splits.assign(given, keys, shares, seed, noun="of them")
    notes += told
    frame = frame.assign(split=frame["series_id"].map(dict(zip(groups, found, strict=True))))
    return frame[frame["split"].notna()]


def _filled(frame: pd.DataFrame, columns: list[str], data: Any, notes: list[str]) -> pd.DataFrame:
    """Gaps of at most `data.max_gap` steps are filled by `data.fill`; longer ones stay without a window over them."""
    parts, told = [], list[str]()
    for (name, split), part in frame.groupby(["series_id", "split"], sort=True):
        last = part["step"].max()
        if last - part["step"].min() > 100 * len(part) + data.max_gap:
            raise SourceError(f"{name} ({split}): {len(part)} rows over {last} steps; is data.every right?")
        whole = part.set_index("step").sort_index().reindex(range(part["step"].min(), last + 1)).rename_axis("step")
        empty = whole[columns].isna().any(axis=1)
        mended = whole[columns].ffill() if data.fill == "previous" else whole[columns].interpolate(limit_area="inside")
        short = empty.groupby((~empty).cumsum()).transform("sum") <= data.max_gap
        fits = empty & short & mended.notna().all(axis=1) & (data.fill != "none")
        whole.loc[fits, columns] = mended[fits]
        known = whole[["file", "row", "series_id", "split"]].ffill().astype({"row": int})
        if empty.any():
            at = known[empty].iloc[0]
            counts = f"{int(fits.sum())} of {int(empty.sum())} steps without values filled ({data.fill})"
            told.append(f"{name} ({split}): {counts}, the first at or behind {at['file']}, row {at['row']}")
        label, time = whole["label"].fillna(-1).astype(int), whole["time"].fillna("")
        whole = whole.assign(filled=fits, label=label, time=time, **known)[fits | ~empty]
        parts.append(whole.reset_index())
    notes += told[:5] + [f"gaps in {len(told) - 5} more of them"] * (len(told) > 5)
    return pd.concat(parts, ignore_index=True)

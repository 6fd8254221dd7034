"""Rows become steps of one clock; splits follow each other in time; gaps are told, and filled by the rule."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import series_tiny as tiny

from core.errors import SourceError
from modalities.series.inputs.windows import Windows, layout, table
from tasks.series import checks

HEAD = "time,place,load,temperature\n"


def lines() -> list[str]:
    return tiny.table(places=("n",)).splitlines()


def prepared(folder: Path, rows: list[str], **data: Any) -> tuple[Path, dict[str, Any]]:
    return tiny.prepared(folder, "\n".join(rows) + "\n", tiny.settings(data=data))


def test_splits_follow_each_other_at_the_same_steps_of_all(tmp_path: Path) -> None:
    dataset, summary = tiny.prepared(tmp_path, tiny.table())
    assert (summary["train"], summary["val"], summary["test"]) == (116, 28, 36)
    ends = [
        (table(dataset, split)["step"].min(), table(dataset, split)["step"].max()) for split in ("train", "val", "test")
    ]
    assert ends == [(0, 57), (58, 71), (72, 89)]
    assert layout(dataset).values == ["load", "temperature"] and layout(dataset).targets == ["load"]
    assert checks.refuse(dataset, tiny.settings()) == []


def test_windows_tell_of_their_split_alone(tmp_path: Path) -> None:
    """What is seen reaches back; train has a window a step, the others one each stride, at the same steps of all."""
    dataset, _ = tiny.prepared(tmp_path, tiny.table())
    assert len(Windows(dataset, "train")) == 2 * (58 - 16 + 1)
    val = Windows(dataset, "val")
    assert [val.origin(i) for i in range(len(val))] == [
        (name, step) for name in "ns" for step in (58, 60, 62, 64, 66, 68)
    ]
    after, before = (table(dataset, split).query("series_id == 'n'") for split in ("val", "train"))
    assert (val.future(0) == after[["v_load"]].to_numpy(np.float32)[:4]).all()
    assert (val.history(0) == before[["v_load", "v_temperature"]].to_numpy(np.float32)[-12:]).all()
    assert (val.past(0)[:, 0] == val.history(0)[:, 0]).all()


@pytest.mark.parametrize(("fill", "expected"), [("linear", 2.0), ("previous", 1.0), ("none", None)])
def test_a_gap_is_filled_by_the_rule_and_named(tmp_path: Path, fill: str, expected: float | None) -> None:
    rows = lines()
    stamps = [row.split(",")[0] for row in rows]
    rows[10:13] = [f"{stamps[10]},n,1.0,0", f"{stamps[11]},n,,0", f"{stamps[12]},n,3.0,0"]
    del rows[20:24]  # longer than max_gap
    dataset, summary = prepared(tmp_path, rows, fill=fill)
    found = table(dataset, "train").set_index("step")
    filled = 0 if expected is None else 1
    told = f"n (train): {filled} of 5 steps without values filled ({fill}), the first at or behind data.csv, row 12"
    assert summary["notes"] == [told]
    assert 19 not in found.index and 22 not in found.index
    if expected is not None:
        assert found.loc[10, "v_load"] == expected and found.loc[10, "filled"]
    else:
        assert 10 not in found.index
    windows = Windows(dataset, "train")
    spans = [range(windows.origin(i)[1] - 12, windows.origin(i)[1] + 4) for i in range(len(windows))]
    assert not any(20 in span for span in spans)


def test_nothing_of_a_later_split_fills_an_earlier_one(tmp_path: Path) -> None:
    rows = lines()
    rows[58] = rows[58].rsplit(",", 2)[0] + ",,"  # the last step of train
    dataset, summary = prepared(tmp_path, rows, fill="linear")
    assert table(dataset, "train")["step"].max() == 56
    assert "0 of 1 steps" in summary["notes"][0]


def test_rows_beside_the_clock(tmp_path: Path) -> None:
    rows = lines()
    rows[5] = rows[5].replace("T04", "T04:20")
    with pytest.raises(
        SourceError, match=r"data\.csv, row 6: time is 2024-03-01T04:20, expected a multiple of 0 days 01"
    ):
        prepared(tmp_path / "refused", rows)
    dataset, summary = prepared(tmp_path / "resampled", rows, irregular="resample")
    assert "1 rows lie beside the clock" in summary["notes"][0]
    assert table(dataset, "train")["step"].tolist() == list(range(58))


@pytest.mark.parametrize(
    ("row", "field", "reason"),
    [
        ("2024-03-01T09,n,cold,1", "load", "is a finite number"),
        ("2024-03-01T09,n,1e999,1", "load", "is a finite number"),
        ("2024-03-01T09,,1,1", "place", "is not empty"),
        ("soon,n,1,1", "time", "is a time"),
        ("2024-03-01T08,n,1,1", "time", "is a time that its series did not have before"),
        ("2024-03-01T09,n,1", "line", "has 4 cells"),
    ],
)
def test_what_is_no_row_is_told(tmp_path: Path, row: str, field: str, reason: str) -> None:
    rows = lines()
    rows[10] = row
    dataset, _ = prepared(tmp_path, rows)
    assert layout(dataset).values == ["load", "temperature"]  # one bad cell makes no column of words
    (told,) = map(json.loads, (dataset / "rejected.jsonl").read_text(encoding="utf-8").splitlines())
    assert (told["file"], told["row"], told["field"], told["reason"]) == ("data.csv", 11, field, reason)


@pytest.mark.parametrize(
    ("every", "told"),
    [
        ("0h", "are no clock; set data.every"),
        ("soon", "'soon' is no time between two steps"),
        ("1ns", "100 times|every"),
    ],
)
def test_steps_that_are_no_clock(tmp_path: Path, every: str, told: str) -> None:
    with pytest.raises(SourceError, match=told):
        prepared(tmp_path, lines(), every=every)


def test_given_splits_that_overlap_in_time_are_a_leak(tmp_path: Path) -> None:
    rows = lines()
    raw = tmp_path / "raw"
    raw.mkdir()
    (raw / "train.csv").write_text("\n".join(rows[:61]) + "\n", encoding="utf-8")
    (raw / "test.csv").write_text("\n".join([rows[0], *rows[60:]]) + "\n", encoding="utf-8")
    with pytest.raises(SourceError, match=r"test\.csv, row 2: test has 2024-03-03T11, .*a leak across time"):
        tiny.prepared(tmp_path, "\n".join([rows[0], *rows[60:]]) + "\n", name="test.csv")


def test_a_column_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"data\.csv, row 2: no 'lod'; did you mean 'load'"):
        prepared(tmp_path, lines(), targets=["lod"], values=["load", "lod"])


def test_addition_is_split_by_whole_sums(tmp_path: Path) -> None:
    from tasks.series.prepare import prepare, sample

    made = tiny.settings(**tiny.ADDITION)
    for name in ("raw", "dataset"):
        (tmp_path / name).mkdir()
    sample(tmp_path / "raw", made, 7)
    prepare(tmp_path / "raw", tmp_path / "dataset", made, 7)
    splits = {split: set(table(tmp_path / "dataset", split)["series_id"]) for split in ("train", "val", "test")}
    assert sum(map(len, splits.values())) == len(set.union(*splits.values())) == 24
    windows = Windows(tmp_path / "dataset", "train")
    assert len(windows) == len(splits["train"])
    a, b = (windows.history(0)[:, i] @ 2.0 ** np.arange(8) for i in (0, 1))
    assert windows.classes(0) @ 2 ** np.arange(8) == a + b and windows.origin(0)[0] == f"{a:.0f}+{b:.0f}"


def test_labels_of_series_that_begin_at_different_times(tmp_path: Path) -> None:
    """Each has its windows from its own beginning on."""
    rows = ["hour,who,x,state"]
    for i in range(12):
        rows += [f"{3 * i + step},w{i},{i}.{step},{step % 2}" for step in range(8)]
    changes = tiny.ADDITION["data"] | {"time": "hour", "id": "who", "values": ["x"], "label": "state"}
    made = tiny.settings(**{**tiny.ADDITION, "data": changes})
    dataset, _ = tiny.prepared(tmp_path, "\n".join(rows) + "\n", made)
    assert sum(len(Windows(dataset, split)) for split in ("train", "val", "test")) == 12


def test_a_sensor_that_hangs_and_a_value_out_of_reach(tmp_path: Path) -> None:
    rows = lines()
    stamps = [row.split(",")[0] for row in rows]
    rows[30] = f"{stamps[30]},n,1000,0"
    for i in range(40, 46):
        rows[i] = f"{stamps[i]},n,2.5,0.{i}"
    made = tiny.settings(validate={"max_still": 4})
    dataset, _ = prepared(tmp_path, rows)
    tables = checks.tables(dataset, made)
    bad = {
        (expectation.kwargs["column"], step)
        for expectation in checks.expectations(made, tables)["steps"]
        for step, value in zip(tables["steps"]["step"], tables["steps"][expectation.kwargs["column"]], strict=True)
        if not expectation.kwargs.get("min_value", value) <= value <= expectation.kwargs.get("max_value", value)
    }
    assert bad == {("value load", 29), ("still load", 43), ("still load", 44)}


def test_the_way_to_plain_files_and_back(tmp_path: Path) -> None:
    from pipelines.datasets import export
    from tasks.series.prepare import prepare

    dataset, _ = tiny.prepared(tmp_path, tiny.table())
    assert export(dataset, tmp_path / "plain", None) == 180
    (tmp_path / "again").mkdir()
    made = tiny.settings(data={"id": "series_id", "values": ["load", "temperature"]})
    prepare(tmp_path / "plain", tmp_path / "again", made, 7)
    for split in ("train", "val", "test"):
        one, two = (
            table(folder, split).drop(columns=["id", "file", "row"]) for folder in (dataset, tmp_path / "again")
        )
        assert one.reset_index(drop=True).equals(two.reset_index(drop=True)), split

"""Rows of tables: what is read, and what is told of what is no row."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from core import rows
from core.errors import SourceError


def read(path: Path, form: str = "auto") -> tuple[list[tuple[int, dict[str, Any]]], list[tuple[Any, ...]]]:
    rejected: list[tuple[Any, ...]] = []
    found = list(rows.read(path, path.name, form, lambda *told: rejected.append(told)))
    return found, rejected


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_a_csv_by_its_separator(tmp_path: Path, separator: str) -> None:
    path = tmp_path / "a.csv"
    path.write_text(f'\ufeffx{separator} y \n1{separator}"2\n3"\n\n4{separator}5\n7\n', encoding="utf-8")
    found, rejected = read(path)
    assert found == [(3, {"x": "1", "y": "2\n3"}), (5, {"x": "4", "y": "5"})]
    assert rejected == [("a.csv", 6, "line", "has 2 cells", 1)]


def test_json_lines(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"x": 1}\n\n[2]\n{"x": \n{"x": ' + "9" * 5000 + "}\n", encoding="utf-8")
    found, rejected = read(path)
    assert found == [(1, {"x": 1})]
    assert [row for _, row, *_ in rejected] == [3, 4, 5]


def test_parquet(tmp_path: Path) -> None:
    pd.DataFrame({"x": [1.5, 2.5]}).to_parquet(tmp_path / "a.parquet")
    assert read(tmp_path / "a.parquet")[0] == [(1, {"x": 1.5}), (2, {"x": 2.5})]


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("a.csv", b"x,y\n1,\xff\n", "a.csv, line 2: not UTF-8 at byte 6"),
        ("a.csv", b"", "a.csv, line 1: found [], expected a header"),
        ("a.csv", b"x,x\n1,2\n", "expected a header with a name for each column"),
        ("a.csv", b'x,y\n1,"2\n', "a.csv, line 2: no CSV"),
        ("a.parquet", b"PAR1 is not enough", "a.parquet: no Parquet"),
    ],
)
def test_files_that_are_none(tmp_path: Path, name: str, content: bytes, told: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(SourceError, match=told.replace("[", r"\[")):
        read(tmp_path / name)


def test_which_files_are_read(tmp_path: Path) -> None:
    for name in ("b.csv", "a.tsv", "notes.md", ".hidden.csv"):
        (tmp_path / name).write_text("x\n1\n", encoding="utf-8")
    found, notes = rows.files(tmp_path, "auto")
    assert sorted(found.values()) == ["a.tsv", "b.csv"]
    assert notes == ["1 other files not read, e.g. notes.md"]
    with pytest.raises(SourceError, match=r"expected files \*\.parquet"):
        rows.files(tmp_path, "parquet")
    assert list(rows.files(tmp_path / "notes.md", "csv")[0].values()) == ["notes.md"]

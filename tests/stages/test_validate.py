"""What `validate` tells of bad data: by kind, in bounded length, with the place of the whole list."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from core import paths
from core.errors import DataError
from core.files import read_jsonl
from stages import validate


def rows(count: int, kinds: int, length: int) -> list[dict[str, Any]]:
    return [
        {
            "file": "a" * length,
            "row": i,
            "field": "line",
            "reason": f"{i % kinds} " + "r" * length,
            "found": "f" * length,
        }
        for i in range(count)
    ]


@pytest.mark.parametrize(("count", "kinds", "length"), [(3, 1, 20), (2000, 1, 20), (2000, 2000, 500)])
def test_a_refusal_is_short_and_says_where_all_of_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: int, kinds: int, length: int
) -> None:
    monkeypatch.chdir(tmp_path)
    bad = rows(count, kinds, length)
    report = validate._report({}, {}, bad, bad)
    context: Any = SimpleNamespace(task="t", params=SimpleNamespace(validation=SimpleNamespace(max_bad=0.1)))
    with pytest.raises(DataError) as caught:
        validate._refuse_above_limit(context, report, bad)
    message = str(caught.value)
    assert len(message) <= validate.LONGEST and "{" not in message
    kept = paths.STATE / "quarantine" / "t.jsonl"
    assert str(kept) in message and read_jsonl(kept) == bad
    assert f"{count // kinds:,} x 0 r" in message


def test_many_problems_are_cut_and_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    short = validate._refusal("t", ["one", "two"], ["a note"])
    assert short == "t: one; two\n  prepare noted: a note"
    problems = [f"problem {i}" for i in range(1000)]
    message = validate._refusal("t", problems, [])
    kept = paths.STATE / "quarantine" / "t.txt"
    assert len(message) <= validate.LONGEST and str(kept) in message
    assert "problem 999" in kept.read_text()

"""The suite of sentence pairs, run by the real Great Expectations."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from core import params as params_module
from tasks.translation import checks
from tasks.translation.params import Params
from validation import suites

ROOT = Path(__file__).resolve().parents[3]
PARAMS = Params.model_validate(params_module.read(ROOT / "params.yaml")["translation"])
GOOD = [(f"this is sentence {i}", f"これは文{i}です") for i in range(40)]
BAD = [
    ("", "空の文です", "source", "is not empty"),  # 28
    ("an empty translation", "", "target", "is not empty"),  # 28
    ("word " * 100, "言葉" * 60, "source", "at most 400 characters"),  # 29
    ("a bell\x07 rings", "鐘が鳴る", "source", "no control"),  # 30
    ("a nul character", "文字\x00です", "target", "no control"),  # 30
    ("a broken sign", "壊れた\ufffdです", "target", "no control"),  # 30
    ("left as it was", "left as it was", "target", "letters are in the script of 'ja'"),  # 32
    ("это по-русски", "これはロシア語", "source", "letters are in the script of 'en'"),  # 32
    ("a long sentence with a very short translation", "短い", "ratio", "9 times as long"),
]


def dataset(folder: Path, splits: dict[str, list[tuple[str, str]]]) -> Path:
    folder.mkdir()
    number = 0
    for split in checks.SPLITS:
        rows = splits.get(split, [])
        table = pd.DataFrame(rows, columns=["source", "target"], dtype="str").assign(
            file=f"{split}.en", row=range(1, len(rows) + 1)
        )
        table.insert(0, "id", range(number, number + len(rows)))
        number += len(rows)
        table.to_parquet(folder / f"{split}.parquet", index=False)
    (folder / "languages.json").write_text(json.dumps({"source": "en", "target": "ja", "tokenized": False}))
    return folder


def outcome(data: Path, docs: Path) -> suites.Outcome:
    tables = checks.tables(data, PARAMS)
    return suites.run("translation", tables, checks.expectations(PARAMS, tables), docs)["pairs"]


def test_every_bad_pair_is_quarantined_with_its_reason_and_no_good_one(tmp_path: Path) -> None:
    """docs/faults.md 28, 29, 30, 32."""
    train = [*GOOD[:20], *((source, target) for source, target, _, _ in BAD)]
    data = dataset(tmp_path / "data", {"train": train, "val": GOOD[20:30], "test": GOOD[30:]})
    found = outcome(data, tmp_path / "docs")
    assert not found.broken
    assert found.bad_ids == set(range(20, 20 + len(BAD)))
    for number, (_, _, field, reason) in enumerate(BAD, 20):
        rows = [row for row in found.quarantine if row["id"] == number]
        assert any(row["field"].startswith(field) and reason in row["reason"] for row in rows), rows
        assert all((row["file"], row["row"], row["split"]) == ("train.en", number + 1, "train") for row in rows)

    counts = checks.clean(data, {"pairs": found.bad_ids}, tmp_path / "clean", PARAMS)
    assert counts == {"train": 20, "val": 10, "test": 10, "warnings": []}
    assert checks.refuse(tmp_path / "clean", PARAMS) == []
    assert pd.read_parquet(tmp_path / "clean" / "train.parquet")["source"].tolist() == [s for s, _ in GOOD[:20]]


def test_leakage_breaks_the_suite_and_is_refused(tmp_path: Path) -> None:
    """docs/faults.md 41."""
    leak = [*GOOD[:20], ("This is  SENTENCE 35", "別の訳です")]
    data = dataset(tmp_path / "data", {"train": leak, "val": GOOD[20:30], "test": GOOD[30:]})
    (broken,) = outcome(data, tmp_path / "docs").broken
    assert "leakage" in broken and "found 2" in broken
    (problem,) = checks.refuse(data, PARAMS)
    assert "2 pairs" in problem and "train.en row 21" in problem


def test_an_empty_split_breaks_the_suite_and_a_small_one_is_refused(tmp_path: Path) -> None:
    """docs/faults.md 43."""
    data = dataset(tmp_path / "data", {"train": GOOD[:20], "val": GOOD[20:25]})
    (broken,) = outcome(data, tmp_path / "docs").broken
    assert "train, val and test" in broken
    problems = checks.refuse(data, PARAMS)
    assert [problem[:31] for problem in problems] == [
        "the split val has 5 clean pairs",
        "the split test has 0 clean pair",
    ]


def test_drift_of_lengths_is_a_warning(tmp_path: Path) -> None:
    """docs/faults.md 44."""
    longer = [(f"{source} which is now much longer than all the others", target) for source, target in GOOD]
    short = [(f"short {i}", f"短文{i}") for i in range(200)]
    data = dataset(tmp_path / "data", {"train": short, "val": longer[:20], "test": longer[20:]})
    warnings = checks.clean(data, {}, tmp_path / "clean", PARAMS)["warnings"]
    assert any("source sentences of test differ in length" in warning for warning in warnings)


@pytest.mark.parametrize(
    ("text", "language", "share"),
    [
        ("こんにちは世界、カタカナ。", "ja", 1.0),
        ("Tomは学生", "ja", 0.5),
        ("Straße über Ænima", "de", 1.0),
        ("привет world", "ru", 6 / 11),
        ("Zdravo", "sr-Latn", 1.0),
        ("123 , .", "ja", 1.0),
        ("anything", "xx", 1.0),
        ("안녕", "ko", 1.0),
        ("नमस्ते", "hi", 1.0),
    ],
)
def test_script_share(text: str, language: str, share: float) -> None:
    assert checks.script_share(text, language) == pytest.approx(share)


def test_equal_pairs_inside_a_split_are_no_leak(tmp_path: Path) -> None:
    splits: dict[str, Any] = {"train": [GOOD[0]] * 20, "val": [GOOD[1]] * 10, "test": [GOOD[2]] * 10}
    assert checks.refuse(dataset(tmp_path / "data", splits), PARAMS) == []

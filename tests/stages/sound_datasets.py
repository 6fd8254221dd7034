"""What must hold of any dataset that `prepare` writes, and of what the checks of `validate` leave of it.

`read` goes through both as their stages do, without Great Expectations: the few kinds of checks that tasks name are
computed here by another way, so that thousands of sources take minutes.
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from raw_sources import ENGLISH, JAPANESE, PAIRS

from core import task
from core.errors import StillhouseError
from core.files import read_json, read_jsonl, write_json
from core.task import Expectation
from core.visible import CONTROL, visible
from core.walk import listing
from modalities.images.inputs.decode import decode
from modalities.images.inputs.formats import SUFFIXES
from modalities.splits import SPLITS

LONGEST = 2000
"""Characters of a refusal."""
OVERHANG = 1e-6
REPR = re.compile(r"<class '|<[\w.]+ object at 0x|\{'[^']*':|Traceback|Path\('")
"""What only a programmer reads."""


def read(name: str, source: Path, out: Path, params: Any) -> dict[str, Any]:
    """The summary of a dataset that is sound. Raises: StillhouseError for a refusal; AssertionError for anything that
    contradicts itself."""
    (out / "prepared").mkdir(parents=True)
    prepared, clean = out / "prepared", out / "clean"
    summary: dict[str, Any] = task.load(name, "prepare").prepare(source, prepared, params, 7)
    write_json(prepared / "summary.json", summary)
    rejected = read_jsonl(prepared / "rejected.jsonl") if (prepared / "rejected.jsonl").exists() else []
    removed = read_jsonl(prepared / "removed.jsonl") if (prepared / "removed.jsonl").exists() else []
    for row in [*rejected, *removed]:
        assert all(isinstance(row[key], str) and row[key] for key in ("file", "field", "reason")), row
        assert isinstance(row["row"], int) and row["row"] >= 1, row
        assert len(json.dumps(row)) < 8000, row
        assert not REPR.search(row["reason"]), row
    assert all(isinstance(note, str) and note for note in summary["notes"]), summary
    assert all(len(note) < 3000 for note in summary["notes"]), summary["notes"]

    checks = task.load(name, "checks")
    tables = checks.tables(prepared, params)
    bad = {table: _bad(rows, checks.expectations(params, tables)[table]) for table, rows in tables.items()}
    checks.clean(prepared, bad, clean, params)
    for problem in checks.refuse(clean, params):
        assert isinstance(problem, str), problem
    if name == "series":
        _steps(prepared)
        _steps(clean)
    elif name == "translation":
        _pairs(clean, params)
        _all_lines(source, prepared, rejected, removed, summary)
    else:
        _canonical(prepared)
        _pictures(clean)
        _all_pictures(source, prepared, rejected, removed, summary)
    return summary


def refusal(error: StillhouseError, source: Path) -> None:
    """Fails unless a refusal is of the form that every refusal has."""
    shown = visible(str(error))  # as `core.stage` prints it
    assert shown.strip(), "it says nothing"
    assert len(shown) <= LONGEST, f"{len(shown)} characters: {shown[:300]}"
    assert not CONTROL.search(shown)
    shown.encode()
    assert not REPR.search(shown), shown
    names = {part for path in [source, *source.rglob("*")] for part in (path.name, path.stem) if len(part) > 1}
    assert any(visible(part) in shown for part in names) or re.search(r"\bdata\.\w+|\bsplits?\b|'(val|test)'", shown), (
        shown
    )


def _bad(rows: pd.DataFrame, suite: list[Expectation]) -> set[Any]:
    """Ids of rows that fail a check of rows; what is null is not looked at, as Great Expectations has it."""
    bad: set[Any] = set()
    for check in suite:
        if check.severity != "row":
            continue
        column = rows[check.kwargs["column"]].dropna()
        bad |= set(rows.loc[column.index[~_holds(column, check)], "id"])
    return bad


def _holds(column: pd.Series, check: Expectation) -> np.ndarray:
    low, high = check.kwargs.get("min_value"), check.kwargs.get("max_value")
    match check.type:
        case "expect_column_values_to_be_in_set":
            return column.isin(check.kwargs["value_set"]).to_numpy(bool)
        case "expect_column_values_to_be_unique":
            return ~column.duplicated(keep=False).to_numpy(bool)
        case "expect_column_values_to_not_match_regex":
            return ~column.astype(str).str.contains(check.kwargs["regex"], regex=True).to_numpy(bool)
        case "expect_column_value_lengths_to_be_between":
            column = column.str.len()
    numbers = column.to_numpy(np.float64)
    least = numbers > low if check.kwargs.get("strict_min") else numbers >= (-math.inf if low is None else low)
    return np.asarray(least & (numbers <= (math.inf if high is None else high)))


# Steps of time.


def _steps(folder: Path) -> None:
    """Splits follow each other, a step of a series is there once, and all numbers are some."""
    plan, last, seen = read_json(folder / "layout.json"), -1, set[tuple[str, int]]()
    for split in SPLITS:
        rows = pd.read_parquet(folder / f"{split}.parquet")
        keys = {*zip(rows["series_id"], rows["step"].tolist(), strict=True)}
        assert len(keys) == len(rows) and not keys & seen
        seen |= keys
        numbers = rows[[f"v_{name}" for name in plan["values"]]].to_numpy(np.float64)
        assert np.isfinite(numbers).all() and np.isfinite(numbers.astype(np.float32)).all()
        assert (rows["row"] >= 1).all() and rows["file"].str.len().all()
        assert not len(rows) or rows["step"].min() > last
        last = rows["step"].max() if len(rows) else last


# Pictures.


def _canonical(folder: Path) -> None:
    """Whatever is bad of it, a dataset of images agrees with itself."""
    ids, names, boxes = Counter[int](), Counter[str](), Counter[int]()
    categories = None
    for split in SPLITS:
        content = read_json(folder / f"{split}.json")
        assert categories in (None, content["categories"])
        categories = content["categories"]
        for entry in categories:
            assert isinstance(entry["name"], str) and entry["name"].strip(), categories
        known, own = {entry["id"] for entry in categories}, {image["id"] for image in content["images"]}
        assert len({entry["name"] for entry in categories}) == len(known) == len(categories), categories
        for image in content["images"]:
            ids[image["id"]] += 1
            names[image["file_name"].lower()] += 1
            assert Path(image["file_name"]).name == image["file_name"], image
            assert image["source_file"] and image["source_row"] >= 1, image
        for entry in content["annotations"]:
            boxes[entry["id"]] += 1
            assert entry["image_id"] in own and entry["category_id"] in known, entry
            assert entry["source_file"] and entry["source_row"] >= 1, entry
            if "bbox" in entry:
                good = [isinstance(value, int | float) and math.isfinite(value) for value in entry["bbox"]]
                assert len(good) == 4 and (all(good) or entry["stated"]), entry
    assert not [key for counts in (ids, names, boxes) for key, count in counts.items() if count > 1]
    there = {path.name.lower() for path in (folder / "images").iterdir()}
    assert there <= set(names), there - set(names)


def _pictures(folder: Path) -> None:
    """What is left is good: each image decodes and has the size that is said, each box lies inside and has an area."""
    for split in SPLITS:
        content = read_json(folder / f"{split}.json")
        sizes = {}
        for image in content["images"]:
            pixels = decode(folder / "images" / image["file_name"])
            sizes[image["id"]] = (image["width"], image["height"])
            assert sizes[image["id"]] == (pixels.shape[1], pixels.shape[0]), image
        for entry in content["annotations"]:
            assert entry["image_id"] in sizes, entry
            if "bbox" not in entry:
                continue
            x, y, width, height = entry["bbox"]
            limits = sizes[entry["image_id"]]
            assert all(map(math.isfinite, entry["bbox"])) and width > 0 and height > 0, entry
            assert x >= 0 and y >= 0 and x + width <= limits[0] + OVERHANG and y + height <= limits[1] + OVERHANG, entry


def _all_pictures(source: Path, folder: Path, rejected: list[Any], removed: list[Any], summary: dict[str, Any]) -> None:
    """Every picture of the source is in the dataset, or rejected or removed, or counted in a note."""
    files = listing(source)
    pictures = [path for path in [*files.files, *files.hidden] if path.name.lower().endswith(SUFFIXES)]
    taken = sum(len(read_json(folder / f"{split}.json")["images"]) for split in SPLITS)
    noted = sum(_counted(note) for note in summary["notes"])
    assert len(pictures) <= taken + len(rejected) + len(removed) + noted, (
        f"{len(pictures)} pictures: {taken} taken, {len(rejected)} rejected, {len(removed)} removed, {noted} noted"
    )


def _counted(note: str) -> int:
    """What a note says that it leaves out; one that leaves out and gives no number leaves out anything."""
    if "left out" not in note and "not read" not in note:
        return 0
    found = re.match(r"[\d,]+(?= )", note)
    return int(found[0].replace(",", "")) if found else 10**6


# Text.


def _pairs(folder: Path, params: Any) -> None:
    """What is left is good: two texts that say something and steer nothing."""
    ids: set[int] = set()
    for split in SPLITS:
        table = pd.read_parquet(folder / f"{split}.parquet")
        assert list(table.columns) == ["id", "source", "target", "file", "row"]
        assert not ids & set(table["id"]) and table["id"].is_unique
        ids |= set(table["id"])
        for side in ("source", "target"):
            for sentence in table[side]:
                assert isinstance(sentence, str) and sentence.strip(), repr(sentence)
                assert not re.search(r"[\x00-\x1f\x7f-\x9f\ufeff\ud800-\udfff]", sentence), repr(sentence)
                assert len(sentence) <= params.validation.max_characters
        assert all(table["file"].str.len() > 0) and all(table["row"] >= 1)


def _all_lines(source: Path, folder: Path, rejected: list[Any], removed: list[Any], summary: dict[str, Any]) -> None:
    """Every line of a file of lines that was read is a pair, or rejected or removed; where cells may hold line ends,
    nothing tells that so simply."""
    table = pd.concat([pd.read_parquet(folder / f"{split}.parquet") for split in SPLITS])
    if summary["format"] == "tsv":  # what no fault has touched is paired as it was
        mixed = set(zip(table["source"], table["target"], strict=True)) & set(product(ENGLISH, JAPANESE)) - set(PAIRS)
        assert not mixed, mixed
    rows: dict[str, set[int]] = {}
    for file, row in [*zip(table["file"], table["row"], strict=True), *((row["file"], row["row"]) for row in rejected)]:
        rows.setdefault(file, set()).add(int(row))
    for row in removed:
        rows.setdefault(row["file"], set()).add(row["row"])
    files = {visible(path.relative_to(source).as_posix()): path for path in listing(source).files}
    either = {row for found in rows.values() for row in found} if summary["format"] == "text" else set()  # of two files
    for name, found in rows.items():
        path = files[name]
        data = path.read_bytes()
        if summary["format"] == "tmx" or data.startswith(b"\x1f\x8b") or (b'"' in data and summary["format"] == "tsv"):
            continue
        if (summary["format"] == "jsonl" and data.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] == b"[") or path.suffix == ".json":
            continue
        if b"\n" not in data:
            data = data.replace(b"\r", b"\n")
        texts = data.removeprefix(b"\xef\xbb\xbf").split(b"\n")
        # A header is no pair.
        wanted = {number for number, line in enumerate(texts, 1) if line.strip(b" \t\r\x0b\x0c\x1c\x1d\x1e\x1f\x85")}
        missing = wanted - found - either - ({1} if summary["format"] == "tsv" else set())
        assert not missing, f"{name}: lines {sorted(missing)[:5]} are nowhere"

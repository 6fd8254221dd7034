"""What `validate` demands of recordings and of what is said in them; a task on sound takes it as its role `checks`."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.files import write_json
from core.task import Expectation
from modalities import shift
from modalities.audio.inputs import canonical, symbols
from modalities.audio.inputs.canonical import GOOD
from modalities.splits import SPLITS

if TYPE_CHECKING:
    import pandas as pd

FIGURES = ("seconds", "level", "offset", "clipped")
FIRST = "the first of its sound"


def tables(dataset: Path, params: Any) -> dict[str, pd.DataFrame]:
    """`recordings`, one row each: figures are of good files only, since a damaged one is one fault, not five."""
    import pandas as pd

    found, seen = [], dict[str, dict[str, Any]]()
    for split in SPLITS:
        for row in canonical.rows(dataset, split):
            good = row["content"] == GOOD
            told = {name: abs(row[name]) if name == "offset" else row[name] for name in FIGURES}
            first = seen.setdefault(row["digest"], row) if good else row
            same = FIRST if first is row else f"the sound of {first['source_file']}, row {first['source_row']}"
            found.append(
                {"id": row["id"], "file": row["source_file"], "row": row["source_row"], "split": split}
                | {"content": row["content"], "text": row["text"], "speakable": _speakable(row["text"])}
                | {name: value if good else float("nan") for name, value in told.items()}
                | {"rate": float(row["source_rate"]) if good else float("nan"), "same": same}
            )
    return {"recordings": pd.DataFrame(found)}


def expectations(params: Any, tables: Mapping[str, pd.DataFrame]) -> dict[str, list[Expectation]]:
    """The suite of `recordings`."""
    limits = params.validation
    low, high = limits.seconds

    def among(column: str, value: str, reason: str) -> Expectation:
        return Expectation("expect_column_values_to_be_in_set", {"column": column, "value_set": [value]}, reason)

    def between(column: str, least: float | None, most: float | None, reason: str) -> Expectation:
        span = {"column": column, "min_value": least, "max_value": most}
        return Expectation("expect_column_values_to_be_between", span, reason)

    return {
        "recordings": [
            among("content", GOOD, "the file is a recording that can be read to its end"),
            between("seconds", low, high, f"the recording is {low:g} to {high:g} s long"),
            between("level", limits.min_level, None, f"the recording is no silence: at least {limits.min_level:g} dB"),
            between("clipped", 0, limits.max_clipped, f"at most {limits.max_clipped:.1%} of samples at full scale"),
            between("offset", 0, limits.max_offset, f"samples have a mean of at most {limits.max_offset:g} either way"),
            between("rate", limits.min_rate, None, f"the file has at least {limits.min_rate} samples a second"),
            among("same", FIRST, "no other recording has the same sound"),
            among("speakable", "yes", "the transcript has letters or digits, and no control characters"),
        ]
    }


def clean(dataset: Path, bad: Mapping[str, set[Any]], folder: Path, params: Any) -> dict[str, Any]:
    """Write what is good into `folder`; return counts a split, and `warnings`."""
    kept = {
        split: [row for row in canonical.rows(dataset, split) if row["id"] not in bad.get("recordings", set())]
        for split in SPLITS
    }
    (folder / "audio").mkdir(parents=True)
    counts: dict[str, Any] = {}
    for split, rows in kept.items():
        write_json(folder / f"{split}.json", rows)
        for row in rows:
            shutil.copyfile(canonical.file(dataset, row), canonical.file(folder, row))
        counts[split] = {"recordings": len(rows), "minutes": round(sum(row["seconds"] for row in rows) / 60, 2)}
    said = {split: Counter(_units(rows, params)) for split, rows in kept.items()}
    warnings = []
    for split in ("val", "test"):
        warnings += shift.of_shares(split, said[split], said["train"], "labels", "labels")
        held, train = ([row["seconds"] for row in kept[name]] for name in (split, "train"))
        warnings += shift.of_figures(split, held, train, "recordings", "length", lambda value: f"{value:.2f}", "s")
        shared = {row["speaker"] for row in kept[split]} & {row["speaker"] for row in kept["train"]} - {""}
        if shared:
            warnings.append(f"{len(shared)} speakers of {split} speak in train, too: new ones may be understood less")
    return counts | {"warnings": warnings}


def refuse(dataset: Path, params: Any) -> list[str]:
    """An empty split, and what is said in held-out splits and never in train."""
    rows = {split: canonical.rows(dataset, split) for split in SPLITS}
    if empty := [f"the split {split} is empty" for split in SPLITS if not rows[split]]:
        return empty
    known = set(_units(rows["train"], params))
    if len(known) < 2:
        return [f"train says only {sorted(known)}; expected at least two different labels"]
    what = "labels" if params.data.target == "class" else params.data.units
    problems = []
    for split in ("val", "test"):
        if new := sorted(set(_units(rows[split], params)) - known):
            problems.append(f"{split} has {what} that train lacks: {', '.join(map(repr, new[:5]))}")
    return problems


def _units(rows: list[dict[str, Any]], params: Any) -> list[str]:
    if params.data.target == "class":
        return [row["text"] for row in rows]
    return [unit for row in rows for unit in symbols.split(row["text"], params.data.units)]


def _speakable(text: str) -> str:
    if not any(character.isalnum() for character in text):
        return "no: there is no letter or digit"
    return "yes" if text.isprintable() else "no: there are control characters"

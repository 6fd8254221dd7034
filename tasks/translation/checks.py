"""What `validate` demands of sentence pairs.

Reads a canonical dataset (see `tasks.translation.prepare`); `clean` writes one of the same form without the bad pairs.
Equal pairs inside one split are allowed: how often a sentence occurs is part of the language. Across splits they leak.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from core.task import Expectation
from modalities import shift
from modalities.splits import SPLITS
from modalities.text.inputs import languages
from modalities.text.inputs.normal import key
from modalities.text.inputs.scripts import script_share

if TYPE_CHECKING:
    import pandas as pd

SIDES = ("source", "target")
FEWEST = 10
"""Pairs below which a split measures nothing."""
CONTROL = r"[\x00-\x1f\x7f-\x9f\ufffd]"
"""Control characters, and the replacement character that a wrong decoding leaves."""


def tables(dataset: Path, params: Any) -> dict[str, pd.DataFrame]:
    """`pairs`: the columns of the dataset, and for each row
    `ratio` of the character counts (longer to shorter, 1 for an empty side), `source_script`, `target_script` (share of
    the letters in the language's script), `shared` (1: another split has the same source sentence, else 0).
    """
    import pandas as pd

    pairs = pd.concat([_read(dataset, split).assign(split=split) for split in SPLITS], ignore_index=True)
    pair = languages.read(dataset)
    source, target = pairs["source"].str.len(), pairs["target"].str.len()
    longer, shorter = np.maximum(source, target), np.minimum(source, target)
    return {
        "pairs": pairs.assign(
            ratio=np.where(shorter == 0, 1.0, longer / np.maximum(shorter, 1)),
            source_script=[script_share(text, pair.source) for text in pairs["source"]],
            target_script=[script_share(text, pair.target) for text in pairs["target"]],
            shared=shared(pairs).astype(int),
        )
    }


def expectations(params: Any, tables: Mapping[str, pd.DataFrame]) -> dict[str, list[Expectation]]:
    """See `core.task.Checks`."""
    limits = params.validation
    checks = []
    for side in SIDES:
        name = getattr(params.data, f"{side}_language")
        checks += [
            Expectation(
                "expect_column_value_lengths_to_be_between",
                {"column": side, "min_value": 1},
                f"the {side} sentence is not empty",
            ),
            Expectation(
                "expect_column_value_lengths_to_be_between",
                {"column": side, "max_value": limits.max_characters},
                f"the {side} sentence has at most {limits.max_characters} characters",
            ),
            Expectation(
                "expect_column_values_to_not_match_regex",
                {"column": side, "regex": CONTROL},
                f"the {side} sentence has no control or replacement characters",
            ),
            Expectation(
                "expect_column_values_to_be_between",
                {"column": f"{side}_script", "min_value": limits.min_script},
                f"at least {limits.min_script:.0%} of the {side} sentence's letters are in the script of {name!r}",
            ),
        ]
    return {
        "pairs": [
            *checks,
            Expectation(
                "expect_column_values_to_be_between",
                {"column": "ratio", "max_value": limits.max_ratio},
                f"one sentence is at most {limits.max_ratio:g} times as long as the other",
            ),
            Expectation(
                "expect_column_proportion_of_unique_values_to_be_between",
                {"column": "id", "min_value": 1.0},
                "every id stands once",
                "table",
            ),
            Expectation(
                "expect_column_distinct_values_to_equal_set",
                {"column": "split", "value_set": list(SPLITS)},
                "each of train, val and test has pairs",
                "table",
            ),
            Expectation(
                "expect_column_sum_to_be_between",
                {"column": "shared", "max_value": 0},
                "no source sentence stands in two splits (train/test leakage)",
                "table",
            ),
        ]
    }


def clean(dataset: Path, bad: Mapping[str, set[Any]], folder: Path, params: Any) -> dict[str, Any]:
    """Pairs left in each split, and `warnings`: held-out splits whose sentence lengths differ from train's."""
    folder.mkdir(parents=True, exist_ok=True)
    kept = {}
    for split in SPLITS:
        pairs = _read(dataset, split)
        kept[split] = pairs[~pairs["id"].isin(bad.get("pairs", set()))]
        kept[split].to_parquet(folder / f"{split}.parquet", index=False)
    shutil.copyfile(dataset / languages.ASSET, folder / languages.ASSET)
    return {**{split: len(pairs) for split, pairs in kept.items()}, "warnings": warnings(kept)}


def refuse(dataset: Path, params: Any) -> list[str]:
    """See `core.task.Checks`."""
    import pandas as pd

    pairs = pd.concat([_read(dataset, split).assign(split=split) for split in SPLITS], ignore_index=True)
    counts = {split: int((pairs["split"] == split).sum()) for split in SPLITS}
    problems = [
        f"the split {split} has {count} clean pairs, expected at least {FEWEST}; add data, or change data.splits"
        for split, count in counts.items()
        if count < FEWEST
    ]
    leaks = pairs[shared(pairs)]
    if len(leaks):
        first = leaks.iloc[0]
        problems.append(
            f"{len(leaks)} pairs have their source sentence in two splits (leakage), e.g. {first['file']} "
            f"row {first['row']}: {first['source'][:80]!r}; remove them from one"
        )
    return problems


def shared(pairs: pd.DataFrame) -> pd.Series:
    """Whether another split has the same source sentence; case, width and spacing do not count, nor empty ones."""
    keys = pairs["source"].map(key)
    return (pairs["split"].groupby(keys).transform("nunique") > 1) & (keys != "")


def warnings(splits: Mapping[str, pd.DataFrame]) -> list[str]:
    """Held-out splits whose sentences are not as long as train's."""
    lengths = {split: {side: table[side].str.len() for side in SIDES} for split, table in splits.items()}
    return [
        sentence
        for split in ("val", "test")
        for side in SIDES
        for sentence in shift.of_figures(
            split,
            lengths[split][side],
            lengths["train"][side],
            f"{side} sentences",
            "length",
            "{:g}".format,
            "characters",
        )
    ]


def _read(dataset: Path, split: str) -> pd.DataFrame:
    import pandas as pd

    return pd.read_parquet(dataset / f"{split}.parquet")

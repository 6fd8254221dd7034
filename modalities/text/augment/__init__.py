"""Augmented train split of sentence pairs, seeded; every transform is off at 0. Subwords are sampled later, at load.

Reads `train.parquet` and `languages.json` of the clean dataset (the other splits for their ids alone). Writes
`dataset/train.parquet` of the same form, the originals first, `contact_sheet.png` and `examples.html`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from modalities.text.augment import sheet
from modalities.text.inputs.languages import Languages, read, spaced

SHOWN = 6
"""Examples of each transform on the contact sheet."""


def augment(dataset: Path, folder: Path, params: Any, seed: int) -> dict[str, Any]:
    """See `core.task.Augment`."""
    train = pd.read_parquet(dataset / "train.parquet")
    pair = read(dataset)
    rng = np.random.default_rng(seed)
    made = {
        "concatenate": concatenate(train, params.augment.concatenate, pair, rng),
        "token_dropout": token_dropout(train, params.augment.token_dropout, pair, rng),
    }
    ids = [pd.read_parquet(dataset / f"{split}.parquet", columns=["id"])["id"] for split in ("train", "val", "test")]
    whole = pd.concat([train, *made.values()], ignore_index=True)
    first = int(pd.concat(ids).max()) + 1
    whole["id"] = [*train["id"], *range(first, first + len(whole) - len(train))]

    (folder / "dataset").mkdir(parents=True)
    whole.to_parquet(folder / "dataset" / "train.parquet", index=False)
    examples: list[sheet.Example] = [
        (name, str(original), str(source), str(target))
        for name, rows in made.items()
        for original, source, target in zip(
            train["source"].loc[rows.index[:SHOWN]], rows["source"], rows["target"], strict=False
        )
    ]
    sheet.draw(train, whole, examples, folder / "contact_sheet.png")
    sheet.write_html(examples, folder / "examples.html")
    return {"originals": len(train), **{name: len(rows) for name, rows in made.items()}, "total": len(whole)}


def concatenate(train: pd.DataFrame, share: float, pair: Languages, rng: np.random.Generator) -> pd.DataFrame:
    """`share` * len(train) pairs made from a pair and the one after it in the file (Kondo et al. 2021).

    Without context the model learns longer sentences than the data has. `file` and `row` are those of the first.
    """
    first = _drawn(len(train) - 1, share * len(train), rng)
    joined = train.iloc[first].copy()
    for column, language in (("source", pair.source), ("target", pair.target)):
        space = " " if separated(language, pair.tokenized) else ""
        following = train[column].iloc[first + 1].to_numpy()
        joined[column] = [f"{one}{space}{two}" for one, two in zip(joined[column], following, strict=True)]
    return joined


def token_dropout(train: pd.DataFrame, probability: float, pair: Languages, rng: np.random.Generator) -> pd.DataFrame:
    """A copy of each pair with source tokens left out, where any was (word dropout, Sennrich et al. 2016).

    Tokens are words, or characters of a language without spaces. One at least is left.
    """
    if not probability:
        return train.iloc[:0].copy()
    by_word = separated(pair.source, pair.tokenized)
    thinned = []
    for text in train["source"]:
        tokens = text.split(" ") if by_word else list(text)
        kept = rng.random(len(tokens)) >= probability
        kept[rng.integers(len(tokens))] = True
        thinned.append((" " if by_word else "").join(token for token, stays in zip(tokens, kept, strict=True) if stays))
    copies = train.assign(source=thinned)
    return copies[copies["source"] != train["source"]]


def separated(language: str, tokenized: bool) -> bool:
    """Whether a space stands between tokens."""
    return tokenized or spaced(language)


def _drawn(population: int, count: float, rng: np.random.Generator) -> np.ndarray:
    """Sorted positions below `population`, none twice; as many as there are at most."""
    wanted = min(max(population, 0), round(count))
    return np.sort(rng.choice(max(population, 0), wanted, replace=False)) if wanted else np.zeros(0, dtype=np.int64)

"""Augmentation of sentence pairs."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from core import params as params_module
from modalities.text.augment import augment, concatenate, sheet, token_dropout
from modalities.text.inputs.languages import Languages
from tasks.translation.params import Params

ROOT = Path(__file__).resolve().parents[3]
PAIR = Languages("en", "ja", tokenized=False)
TRAIN = pd.DataFrame(
    {
        "id": range(40),
        "source": [f"the <b>book</b> number {i} is good" for i in range(40)],
        "target": [f"本{i}は良い。" for i in range(40)],
        "file": "train.en",
        "row": range(1, 41),
    }
)


def run(folder: Path, **settings: float) -> dict[str, int]:
    values = params_module.read(ROOT / "params.yaml")["translation"]
    values["augment"] |= settings
    clean = folder / "clean"
    clean.mkdir(parents=True)
    TRAIN.to_parquet(clean / "train.parquet", index=False)
    for split, first in (("val", 100), ("test", 200)):
        TRAIN.assign(id=range(first, first + 40)).to_parquet(clean / f"{split}.parquet", index=False)
    (clean / "languages.json").write_text(json.dumps({"source": "en", "target": "ja", "tokenized": False}))
    (folder / "out").mkdir()
    return augment(clean, folder / "out", Params.model_validate(values), seed=5)


def test_originals_stay_and_new_pairs_get_new_ids(tmp_path: Path) -> None:
    counts = run(tmp_path, concatenate=0.25, token_dropout=0.3)
    table = pd.read_parquet(tmp_path / "out" / "dataset" / "train.parquet")
    assert counts["originals"] == 40 and counts["concatenate"] == 10 and counts["token_dropout"] > 20
    assert counts["total"] == len(table)
    pd.testing.assert_frame_equal(table.iloc[:40], TRAIN, check_dtype=False)
    assert table["id"].is_unique and table["id"].iloc[40:].min() == 240
    assert list(table.columns) == list(TRAIN.columns)


def test_everything_can_be_switched_off(tmp_path: Path) -> None:
    assert run(tmp_path, concatenate=0, token_dropout=0) == {
        "originals": 40,
        "concatenate": 0,
        "token_dropout": 0,
        "total": 40,
    }


def test_the_same_seed_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in ("one", "two"):
        run(tmp_path / name, concatenate=0.2, token_dropout=0.2)
    for file in ("dataset/train.parquet", "contact_sheet.png", "examples.html"):
        assert (tmp_path / "one" / "out" / file).read_bytes() == (tmp_path / "two" / "out" / file).read_bytes()


def test_neighbours_are_joined_as_their_languages_are_written() -> None:
    joined = concatenate(TRAIN, 1.0, PAIR, np.random.default_rng(0))
    assert len(joined) == 39  # the last has no neighbour
    first = joined.iloc[0]
    assert first["source"] == f"{TRAIN['source'][0]} {TRAIN['source'][1]}"
    assert first["target"] == "本0は良い。本1は良い。"
    tokenized = concatenate(TRAIN, 1.0, Languages("en", "ja", tokenized=True), np.random.default_rng(0))
    assert tokenized.iloc[0]["target"] == "本0は良い。 本1は良い。"


@pytest.mark.parametrize(("language", "column"), [("en", "source"), ("ja", "target")])
def test_dropout_takes_tokens_from_the_source_alone(language: str, column: str) -> None:
    train = TRAIN.assign(source=TRAIN[column]) if column == "target" else TRAIN
    thinned = token_dropout(train, 0.5, Languages(language, "de", tokenized=False), np.random.default_rng(0))
    assert thinned["target"].equals(TRAIN["target"].loc[thinned.index])
    for index, text in thinned["source"].items():
        before, after = (list(t) if language == "ja" else t.split() for t in (train["source"][index], text))
        rest = iter(before)
        assert after and len(after) < len(before) and all(token in rest for token in after)


def test_dropout_of_everything_leaves_one_token() -> None:
    thinned = token_dropout(TRAIN, 1.0, PAIR, np.random.default_rng(0))
    assert {len(text.split()) for text in thinned["source"]} == {1}


def test_the_sheet_is_a_picture_and_the_html_is_escaped(tmp_path: Path) -> None:
    run(tmp_path, concatenate=0.2, token_dropout=0.2)
    with Image.open(tmp_path / "out" / "contact_sheet.png") as picture:
        assert picture.width > 1000 and picture.height > 600
    page = (tmp_path / "out" / "examples.html").read_text(encoding="utf-8")
    assert "&lt;b&gt;book" in page and "<b>" not in page and "本" in page


def test_a_font_is_named_only_if_it_has_every_sign() -> None:
    assert sheet.font_for("plain text") is not None
    assert sheet.font_for("\U0010fffd") is None

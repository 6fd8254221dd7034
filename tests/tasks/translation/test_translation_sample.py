"""The embedded sample."""

from __future__ import annotations

import random
import re
from pathlib import Path

import pandas as pd
import pytest

from core import params as params_module
from tasks.translation.checks import script_share
from tasks.translation.params import Params
from tasks.translation.prepare import prepare, sample
from tasks.translation.prepare.sample import SLOTS, distinct
from tasks.translation.prepare.templates import TEMPLATES

ROOT = Path(__file__).resolve().parents[3]


def settings(pairs: int) -> Params:
    values = params_module.read(ROOT / "params.yaml")["translation"]
    values["data"] |= {"source": "sample", "sample": {"pairs": pairs}}
    return Params.model_validate(values)


def test_no_sentence_stands_twice_in_either_language() -> None:
    pairs = distinct(6000, seed=7)
    assert len(pairs) == 6000
    assert len({english.casefold() for english, _ in pairs}) == len({japanese for _, japanese in pairs}) == 6000


def test_the_same_seed_gives_the_same_bytes(tmp_path: Path) -> None:
    folders = [tmp_path / name for name in ("one", "two", "other")]
    for folder, seed in zip(folders, (7, 7, 8), strict=True):
        sample(folder, settings(300), seed)
    contents = [{path.name: path.read_bytes() for path in folder.iterdir()} for folder in folders]
    assert contents[0] == contents[1] != contents[2]
    assert sorted(contents[0]) == ["dev.en", "dev.ja", "test.en", "test.ja", "train.en", "train.ja"]


def test_prepare_reads_it_with_its_splits(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    sample(tmp_path / "raw", settings(400), 7)
    summary = prepare(tmp_path / "raw", tmp_path / "out", settings(400), 7)
    assert [summary[key] for key in ("train", "val", "test", "removed", "normalised")] == [360, 20, 20, 0, {}]
    train, test = (pd.read_parquet(tmp_path / "out" / f"{split}.parquet") for split in ("train", "test"))
    for side in ("source", "target"):
        assert not set(train[side]) & set(test[side])


def test_sentences_are_clean_text() -> None:
    for english, japanese in distinct(2000, seed=1):
        assert re.fullmatch(r"[A-Z0-9][ -~]*[.?]", english), english  # plain ASCII: no thin or no-break spaces
        assert re.fullmatch(r"[^\s.{}]*(\.\d+)?[^\s.{}]*[。]", japanese), japanese
        assert script_share(japanese, "ja") == 1.0, japanese


@pytest.mark.parametrize(("english", "japanese"), TEMPLATES)
def test_both_sides_of_a_template_have_the_same_slots(english: str, japanese: str) -> None:
    slots = [sorted(set(re.findall(r"{(\w+)}", side))) for side in (english, japanese)]
    assert slots[0] == slots[1]
    assert {slot.rstrip("2") for slot in slots[0]} <= set(SLOTS)


@pytest.mark.parametrize(
    ("slot", "pattern"),
    [
        ("date", r"[A-Z][a-z]+ \d+, \d{4}\|\d{4}年\d+月\d+日"),
        ("month", r"[A-Z][a-z]+\|\d+月"),
        ("evening", r"\d+:\d\d PM\|\d\d:\d\d"),
        ("hours", r"\d+ hours\|\d+時間"),
        ("years", r"\d+ years\|\d+年"),
        ("temperature", r"\d+ degrees Celsius\|摂氏\d+度"),
        ("money", r"[\d,]+ [A-Za-z ]+\|[\d,]+[ァ-ヿ一-龥]+"),
    ],
)
def test_cldr_phrases_have_their_natural_form(slot: str, pattern: str) -> None:
    rng = random.Random(0)
    for _ in range(50):
        phrase = "|".join(SLOTS[slot](rng))
        assert re.fullmatch(pattern, phrase), phrase

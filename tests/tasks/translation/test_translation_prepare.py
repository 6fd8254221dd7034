"""Raw pairs in every format, in small real files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from core import params as params_module
from core.errors import SourceError
from core.files import read_jsonl
from modalities.splits import SPLITS, assign
from modalities.text.inputs.normal import key
from tasks.translation.params import Params
from tasks.translation.prepare import prepare

ENGLISH = [f"sentence number {i}" for i in range(60)]
JAPANESE = [f"文の番号は{i}です" for i in range(60)]
ROOT = Path(__file__).resolve().parents[3]


def settings(**data: Any) -> Params:
    values = params_module.read(ROOT / "params.yaml")["translation"]
    values["data"] |= {"source": "given", **data}
    return Params.model_validate(values)


def run(source: Path, out: Path, **data: Any) -> tuple[dict[str, Any], dict[str, pd.DataFrame]]:
    out.mkdir()
    summary = prepare(source, out, settings(**data), seed=3)
    return summary, {split: pd.read_parquet(out / f"{split}.parquet") for split in SPLITS}


def text(folder: Path, name: str, english: list[str], japanese: list[str], end: str = "\n") -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for language, lines in (("en", english), ("ja", japanese)):
        (folder / f"{name}.{language}").write_bytes("".join(line + end for line in lines).encode())


def write_tsv(path: Path) -> None:
    rows = ["ja\tnote\ten", *(f"{j}\tx\t{e}" for e, j in zip(ENGLISH, JAPANESE, strict=True))]
    path.write_text("\n".join(rows), encoding="utf-8")


def write_bare_tsv(path: Path) -> None:
    path.write_text("".join(f"{e}\t{j}\n" for e, j in zip(ENGLISH, JAPANESE, strict=True)), encoding="utf-8")


def write_jsonl(path: Path) -> None:
    forms = (
        lambda e, j: {"en": e, "ja": j},
        lambda e, j: {"source": e, "target": j},
        lambda e, j: {"translation": {"en": e, "ja": j}},
    )
    rows = [forms[i % 3](*pair) for i, pair in enumerate(zip(ENGLISH, JAPANESE, strict=True))]
    path.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")


def write_tmx(path: Path) -> None:
    units = "".join(
        f'<tu><tuv xml:lang="JA"><seg>{j}</seg></tuv>'
        f'<tuv xml:lang="en-US"><seg><bpt i="1">&lt;b&gt;</bpt>{e}</seg></tuv></tu>'
        for e, j in zip(ENGLISH, JAPANESE, strict=True)
    )
    head = '<?xml version="1.0"?><!DOCTYPE tmx SYSTEM "tmx14.dtd"><tmx version="1.4"><header/><body>'
    path.write_text(f"{head}{units}</body></tmx>", encoding="utf-8")


@pytest.mark.parametrize(
    ("name", "write"),
    [("c.tsv", write_tsv), ("c.tsv", write_bare_tsv), ("c.jsonl", write_jsonl), ("c.tmx", write_tmx)],
)
@pytest.mark.parametrize("nested", ["", "archive/data"])
def test_every_format_gives_the_same_pairs(tmp_path: Path, name: str, write: Any, nested: str) -> None:
    folder = tmp_path / "raw" / nested
    folder.mkdir(parents=True)
    write(folder / name)
    source = tmp_path / "raw" if nested else folder / name  # a folder, or the file itself
    summary, tables = run(source, tmp_path / "out")
    pairs = pd.concat(tables.values())
    assert summary["format"] == name.split(".")[1]
    assert set(zip(pairs["source"], pairs["target"], strict=True)) == set(zip(ENGLISH, JAPANESE, strict=True))
    assert pairs["id"].is_unique and pairs["id"].dtype == pairs["row"].dtype == "int64"
    assert {split: len(table) for split, table in tables.items()} == {"train": 54, "val": 3, "test": 3}


def test_the_other_direction(tmp_path: Path) -> None:
    text(tmp_path / "raw", "corpus", ENGLISH, JAPANESE)
    _, tables = run(tmp_path / "raw", tmp_path / "out", source_language="ja", target_language="en")
    assert tables["train"]["source"].str.startswith("文").all()
    assert json.loads((tmp_path / "out" / "languages.json").read_text()) == {
        "source": "ja",
        "target": "en",
        "tokenized": False,
    }


def test_train_and_dev_only_keep_dev_as_test_and_leave_no_leak(tmp_path: Path) -> None:
    text(tmp_path / "raw", "train", [*ENGLISH, "Held  out", ""], [*JAPANESE, "別", "空"])
    text(tmp_path / "raw", "dev", ["held out", "another"], ["外", "他"])
    for stray in ("train.en.000", "train.ja.000", "README.md", "train.small.en", "train.small.ja"):
        (tmp_path / "raw" / stray).write_text("stray\n")
    summary, tables = run(tmp_path / "raw", tmp_path / "out")
    assert tables["test"]["source"].tolist() == ["held out", "another"]
    assert (summary["train"], summary["val"], summary["removed"]) == (58, 3, 1)
    assert read_jsonl(tmp_path / "out" / "removed.jsonl")[0]["row"] == 61
    assert "dev" in summary["notes"][0]
    assert any("train.small.en" in note for note in summary["notes"])


def test_equal_source_sentences_stay_together(tmp_path: Path) -> None:
    twice = [f"the same {i // 3}" for i in range(90)]
    chosen, _ = assign([None] * 90, [key(s) for s in twice], (0.2, 0.2), seed=1)
    where: dict[str, set[str | None]] = {}
    for sentence, split in zip(twice, chosen, strict=True):
        where.setdefault(sentence, set()).add(split)
    assert all(len(found) == 1 for found in where.values())
    assert {split: chosen.count(split) for split in SPLITS} == {"train": 54, "val": 18, "test": 18}
    assert chosen == assign([None] * 90, [key(s) for s in twice], (0.2, 0.2), seed=1)[0]
    assert chosen != assign([None] * 90, [key(s) for s in twice], (0.2, 0.2), seed=2)[0]


def test_a_line_that_is_not_utf8_is_rejected_with_its_place(tmp_path: Path) -> None:
    """docs/faults.md 26."""
    text(tmp_path / "raw", "corpus", ENGLISH, JAPANESE)
    path = tmp_path / "raw" / "corpus.en"
    path.write_bytes(path.read_bytes().replace(b"number 2\n", b"numb\xff 2\n", 1))
    _, tables = run(tmp_path / "raw", tmp_path / "out")
    (row,) = read_jsonl(tmp_path / "out" / "rejected.jsonl")
    offset = len("sentence number 0\nsentence number 1\nsentence numb")
    assert (row["file"], row["row"], row["field"]) == ("corpus.en", 3, "source")
    assert row["reason"] == "is UTF-8 text"  # one reason for all rows: the place is another thing
    assert "byte 13 of the line" in row["found"] and f"byte {offset} of the file, 0xff" in row["found"]
    assert sum(map(len, tables.values())) == 59


def test_files_of_different_length_are_refused(tmp_path: Path) -> None:
    """docs/faults.md 27."""
    text(tmp_path / "raw", "train", ENGLISH, JAPANESE[:-1])
    with pytest.raises(SourceError, match=r"train.en has 60 lines and train.ja has 59"):
        run(tmp_path / "raw", tmp_path / "out")


def test_marks_and_line_ends_are_normalised_and_noted(tmp_path: Path) -> None:
    """docs/faults.md 31 and 34; U+2028 and U+0085 inside a sentence shift no line."""
    english = ["\ufefffirst", "se\u202econd\u200f", "a\u2028b", "c\x85d", *ENGLISH]
    text(tmp_path / "raw", "corpus", english, ["一", "二", "三", "四", *JAPANESE], end="\r\n")
    summary, tables = run(tmp_path / "raw", tmp_path / "out")
    sources = pd.concat(tables.values()).sort_values("row")["source"].tolist()
    assert sources[:5] == ["first", "second", "a b", "c\x85d", ENGLISH[0]]
    assert summary["normalised"] == {
        "CRLF line ends": 128,
        "bidirectional marks": 1,
        "byte-order marks": 1,
        "tabs and line breaks inside a sentence": 1,
    }


@pytest.mark.parametrize(
    ("line", "reason", "found"),
    [
        ('{"en": "a"}', "has keys for en and ja", "en"),
        ('{"en": "a", "ja": 3}', "ja is text", "int"),
        ('{"en": "a", "ja": "\\ud800"}', "ja is valid Unicode", "a surrogate without its partner"),
        ('{"en": "a", ', "is a JSON object", "broken at character 12"),
        ("[1]", "is a JSON object", "list"),
    ],
)
def test_a_broken_jsonl_line_is_rejected(tmp_path: Path, line: str, reason: str, found: str) -> None:
    write_jsonl(tmp_path / "c.jsonl")
    with (tmp_path / "c.jsonl").open("a") as file:
        file.write("\n" + line)
    run(tmp_path / "c.jsonl", tmp_path / "out")
    (row,) = read_jsonl(tmp_path / "out" / "rejected.jsonl")
    assert (row["row"], row["reason"], row["found"]) == (61, reason, found)


def test_a_tmx_with_entities_is_refused(tmp_path: Path) -> None:
    bomb = '<?xml version="1.0"?><!DOCTYPE tmx [<!ENTITY a "aaaa">]><tmx><body><tu>&a;</tu></body></tmx>'
    (tmp_path / "c.tmx").write_text(bomb)
    with pytest.raises(SourceError, match=r"c.tmx declares XML entities"):
        run(tmp_path / "c.tmx", tmp_path / "out")


def test_a_broken_tmx_is_refused_with_its_place(tmp_path: Path) -> None:
    (tmp_path / "c.tmx").write_text("<tmx><body><tu></body></tmx>")
    with pytest.raises(SourceError, match=r"c.tmx is no well-formed XML.*line 1, column 17"):
        run(tmp_path / "c.tmx", tmp_path / "out")


def test_a_tmx_unit_without_a_language_is_rejected(tmp_path: Path) -> None:
    write_tmx(tmp_path / "c.tmx")
    content = (tmp_path / "c.tmx").read_text()
    (tmp_path / "c.tmx").write_text(content.replace('xml:lang="JA"', 'xml:lang="ko"', 1))
    run(tmp_path / "c.tmx", tmp_path / "out")
    (row,) = read_jsonl(tmp_path / "out" / "rejected.jsonl")
    assert (row["file"], row["row"], row["field"]) == ("c.tmx", 1, "target")
    assert (row["reason"], row["found"]) == ("has xml:lang ja", "en-US, ko")


def test_unknown_data_says_what_is_there_and_what_is_needed(tmp_path: Path) -> None:
    text(tmp_path / "raw", "train", ENGLISH, JAPANESE)
    with pytest.raises(SourceError, match=r"found train.en, train.ja.*(?s:.)*train.en, train.de(?s:.)*tmx:"):
        run(tmp_path / "raw", tmp_path / "out", target_language="de")
    with pytest.raises(SourceError, match="does not exist"):
        prepare(tmp_path / "absent", tmp_path / "out", settings(), 1)


def test_two_formats_in_one_folder_ask_for_a_choice(tmp_path: Path) -> None:
    text(tmp_path / "raw", "train", ENGLISH, JAPANESE)
    write_tsv(tmp_path / "raw" / "c.tsv")
    with pytest.raises(SourceError, match=r"text \(train.en\), tsv \(c.tsv\)"):
        run(tmp_path / "raw", tmp_path / "out")
    assert run(tmp_path / "raw", tmp_path / "out2", format="tsv")[0]["format"] == "tsv"


@pytest.mark.parametrize("count", [0, 1])
def test_too_few_pairs_are_refused(tmp_path: Path, count: int) -> None:
    text(tmp_path / "raw", "train", ENGLISH[:count], JAPANESE[:count])
    with pytest.raises(SourceError, match=r"no sentence pair|too few"):
        run(tmp_path / "raw", tmp_path / "out")


def test_held_out_splits_without_train_are_refused(tmp_path: Path) -> None:
    text(tmp_path / "raw", "test", ENGLISH, JAPANESE)
    with pytest.raises(SourceError, match="no train"):
        run(tmp_path / "raw", tmp_path / "out")

"""Corpora as people have them: names, dialects, encodings, codes of languages, and what must not be guessed."""

from __future__ import annotations

import gzip
import json
import os
import unicodedata
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from test_translation_prepare import ENGLISH, JAPANESE, run, text

from core.errors import SourceError
from core.files import read_jsonl
from modalities.text.inputs import codes, tokenizer
from modalities.text.inputs.scripts import script_of, script_share
from modalities.text.inputs.tokenizer import Tokenizer
from modalities.text.prepare import tsv
from tasks.translation import score
from tasks.translation.score import bleu

PAIRS = list(zip(ENGLISH, JAPANESE, strict=True))


def pairs(tables: dict[str, pd.DataFrame]) -> set[tuple[str, str]]:
    table = pd.concat(tables.values())
    return set(zip(table["source"], table["target"], strict=True))


def write(path: Path, content: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content, encoding="utf-8")


def table(rows: list[Any], head: str = "") -> str:
    return head + "".join("\t".join(map(str, row)) + "\n" for row in rows)


def noted(summary: dict[str, Any], words: str) -> bool:
    return any(words in note for note in summary["notes"])


# TSV and CSV.


@pytest.mark.parametrize(
    "content",
    [
        table([(1000 + i, e, 2000 + i, j) for i, (e, j) in enumerate(PAIRS)]),
        table([(i, e, j) for i, (e, j) in enumerate(PAIRS)], "id\tenglish\tjapanese\n"),
        table([(e, j, f"CC-BY 2.0 (France) #{i}") for i, (e, j) in enumerate(PAIRS)]),
        table([(e, j, 0.5) for e, j in PAIRS], "eng\tjpn_Jpan\tscore\n"),
    ],
    ids=["tatoeba", "names", "licences", "codes"],
)
def test_numbers_and_licences_are_no_sentences(tmp_path: Path, content: str) -> None:
    write(tmp_path / "raw/pairs.tsv", content)
    assert pairs(run(tmp_path / "raw", tmp_path / "out")[1]) == set(PAIRS)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            table([(e, j, f"remark {i}") for i, (e, j) in enumerate(PAIRS)]),
            "no header that names en and ja, and 3 columns",
        ),
        (table([(i, e, j) for i, (e, j) in enumerate(PAIRS)], "id\ttext_a\ttext_b\n"), "does not name en and ja"),
    ],
)
def test_columns_that_nothing_tells_are_refused(tmp_path: Path, content: str, message: str) -> None:
    write(tmp_path / "raw/pairs.tsv", content)
    with pytest.raises(SourceError, match=message):
        run(tmp_path / "raw", tmp_path / "out")


def test_a_quoted_tsv_is_read_as_it_was_written(tmp_path: Path) -> None:
    spoken = [(f'he said "{e}" twice', f"「{j}」\n二行") for e, j in PAIRS]
    (tmp_path / "raw").mkdir()
    pd.DataFrame(spoken, columns=["en", "ja"]).to_csv(tmp_path / "raw/pairs.tsv", sep="\t", index=False)
    summary, tables = run(tmp_path / "raw", tmp_path / "out")
    assert pairs(tables) == {(e, j.replace("\n", " ")) for e, j in spoken}
    assert noted(summary, "read so")


def test_a_tsv_with_plain_quotation_marks_keeps_them(tmp_path: Path) -> None:
    write(tmp_path / "raw/pairs.tsv", table([(f'"{e}"' if i % 2 else e, j) for i, (e, j) in enumerate(PAIRS)]))
    summary, tables = run(tmp_path / "raw", tmp_path / "out")
    assert '"sentence number 1"' in {source for source, _ in pairs(tables)}
    assert noted(summary, "30 fields begin and end with a quotation mark, which is kept")
    assert not tsv.quoted(['"a" and "b"', "c"])


def test_a_csv_and_a_json_array_are_read(tmp_path: Path) -> None:
    (tmp_path / "csv").mkdir()
    pd.DataFrame(PAIRS, columns=["en", "ja"]).to_csv(tmp_path / "csv/pairs.csv", index=False)
    assert pairs(run(tmp_path / "csv", tmp_path / "out")[1]) == set(PAIRS)
    write(tmp_path / "json/pairs.json", json.dumps([{"en": e, "ja": j} for e, j in PAIRS], indent=1))
    assert pairs(run(tmp_path / "json", tmp_path / "out2")[1]) == set(PAIRS)


# Names of files.


@pytest.mark.parametrize(
    ("source", "target"),
    [
        ("c.eng", "c.jpn"),
        ("en.txt", "ja.txt"),
        ("train-en.txt", "train-ja.txt"),
        ("Tatoeba.en-ja.en", "Tatoeba.en-ja.ja"),
        ("train.src.gz", "train.trg.gz"),
        ("c.en.txt.gz", "c.ja.txt.gz"),
        ("en/c.txt", "ja/c.txt"),
        ("English/train.txt.gz", "Japanese/train.txt.gz"),
        ("corpus/eng/c.en", "corpus/jpn/c.ja"),
        ("source/c", "target/c"),
    ],
)
def test_names_of_parallel_files(tmp_path: Path, source: str, target: str) -> None:
    for name, lines in ((source, ENGLISH), (target, JAPANESE)):
        data = "".join(f"{line}\n" for line in lines).encode()
        (tmp_path / "raw" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "raw" / name).write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    assert pairs(run(tmp_path / "raw", tmp_path / "out")[1]) == set(PAIRS)


def test_a_corpus_beside_dev_and_test_is_train(tmp_path: Path) -> None:
    text(tmp_path / "raw", "corpus", ENGLISH, JAPANESE)
    text(tmp_path / "raw", "dev", ["one more"], ["甲"])
    text(tmp_path / "raw", "test", ["another"], ["乙"])
    summary, _ = run(tmp_path / "raw", tmp_path / "out")
    assert (summary["train"], summary["val"], summary["test"]) == (60, 1, 1)
    assert noted(summary, "what names no split is train, beside test, val")


@pytest.mark.parametrize(
    ("name", "form", "content"),
    [
        ("train.json", "jsonl", "".join(json.dumps({"en": e, "ja": j}) + "\n" for e, j in PAIRS)),
        ("jpn.txt", "tsv", table(PAIRS)),
    ],
)
def test_a_file_that_is_named_with_its_format_is_read_whatever_its_ending(
    tmp_path: Path, name: str, form: str, content: str
) -> None:
    write(tmp_path / name, content)
    assert pairs(run(tmp_path / name, tmp_path / "out", format=form)[1]) == set(PAIRS)


def test_what_is_not_read_is_told(tmp_path: Path) -> None:
    text(tmp_path / "raw", "corpus", ENGLISH, JAPANESE)
    write(tmp_path / "raw/._corpus.en", "x\n")
    write(tmp_path / "raw/notes.md", "x")
    write(tmp_path / "raw/more/other.en", "x\n")
    summary, tables = run(tmp_path / "raw", tmp_path / "out")
    assert pairs(tables) == set(PAIRS)
    assert noted(summary, "1 hidden or temporary files not read, e.g. ._corpus.en")
    assert noted(summary, "1 other files not read, e.g. notes.md")
    assert noted(summary, "1 files in other folders not read, e.g. more/other.en")


def test_a_folder_for_each_language_with_a_file_for_each_split(tmp_path: Path) -> None:
    for split, english, japanese in (
        ("train", ENGLISH, JAPANESE),
        ("dev", ["one more"], ["甲"]),
        ("test", ["x y"], ["乙"]),
    ):
        write(tmp_path / f"raw/en/{split}.txt", "".join(f"{line}\n" for line in english))
        write(tmp_path / f"raw/ja/{split}.txt", "".join(f"{line}\n" for line in japanese))
    write(tmp_path / "raw/ja/alone.txt", "丙\n")
    summary, _ = run(tmp_path / "raw", tmp_path / "out")
    assert (summary["train"], summary["val"], summary["test"]) == (60, 1, 1)
    assert noted(summary, "1 files in other folders not read, e.g. ja/alone.txt")


def test_folders_that_name_splits_belong_together(tmp_path: Path) -> None:
    text(tmp_path / "raw/train", "c", ENGLISH, JAPANESE)
    text(tmp_path / "raw/dev", "c", ["one more"], ["甲"])
    text(tmp_path / "raw/test", "c", ["another"], ["乙"])
    summary, _ = run(tmp_path / "raw", tmp_path / "out")
    assert (summary["train"], summary["val"], summary["test"]) == (60, 1, 1)


def test_line_ends_of_a_classic_mac(tmp_path: Path) -> None:
    text(tmp_path / "raw", "c", ENGLISH, JAPANESE, end="\r")
    summary, tables = run(tmp_path / "raw", tmp_path / "out")
    assert pairs(tables) == set(PAIRS) and summary["normalised"] == {"CR line ends": 120}


def test_folders_that_are_links_are_read(tmp_path: Path) -> None:
    text(tmp_path / "disk", "corpus", ENGLISH, JAPANESE)
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw/data").symlink_to(tmp_path / "disk")
    assert pairs(run(tmp_path / "raw", tmp_path / "out")[1]) == set(PAIRS)


# Characters.


def test_decomposed_text_is_composed_and_counted(tmp_path: Path) -> None:
    korean = [f"문장 번호 {i}" for i in range(60)]
    mixed = [unicodedata.normalize("NFD", line) if i % 2 else line for i, line in enumerate(korean)]
    write(tmp_path / "raw/c.en", "".join(f"{line}\n" for line in ENGLISH))
    write(tmp_path / "raw/c.ko", "".join(f"{line}\n" for line in mixed))
    summary, tables = run(tmp_path / "raw", tmp_path / "out", target_language="ko")
    assert {target for _, target in pairs(tables)} == set(korean)
    assert summary["normalised"] == {"decomposed characters": 30}


def test_the_tokenizer_sees_no_difference_between_composed_and_decomposed() -> None:
    words = ["Tiếng Việt rất đẹp", "Ngôn ngữ của tôi"] * 5
    coder = Tokenizer(tokenizer.train(words, 60))
    decomposed = [unicodedata.normalize("NFD", line) for line in words]
    assert decomposed != words and coder.encode(decomposed) == coder.encode(words)
    assert tokenizer.train(decomposed, 60) == tokenizer.train(words, 60)


def test_a_sentence_of_invisible_characters_is_empty(tmp_path: Path) -> None:
    text(tmp_path / "raw", "c", [*ENGLISH, "\u200b\u00ad \u2060"], [*JAPANESE, "見"])
    _, tables = run(tmp_path / "raw", tmp_path / "out")
    assert ("", "見") in pairs(tables)


def test_an_old_encoding_is_named(tmp_path: Path) -> None:
    write(tmp_path / "raw/c.en", "".join(f"{line}\n" for line in ENGLISH))
    (tmp_path / "raw/c.ja").write_bytes("".join(f"{line}\n" for line in [*JAPANESE[:-1], "x"]).encode("shift_jis"))
    with pytest.raises(SourceError, match=r"no sentence pair|too few"):
        run(tmp_path / "raw", tmp_path / "out")
    write(tmp_path / "few/c.en", "".join(f"{line}\n" for line in ENGLISH))
    (tmp_path / "few/c.ja").write_bytes("".join(f"{n}\n" for n in range(58)).encode() + "文\n語\n".encode("shift_jis"))
    summary, _ = run(tmp_path / "few", tmp_path / "out2")
    assert noted(summary, "iconv -f shift_jis -t UTF-8")
    assert {row["reason"] for row in read_jsonl(tmp_path / "out2/rejected.jsonl")} == {"is UTF-8 text"}


@pytest.mark.parametrize(("declared", "good"), [("utf8", True), ("unicode", False)])
def test_the_encoding_that_a_tmx_declares(tmp_path: Path, declared: str, good: bool) -> None:
    units = "".join(
        f'<tu><tuv xml:lang="en"><seg>{e}</seg></tuv><tuv xml:lang="ja"><seg>{j}</seg></tuv></tu>' for e, j in PAIRS
    )
    head = f"<?xml version='1.0' encoding='{declared}'?>"
    write(tmp_path / "raw/c.tmx", f"{head}<tmx><body>{units}</body></tmx>")
    if good:
        assert pairs(run(tmp_path / "raw", tmp_path / "out")[1]) == set(PAIRS)
    else:
        with pytest.raises(SourceError, match=r"c.tmx declares an unknown encoding: unicode"):
            run(tmp_path / "raw", tmp_path / "out")


# Languages.


@pytest.mark.parametrize(
    ("language", "expected"),
    [
        ("th", "char"), ("km", "char"), ("lo", "char"), ("my", "char"), ("bo", "char"), ("tha", "char"),
        ("ja", "ja-mecab"), ("jpn", "ja-mecab"), ("ja-JP", "ja-mecab"), ("ja-Latn", "13a"),
        ("zh-Hant", "zh"), ("zho", "zh"), ("cmn", "zh"), ("yue", "zh"), ("ger", "13a"), ("xx", "13a"),
    ],
)  # fmt: skip
def test_a_language_is_measured_by_what_can_measure_it(language: str, expected: str) -> None:
    assert bleu.tokenizer(language) == expected


THAI = ["แมวสีดำนอนบนเตียงทั้งวัน", "พรุ่งนี้เราจะไปตลาดด้วยกัน"]


def test_bleu_of_thai_is_no_zero() -> None:
    """docs/faults.md: 13a takes a Thai sentence for one token."""
    almost = [THAI[0].replace("ดำ", "ขาว"), THAI[1].replace("ด้วยกัน", "")]
    references = [{"text": line, "language": "th", "tokenized": False} for line in THAI]
    result = score.score(almost, references, None)
    assert 50 < result["metrics"]["bleu"] < 100 and result["metrics"]["ter"] < 50
    assert "tok:char" in result["signature"]


def test_codes_of_one_language_are_one() -> None:
    assert {codes.normal(tag) for tag in ("de", "deu", "ger", "German")} == {"de"}
    assert (codes.normal("zh_Hans"), codes.normal("yue"), codes.base("yue")) == ("zh-hans", "yue", "zh")
    assert script_of("jpn") == script_of("ja") == "Jpan" and script_of("zh-Hans") == "Hani"
    assert script_share("hello", "tha") == 0.0


def test_a_vocabulary_that_a_small_corpus_cannot_fill_is_lowered() -> None:
    words = ["ok cancel", "open file", "close file"] * 20
    coder = Tokenizer(tokenizer.train(words, 1000))
    assert coder.size() < 100 and coder.decode(coder.encode(words)) == words


# What strangers' data has, found by test_fuzz_readers.py.


def tmx(middle: str) -> str:
    units = "".join(
        f'<tu><tuv xml:lang="en"><seg>{e}</seg></tuv><tuv xml:lang="ja"><seg>{j}</seg></tuv></tu>' for e, j in PAIRS
    )
    return f'<tmx version="1.4"><header/><body>{middle}{units}</body></tmx>'


def test_words_of_tmx_are_read_however_deep_they_lie(tmp_path: Path) -> None:
    deep = f"a {'<hi>' * 5000}b<ph>x</ph> c{'</hi>' * 5000} d"
    unit = f'<tu><tuv xml:lang="en"><seg>{deep}</seg></tuv><tuv xml:lang="ja"><seg>甲乙</seg></tuv></tu>'
    write(tmp_path / "raw/c.tmx", tmx(unit))
    _, tables = run(tmp_path / "raw", tmp_path / "out")
    assert ("a b c d", "甲乙") in pairs(tables) and len(pairs(tables)) == 61


@pytest.mark.parametrize(
    "damage", [lambda data: data[:-9], lambda data: data[:2] + b"\0" * 9, lambda data: data[:20] * 9]
)
def test_tmx_that_is_damaged_gzip_is_refused(tmp_path: Path, damage: Any) -> None:
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw/c.tmx.gz").write_bytes(damage(gzip.compress(tmx("").encode())))
    with pytest.raises(SourceError, match=r"^c\.tmx\.gz is damaged gzip: .+; pack it again$"):
        run(tmp_path / "raw", tmp_path / "out")


def test_a_file_whose_name_is_no_utf8_is_spelt(tmp_path: Path) -> None:
    write(tmp_path / "raw" / os.fsdecode(b"\xff.tsv"), table(PAIRS, "en\tja\n"))
    write(tmp_path / "raw" / os.fsdecode(b"\xfe.doc"), "x")
    summary, tables = run(tmp_path / "raw", tmp_path / "out")
    assert set(pd.concat(tables.values())["file"]) == {"\\udcff.tsv"}
    assert noted(summary, "1 other files not read, e.g. \\udcfe.doc")


def test_half_a_character_in_a_key_is_spelt(tmp_path: Path) -> None:
    rows = [json.dumps({"en": e, "ja": j}) for e, j in PAIRS] + ['{"\\ud800": 1}', '{"en-\\ud800": 1, "ja": 2}']
    write(tmp_path / "raw/c.jsonl", "\n".join(rows))
    run(tmp_path / "raw", tmp_path / "out")
    rejected = read_jsonl(tmp_path / "out/rejected.jsonl")
    assert [row["row"] for row in rejected] == [61, 62]
    assert rejected[0]["found"] == "\\ud800" and rejected[1]["reason"] == "en-\\ud800 is text"


@pytest.mark.parametrize(("name", "last"), [("c.csv", 10), ("c.tsv", 9)])
def test_a_lone_carriage_return_ends_no_row_of_a_quoted_table(tmp_path: Path, name: str, last: int) -> None:
    """Rows behind it keep their numbers; outside of quotes it makes a bad row of CSV."""
    between = "," if name == "c.csv" else "\t"
    rows = [f'"{e}"{between}"{j}"' for e, j in [("en", "ja"), ("one\rtwo", "甲"), ("a\r", "乙"), *PAIRS]]
    if name == "c.csv":
        rows.insert(4, "b\rc,丙")
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw" / name).write_text("\n".join(rows), encoding="utf-8", newline="")
    _, tables = run(tmp_path / "raw", tmp_path / "out", format="tsv")
    assert {("one two", "甲"), ("a", "乙"), *PAIRS[1:]} <= pairs(tables)
    found = pd.concat(tables.values()).set_index("source")["row"]
    assert found[ENGLISH[5]] == last

"""Sentence boundaries, parts of long sentences, and time on hostile text."""

from __future__ import annotations

import time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from modalities.text.serve.sentences import cut, split

PARTS = st.sampled_from([*" \n\t\r.!?…。！？」』\"')(「a1A,、\u2028\u0301", "Dr.", "e.g.", "U.S.", "3.5", "The", "と"])
TEXT = st.text() | st.lists(PARTS).map("".join)


@pytest.mark.parametrize(
    "pieces",
    [
        ["He left. ", "She stayed."],
        ["Really?! ", "Yes! ", "Wait... what?"],
        ["Dr. Smith met Mrs. Jones. ", "They talked."],
        ["Fruit, e.g. Apples, i.e. Malus."],
        ["He lives in the U.S. Capitol area."],
        ["He lives in the U.S. ", "He likes it."],
        ["J. R. R. Tolkien wrote it. ", "Tom read it."],
        ["It costs 3.50 or 1,000.25 dollars. ", "Tom paid."],
        ["See No. 5 and p. 7 for more. ", "I say no. ", "Tom agrees."],
        ["We met at 9 a.m. Tom was late."],
        ["The shop closes at 5 p.m. ", "It opens at nine."],
        ["He was born in 1990. ", "Tom was not."],
        ["1. Wash it\n", "2. Dry it"],
        ["See example.org for more. ", "Bye."],
        ['He said "Hello." ', "(She did not.) ", "“Why?” ", "Nobody knows."],
        ['"Stop!" he said. ', "Nobody did."],
        ["one line\n", "another  \n\n", "Dr.\n", "last"],
        ["今日は雨です。", "本当？！", "「はい。」", "次です。"],
        ["「今日は。」と言った。", "雨だ。"],
        ["円周率は３．１４です。", "次。"],
        ["यह एक है।", "वह दो है।"],
        ["Ça va ? ", "Oui."],
        ["Er kommt z.B. Montag. ", "Gut."],
    ],
    ids=lambda pieces: pieces[0][:16],
)
def test_where_sentences_end(pieces: list[str]) -> None:
    assert split("".join(pieces)) == pieces


def test_a_full_stop_that_is_a_token_ends_a_sentence_of_tokenized_text() -> None:
    text = "he eats rice . mr. tanaka does n't . why ? so ."
    assert split(text, tokenized=True) == ["he eats rice . ", "mr. tanaka does n't . ", "why ? ", "so ."]
    assert split(text) == [text]


@given(TEXT, st.booleans())
@example("", False)
@example("\ud800.\x00 \n\n .", True)
def test_pieces_joined_are_the_text(text: str, tokenized: bool) -> None:
    pieces = split(text, tokenized)
    assert "".join(pieces) == text
    assert all(pieces)


@given(TEXT, st.integers(1, 20))
def test_parts_joined_are_the_sentence_and_short(text: str, limit: int) -> None:
    parts = cut(text, limit, len)
    assert "".join(parts) == text
    assert all(len(part) <= limit for part in parts)


def test_cuts_stand_at_clauses_then_between_words_then_between_characters() -> None:
    def words(text: str) -> int:
        return len(text.split())

    assert cut("one two three, four five six", 4, words) == ["one two three, ", "four five six"]
    assert cut("今日は雨で、明日は晴れ", 8, len) == ["今日は雨で、", "明日は晴れ"]
    assert cut("one two three four", 2, words) == ["one two ", "three four"]
    assert cut("costs 1,000 yen", 11, len) == ["costs ", "1,000 yen"]
    assert cut("aaaaaaaa", 4, len) == ["aaaa", "aaaa"]
    assert cut("aaae\u0301aaa", 5, len) == ["aaa", "e\u0301aaa"]


@pytest.mark.parametrize(
    "unit", [*'a. \n\t」"1', ". ", "a. ", "A.", "。」", "...", "Dr. ", ".a", "\r\n", "a\n", "! ", '."', "\u0301", ", "]
)
def test_time_is_linear(unit: str) -> None:
    """100,000 characters take well under a second; a quadratic scan takes minutes."""
    text = (unit * 100_000)[:100_000]
    began = time.process_time()
    pieces = split(text)
    assert "".join(part for piece in pieces for part in cut(piece, 100, len)) == text
    assert time.process_time() - began < 2

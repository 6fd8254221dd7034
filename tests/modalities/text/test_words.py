"""Vocabularies of words: what is in them, and round trips."""

from __future__ import annotations

import pytest

from core.errors import DataError
from modalities.text.inputs import coders, words
from modalities.text.inputs.tokenizer import BOS, EOS, PAD, UNK, Tokenizer
from modalities.text.inputs.tokenizer import train as subwords

SOURCE = ["he eats rice", "he eats  fish", "she eats"]
TARGET = ["彼 は 米 を 食べ る", "彼 は 魚 を 食べ る", "彼女 は 食べ る"]


def coder(minimum: int, source: int | None = None, target: int | None = None) -> words.Words:
    found = coders.load(words.train(SOURCE, TARGET, minimum, {"source": source, "target": target}))
    assert isinstance(found, words.Words)
    return found


def test_each_language_has_the_words_that_are_frequent_enough_most_frequent_first() -> None:
    own = coder(2)
    assert (own.size("source"), own.size("target")) == (4 + 2, 4 + 5)
    assert own.pieces(range(6)) == ["<pad>", "<unk>", "<s>", "</s>", "▁eats", "▁he"]
    assert own.pieces([4, 5, 6, 7, 8], "target") == ["▁は", "▁る", "▁食べ", "▁を", "▁彼"]


@pytest.mark.parametrize(("minimum", "source", "target"), [(1, 6, 7), (2, 5, 7), (3, 6, None)])
def test_bounds_count_the_special_ids(minimum: int, source: int, target: int | None) -> None:
    own, free = coder(minimum, source, target), coder(minimum)
    assert own.size("source") == min(source, free.size("source"))
    assert own.size("target") == min(target or 99, free.size("target"))


def test_a_number_that_no_word_has_is_refused() -> None:
    with pytest.raises(DataError, match=r"min_count is 4, but no source word .* occurs more than 3 times; lower it"):
        coder(4)


def test_known_words_come_back_and_others_are_unknown() -> None:
    own = coder(1)
    ids = own.encode(TARGET, "target")
    assert own.decode([[BOS, *row, EOS, PAD] for row in ids]) == TARGET
    assert own.encode(["he eats 米"])[0][2] == UNK and own.encode(["e\u0301t\u00e9"]) == [[UNK]]
    assert own.decode([[UNK, ids[0][0]]]) == ["<unk> 彼"]


def test_composed_characters_are_the_same_words() -> None:
    made = words.train(["\u00e9t\u00e9"], ["x"], 1, {"source": None, "target": None})
    assert words.Words(made).encode(["e\u0301te\u0301 <s>"]) == [[4, UNK]]


def test_subwords_are_told_from_words() -> None:
    assert isinstance(coders.load(subwords(TARGET * 5, 60)), Tokenizer)

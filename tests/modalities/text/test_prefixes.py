"""Beginnings of translations: what their subwords promise, and which are refused."""

from __future__ import annotations

import pytest

from core.errors import DataError
from modalities.text.inputs import tokenizer, words
from modalities.text.inputs.coders import Coder
from modalities.text.inputs.tokenizer import UNK, Tokenizer
from modalities.text.inputs.words import Words
from modalities.text.predict import prefixes

TEXTS = ["the cat sat on the mat .", "that hat is flat, isn't it ?", "dogs eat 12 apples : 3 a day !"] * 30
SUBWORDS = Tokenizer(tokenizer.train(TEXTS, 70))
WORDS = Words(words.train(TEXTS, TEXTS, 1, {"source": None, "target": None}))


def encoded(text: str, coder: Coder, limit: int = 20) -> list[int]:
    (ids,) = prefixes.encode([text], coder, limit, ["prefix"])
    return ids


def test_whatever_follows_the_text_begins_with_the_prefix() -> None:
    for text in ("the", "th", "isn't  it", " cat ", "1", "the cat sat on", ""):
        ids = encoded(text, SUBWORDS)
        for more in range(UNK + 1, SUBWORDS.size()):
            (whole,) = SUBWORDS.decode([[*ids, more]])
            assert whole.startswith(" ".join(text.split())), (text, more)
    (whole,) = WORDS.decode([[*encoded("the  cat", WORDS), 5]])
    assert whole.startswith("the cat ")


def test_what_no_translation_can_begin_with_is_refused() -> None:
    with pytest.raises(DataError, match=r"^prefix: 'Ω' is not in the vocabulary of the model"):
        encoded("the Ω", SUBWORDS)
    with pytest.raises(DataError, match=r"^prefix: 'mice' is not in the vocabulary of the model"):
        encoded("the mice sat", WORDS)
    with pytest.raises(DataError, match=r"^prefix has 21 subwords, expected at most 20"):
        encoded("the " * 21, WORDS)
    assert len(encoded("the " * 20, WORDS)) == 20
